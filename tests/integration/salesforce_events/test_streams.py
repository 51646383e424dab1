"""How a stream is kept, lost and found again: positions, flow control, errors, sessions, a warehouse that is away."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from blocks.crms.salesforce.session import Session
from blocks.warehouses.sqlite import SqliteWarehouse
from enrichment.errors import ConfigurationError, CredentialsRejectedError
from sandbox.salesforce.event_schemas import CHANGES
from sandbox.salesforce.sessions import ORG_ID
from tests.integration.salesforce_events.listening import HASTY, Listening
from tests.warehouses import look
from triggers.salesforce.client import Action, Endpoint, PubSubClient, StreamFailedError

FOUR_DAYS = 4 * 24 * 3600


@pytest.fixture
def own_file(listening: Listening) -> SqliteWarehouse:
    """Give the warehouse a second time, with little patience for another's lock."""
    return SqliteWarehouse(Path(os.environ["ENRICHMENT_SQLITE_PATH"]), 0.05)


@contextmanager
def locked() -> Iterator[None]:
    """Keep everybody else from writing to the warehouse."""
    connection = sqlite3.connect(os.environ["ENRICHMENT_SQLITE_PATH"], isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


def test_the_first_start_misses_nothing_in_between(listening: Listening) -> None:
    """What was created before the stream began is found by a query, what comes after it by events."""
    before = listening.create(3)
    listening.begin()
    after = listening.create(2)
    rows = listening.wait_staged([*before, *after])
    assert {rows[each]["source"] for each in before} == {"schedule"}
    assert {rows[each]["source"] for each in after} == {"platform_event"}


def test_a_quiet_topic_moves_on(listening: Listening) -> None:
    """The place of empty messages is kept, lest it falls out of what Salesforce keeps."""
    listening.begin()
    listening.wait_past()
    listening.box.world.clock.advance(FOUR_DAYS)
    listening.wait_past()
    listening.stop()
    listening.start()
    listening.wait_past()
    (contact,) = listening.create()
    listening.wait_staged([contact])
    assert listening.totals.get("unknown_places", 0) == 0


def test_a_quiet_topic_wakes_no_warehouse(listening: Listening) -> None:
    """While nothing of ours happens, the place is kept now and then only; with news it is kept at once."""
    listening.begin(patience=replace(HASTY, quiet=3600))
    with listening.warehouse._transaction() as session:
        session.execute("CREATE TABLE kept (name TEXT)")
        session.execute(
            "CREATE TRIGGER kept_one AFTER UPDATE ON event_cursors BEGIN INSERT INTO kept VALUES ('x'); END"
        )
    empty = listening.totals["empty"]
    listening.wait(lambda: listening.totals["empty"] > empty + 2)
    # The stream is in order: once this one is staged, the empty messages before it have been read.
    listening.wait_staged(listening.create())
    assert look(listening.warehouse, "SELECT count(*) FROM kept") == [(1,)]


def test_a_restart_goes_on_where_it_was(listening: Listening) -> None:
    """What happened meanwhile comes as events, each once."""
    listening.begin()
    listening.stop()
    meanwhile = listening.create(250)
    listening.start()
    rows = listening.wait_staged(meanwhile)
    assert {row["source"] for row in rows.values()} == {"platform_event"}
    assert len(rows) == len(meanwhile)


def test_never_more_than_a_hundred_are_outstanding(listening: Listening) -> None:
    """And the stream isn't let run dry."""
    listening.box.configure(salesforce={"events_at_once": 7})
    listening.begin()
    ids = listening.create(700)
    listening.wait_staged(ids)
    assert listening.totals["most_asked"] <= 100
    assert listening.totals["streams"] == 1
    assert listening.totals.get("starved", 0) == 0


def test_events_that_are_delivered_again_are_harmless(listening: Listening) -> None:
    """One that waits isn't staged twice, one that has ended not at all."""
    listening.box.configure(salesforce={"events_repeated": 10})
    listening.begin()
    ended, waiting = listening.create(2)
    listening.wait_staged([ended, waiting])
    listening.wait_past()
    listening.stop()
    listening.end_contact(ended)
    delivered = listening.totals["delivered"]
    listening.start()
    rows = listening.wait_staged([waiting])
    listening.wait_past()
    assert listening.totals["delivered"] > delivered
    assert rows.keys() == listening.staged().keys() == {waiting}


def test_a_silent_stream_is_opened_again(listening: Listening) -> None:
    """And the old one is closed."""
    listening.begin(patience=replace(HASTY, silence=0.5))
    listening.box.configure(salesforce={"events_silent": True})
    contacts = listening.create()
    listening.wait(lambda: listening.totals["streams"] > 2)
    listening.box.configure(salesforce={"events_silent": False})
    listening.wait_staged(contacts)
    listening.wait(lambda: listening.totals["streams_open"] == 1)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("UNAVAILABLE", "service.unavailable"),
        ("UNAVAILABLE", "topic.api.unavailable"),
        ("INTERNAL", "subscription.internal.error"),
        ("UNAVAILABLE", ""),
        ("RESOURCE_EXHAUSTED", "concurrent.client.limit.exceeded"),
        ("RESOURCE_EXHAUSTED", "service.protection.concurrency.limit"),
    ],
)
def test_passing_trouble_is_survived(listening: Listening, status: str, code: str) -> None:
    """In the midst of a stream and when it is opened again; nothing is lost."""
    listening.begin()
    listening.org.bus.refuse("Subscribe", status, code, times=2)
    listening.org.bus.break_streams(status, code)
    contacts = listening.create(3)
    listening.wait_staged(contacts)
    assert listening.totals["streams"] >= 4


