"""Tech stack and intent through the whole loop: bought once for each company, kept, and written to the CRM."""

from typing import Any

import pytest

from enrichment.errors import CredentialsRejectedError, QuotaExhaustedError
from enrichment.estimate import Estimate, ProviderEstimate
from enrichment.intake import ListedContacts, Selection
from enrichment.records import Disposition, Origin
from enrichment.summary import RunReport
from sandbox.people import topics
from tasks.contact import read_story
from tasks.preview import Preview
from tests.integration.conftest import Pipeline
from tests.integration.local import enrich_contacts, estimate_backfill, ingest_contacts, preview_contacts
from tests.integration.test_follow_ups import open_account

pytestmark = pytest.mark.usefixtures("without_server")

TOPICS = topics()


def serve_with(pipeline: Pipeline, provider: str, **settings: Any) -> Any:
    """Start over with an empty CRM and a provider, and return its stand-in."""
    pipeline.new_world(1)
    pipeline.setenv("ENRICHMENT_PROVIDER", provider)
    return open_account(pipeline.box, pipeline.setenv, provider, **settings)


def stage(pipeline: Pipeline, ids: list[str]) -> None:
    """Put contacts into the queue, also those that were enriched a moment ago."""
    pipeline.setenv("ENRICHMENT_FRESH_DAYS", "0")
    ingest_contacts(ListedContacts(crm_ids=ids))


def create(pipeline: Pipeline, contacts: int, companies: int) -> list[str]:
    """Make so many contacts in so many companies in the CRM, and return their ids."""
    emails = [{"email": f"hit+p{number}@firm{number % companies}.example"} for number in range(contacts)]
    return pipeline.box.world.hubspot.create(emails)


def switch_on(pipeline: Pipeline, provider: str, intent: str = "") -> None:
    pipeline.setenv(f"ENRICHMENT_{provider.upper()}_TECH_STACK", "true")
    pipeline.setenv(f"ENRICHMENT_{provider.upper()}_INTENT_TOPICS", intent)


def run(pipeline: Pipeline) -> RunReport:
    """Run once; the books balance, and the CRM holds what the warehouse says."""
    report = enrich_contacts()
    assert isinstance(report, RunReport)
    assert report.books.balanced
    held = pipeline.box.world.hubspot.contacts
    written = pipeline.warehouse.read_written(report.run_id, Origin("hubspot"))
    assert [one for one in written if held[one.crm_id].get(one.field) != one.after] == []
    return report


@pytest.mark.parametrize("provider", ["zoominfo", "zoominfo_legacy"])
def test_the_fields_are_filled_in_warehouse_and_crm_for_one_call_a_company(pipeline: Pipeline, provider: str) -> None:
    """Each company is asked about once by all chunks and runs, and a second run asks for nothing."""
    seller = serve_with(pipeline, provider)
    ids = create(pipeline, contacts=60, companies=4)
    pipeline.setenv("ENRICHMENT_CHUNK_SIZE", "10")
    switch_on(pipeline, provider, ", ".join(TOPICS))
    stage(pipeline, ids)
    report = run(pipeline)
    assert report.books.count(Disposition.WRITTEN) == 60
    assert (len(seller.company_lookups), set(seller.company_lookups.values())) == (8, {1})
    assert report.credits == seller.credits_used == 68
    assert len(report.api_versions) == 1
    held = pipeline.box.world.hubspot.contacts
    stored = pipeline.warehouse.read_enriched(Origin("hubspot"), ids)
    for crm_id, enrichment in stored.items():
        assert len(enrichment.fields["tech_stack"]) >= 4
        assert set(enrichment.fields["intent_keywords"]) <= set(TOPICS)
        assert held[crm_id]["enr_tech_stack"] == "; ".join(enrichment.fields["tech_stack"])
        assert held[crm_id]["enr_intent_keywords"] == "; ".join(enrichment.fields["intent_keywords"])
    assert len({tuple(one.fields["tech_stack"]) for one in stored.values()}) == 4
    shown = [line.what for line in read_story(ids[0])]
    for step in ("tech_stack", "intent"):  # also where another contact's chunk has paid for the reply
        assert any(
            line.startswith(f"{provider} answered matched of the company ({step}), 1 credit(s)") for line in shown
        )
    stage(pipeline, ids)
    again = run(pipeline)
    assert (again.credits, again.books.count(Disposition.UNCHANGED)) == (0, 60)
    assert set(seller.company_lookups.values()) == {1}


