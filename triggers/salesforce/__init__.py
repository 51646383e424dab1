"""
The Salesforce subscriber: takes events of the Pub/Sub API, and stages the contacts that they are about.

`pubsub_pb2*` is generated from `pubsub.proto` by `make interfaces`.
"""

from blocks.base import not_installed

try:
    import fastavro  # noqa: F401 - what all modules here need, named once
    import google.protobuf  # noqa: F401
    import grpc  # noqa: F401
except ImportError as error:
    raise not_installed("Salesforce's event subscriber", "grpcio, protobuf or fastavro", "salesforce-events") from error