def test_a_schema_that_cannot_be_had_now_holds_the_events_up(listening: Listening) -> None:
    """They aren't taken for unreadable ones."""
    listening.begin()
    listening.org.bus.refuse("GetSchema", "UNAVAILABLE", "schema.api.unavailable")
    (contact,) = listening.create()
    assert listening.wait_staged([contact])[contact]["source"] == "platform_event"


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        ("NOT_FOUND", "topic.not.found", "Change Data Capture"),
        ("PERMISSION_DENIED", "topic.meta.permission", "View All Records"),
        ("PERMISSION_DENIED", "service.tenant.license", "licensed"),
        ("UNAUTHENTICATED", "service.auth.headers.invalid", "LOGIN_URL"),
        ("INVALID_ARGUMENT", "subscription.fetch.requested.events.invalid", "report"),
    ],
)
def test_what_a_person_has_to_fix_ends_the_listener(listening: Listening, status: str, code: str, words: str) -> None:
    """With the words that help."""
    listening.begin()
    listening.org.bus.break_streams(status, code)
    error = listening.end()
    assert isinstance(error, ConfigurationError)
    assert code in str(error)
    assert words in str(error)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"change_events": False}, "ENRICHMENT_SALESFORCE_EVENTS_TOPIC"), ({"subscribable": False}, "View All Records")],
)
def test_a_topic_that_we_may_not_have_is_named_at_once(
    listening: Listening, settings: dict[str, bool], words: str
) -> None:
    """No user has to wait for the first event to learn that none will come."""
    listening.box.configure(salesforce=settings)
    listening.start()
    assert words in str(listening.end())


def test_a_session_that_ends_is_replaced(listening: Listening) -> None:
    """In the midst of a stream; the new one goes on at the stored place."""
    listening.begin()
    issued = listening.org.sessions.issued
    listening.org.sessions.end_all()
    listening.org.bus.break_streams("UNAUTHENTICATED", "service.auth.error")
    contacts = listening.create(2)
    rows = listening.wait_staged(contacts)
    assert {row["source"] for row in rows.values()} == {"platform_event"}
    assert listening.org.sessions.issued == issued + 1
    listening.wait(lambda: listening.totals["streams_open"] == 1)


def test_sessions_that_are_never_taken_end_the_listener(listening: Listening) -> None:
    """It doesn't log in for ever."""
    listening.box.configure(salesforce={"sessions_hold": False})
    listening.start()
    assert isinstance(listening.end(), CredentialsRejectedError)
    assert listening.org.sessions.issued < 10


