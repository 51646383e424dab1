"""What is special about Salesforce as the CRM, through the whole loop: real flows, real sockets."""

import pytest

from enrichment.intake import EveryContact
from enrichment.records import Disposition, Origin
from sandbox.agreement import disagreements
from tasks.books import RunReport
from tests.integration.conftest import Pipeline
from tests.integration.local import enrich_contacts, ingest_contacts

pytestmark = pytest.mark.usefixtures("without_server")


@pytest.fixture
def salesforce(pipeline: Pipeline) -> Pipeline:
    """Give the pipeline with Salesforce as its CRM."""
    pipeline.setenv("ENRICHMENT_CRM", "salesforce")
    return pipeline


def run() -> RunReport:
    report = enrich_contacts()
    assert isinstance(report, RunReport)
    return report


def crm_agrees(pipeline: Pipeline, run_id: str) -> int:
    """Compare every confirmed write with what Salesforce holds; return how many there are."""
    written = pipeline.warehouse.read_written(run_id, Origin("salesforce"))
    assert disagreements(written, pipeline.box.world.salesforce.contacts) == []
    return len(written)


def test_a_second_run_finds_salesforce_up_to_date(salesforce: Pipeline) -> None:
    """What Salesforce gives back compares equal to what was written, so nothing is written again."""
    salesforce.new_world(120)
    ingest_contacts(EveryContact())
    first = run()
    salesforce.setenv("ENRICHMENT_FRESH_DAYS", "0")
    ingest_contacts(EveryContact())
    again = run()
    assert again.books.count(Disposition.UNCHANGED) == first.books.count(Disposition.WRITTEN)
    assert set(salesforce.box.world.salesforce.updates_by_contact.values()) == {1}


def test_transient_trouble_of_salesforce_changes_no_result(salesforce: Pipeline) -> None:
    """Ended sessions, dropped connections, outages, locks and a busy org end with the same books."""
    salesforce.new_world(150)
    world = salesforce.box.world
    ingest_contacts(EveryContact())
    world.salesforce.sessions.end_all()
    world.salesforce.be_busy(1)
    for crm_id in list(world.salesforce.contacts)[:20]:
        world.salesforce.hold(crm_id, 1)
    for kind in ("reset_before", "reset_after", "truncated", "empty_200"):
        world.faults.add(service="salesforce", path_contains="composite/sobjects", kind=kind, after=1)
    world.faults.add(service="salesforce", path_contains="composite/sobjects", kind="status", status=503)
    report = run()
    assert report.books.balanced
    assert report.books.count(Disposition.FAILED) == 0
    assert salesforce.queue() == 0
    assert crm_agrees(salesforce, report.run_id)


def test_intake_takes_new_contacts_and_keeps_its_place(salesforce: Pipeline) -> None:
    """The second incremental intake stages only what was created since the first."""
    salesforce.new_world(60)
    salesforce.box.world.salesforce.create([{"Email": "first@new.example"}])
    assert ingest_contacts() >= 1
    run()
    (crm_id,) = salesforce.box.world.salesforce.create([{"Email": "second@new.example", "FirstName": "Zoë"}])
    ingest_contacts()
    assert salesforce.warehouse.read_story(Origin("salesforce"), crm_id).staging
    assert run().books.balanced
