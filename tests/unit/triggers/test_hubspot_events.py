"""What HubSpot's events ask for, in both of their forms."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enrichment.records import Origin
from triggers.hubspot_events import Delivery, Erasure, MalformedError, read_delivery
from triggers.staging import Batch

APP = "54321"
CREATED_MS, CREATED_AT = 1751276050977, "2025-06-30T09:34:10.977Z"


def event(kind: str, contact: object = 501, form: str = "classic", **fields: Any) -> dict[str, Any]:
    """Return an event of a contact."""
    common = {
        "eventId": 1,
        "subscriptionId": 12345,
        "portalId": 62515,
        "appId": 54321,
        "occurredAt": CREATED_MS,
        "attemptNumber": 0,
        "objectId": contact,
        "changeSource": "CRM_UI",
        "sourceId": "userId:7",
    }
    form_fields = {
        "classic": {"subscriptionType": f"contact.{kind}"},
        "generic": {"subscriptionType": f"object.{kind}", "objectTypeId": "0-1"},
        "eventType": {"eventType": f"contact.{kind}"},
        "generic eventType": {"eventType": f"object.{kind}", "objectTypeId": "0-1"},
    }[form]
    return {**common, **form_fields, **fields}


FORMS = ("classic", "generic", "eventType", "generic eventType")


def read(*events: object, app_id: str = APP, portal_id: str = "") -> Delivery:
    return read_delivery(json.dumps(events).encode(), app_id, portal_id)


def staged(batch: Batch) -> dict[str, str | None]:
    """Return the staged contacts, and when they were created."""
    assert all(
        (r.crm, r.source, r.lane, r.email_address) == ("hubspot", "webhook", "live", None) for r in batch.records
    )
    return {record.crm_id: record.contact_created_at for record in batch.records}


def test_events_of_another_account_are_passed_over() -> None:
    """Accounts number their contacts independently: its deletion for privacy would erase our contact."""
    deletion, creation = event("privacyDeletion", 501), event("creation", 502, portalId=7)
    delivery = read({**deletion, "portalId": 7}, creation, event("creation", 503), portal_id="62515")
    assert (staged(delivery.batch).keys(), delivery.erasures) == ({"503"}, ())
    assert delivery.counts == {"other_portal": 2, "created": 1}
    assert staged(read(creation).batch).keys() == {"502"}


def changed(batch: Batch) -> set[str]:
    assert {origin for origin, _ in batch.changed} <= {Origin("hubspot")}
    return {crm_id for _, crm_id in batch.changed}


@pytest.mark.parametrize("form", FORMS)
def test_a_creation_is_staged(form: str) -> None:
    """Both forms, and both names of the type; the id becomes text, and the moment is kept."""
    delivery = read(event("creation", 180584432881, form, changeFlag="CREATED", anything={"new": [1]}))
    assert staged(delivery.batch) == {"180584432881": CREATED_AT}
    assert changed(delivery.batch) == set()
    assert delivery.counts == {"created": 1}


@pytest.mark.parametrize("form", FORMS)
def test_a_new_address_is_staged_and_read_again(form: str) -> None:
    """The address itself isn't kept: by the time it is used there may be another one."""
    delivery = read(event("propertyChange", form=form, propertyName="email", propertyValue="zoe@x.example"))
    assert staged(delivery.batch) == {"501": None}
    assert changed(delivery.batch) == {"501"}
    assert "zoe" not in repr(delivery)


@pytest.mark.parametrize("value", ["", "  ", None])
def test_a_removed_address_stages_nothing(value: str | None) -> None:
    """What waits is read again, but there is nothing to look up."""
    delivery = read(event("propertyChange", propertyName="email", propertyValue=value))
    assert (staged(delivery.batch), changed(delivery.batch)) == ({}, {"501"})


@pytest.mark.parametrize(
    "other",
    [
        event("propertyChange", propertyName="enr_industry", propertyValue="x"),
        event("propertyChange"),
        event("associationChange"),
        event("conversation.newMessage"),
        event("creation", form="generic", objectTypeId="0-2"),
        {**event("creation", form="generic"), "objectTypeId": None},
        event("creation", subscriptionType="company.creation"),
        event("creation", subscriptionType=17),
        {},
        {"objectId": 1},
        {"subscriptionType": None, "eventType": ["contact.creation"], "objectId": 1},
    ],
    ids=lambda other: str(other.get("subscriptionType")) + str(other.get("objectTypeId", "")),
)
def test_what_does_not_concern_us_is_passed_over(other: dict[str, Any]) -> None:
    """Other properties, other objects, other kinds of event, and what says nothing are not faults."""
    delivery = read(other)
    assert not delivery.batch
    assert delivery.erasures == ()
    assert delivery.counts == {"ignored": 1}


@pytest.mark.parametrize(
    ("source", "source_id", "own"),
    [
        ("INTEGRATION", "54321", True),
        ("API", "54321", True),
        ("INTEGRATION", "appId:54321", True),
        ("INTEGRATION", "99999", False),
        ("INTEGRATION", "154321", False),
        ("INTEGRATION", None, False),
        ("CRM_UI", "54321", False),
        ("CRM_UI", "userId:54321", False),
        (None, "54321", False),
    ],
)
def test_only_our_own_app_s_changes_are_ours(source: str | None, source_id: str | None, own: bool) -> None:
    """The app is named by `sourceId`; `appId` is the notified one, whichever app made the change."""
    delivery = read(event("creation", changeSource=source, sourceId=source_id))
    assert delivery.counts == ({"own": 1} if own else {"created": 1})
    assert bool(delivery.batch) is not own


def test_without_an_app_of_our_own_every_change_counts() -> None:
    """Nothing is taken for ours unless the setting says which app that is."""
    assert staged(read(event("creation", changeSource="INTEGRATION", sourceId=""), app_id="").batch)