def test_an_expired_replay_id_is_made_good(listening: Listening) -> None:
    """All that is kept is delivered again, the rest is found by a query, and what has ended stays ended."""
    listening.begin()
    ended, *_ = listening.create(2)
    listening.wait_staged([ended])
    listening.wait_past()
    listening.stop()
    listening.end_contact(ended)
    (expired,) = listening.create()
    listening.box.world.clock.advance(FOUR_DAYS)
    (kept,) = listening.create()
    listening.start()
    rows = listening.wait_staged([expired, kept])
    listening.wait_past()
    assert listening.totals["unknown_places"] > 0
    assert (rows[expired]["source"], rows[kept]["source"]) == ("schedule", "platform_event")
    assert ended not in listening.staged()
    (later,) = listening.create()
    listening.wait_staged([later])


def test_a_place_that_cannot_be_read_is_made_good(listening: Listening) -> None:
    """Whatever happened to the row, the listener never begins at the end."""
    listening.begin()
    listening.stop()
    name = f"events:salesforce:{ORG_ID}:{CHANGES}"
    listening.warehouse.stage([], cursor=(name, "nonsense"))
    (contact,) = listening.create()
    listening.start()
    listening.wait_staged([contact])
    listening.wait(lambda: "replay_id" in listening.cursor())


def test_a_used_up_allowance_is_bridged_by_queries(listening: Listening) -> None:
    """Contacts go on being staged, and the stream is tried again and again."""
    listening.begin()
    listening.box.configure(salesforce={"events_daily": 0})
    first = listening.create(2)
    rows = listening.wait_staged(first)
    assert {row["source"] for row in rows.values()} == {"schedule"}
    listening.wait(lambda: listening.totals["streams"] > 2)
    listening.box.configure(salesforce={"events_daily": 1000})
    listening.wait(lambda: listening.totals.get("delivered", 0) >= 2)
    (after,) = listening.create()
    listening.wait_staged([after])


def test_calls_that_are_used_up_hold_the_place(listening: Listening) -> None:
    """A query that is owed waits until calls come back; the position waits for the query."""
    listening.begin()
    listening.wait_past()
    listening.box.configure(salesforce={"daily_calls": 0})
    unseen = listening.create_unseen(2)
    listening.org.feed.publish_change("GAP_OVERFLOW", [])
    rejected = listening.org.rejected
    listening.wait(lambda: listening.org.rejected > rejected)
    held = listening.cursor()
    listening.wait(lambda: listening.org.rejected > rejected + 2)
    assert listening.cursor() == held
    listening.wait(lambda: listening.pulse.doing == "waiting")
    listening.box.configure(salesforce={"daily_calls": 100_000})
    listening.wait_staged(unseen)


def test_a_warehouse_that_is_away_loses_nothing(listening: Listening, own_file: SqliteWarehouse) -> None:
    """The events wait in the stream, which may even be closed meanwhile, and are staged once."""
    listening.box.configure(salesforce={"events_grace_seconds": 0.2})
    listening.begin(warehouse=own_file)
    with locked():
        ids = listening.create(900)
        listening.wait(lambda: listening.totals.get("starved", 0) > 0)
        listening.wait(lambda: listening.pulse.doing == "waiting")
    assert listening.wait_staged(ids).keys() == set(ids)


def test_a_listener_may_be_stopped_while_the_warehouse_is_away(listening: Listening, own_file: SqliteWarehouse) -> None:
    """What wasn't committed is delivered again to the next one."""
    listening.begin(warehouse=own_file)
    with locked():
        ids = listening.create(20)
        listening.wait(lambda: listening.pulse.doing == "waiting")
        listening.stop()
        assert listening.staged() == {}
    listening.start()
    assert listening.wait_staged(ids).keys() == set(ids)


def test_an_endpoint_without_a_trusted_certificate_is_not_talked_to(listening: Listening) -> None:
    """The token never leaves; the message says why."""
    client = PubSubClient(Endpoint(listening.address.endpoint), Session("secret-token", "https://x.example", "00D"))
    with pytest.raises(StreamFailedError, match=r"UNAVAILABLE.*(CERTIFICATE|certificate|handshake)") as caught:
        client.topic(CHANGES)
    client.close()
    assert caught.value.failure.action is Action.RECONNECT


def test_a_file_of_authorities_that_is_missing_is_named(tmp_path: Path) -> None:
    """By its setting."""
    with pytest.raises(ConfigurationError, match="ENRICHMENT_SALESFORCE_EVENTS_CA_FILE"):
        Endpoint.read("localhost:1", tmp_path / "absent.pem")
