"""The stand-in of the Pub/Sub API keeps the rules that a subscriber has to know."""

import io
import json
import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import grpc
import httpx
import pytest

from sandbox.salesforce.event_schemas import CHANGES, CREATED
from sandbox.salesforce.pubsub import serve_events
from sandbox.server import Box
from triggers.salesforce.pubsub_pb2 import FetchRequest, FetchResponse, SchemaRequest, TopicRequest
from triggers.salesforce.pubsub_pb2_grpc import PubSubStub

ORG = "00D5e000000abcdEAA"


class Caller:
    """Calls the API as a subscriber does, rightly or wrongly."""

    def __init__(self, box: Box, endpoint: str, authority: bytes) -> None:
        self.org = box.world.salesforce
        self._channel = grpc.secure_channel(endpoint, grpc.ssl_channel_credentials(authority))
        self.stub = PubSubStub(self._channel)
        form = {"grant_type": "client_credentials", "client_id": "sandbox-consumer", "client_secret": "sandbox-secret"}
        answer = httpx.post(f"{box.salesforce_url}/services/oauth2/token", data=form, trust_env=False).json()
        self.metadata = (
            ("accesstoken", answer["access_token"]),
            ("instanceurl", answer["instance_url"]),
            ("tenantid", ORG),
        )

    def stream(self, *requests: FetchRequest) -> tuple[Any, "queue.SimpleQueue[FetchRequest | None]"]:
        """Open a stream with these requests; further ones go into the queue."""
        waiting: queue.SimpleQueue[FetchRequest | None] = queue.SimpleQueue()
        for request in requests:
            waiting.put(request)
        return self.stub.Subscribe(iter(waiting.get, None), metadata=self.metadata, timeout=60), waiting

    def decode(self, response: FetchResponse) -> list[dict[str, Any]]:
        """Return what the events of a response hold."""
        found = []
        for each in response.events:
            text = self.stub.GetSchema(
                SchemaRequest(schema_id=each.event.schema_id), metadata=self.metadata
            ).schema_json
            schema = fastavro.parse_schema(json.loads(text))
            found.append(fastavro.schemaless_reader(io.BytesIO(each.event.payload), schema, None))
        return found

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def caller(box: Box, tmp_path: Path) -> Iterator[Caller]:
    with serve_events(box, tmp_path) as address:
        caller = Caller(box, address.endpoint, address.ca_file.read_bytes())
        try:
            yield caller
        finally:
            caller.close()


def first(topic: str = CHANGES, number: int = 100, **more: Any) -> FetchRequest:
    return FetchRequest(topic_name=topic, num_requested=number, **more)


def error_of(call: Any) -> tuple[str, str]:
    """Return the status and the code with which a call or a stream ends."""
    with pytest.raises(grpc.RpcError) as caught:
        list(call) if hasattr(call, "__iter__") else call()
    trailers = dict(caught.value.trailing_metadata())
    return caught.value.code().name, trailers.get("error-code", "").removeprefix("sfdc.platform.eventbus.grpc.")


def test_a_change_comes_with_its_header_and_compound_fields(caller: Caller) -> None:
    """As Avro, with the fields in their places."""
    stream, _ = caller.stream(first(replay_preset=1))
    (contact,) = caller.org.create([{"FirstName": "Ann", "LastName": "Roe", "Email": "ann@example.com"}])
    (event,) = caller.decode(next(stream))
    assert event["ChangeEventHeader"]["recordIds"] == [contact]
    assert event["ChangeEventHeader"]["changeType"] == "CREATE"
    assert (event["Name"]["FirstName"], event["Email"], event["Title"]) == ("Ann", "ann@example.com", None)
    caller.org.edit(contact, {"Title": "CTO", "LastName": "Doe"})
    (event,) = caller.decode(next(stream))
    position = [field["name"] for field in json.loads(caller.org.bus.schema(CHANGES).text)["fields"]].index("Title")
    whole, nested = event["ChangeEventHeader"]["changedFields"]
    assert int(whole, 16) >> position & 1
    assert nested.startswith("1-")
    stream.cancel()


def test_no_more_is_sent_than_was_asked_for(caller: Caller) -> None:
    """And no more than a hundred may be asked for."""
    caller.org.create([{"LastName": "L"}] * 150)
    stream, waiting = caller.stream(first(number=30, replay_preset=1))
    assert len(next(stream).events) == 30
    waiting.put(first(number=500))
    response = next(stream)
    assert (len(response.events), response.pending_num_requested) == (100, 0)
    stream.cancel()


