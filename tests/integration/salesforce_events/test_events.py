"""What events of contacts lead to, over a real stream."""

import io
import json
import logging

import fastavro
import pytest

from blocks.calls.messages import Call
from enrichment.errors import ConfigurationError
from sandbox.salesforce.event_schemas import CHANGES, CREATED
from tests.integration.salesforce_events.listening import Listening
from triggers.salesforce.pubsub_pb2 import ProducerEvent, PublishRequest
from triggers.salesforce.topic import Fields

OURS = "com/salesforce/api/rest/68.0;client=contact-enrichment"
THEIRS = "com/salesforce/api/rest/68.0;client=somebody-else"


def test_a_new_contact_is_staged(listening: Listening, caplog: pytest.LogCaptureFixture) -> None:
    """It waits in the live lane with address and moment, the starter of runs knows, and no log line names a person."""
    caplog.set_level(logging.INFO)
    listening.begin()
    (contact,) = listening.create()
    row = listening.wait_staged([contact])[contact]
    assert (row["email_address"], row["source"], row["lane"]) == ("person0@example.com", "platform_event", "live")
    created = listening.org.bus.after(CHANGES, 0, 1)[0].values["ChangeEventHeader"]["commitTimestamp"]
    assert row["contact_created_at"].startswith(listening.box.world.clock.now().isoformat()[:11])
    assert str(created)[-3:] in row["contact_created_at"]
    listening.wait(listening.notified.is_set)
    assert "events_taken" in caplog.text
    assert "@example.com" not in caplog.text


def test_what_we_create_ourselves_is_not_news(listening: Listening) -> None:
    """Our client name is in the event; another program's contact is staged."""
    listening.begin()
    crm = listening.block().get_crm()
    values = {"LastName": "Roe", "Email": "roe@example.com"}
    created = crm._api.ask(Call("POST", "sobjects/Contact", body=values), bool).body["id"]
    crm.close()
    listening.wait_past()
    assert created not in listening.staged()
    listening.org.feed.publish_change("CREATE", [created], {"Email": "roe@example.com"}, origin=THEIRS)
    assert listening.wait_staged([created])[created]["email_address"] == "roe@example.com"


def test_changes_of_known_contacts_stage_nothing(listening: Listening) -> None:
    """Updates, ours or not, deletions, and what happens to other objects are let pass."""
    (contact,) = listening.create_unseen()
    listening.begin()
    listening.empty_queue()
    listening.org.edit(contact, {"Title": "CTO"})
    feed = listening.org.feed
    feed.publish_change("UPDATE", [contact], {"Email": "new@example.com"}, origin=OURS)
    feed.publish_change("GAP_UPDATE", [contact])
    feed.publish_change("CREATE", ["00Q5e0000000001AAA"], entity="Lead")
    listening.org.delete(contact)
    feed.publish_change("GAP_DELETE", [contact])
    listening.wait_past()
    assert listening.staged() == {}


def test_an_address_that_is_filled_in_later_stages_the_contact(listening: Listening) -> None:
    """Without one it could hardly be found; with it, it can."""
    (contact,) = listening.create_unseen()
    listening.begin()
    listening.empty_queue()
    listening.org.edit(contact, {"Email": "late@example.com"})
    row = listening.wait_staged([contact])[contact]
    assert (row["email_address"], row["source"]) == ("late@example.com", "platform_event")
    assert row["contact_created_at"] is None


def test_a_restored_contact_is_staged(listening: Listening) -> None:
    """It may have been deleted before anybody looked it up."""
    (contact,) = listening.create_unseen()
    listening.org.delete(contact)
    listening.begin()
    listening.wait_past()
    assert listening.staged() == {}
    listening.org.restore(contact)
    assert listening.wait_staged([contact])[contact]["contact_created_at"] is not None


def test_one_event_may_concern_several_contacts(listening: Listening) -> None:
    """Salesforce merges equal changes of one moment; short ids and doubles are the same contact."""
    listening.begin()
    first, second = listening.create_unseen(2)
    listening.org.feed.publish_change("CREATE", [first, second[:15], second])
    assert listening.wait_staged([first, second]).keys() == {first, second}


