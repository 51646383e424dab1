"""Fresh is an identity that was answered lately, not an id: a contact that changed is looked up again."""

from collections.abc import Mapping

import pytest

from enrichment.intake import ListedContacts, SelectedContacts, Selection
from enrichment.records import Disposition
from tests.integration.conftest import Pipeline
from tests.integration.local import enrich_contacts, ingest_contacts

pytestmark = pytest.mark.usefixtures("without_server")

MADE_OF_SETTINGS = ["sqlite", "postgres"]


def enrich_again(crm_id: str, **options: bool) -> Mapping[str, int]:
    """Stage one contact by its id, run, and return how it ended."""
    assert ingest_contacts(ListedContacts(crm_ids=[crm_id]), **options) == 1
    return enrich_contacts().books.dispositions


@pytest.mark.parametrize("pipeline", MADE_OF_SETTINGS, indirect=True)
def test_a_contact_whose_address_changed_is_looked_up_under_the_new_one(pipeline: Pipeline) -> None:
    """The CRM doesn't keep the company of the person whom the contact was before."""
    pipeline.new_world(1)
    world = pipeline.box.world
    (crm_id,) = world.hubspot.create([{"email": "hit+ada@acme.example"}])
    assert enrich_again(crm_id) == {Disposition.WRITTEN: 1}
    former = world.hubspot.contacts[crm_id]["enr_company_name"]
    assert enrich_again(crm_id) == {Disposition.SKIPPED_FRESH: 1}

    world.hubspot.edit(crm_id, {"email": "hit+eve@other.example"})
    assert enrich_again(crm_id) == {Disposition.WRITTEN: 1}
    assert world.zoominfo.lookups["hit+eve@other.example"] == 1
    assert world.hubspot.contacts[crm_id]["enr_company_name"] != former
    assert enrich_again(crm_id) == {Disposition.SKIPPED_FRESH: 1}
    assert max(world.zoominfo.lookups.values()) == 1


def test_a_contact_without_address_whose_company_changed_is_looked_up_again(pipeline: Pipeline) -> None:
    """Where name and company were the identifiers, they are its identity."""
    pipeline.new_world(1)
    world = pipeline.box.world
    person = world.population.people[0]
    names = {"firstname": person.first_name, "lastname": person.last_name}
    (crm_id,) = world.hubspot.create([{**names, "company": person.company.name}])
    enrich_again(crm_id)
    asked = sum(world.zoominfo.lookups.values())
    world.hubspot.edit(crm_id, {"company": "Quite Another Company"})
    assert Disposition.SKIPPED_FRESH not in enrich_again(crm_id)
    assert sum(world.zoominfo.lookups.values()) == asked + 1


def test_another_provider_has_not_answered_yet(pipeline: Pipeline) -> None:
    """What one provider said of a contact doesn't keep another one from being queried."""
    pipeline.new_world(1)
    world = pipeline.box.world
    (crm_id,) = world.hubspot.create([{"email": "hit+ada@acme.example"}])
    enrich_again(crm_id)
    pipeline.setenv("ENRICHMENT_PROVIDER", "hunter")
    assert Disposition.SKIPPED_FRESH not in enrich_again(crm_id)
    assert world.hunter.lookups["hit+ada@acme.example"] == 1


def test_refresh_writes_again_from_saved_replies_at_no_cost(pipeline: Pipeline) -> None:
    """A fresh contact goes through the whole chain on purpose; what a person changed of ours stays as it is."""
    pipeline.new_world(1)
    world = pipeline.box.world
    (crm_id,) = world.hubspot.create([{"email": "hit+ada@acme.example"}])
    enrich_again(crm_id)
    world.hubspot.edit(crm_id, {"enr_company_name": "", "enr_industry": "Mine"})
    assert enrich_again(crm_id) == {Disposition.SKIPPED_FRESH: 1}
    assert enrich_again(crm_id, refresh=True) == {Disposition.UNCHANGED: 1}
    held = world.hubspot.contacts[crm_id]
    assert (held.get("enr_company_name"), held["enr_industry"]) == (None, "Mine")
    assert max(world.zoominfo.lookups.values()) == 1


def test_a_selection_may_be_refreshed_too(pipeline: Pipeline) -> None:
    """Staged once without and once with it, it is another staging, not the resumed one."""
    pipeline.new_world(3)
    everybody = Selection(everything=True)
    enrich_contacts(select=everybody)
    assert ingest_contacts(SelectedContacts(select=everybody), lane="backfill") == 3
    first = enrich_contacts(lane="backfill").books.dispositions
    again = enrich_contacts(select=everybody, refresh=True).books.dispositions
    assert Disposition.SKIPPED_FRESH not in again
    assert sum(again.values()) == sum(first.values()) == 3


def test_a_miss_is_asked_again_sooner_than_a_match(pipeline: Pipeline) -> None:
    """A person unknown in June may be known in August; what is known needn't be paid for again."""
    pipeline.new_world(1)
    pipeline.setenv("ENRICHMENT_FRESH_DAYS", "0")
    world = pipeline.box.world
    miss, hit = world.hubspot.create([{"email": "miss+ada@acme.example"}, {"email": "hit+eve@acme.example"}])
    for _ in range(2):
        assert ingest_contacts(ListedContacts(crm_ids=[miss, hit])) == 2
        enrich_contacts()
    assert set(world.zoominfo.lookups.values()) == {1}
    _age_replies(pipeline, days=40)
    ingest_contacts(ListedContacts(crm_ids=[miss, hit]))
    enrich_contacts()
    assert world.zoominfo.lookups == {"miss+ada@acme.example": 2, "hit+eve@acme.example": 1}


def _age_replies(pipeline: Pipeline, days: int) -> None:
    with pipeline.warehouse._transaction() as session:
        session._connection.execute(
            "UPDATE provider_replies SET received_at = strftime('%Y-%m-%dT%H:%M:%fZ', received_at, ?)",
            (f"-{days} days",),
        )
