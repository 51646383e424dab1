"""Two providers through the whole flow: the second is asked only for what the first lacks, and each has a bill."""

from collections.abc import Mapping

import pytest

from enrichment.errors import QuotaExhaustedError
from enrichment.intake import EveryContact, ListedContacts
from enrichment.records import Enrichment, Origin
from enrichment.summary import RunReport, summary_markdown
from sandbox.agreement import disagreements
from sandbox.zoominfo.directory import COMPANY_ONLY, FULL_MATCH, Directory
from tasks.contact import read_story
from tests.integration.conftest import Pipeline
from tests.integration.local import enrich_contacts, ingest_contacts

pytestmark = pytest.mark.usefixtures("without_server")

CONTACTS = 30


@pytest.fixture
def waterfall(pipeline: Pipeline) -> Pipeline:
    """Give a pipeline that asks ZoomInfo, then Hunter."""
    pipeline.setenv("ENRICHMENT_PROVIDER", "zoominfo, hunter")
    pipeline.new_world(CONTACTS)
    return pipeline


def run() -> RunReport:
    report = enrich_contacts()
    assert isinstance(report, RunReport)
    assert report.books.balanced
    return report


def enriched(pipeline: Pipeline) -> dict[str, Enrichment]:
    return pipeline.warehouse.read_enriched(Origin("hubspot"), pipeline.box.world.hubspot.contacts)


def keys(lookups: Mapping[str, int]) -> set[str]:
    """Return the inputs that were looked up; Hunter takes addresses only."""
    return {key for key in lookups if "@" in key}


def test_the_second_is_asked_only_for_what_the_first_does_not_know(waterfall: Pipeline) -> None:
    """No contact that the first matched costs a second credit, and what either knows ends up in the CRM."""
    world = waterfall.box.world
    ingest_contacts(EveryContact())
    report = run()
    hits = {key for key, amount in world.zoominfo.billed.items() if amount}
    assert keys(world.hunter.lookups) <= keys(world.zoominfo.lookups) - hits
    assert max([*world.zoominfo.lookups.values(), *world.hunter.lookups.values()]) == 1
    providers = {one.provider for one in enriched(waterfall).values()}
    assert providers == {"zoominfo", "hunter"}
    written = waterfall.warehouse.read_written(report.run_id, Origin("hubspot"))
    assert disagreements(written, world.hubspot.contacts) == []
    assert {one.after for one in written if one.field == "enr_provider"} == providers


def test_each_provider_has_its_own_bill(waterfall: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    """Report, summary, books and log show replies, credits and versions by provider; they agree with the stand-ins."""
    world = waterfall.box.world
    ingest_contacts(EveryContact())
    report = run()
    zoominfo, hunter = world.zoominfo, world.hunter
    assert report.credits_by_provider == {"zoominfo": zoominfo.credits_used, "hunter": hunter.credits_used}
    assert min(report.credits_by_provider.values()) > 0
    books = waterfall.warehouse.read_run(report.run_id)
    assert books.credits == zoominfo.credits_used + hunter.credits_used
    assert books.api_versions == ["v1", "v2"]
    kept: dict[str, float] = {}
    for one in waterfall.warehouse.read_usage(report.run_id):
        kept[one.provider] = kept.get(one.provider, 0) + one.credits
    assert kept == report.credits_by_provider
    markdown = summary_markdown(report)
    assert f"| replies of hunter | {len(hunter.lookups)} ({hunter.credits_used} credits) |" in markdown
    assert f"| credits, all providers | {zoominfo.credits_used + hunter.credits_used} |" in markdown
    line = f"provider_used run={report.run_id} provider=hunter replies={len(hunter.lookups)}"
    assert line in caplog.text


def known_in_part(pipeline: Pipeline) -> str:
    """Return an address of which ZoomInfo knows the company only, and Hunter everything."""
    world = pipeline.box.world
    first, second = Directory(world.population), world.hunter.directory
    addresses = (f"person{number}@acme.example" for number in range(10_000))
    ways = (COMPANY_ONLY, FULL_MATCH)
    return next(one for one in addresses if (first.find(one).status, second.find(one).status) == ways)


def test_a_required_field_that_the_first_lacks_is_asked_of_the_second(waterfall: Pipeline) -> None:
    """A match without it goes on, one with it stops; each field says who gave it, and the first one's values stay."""
    waterfall.setenv("ENRICHMENT_REQUIRED_FIELDS", "title")
    world = waterfall.box.world
    part = known_in_part(waterfall)
    filled, lacking = world.hubspot.create([{"email": "hit+ada@acme.example"}, {"email": part}])
    ingest_contacts(ListedContacts(crm_ids=[filled, lacking]))
    report = run()
    assert set(world.zoominfo.lookups) == {"hit+ada@acme.example", part}
    assert set(world.hunter.lookups) == {part}
    assert report.books.dispositions == {"written": 2}
    rows = enriched(waterfall)
    assert "sources" not in rows[filled].fields
    assert (rows[lacking].provider, bool(rows[lacking].fields["title"])) == ("zoominfo", True)
    sources = rows[lacking].fields["sources"]
    assert (sources["company_name"], sources["employee_count"], sources["title"]) == ("zoominfo", "zoominfo", "hunter")
    assert world.hubspot.contacts[lacking]["enr_job_title"] == rows[lacking].fields["title"]


def test_a_contact_s_story_says_what_every_provider_answered(waterfall: Pipeline) -> None:
    """`enrich why` shows the miss of the first and the hit of the second, with the credits of each."""
    ingest_contacts(EveryContact())
    run()
    crm_id = next(crm_id for crm_id, row in enriched(waterfall).items() if row.provider == "hunter")
    shown = [line.what for line in read_story(crm_id)]
    answers = [what for what in shown if " answered " in what]
    assert [answer.split()[0] for answer in answers] == ["zoominfo", "hunter"]
    assert answers[0].startswith("zoominfo answered unmatched, 0 credit")
    assert "answered matched, 2 credit" in answers[1] or "answered partial, 2 credit" in answers[1]


def test_what_both_have_answered_is_not_asked_again(waterfall: Pipeline) -> None:
    """Hits and misses of both are read from the journal, and a run without a call has no bill."""
    ingest_contacts(EveryContact())
    first = run()
    waterfall.setenv("ENRICHMENT_FRESH_DAYS", "0")
    ingest_contacts(EveryContact())
    second = run()
    assert (second.providers, second.credits) == ([], 0)
    assert second.books.dispositions.get("unmatched") == first.books.dispositions.get("unmatched")
    world = waterfall.box.world
    assert max([*world.zoominfo.lookups.values(), *world.hunter.lookups.values()]) == 1


def test_used_up_credits_of_the_second_stop_the_run_and_keep_what_the_first_knew(waterfall: Pipeline) -> None:
    """Nothing that was bought is lost: what needs the second waits, and the next run finishes it."""
    world = waterfall.box.world
    ingest_contacts(EveryContact())
    waterfall.box.configure(hunter={"credits_left": 2})
    with pytest.raises(QuotaExhaustedError, match="hunter"):
        run()
    assert waterfall.queue() > 0
    waterfall.box.configure(hunter={"credits_left": 1000})
    with waterfall.warehouse._transaction() as session:
        session._connection.execute("UPDATE enrichment_staging SET not_before = NULL")
    report = run()
    assert waterfall.queue() == 0
    assert report.credits_by_provider.get("zoominfo", 0) == 0
    assert max(world.zoominfo.lookups.values()) == 1
    assert max(world.zoominfo.billed.values()) == 1