def test_a_stream_that_asks_for_nothing_is_closed(caller: Caller, box: Box) -> None:
    """After a while that is a setting here."""
    box.configure(salesforce={"events_grace_seconds": 0.1})
    caller.org.create([{"LastName": "L"}])
    stream, _ = caller.stream(first(number=1, replay_preset=1))
    assert [len(response.events) for response in stream] == [1]
    assert caller.org.bus.totals["starved"] == 1


def test_a_quiet_stream_sends_empty_messages_with_a_new_place(caller: Caller, box: Box) -> None:
    """From which a stream may go on."""
    box.configure(salesforce={"events_idle_seconds": 0.05})
    stream, _ = caller.stream(first())
    one, other = next(stream), next(stream)
    stream.cancel()
    assert not one.events
    assert one.latest_replay_id != other.latest_replay_id
    assert len(other.latest_replay_id) == 10
    caller.org.create([{"LastName": "L"}])
    stream, _ = caller.stream(first(replay_preset=2, replay_id=other.latest_replay_id))
    assert len(next(stream).events) == 1
    stream.cancel()


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([first(number=0)], ("INVALID_ARGUMENT", "subscription.fetch.requested.events.invalid")),
        ([first(), first(CREATED)], ("INVALID_ARGUMENT", "subscription.fetch.topic.mismatch")),
        ([first("/data/AccountChangeEvent")], ("NOT_FOUND", "topic.not.found")),
        ([first(replay_preset=2)], ("INVALID_ARGUMENT", "subscription.fetch.replayid.validation.failed")),
        (
            [first(replay_preset=2, replay_id=b"\x00" * 10)],
            ("INVALID_ARGUMENT", "subscription.fetch.replayid.corrupted"),
        ),
    ],
)
def test_wrong_requests_end_the_stream(caller: Caller, requests: list[FetchRequest], expected: tuple[str, str]) -> None:
    """With Salesforce's own code in the trailers."""
    assert error_of(caller.stream(*requests)[0]) == expected


@pytest.mark.parametrize(
    ("index", "value", "code"),
    [(0, "unknown", "service.auth.error"), (2, "00Dwrong", "service.auth.headers.invalid")],
)
def test_every_call_has_to_say_who_calls(caller: Caller, index: int, value: str, code: str) -> None:
    """By session and org."""
    metadata = list(caller.metadata)
    metadata[index] = (metadata[index][0], value)
    call = lambda: caller.stub.GetTopic(TopicRequest(topic_name=CHANGES), metadata=metadata)  # noqa: E731
    assert error_of(call) == ("UNAUTHENTICATED", code)


def test_a_topic_says_what_may_be_done_with_it(caller: Caller) -> None:
    """Change events are Salesforce's own."""
    changes, created = (
        caller.stub.GetTopic(TopicRequest(topic_name=name), metadata=caller.metadata) for name in (CHANGES, CREATED)
    )
    assert (changes.can_subscribe, changes.can_publish, created.can_publish) == (True, False, True)
    assert changes.schema_id != created.schema_id


def test_a_platform_event_can_be_published_over_rest(caller: Caller, box: Box) -> None:
    """As a test of the org's own flow does."""
    stream, _ = caller.stream(first(CREATED, replay_preset=1))
    answer = httpx.post(
        f"{box.salesforce_url}/services/data/v68.0/sobjects/Contact_Created__e",
        json={"Contact_Id__c": "0035e0000000001AAA"},
        headers={"Authorization": f"Bearer {caller.metadata[0][1]}"},
        trust_env=False,
    )
    assert answer.status_code == 201
    (event,) = caller.decode(next(stream))
    assert (event["Contact_Id__c"], event["Email__c"]) == ("0035e0000000001AAA", None)
    assert event["CreatedDate"] > 0
    stream.cancel()


def test_a_new_world_ends_the_streams_of_the_old_one(caller: Caller, box: Box) -> None:
    """So that no test listens to the contacts of another."""
    caller.org.create([{"LastName": "L"}])
    stream, _ = caller.stream(first(replay_preset=1))
    assert len(next(stream).events) == 1
    box.reset()
    assert error_of(stream)[0] == "UNAVAILABLE"
