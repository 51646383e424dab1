"""The interface file, what is generated from it, and the libraries that it needs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
GENERATED = ("pubsub_pb2.py", "pubsub_pb2.pyi", "pubsub_pb2_grpc.py")
#: Salesforce's numbers of the fields, written down a second time, from its documentation.
NUMBERS = {
    "TopicRequest": {"topic_name": 1},
    "TopicInfo": {
        "topic_name": 1,
        "tenant_guid": 2,
        "can_publish": 3,
        "can_subscribe": 4,
        "schema_id": 5,
        "rpc_id": 6,
    },
    "SchemaRequest": {"schema_id": 1},
    "SchemaInfo": {"schema_json": 1, "schema_id": 2, "rpc_id": 3},
    "EventHeader": {"key": 1, "value": 2},
    "ProducerEvent": {"id": 1, "schema_id": 2, "payload": 3, "headers": 4},
    "ConsumerEvent": {"event": 1, "replay_id": 2},
    "FetchRequest": {"topic_name": 1, "replay_preset": 2, "replay_id": 3, "num_requested": 4, "auth_refresh": 5},
    "FetchResponse": {"events": 1, "latest_replay_id": 2, "rpc_id": 3, "pending_num_requested": 4},
    "PublishRequest": {"topic_name": 1, "events": 2, "auth_refresh": 3},
    "PublishResponse": {"results": 1, "schema_id": 2, "rpc_id": 3},
    "PublishResult": {"replay_id": 1, "error": 2, "correlation_key": 3},
    "Error": {"code": 1, "msg": 2},
}


def test_what_is_committed_is_what_is_generated(tmp_path: Path) -> None:
    """The output wasn't edited, and `make interfaces` wasn't forgotten."""
    subprocess.run([ROOT / "scripts" / "interfaces", tmp_path], check=True, timeout=240)
    for name in GENERATED:
        place = Path("triggers") / "salesforce" / name
        assert (tmp_path / place).read_text() == (ROOT / place).read_text(), f"{place}: run `make interfaces`"


def test_the_interface_is_salesforces() -> None:
    """Names and numbers are part of the wire, and no stand-in of ours would notice a wrong one."""
    from triggers.salesforce import pubsub_pb2  # noqa: PLC0415

    messages = pubsub_pb2.DESCRIPTOR.message_types_by_name
    assert {name: {f.name: f.number for f in each.fields} for name, each in messages.items()} == NUMBERS
    enums = pubsub_pb2.DESCRIPTOR.enum_types_by_name
    assert {value.name: value.number for value in enums["ReplayPreset"].values} == {
        "LATEST": 0,
        "EARLIEST": 1,
        "CUSTOM": 2,
    }
    (service,) = pubsub_pb2.DESCRIPTOR.services_by_name.values()
    assert service.full_name == "eventbus.v1.PubSub"
    assert [method.name for method in service.methods] == ["Subscribe", "GetSchema", "GetTopic", "Publish"]


@pytest.mark.parametrize("library", ["grpc", "fastavro", "google.protobuf"])
def test_a_missing_library_names_the_extra(library: str) -> None:
    """No user has to install a client that isn't used."""
    program = f"import sys; sys.modules['{library}'] = None; import triggers.salesforce.service"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode
    assert "--extra salesforce-events`" in ended.stderr
