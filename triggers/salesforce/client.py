"""Calls to Salesforce's Pub/Sub API over gRPC and TLS, in one session."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc

from blocks.crms.salesforce.session import LOOPBACK_HOSTS, Session
from enrichment.errors import ConfigurationError
from triggers.salesforce.failures import Action, Failure, StreamFailedError, judge
from triggers.salesforce.pubsub_pb2 import FetchRequest, FetchResponse, SchemaRequest, TopicInfo, TopicRequest
from triggers.salesforce.pubsub_pb2_grpc import PubSubStub

_ANSWER_SECONDS = 30.0
_OPTIONS = (
    # A connection that is dead without a word is noticed. Servers take it ill if they are asked too often.
    ("grpc.keepalive_time_ms", 150_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Else a new channel would inherit the pauses of the one that failed; we have our own.
    ("grpc.use_local_subchannel_pool", 1),
)


class Stream(Protocol):
    """A subscription as gRPC gives it: iterates over responses until it fails, ends or is cancelled."""

    def __iter__(self) -> Iterator[FetchResponse]:
        """Return the iterator."""

    def cancel(self) -> bool:
        """End it from our side."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API is (host and port), and who may vouch for it (PEM, None: the usual authorities)."""

    address: str
    authorities: bytes | None = None

    @classmethod
    def read(cls, address: str, ca_file: Path | None) -> "Endpoint":
        """
        Return the endpoint of the settings.

        Raises:
            ConfigurationError: the file can't be read.
        """
        try:
            return cls(address, ca_file.read_bytes() if ca_file else None)
        except OSError as error:
            raise ConfigurationError(
                f"ENRICHMENT_SALESFORCE_EVENTS_CA_FILE: {ca_file} can't be read ({type(error).__name__})"
            ) from None


class PubSubClient:
    """
    A connection in one session; a new session needs a new client.

    Every method raises StreamFailedError.
    """

    def __init__(self, endpoint: Endpoint, session: Session) -> None:
        host = endpoint.address.rpartition(":")[0]
        # A proxy of the environment is never meant for this machine itself.
        proxy = ("grpc.enable_http_proxy", int(host not in LOOPBACK_HOSTS))
        credentials = grpc.ssl_channel_credentials(endpoint.authorities)
        self._channel = grpc.secure_channel(endpoint.address, credentials, (*_OPTIONS, proxy))
        self._stub: Any = PubSubStub(self._channel)  # type: ignore[no-untyped-call]
        self._metadata = (
            ("accesstoken", session.token),
            ("instanceurl", session.instance_url),
            ("tenantid", session.org_id),
        )

    def topic(self, name: str) -> TopicInfo:
        """Return what the org says of a topic."""
        info: TopicInfo = self._ask(self._stub.GetTopic, TopicRequest(topic_name=name))
        return info

    def schema(self, schema_id: str) -> str:
        """Return a schema as JSON."""
        return str(self._ask(self._stub.GetSchema, SchemaRequest(schema_id=schema_id)).schema_json)

    def subscribe(self, requests: Iterator[FetchRequest]) -> Stream:
        """Open a stream; when the requests end, so does it."""
        stream: Stream = self._stub.Subscribe(requests, metadata=self._metadata)
        return stream

    def close(self) -> None:
        """Close the connection, and what goes over it."""
        self._channel.close()

    def _ask(self, call: Any, request: Any) -> Any:
        try:
            return call(request, metadata=self._metadata, timeout=_ANSWER_SECONDS)
        except grpc.RpcError as error:
            raise StreamFailedError(failure_of(error)) from None


def failure_of(error: Any) -> Failure:
    """Return what an error of gRPC means."""
    if error.code() is None:
        return Failure(Action.RECONNECT, "the connection was closed")
    trailers = dict(error.trailing_metadata() or ())
    return judge(error.code().name, str(trailers.get("error-code", "")), error.details() or "")
