"""What events mean: tables without a server."""

from datetime import UTC, datetime
from typing import Any

import pytest

from blocks.crms.salesforce.ids import contact_id_of
from triggers.salesforce.client import CODE_PREFIX, Action, judge
from triggers.salesforce.events import Meaning, read_change, read_platform_event
from triggers.salesforce.topic import Position, read_position

FIRST, SECOND = "0035e0000000001AAA", "003D000000QV9n2IAD"
COMMITTED = datetime(2026, 11, 23, 10, 0, 0, 123000, tzinfo=UTC)
MILLISECONDS = 1_795_428_000_123
FIELDS = ("ChangeEventHeader", "Name", "Email", "Title", "CreatedDate")
OURS = "contact-enrichment"


def change(kind: str, *ids: str, **values: Any) -> dict[str, Any]:
    header = {
        "entityName": "Contact",
        "changeType": kind,
        "recordIds": list(ids or (FIRST,)),
        "commitTimestamp": MILLISECONDS,
        "changeOrigin": "com/salesforce/api/rest/68.0;client=somebody",
        "changedFields": [],
    }
    given = {name: values.pop(name) for name in list(values) if name in header}
    return {"ChangeEventHeader": header | given, **values}


def read(event: dict[str, Any]) -> Meaning:
    return read_change(event, FIELDS, OURS)


def ids(meaning: Meaning) -> list[str]:
    return [contact.crm_id for contact in meaning.contacts]


@pytest.mark.parametrize("kind", ["CREATE", "GAP_CREATE"])
def test_a_creation_is_staged_with_its_moment(kind: str) -> None:
    """The moment of the commit is the moment of creation."""
    meaning = read(change(kind, Email="a@example.com"))
    (contact,) = meaning.contacts
    assert (contact.crm_id, contact.email, contact.created_at) == (FIRST, "a@example.com", COMMITTED.isoformat())
    assert (meaning.created, meaning.query_needed, meaning.committed_at) == (True, False, COMMITTED)


@pytest.mark.parametrize("kind", ["UNDELETE", "GAP_UNDELETE"])
def test_a_restored_contact_is_staged_although_it_is_known(kind: str) -> None:
    """It is older than the event; when it was created stands in the event, if it has fields."""
    meaning = read(change(kind))
    assert ids(meaning) == [FIRST]
    assert not meaning.created
    assert meaning.contacts[0].created_at is None
    with_fields = read(change(kind, CreatedDate=MILLISECONDS)).contacts[0]
    assert with_fields.created_at == COMMITTED.isoformat()


@pytest.mark.parametrize("kind", ["UPDATE", "SNAPSHOT"])
def test_other_changes_only_move_the_position(kind: str) -> None:
    """They have a moment, and nothing to stage."""
    assert read(change(kind)) == Meaning(committed_at=COMMITTED)


@pytest.mark.parametrize("kind", ["DELETE", "GAP_DELETE", "GAP_UPDATE"])
def test_what_may_have_changed_is_read_again(kind: str) -> None:
    """Nothing is staged; if the contact is queued, its address there is out of date."""
    assert read(change(kind)) == Meaning(committed_at=COMMITTED, changed=(FIRST,))


@pytest.mark.parametrize(
    ("email", "bitmaps", "staged"),
    [
        ("a@example.com", ["0x4"], True),
        ("a@example.com", ["0xC", "1-0x2"], True),
        ("a@example.com", ["0x8"], False),
        ("a@example.com", ["1-0x4"], False),
        ("a@example.com", ["1-0x4", "0x14"], True),
        ("a@example.com", [], False),
        (None, ["0x4"], False),
    ],
)
def test_an_update_counts_if_it_fills_in_the_address(email: str | None, bitmaps: list[str], staged: bool) -> None:
    """The bit of the field has to be set: a channel may send the address with every change."""
    meaning = read(change("UPDATE", changedFields=bitmaps, Email=email))
    assert bool(meaning.contacts) is staged
    assert meaning.changed == ((FIRST,) if staged or email is None else ())


@pytest.mark.parametrize("kind", ["CREATE", "UPDATE", "UNDELETE"])
def test_our_own_changes_are_let_pass(kind: str) -> None:
    """They are known by the name of the client, of which other names may be a part."""
    filled = {"changedFields": ["0x4"], "Email": "a@example.com"}
    ours = change(kind, changeOrigin=f"com/salesforce/api/rest/68.0;client={OURS}", **filled)
    theirs = change(kind, changeOrigin=f"com/salesforce/api/rest/68.0;client={OURS}-2", **filled)
    assert not read(ours).contacts
    assert read(theirs).contacts


def test_a_change_without_an_origin_is_not_ours() -> None:
    """Gap events have none."""
    assert ids(read(change("GAP_CREATE", changeOrigin=None))) == [FIRST]