def test_used_up_credits_stop_the_run_and_lose_nothing(pipeline: Pipeline) -> None:
    """What was bought is used, the rest waits with its replies, and the next run pays for what is missing."""
    seller = serve_with(pipeline, "zoominfo", credits_left=14)
    ids = create(pipeline, contacts=12, companies=3)
    switch_on(pipeline, "zoominfo")
    stage(pipeline, ids)
    with pytest.raises(QuotaExhaustedError, match="remaining contacts wait in the queue"):
        enrich_contacts()
    assert (seller.credits_used, pipeline.queue(), pipeline.dispositions()) == (14, 4, {"written": 8})
    assert "quota" in pipeline.box.world.slack.messages[0].text
    pipeline.box.configure(zoominfo={"credits_left": 100})
    report = run(pipeline)
    assert (report.credits, seller.credits_used, pipeline.queue()) == (1, 15, 0)


def test_a_refused_token_stops_the_run(pipeline: Pipeline) -> None:
    """Credentials concern everything, also where only a follow-up is left to be asked."""
    serve_with(pipeline, "zoominfo")
    ids = create(pipeline, contacts=4, companies=1)
    stage(pipeline, ids)
    run(pipeline)
    switch_on(pipeline, "zoominfo")
    pipeline.box.world.faults.add(service="zoominfo", path_contains="technologies", kind="unauthorized", times=0)
    stage(pipeline, ids)
    with pytest.raises(CredentialsRejectedError):
        enrich_contacts()
    assert pipeline.queue() == 4


def test_a_dry_run_counts_the_steps_and_shows_what_they_would_write(pipeline: Pipeline) -> None:
    """The journal's contacts lead to their companies: what is missing of them is counted, once for each company."""
    seller = serve_with(pipeline, "zoominfo")
    ids = create(pipeline, contacts=6, companies=2)
    stage(pipeline, ids)
    run(pipeline)
    switch_on(pipeline, "zoominfo")
    stage(pipeline, ids)
    asked = len(seller.requests)
    before = preview_contacts()
    assert isinstance(before, Preview)
    assert (before.records, before.would_ask, len(seller.requests)) == (6, 2, asked)
    pipeline.setenv("ENRICHMENT_HUBSPOT_PROTECTED_FIELDS", '["enr_tech_stack"]')
    run(pipeline)
    pipeline.setenv("ENRICHMENT_HUBSPOT_PROTECTED_FIELDS", "")
    stage(pipeline, ids)
    after = preview_contacts()
    assert isinstance(after, Preview)
    assert after.would_ask == 0
    assert {change.field for changes in after.changes.values() for change in changes} == {"enr_tech_stack"}


@pytest.mark.parametrize("provider", ["zoominfo", "zoominfo_legacy"])
def test_an_estimate_bounds_the_follow_ups(pipeline: Pipeline, provider: str) -> None:
    """Each unknown contact may have its own company; of known ones the companies count, less those in the journal."""
    serve_with(pipeline, provider)
    ids = create(pipeline, contacts=12, companies=3)
    switch_on(pipeline, provider)

    def steps() -> list[ProviderEstimate]:
        found = estimate_backfill(Selection(everything=True))
        assert isinstance(found, Estimate)
        return [one for one in found.providers if one.step]

    (before,) = steps()
    assert (before.in_journal, before.requests.at_most >= 12) == (0, True)
    pipeline.setenv(f"ENRICHMENT_{provider.upper()}_TECH_STACK", "false")
    stage(pipeline, ids)
    run(pipeline)
    switch_on(pipeline, provider)
    (known,) = steps()
    assert known.requests.at_most == before.requests.at_most - 12 + 3
    stage(pipeline, ids)
    report = run(pipeline)
    (after,) = steps()
    assert (report.credits, after.in_journal) == (3, 3)
    assert after.requests.at_most == known.requests.at_most - 3
