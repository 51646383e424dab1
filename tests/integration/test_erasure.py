"""Erasing contacts from a pipeline at work: real flows, real sockets, and a deletion that comes in between."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from enrichment.identifiers import suppression_keys
from enrichment.intake import EveryContact, FailedContacts, ListedContacts
from enrichment.records import Contact, Disposition, Origin
from enrichment.summary import RunReport
from tasks.contact import erase_contact, read_story
from tests.integration.conftest import Pipeline
from tests.integration.local import enrich_contacts, ingest_contacts
from tests.integration.local import erase_contact as erase_flow

pytestmark = pytest.mark.usefixtures("without_server")

PATIENCE_SECONDS = 60


def run() -> RunReport:
    report = enrich_contacts()
    assert isinstance(report, RunReport)
    return report


def await_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it didn't come to pass"
        time.sleep(0.02)


def run_while(other: Callable[[], None]) -> RunReport:
    """Run the flow while something else happens beside it."""
    with ThreadPoolExecutor(1) as beside:
        job = beside.submit(other)
        report = run()
        job.result()
    return report


def person(pipeline: Pipeline, email: str) -> str:
    """Create a contact whom the provider knows, and stage it."""
    (crm_id,) = pipeline.box.world.hubspot.create([{"email": email, "firstname": "Zoë"}])
    assert ingest_contacts(ListedContacts(crm_ids=[crm_id])) == 1
    return crm_id


def dump(pipeline: Pipeline) -> str:
    """Return all that the warehouse holds as one text."""
    with pipeline.warehouse._reading() as session:
        tables = session._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        names = [row["name"] for row in tables]
        return "\n".join(
            str([tuple(row) for row in session._connection.execute(f"SELECT * FROM {name}")]) for name in names
        )


def test_a_reply_under_way_brings_no_erased_contact_back(pipeline: Pipeline) -> None:
    """Erased between question and answer: nothing is stored or written, the cost is counted, and the books balance."""
    pipeline.new_world(30)
    world = pipeline.box.world
    ingest_contacts(EveryContact())
    crm_id = person(pipeline, "hit+zoe@acme.example")
    held = world.faults.add(service="zoominfo", path_contains="contacts/enrich", kind="held", times=0)

    def erase() -> None:
        await_true(lambda: "hit+zoe@acme.example" in world.zoominfo.lookups)
        erase_contact("sqlite", "hubspot", crm_id)
        held.let_go = True

    report = run_while(erase)
    assert report.books.balanced
    assert (report.books.claimed, report.books.finished, report.books.returned) == (31, 30, 1)
    assert pipeline.queue() == 0
    assert world.zoominfo.lookups["hit+zoe@acme.example"] == 1
    assert report.credits == world.zoominfo.credits_used
    assert crm_id not in world.hubspot.updates_by_contact
    assert "hit+zoe" not in dump(pipeline)
    assert [line.what for line in read_story(crm_id)] == ["erased; the contact is never looked up again"]


def test_a_write_back_under_way_leaves_nothing_behind(pipeline: Pipeline) -> None:
    """Erased while the CRM is being written to: neither result nor the values before and after stay."""
    pipeline.new_world(10)
    world = pipeline.box.world
    crm_id = person(pipeline, "hit+zoe@acme.example")
    held = world.faults.add(service="hubspot", path_contains="batch/update", kind="held", times=0)

    def erase() -> None:
        await_true(lambda: bool(world.hubspot.updates_by_contact))
        erased = erase_contact("sqlite", "hubspot", crm_id)
        assert erased.rows["enriched_contacts"] == erased.rows["enrichment_staging"] == 1
        assert erased.rows["crm_writes"] > 1
        held.let_go = True

    report = run_while(erase)
    assert (report.books.balanced, report.books.returned) == (True, 1)
    assert "hit+zoe" not in dump(pipeline)
    assert pipeline.warehouse.read_story(Origin(""), crm_id).writes == ()
    assert pipeline.dispositions() == {"suppressed": 1}


def test_a_contact_with_the_same_address_is_not_looked_up_again(pipeline: Pipeline) -> None:
    """One request for two contacts: with one of them erased meanwhile, the other ends as suppressed, paid for once."""
    pipeline.new_world(10)
    world = pipeline.box.world
    crm_id = person(pipeline, "hit+zoe@acme.example")
    twin = person(pipeline, "Hit+Zoe@acme.example")
    held = world.faults.add(service="zoominfo", path_contains="contacts/enrich", kind="held", times=0)

    def erase() -> None:
        await_true(lambda: bool(world.zoominfo.lookups))
        erase_contact("sqlite", "hubspot", crm_id)
        held.let_go = True

    report = run_while(erase)
    assert report.books.balanced
    assert report.books.dispositions == {Disposition.SUPPRESSED: 1}
    assert set(world.zoominfo.lookups.values()) == {1}
    assert twin not in world.hubspot.updates_by_contact


def test_nothing_starts_an_erased_contact_again(pipeline: Pipeline, tmp_path: Path) -> None:
    """Intake, backfill and a list stage it at most without its address, and it ends without a lookup."""
    pipeline.new_world(10)
    world = pipeline.box.world
    crm_id = person(pipeline, "hit+zoe@acme.example")
    assert run().books.count(Disposition.WRITTEN) == 1
    erase_contact("sqlite", "hubspot", crm_id)
    asked = dict(world.zoominfo.lookups)
    file = tmp_path / "list.csv"
    file.write_text(f"crm_id,email\n{crm_id},hit+zoe@acme.example\n777,HIT+zoe@acme.example\n")
    assert ingest_contacts() >= 0
    for intake in (ListedContacts(csv_path=str(file)), EveryContact()):
        ingest_contacts(intake)
        assert "zoe@acme" not in dump(pipeline).lower()
        report = run()
        assert report.books.count(Disposition.SUPPRESSED) == (2 if intake.what == "listed" else 1)
        assert report.books.balanced
    assert world.zoominfo.lookups["hit+zoe@acme.example"] == asked["hit+zoe@acme.example"] == 1


def test_a_dead_letter_of_an_erased_contact_cannot_be_replayed(pipeline: Pipeline) -> None:
    """With the contact its dead letters are gone, and the address that they held is suppressed."""
    pipeline.new_world(10)
    world = pipeline.box.world
    crm_id = person(pipeline, "hit+zoe@acme.example")
    world.faults.add(service="hubspot", path_contains="batch/update", kind="status", status=400, times=0)
    assert run().books.count(Disposition.FAILED) == 1
    world.faults.clear()
    assert erase_contact("sqlite", "hubspot", crm_id).rows["failed_records"] == 1
    assert ingest_contacts(FailedContacts()) == 0
    keys = suppression_keys(Contact(crm_id, "hit+zoe@acme.example"), Origin("hubspot"))
    assert pipeline.warehouse.read_suppressed(keys) == set(keys)


def test_the_flow_erases_the_configured_contact(pipeline: Pipeline) -> None:
    """Warehouse and CRM are those of the settings, and the counts come back."""
    pipeline.new_world(10)
    crm_id = person(pipeline, "hit+zoe@acme.example")
    assert run().books.count(Disposition.WRITTEN) == 1
    erased = erase_flow(crm_id)
    assert (erased.rows["enriched_contacts"], erased.rows["provider_replies"]) == (1, 1)
    assert [line.what for line in read_story(crm_id, "hubspot")] == ["erased; the contact is never looked up again"]
