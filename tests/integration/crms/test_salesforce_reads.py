"""Reading from Salesforce over real sockets."""

from datetime import UTC, datetime, timedelta

import pytest

from enrichment.records import Contact
from tests.integration.crms.salesforce_org import COLLECTIONS, Org, title

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def _listed(org: Org) -> list[str]:
    return [contact.crm_id for page in org.crm().list_contacts() for contact in page]


@pytest.mark.parametrize("page", [2000, 200, 700])
def test_a_long_list_is_read_whole_whatever_the_page(org: Org, page: int) -> None:
    """Salesforce may give fewer rows than were asked for, and says where it goes on."""
    org.box.reset(contacts=2100, salesforce={"query_page": page, "consumer_key": org.key, "consumer_secret": "x"})
    org.box.configure(salesforce={"consumer_secret": "s3cr3t-of-the-app"})
    listed = _listed(org)
    assert len(listed) == len(set(listed)) == 2100
    assert sorted(listed) == org.ids


def test_contacts_of_one_second_are_distinguished_by_their_id(org: Org) -> None:
    """An import makes thousands at once: the page's end may lie within one second."""
    org.box.world.clock.stop()
    made = org.salesforce.create([{"Email": f"p{n}@example.com"} for n in range(4100)])
    since = org.box.world.clock.now() - timedelta(minutes=1)
    seen = [contact.crm_id for page in org.crm().created_since(since) for contact in page]
    assert seen == made


def test_a_deleted_contact_is_not_listed(org: Org) -> None:
    """Who is in the recycle bin isn't enriched."""
    gone = org.ids[0]
    org.salesforce.delete(gone)
    assert gone not in _listed(org)


def test_the_moment_of_creation_has_a_zone(org: Org) -> None:
    """Salesforce writes an offset without a colon; intake compares moments as ISO-8601 texts."""
    contacts = [contact for page in org.crm().created_since(LONG_AGO) for contact in page]
    moments = [contact.created_at for contact in contacts]
    assert moments == sorted(moments)
    assert all(str(moment).endswith("+00:00") for moment in moments)


def test_values_come_as_text(org: Org) -> None:
    """Numbers without zeros that mean nothing; moments and texts as Salesforce has them."""
    fields = ["Enr_Employee_Count__c", "Enr_Confidence__c", "Enr_Enriched_At__c", "HasOptedOutOfEmail", "Department"]
    crm_id = org.ids[0]
    org.salesforce.edit(
        crm_id,
        {
            "Enr_Employee_Count__c": 42.0,
            "Enr_Confidence__c": 0.95,
            "Enr_Enriched_At__c": "2026-11-23T10:00:00.000+0000",
            "HasOptedOutOfEmail": True,
        },
    )
    assert list(org.crm().read([crm_id], fields)[crm_id].values.values()) == [
        "42",
        "0.95",
        "2026-11-23T10:00:00.000+0000",
        "true",
        None,
    ]


def test_the_company_is_read_of_those_without_an_address(org: Org) -> None:
    """A lookup needs it only then, and every call counts against the day's."""
    name = {"FirstName": "Zoë", "LastName": "Ng"}
    addressed = {**name, "Account.Name": "Bcme", "Email": "zoe@acme.example"}
    bare, known = org.salesforce.create([{**name, "Account.Name": "Acme"}, addressed])
    found = org.crm().read([bare, known], [])
    assert found[bare].contact == Contact(bare, None, "Zoë", "Ng", "Acme")
    assert found[known].contact == Contact(known, "zoe@acme.example", "Zoë", "Ng")
    assert len(org.calls(f"{COLLECTIONS}/Account")) == 1


def test_hidden_accounts_hide_no_contact(org: Org) -> None:
    """The integration user needn't be allowed to see accounts."""
    (bare,) = org.salesforce.create([{"Account.Name": "Acme", "FirstName": "Zoë"}])
    refusal = '[{"errorCode": "INVALID_TYPE", "message": "sObject type Account is not supported"}]'
    org.answer_instead(refusal, f"{COLLECTIONS}/Account", status=400)
    assert org.crm().read([bare], [])[bare].contact.company_name is None


def test_the_short_form_of_an_id_finds_the_contact(org: Org) -> None:
    """Reports and old exports have 15 characters; the contact comes under the id that was asked for."""
    crm_id = org.ids[0]
    found = org.crm().read([crm_id[:15], "no id", "0015e00000000AAAAA"], [])
    assert {asked: contact.contact.crm_id for asked, contact in found.items()} == {crm_id[:15]: crm_id}


def test_a_merged_contact_comes_as_its_survivor(org: Org) -> None:
    """It was staged before the merge; the update has to reach who is left."""
    merged, survivor = org.ids[:2]
    org.salesforce.delete(merged, into=survivor)
    found = org.crm().read([merged, merged[:15]], [])
    assert {asked: contact.contact.crm_id for asked, contact in found.items()} == {
        merged: survivor,
        merged[:15]: survivor,
    }


def test_a_contact_that_was_merged_twice_comes_as_the_last_survivor(org: Org) -> None:
    """The contact that it was merged into first is gone as well."""
    first, second, survivor = org.ids[:3]
    org.salesforce.delete(first, into=second)
    org.salesforce.delete(second, into=survivor)
    found = org.crm().read([first, second], [])
    assert {asked: one.contact.crm_id for asked, one in found.items()} == {first: survivor, second: survivor}


def test_the_moment_of_change_is_that_of_the_record(org: Org) -> None:
    """Salesforce gives no field's own; the later moment keeps more of what people wrote."""
    crm_id = org.ids[0]
    crm = org.crm()
    crm.write([title(crm_id)])
    changed = crm.read([crm_id], ["Title"], history=["Title"])[crm_id].changed_at["Title"]
    assert abs(changed - org.box.world.clock.now()) < timedelta(minutes=1)
    assert crm.read([crm_id], ["Title"])[crm_id].changed_at == {}


def test_reading_many_is_one_call_for_two_thousand(org: Org) -> None:
    """Larger ones are refused by Salesforce, smaller ones waste the day's calls."""
    ids = org.salesforce.create([{"Email": f"p{n}@example.com"} for n in range(2500)])
    assert org.crm().read(ids, ["Title"]).keys() == set(ids)
    assert org.calls(f"{COLLECTIONS}/Contact") == [200, 200]
