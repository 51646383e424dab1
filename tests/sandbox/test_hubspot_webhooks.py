"""HubSpot's stand-in delivers what happens to contacts as HubSpot does."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from sandbox.hubspot.signing import sign_v1, sign_v3
from sandbox.server import Box
from tests.sandbox.conftest import HubSpotCaller

Condition = Callable[[], bool]


class Target(ThreadingHTTPServer):
    """Takes deliveries, or refuses as many as it is set to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/hubspot/webhook"
        self.lock = threading.Lock()
        self.refusals = 0
        self.deliveries: list[tuple[dict[str, str], bytes]] = []
        self.under_way = self.most_under_way = 0

    def bodies(self) -> list[list[dict[str, Any]]]:
        """Return the batches that came, refused ones included."""
        with self.lock:
            return [json.loads(body) for _, body in self.deliveries]

    def events(self) -> list[dict[str, Any]]:
        """Return the events of all batches."""
        return [event for batch in self.bodies() for event in batch]


class Handler(BaseHTTPRequestHandler):
    """Answers one delivery."""

    server: Target

    def do_POST(self) -> None:
        target = self.server
        with target.lock:
            target.under_way += 1
            target.most_under_way = max(target.most_under_way, target.under_way)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with target.lock:
            target.deliveries.append(({name.lower(): value for name, value in self.headers.items()}, body))
            refused = target.refusals > 0
            target.refusals -= refused
        self.send_response(503 if refused else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        with target.lock:
            target.under_way -= 1

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def target() -> Iterator[Target]:
    server = Target()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def until(condition: Condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it didn't happen"
        time.sleep(0.01)


def webhooks(box: Box) -> dict[str, int]:
    return box.world.hubspot.summary()["webhooks"]


def subscribe(box: Box, target: Target, **settings: Any) -> None:
    box.configure(hubspot={"webhook_url": target.url, "webhook_retry_seconds": 0.02, **settings})


def settle(box: Box, events: int) -> None:
    until(lambda: webhooks(box)["events"] >= events and not webhooks(box)["pending"])


def test_without_a_target_nothing_is_sent(box: Box) -> None:
    """An account has no app with webhooks unless it is set where they go."""
    box.world.hubspot.create([{"email": "a@x.example"}])
    assert set(webhooks(box).values()) == {0}


def test_deliveries_are_signed_twice(box: Box, target: Target) -> None:
    """The third signature covers URL, body and time, and the first one is sent beside it."""
    subscribe(box, target)
    box.world.hubspot.create([{"email": "a@x.example"}])
    settle(box, 1)
    headers, body = target.deliveries[0]
    secret, timestamp = "sandbox-client-secret", int(headers["x-hubspot-request-timestamp"])
    assert headers["x-hubspot-signature-v3"] == sign_v3(secret, target.url, body, timestamp)
    assert headers["x-hubspot-signature"] == sign_v1(secret, body)
    assert abs(timestamp / 1000 - time.time()) < 100


def test_many_events_come_in_batches_of_a_hundred_ten_at_once(box: Box, target: Target) -> None:
    """Every event comes once, in no more deliveries at once than the account has."""
    subscribe(box, target)
    ids = box.world.hubspot.create([{"firstname": "A"}] * 2050)
    settle(box, 2050)
    assert max(len(batch) for batch in target.bodies()) == 100
    assert sorted(event["objectId"] for event in target.events()) == sorted(map(int, ids))
    assert target.most_under_way <= 10


def test_both_forms_of_an_event(box: Box, target: Target) -> None:
    """The classic form names the contact in its type, the generic one beside it; ids are numbers."""
    subscribe(box, target)
    (first,) = box.world.hubspot.create([{"email": "a@x.example"}])
    settle(box, 1)
    box.configure(hubspot={"webhook_form": "generic"})
    (second,) = box.world.hubspot.create([{"email": "b@x.example"}])
    settle(box, 2)
    classic, generic = target.events()
    assert (classic["subscriptionType"], classic["objectId"]) == ("contact.creation", int(first))
    assert (generic["subscriptionType"], generic["objectId"]) == ("object.creation", int(second))
    assert "objectTypeId" not in classic
    assert generic["objectTypeId"] == "0-1"
    assert (classic["changeSource"], classic["sourceId"]) == ("CRM_UI", "userId:7")


def test_a_program_that_writes_is_named(box: Box, target: Target, hubspot: HubSpotCaller) -> None:
    """What the app itself does through the API is an event too, with the app as its source."""
    subscribe(box, target, webhook_properties=["email", "city"])
    contact_id = next(iter(box.world.hubspot.contacts))
    hubspot.update((contact_id, {"city": "A", "firstname": "B"}))
    settle(box, 1)
    (event,) = target.events()
    assert (event["propertyName"], event["propertyValue"]) == ("city", "A")
    assert (event["changeSource"], event["sourceId"]) == ("INTEGRATION", "54321")


def test_a_contact_s_life(box: Box, target: Target, http: httpx.Client) -> None:
    """Edits, deletion, restoration, merge and erasure are events; an erasure is also a deletion."""
    subscribe(box, target)
    first, second = box.world.hubspot.create([{"email": "a@x.example"}, {"email": "b@x.example"}])
    for what, arguments in (
        ("edit", {"contact_id": first, "properties": {"email": "c@x.example", "city": "A"}}),
        ("archive", {"contact_id": first}),
        ("archive", {"contact_id": first}),
        ("restore", {"contact_id": first}),
        ("merge", {"survivor_id": first, "merged_id": second}),
        ("erase", {"contact_id": first}),
    ):
        http.post(f"{box.url}/control/hubspot/{what}", json=arguments).raise_for_status()
    settle(box, 8)
    kinds = [event["subscriptionType"].partition(".")[2] for event in target.events()]
    assert sorted(kinds) == sorted(
        ["creation", "creation", "propertyChange", "deletion", "restore", "merge", "privacyDeletion", "deletion"]
    )
    (merge,) = (event for event in target.events() if event["subscriptionType"] == "contact.merge")
    assert (merge["primaryObjectId"], merge["mergedObjectIds"]) == (int(first), [int(second)])


def test_what_is_not_taken_is_delivered_again(box: Box, target: Target) -> None:
    """A refused batch is repeated and says so, until it is taken or given up."""
    target.refusals = 3
    subscribe(box, target)
    box.world.hubspot.create([{"email": "a@x.example"}])
    settle(box, 1)
    assert [batch[0]["attemptNumber"] for batch in target.bodies()] == [0, 1, 2, 3]
    counts = webhooks(box)
    assert [counts[name] for name in ("attempts", "taken", "taken_events", "refused", "given_up")] == [4, 1, 1, 3, 0]
    target.refusals = 99
    box.configure(hubspot={"webhook_retries": 2})
    box.world.hubspot.create([{"email": "b@x.example"}])
    settle(box, 2)
    assert (webhooks(box)["given_up"], webhooks(box)["attempts"]) == (1, 7)


def test_a_target_that_is_away_is_tried_again(box: Box, target: Target) -> None:
    """A connection that is refused counts as an attempt."""
    target.server_close()
    subscribe(box, target, webhook_retries=1)
    box.world.hubspot.create([{"email": "a@x.example"}])
    settle(box, 1)
    assert (webhooks(box)["attempts"], webhooks(box)["given_up"]) == (2, 1)


def test_duplicates_and_disorder(box: Box, target: Target) -> None:
    """On demand batches come twice, and events in another order than they happened in."""
    subscribe(box, target, webhook_duplicate_share=1.0, webhook_shuffle=True)
    ids = box.world.hubspot.create([{"firstname": "A"}] * 60)
    settle(box, 60)
    came = [event["objectId"] for event in target.events()]
    assert sorted(came) == sorted([*map(int, ids)] * 2)
    assert came[:60] != sorted(came[:60])


def test_a_new_world_sends_nothing_of_the_old_one(box: Box, target: Target) -> None:
    """Starting over ends the deliveries, also those that would be repeated."""
    target.refusals = 1000
    subscribe(box, target, webhook_retries=1000)
    box.world.hubspot.create([{"email": "a@x.example"}])
    until(lambda: len(target.bodies()) > 2)
    box.reset()
    came = len(target.bodies())
    assert webhooks(box)["events"] == 0
    box.world.hubspot.create([{"email": "b@x.example"}])
    assert len(target.bodies()) == came