def test_a_deletion_lets_what_waits_be_read_again() -> None:
    """Nothing is staged; the run will find the contact gone, also if we deleted it."""
    delivery = read(event("deletion", changeSource="INTEGRATION", sourceId=APP))
    assert (staged(delivery.batch), changed(delivery.batch), delivery.counts) == ({}, {"501"}, {"deleted": 1})


def test_a_restored_contact_is_staged() -> None:
    """It may have been deleted before it was enriched."""
    delivery = read(event("restore"))
    assert (staged(delivery.batch), changed(delivery.batch)) == ({"501": None}, {"501"})


@pytest.mark.parametrize(
    ("fields", "survivor", "parts"),
    [
        ({"primaryObjectId": 1, "mergedObjectIds": [2, 3], "newObjectId": 9}, "9", {"1", "2", "3", "9"}),
        ({"primaryObjectId": 1, "mergedObjectIds": [2], "newObjectId": None}, "1", {"1", "2"}),
        ({"primaryObjectId": 1, "mergedObjectIds": None}, "1", {"1"}),
        ({"objectId": 7, "mergedObjectIds": [True, "x", -1, 2]}, "7", {"7", "2"}),
    ],
)
def test_a_merge_stages_the_contact_that_is_left(fields: dict[str, Any], survivor: str, parts: set[str]) -> None:
    """Whatever waits of the others is read again, and leads to the one that is left."""
    delivery = read({**event("merge", None), **fields})
    assert (staged(delivery.batch), changed(delivery.batch)) == ({survivor: None}, parts)
    assert delivery.batch.merges == {(Origin("hubspot"), one, survivor) for one in parts - {survivor}}


@pytest.mark.parametrize("form", ["classic", "generic"])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_an_erasure_leaves_nothing_to_stage_in_any_order(form: str, order: tuple[int, ...]) -> None:
    """Of a contact that is erased nothing is staged by the same delivery, and its deletion adds nothing."""
    events = [
        event("creation", form=form),
        event("propertyChange", form=form, propertyName="email", propertyValue="a@x.example"),
        event("privacyDeletion", form=form),
        event("deletion", form=form),
    ]
    delivery = read(*(events[place] for place in order), event("creation", 502))
    assert delivery.erasures == (Erasure("501", CREATED_MS),)
    assert (staged(delivery.batch), changed(delivery.batch)) == ({"502": CREATED_AT}, set())


@pytest.mark.parametrize("contact", [None, "", "abc", True, 1.5, -5, [1], {"id": 1}, "1" * 21, "٤٢"])
@pytest.mark.parametrize("kind", ["creation", "deletion", "restore", "merge", "privacyDeletion"])
def test_an_event_without_a_usable_id_holds_no_other_up(kind: str, contact: object) -> None:
    """It is counted, and the others of its delivery are taken."""
    delivery = read(event(kind, contact), event("creation", "502"))
    assert delivery.counts == {"unreadable": 1, "created": 1}
    assert staged(delivery.batch) == {"502": CREATED_AT}


@pytest.mark.parametrize("moment", [None, "yesterday", True, 10**30, -(10**30), 1.5])
def test_an_impossible_moment_is_not_a_moment(moment: object) -> None:
    """When the contact was created is worth knowing, but not worth losing it."""
    assert staged(read(event("creation", occurredAt=moment)).batch) == {"501": None}


def test_one_contact_is_staged_once() -> None:
    """Repeated and mixed events of one contact ask for one row, which keeps the moment of creation."""
    delivery = read(
        event("propertyChange", propertyName="email", propertyValue="a"), event("creation"), event("creation")
    )
    assert staged(delivery.batch) == {"501": CREATED_AT}
    assert delivery.counts == {"changed": 1, "created": 2}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{}", b"null", b'"contact.creation"', b"[1]", b"[[]]", b"\xff\xfe", b"[" * 100_000],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_not_a_list_of_events_is_malformed(body: bytes) -> None:
    """Such a body isn't HubSpot's, however it is signed."""
    with pytest.raises(MalformedError):
        read_delivery(body, APP)


@pytest.mark.parametrize("odd", [b"null", b"5", b"[]", b'"x"'])
def test_what_is_not_an_event_holds_up_no_other(odd: bytes) -> None:
    """A repetition would bring it again, and the others would be lost with it."""
    delivery = read_delivery(b'[%s, {"subscriptionType": "contact.creation", "objectId": 501}]' % odd, APP)
    assert set(staged(delivery.batch)) == {"501"}
    assert delivery.counts == {"unreadable": 1, "created": 1}


_VALUES = st.sampled_from(
    [
        *("contact.creation", "object.merge", "contact.privacyDeletion", "object.deletion", "email", "0-1", "API", APP),
        *("", "\ud800", None, True, 0, 5, -1, 10**25, 1.5, [], [5], {}, {"a": None}),
    ]
)
_FIELDS = ("subscriptionType", "eventType", "objectTypeId", "objectId", "occurredAt", "changeSource", "sourceId")
_MORE = ("propertyName", "propertyValue", "primaryObjectId", "mergedObjectIds", "newObjectId")
_EVENTS = st.lists(st.dictionaries(st.sampled_from(_FIELDS + _MORE), _VALUES, max_size=6), max_size=4)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_EVENTS)
def test_no_event_breaks_the_reader(events: list[dict[str, Any]]) -> None:
    """Whatever stands in the fields, every event is counted once and what is staged has an id in digits."""
    delivery = read(*events)
    assert sum(delivery.counts.values()) == len(events)
    assert all(crm_id.isdigit() for crm_id in [*staged(delivery.batch), *changed(delivery.batch)])