@pytest.mark.parametrize(
    "event", [change("GAP_OVERFLOW", entityName="Account"), change("CREATE", "003*"), change("UPDATE", "003*")]
)
def test_what_names_no_contact_asks_for_a_query(event: dict[str, Any]) -> None:
    """From its own moment on."""
    assert read(event) == Meaning(committed_at=COMMITTED, query_needed=True)


def test_a_deletion_of_everything_asks_for_no_query() -> None:
    """A query would find nothing of what is gone."""
    assert not read(change("DELETE", "003*")).query_needed


def test_other_objects_are_let_pass() -> None:
    """A channel may carry several."""
    assert not read(change("CREATE", "0015e0000000001AAA", entityName="Account")).contacts


def test_several_records_of_one_event_are_each_staged_once() -> None:
    """In their long form."""
    assert ids(read(change("CREATE", FIRST, SECOND[:15], SECOND))) == [FIRST, SECOND]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (FIRST, FIRST),
        (FIRST[:15], FIRST),
        ("003D000000QV9n2", SECOND),
        ("003D000000QV9n2iad", SECOND),
        ("003*", None),
        ("0015e0000000001AAA", None),
        ("0035e000000000", None),
        ("", None),
        (None, None),
        (17, None),
    ],
)
def test_ids_of_contacts_are_brought_into_their_long_form(given: object, expected: str | None) -> None:
    """What is not a contact's id is none."""
    assert contact_id_of(given) == expected


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"Contact_Id__c": FIRST[:15], "Email__c": "a@example.com"}, (FIRST, "a@example.com")),
        ({"Contact_Id__c": FIRST, "Email__c": None}, (FIRST, None)),
        ({"Contact_Id__c": FIRST}, (FIRST, None)),
    ],
)
def test_a_platform_event_is_read_by_the_names_of_its_fields(
    event: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    """Its own moment stands for that of the creation."""
    meaning = read_platform_event({"CreatedDate": MILLISECONDS, **event}, "Contact_Id__c", "Email__c")
    assert [(c.crm_id, c.email) for c in meaning.contacts] == [expected]
    assert meaning.contacts[0].created_at == COMMITTED.isoformat()
    assert meaning.created


def test_a_platform_event_may_be_nested() -> None:
    """Dots lead into records; what isn't there is none."""
    event = {"Who": {"Id": FIRST}, "Email__c": {"Value": "a@example.com"}}
    assert ids(read_platform_event(event, "Who.Id", "Email__c.Value")) == [FIRST]
    assert not read_platform_event(event, "Who.Id.Deeper", "Email__c").contacts


@pytest.mark.parametrize(
    ("status", "code", "action"),
    [
        ("UNAVAILABLE", "service.unavailable", Action.RECONNECT),
        ("UNAVAILABLE", "", Action.RECONNECT),
        ("INTERNAL", "", Action.RECONNECT),
        ("UNAUTHENTICATED", "service.auth.error", Action.NEW_SESSION),
        ("UNAUTHENTICATED", "service.auth.headers.invalid", Action.STOP),
        ("UNAUTHENTICATED", "", Action.NEW_SESSION),
        ("INVALID_ARGUMENT", "subscription.fetch.replayid.corrupted", Action.REPLAY),
        ("INVALID_ARGUMENT", "subscription.fetch.replayid.validation.failed", Action.STOP),
        ("RESOURCE_EXHAUSTED", "subscription.limit.exceeded", Action.POLL),
        ("RESOURCE_EXHAUSTED", "concurrent.client.limit.exceeded", Action.SLOW_DOWN),
        ("RESOURCE_EXHAUSTED", "service.protection.anything", Action.SLOW_DOWN),
        ("NOT_FOUND", "topic.not.found", Action.STOP),
        ("UNIMPLEMENTED", "", Action.STOP),
        ("UNKNOWN", "something.new", Action.RECONNECT),
    ],
)
def test_each_failure_has_its_consequence(status: str, code: str, action: Action) -> None:
    """Salesforce's own code counts before gRPC's, and what is unknown is tried again."""
    failure = judge(status, CODE_PREFIX + code if code else "", "details")
    assert failure.action is action
    assert status in failure.what
    assert CODE_PREFIX not in failure.what


def test_what_salesforce_says_beside_its_code_is_not_repeated() -> None:
    """Only the text of the connection itself is."""
    assert "details" not in judge("UNAVAILABLE", f"{CODE_PREFIX}service.unavailable", "details").what
    assert "details" in judge("UNAVAILABLE", "", "details").what


@pytest.mark.parametrize("position", [Position(b"\x00\x01\xff", COMMITTED), Position(b"", None)])
def test_a_position_is_read_as_it_was_written(position: Position) -> None:
    """Its bytes are any."""
    assert read_position(position.text()) == position


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"replay_id": "xyz", "reached_at": null}', "17"])
def test_a_position_that_cannot_be_read_is_unknown(text: str) -> None:
    """It isn't taken for none: then everything that is kept is read again."""
    assert read_position(text) == Position(b"", None)