def test_gap_events_stage_by_id(listening: Listening) -> None:
    """They come without fields; the run reads the record."""
    listening.begin()
    first, second = listening.create_unseen(2)
    listening.org.feed.publish_change("GAP_CREATE", [first])
    listening.org.feed.publish_change("GAP_UNDELETE", [second])
    rows = listening.wait_staged([first, second])
    assert {row["source"] for row in rows.values()} == {"platform_event"}


@pytest.mark.parametrize(("kind", "ids"), [("GAP_OVERFLOW", []), ("GAP_CREATE", ["003*"]), ("CREATE", ["003*"])])
def test_an_event_that_names_no_contact_leads_to_a_query(listening: Listening, kind: str, ids: list[str]) -> None:
    """What it stands for is found by the moment of creation."""
    listening.begin()
    unseen = listening.create_unseen(3)
    listening.org.feed.publish_change(kind, ids)
    rows = listening.wait_staged(unseen)
    assert {row["source"] for row in rows.values()} == {"schedule"}


def test_an_event_that_cannot_be_read_leads_to_a_query(listening: Listening) -> None:
    """It neither ends the stream nor loses the contact."""
    listening.begin()
    (unseen,) = listening.create_unseen()
    listening.org.bus.publish(CHANGES, payload=b"\x00garbage")
    listening.wait_staged([unseen])
    (seen,) = listening.create()
    listening.wait_staged([seen])
    assert listening.totals["streams"] == 1


def test_a_schema_may_change_in_the_midst_of_a_stream(listening: Listening) -> None:
    """Each is asked for once; changed fields are found at their new places."""
    (old,) = listening.create_unseen()
    listening.begin()
    listening.wait_past()
    (first,) = listening.create(Title="CEO", MailingCity="Ulm")
    listening.wait_staged([first])
    listening.org.bus.change_schemas()
    (second,) = listening.create()
    listening.wait_staged([second])
    listening.empty_queue()
    listening.org.edit(old, {"Title": "CTO"})
    listening.org.edit(first, {"Email": "moved@example.com"})
    assert listening.wait_staged([first]).keys() == {first}
    assert listening.totals["schemas_asked"] == 2


def test_a_platform_event_of_ones_own_is_taken(listening: Listening) -> None:
    """The topic and the fields of id and address are settings."""
    listening.begin(CREATED)
    (contact,) = listening.create()
    row = listening.wait_staged([contact])[contact]
    assert (row["email_address"], row["source"]) == ("person0@example.com", "platform_event")
    assert row["contact_created_at"]
    assert listening.cursor(CREATED)


def test_events_that_others_publish_are_taken(listening: Listening) -> None:
    """Through the API's own call, already encoded; what is not a contact's id is let pass."""
    listening.begin(CREATED, fields=Fields("Source__c", "Email__c"))
    schema = fastavro.parse_schema(json.loads(listening.org.bus.schema(CREATED).text))
    (contact,) = listening.create_unseen()
    request = PublishRequest(topic_name=CREATED)
    for value in (None, "00Q5e0000000001AAA", contact[:15]):
        buffer = io.BytesIO()
        event = {"CreatedDate": 1_700_000_000_000, "CreatedById": "0055e000000abcdAAA", "Source__c": value}
        fastavro.schemaless_writer(buffer, schema, event)
        request.events.append(ProducerEvent(payload=buffer.getvalue()))
    with listening.client() as client:
        client._stub.Publish(request, metadata=client._metadata)
    assert listening.wait_staged([contact]).keys() == {contact}


def test_a_field_that_the_event_lacks_is_named(listening: Listening) -> None:
    """At the start, and with the fields that there are."""
    listening.start(CREATED, fields=Fields("ContactId__c", "Email__c"))
    error = listening.end()
    assert isinstance(error, ConfigurationError)
    assert "Contact_Id__c" in str(error)
    assert "ENRICHMENT_SALESFORCE_EVENTS_ID_FIELD" in str(error)
