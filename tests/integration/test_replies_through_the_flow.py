"""What providers have answered, through the whole flow: read from the journal again, or waited for."""

from typing import Any

import pytest

from enrichment.intake import EveryContact
from enrichment.summary import RunReport
from tests.integration.conftest import Pipeline
from tests.integration.local import enrich_contacts, ingest_contacts

pytestmark = pytest.mark.usefixtures("without_server")


def serve_with(pipeline: Pipeline, name: str, contacts: int, **settings: Any) -> Any:
    """Start over with a provider, and return its stand-in."""
    pipeline.setenv("ENRICHMENT_PROVIDER", name)
    pipeline.new_world(contacts, **{name: {"per_minute": 60_000, **settings}})
    return pipeline.box.world.services[name]


def run() -> RunReport:
    report = enrich_contacts()
    assert isinstance(report, RunReport)
    assert report.books.balanced
    return report


# One that answers misses by a status, and one that answers them by null.
@pytest.mark.parametrize("name", ["clearbit", "apollo"])
def test_what_was_answered_is_not_asked_again(pipeline: Pipeline, name: str) -> None:
    """Hits and misses alike, nulls among them, are read from the journal by the next run."""
    seller = serve_with(pipeline, name, 30)
    ingest_contacts(EveryContact())
    first = run()
    pipeline.setenv("ENRICHMENT_FRESH_DAYS", "0")
    ingest_contacts(EveryContact())
    second = run()
    assert max(seller.lookups.values()) == 1
    assert second.credits == 0
    assert second.books.dispositions.get("unmatched") == first.books.dispositions.get("unmatched")


def test_queued_answers_come_with_a_later_run(pipeline: Pipeline) -> None:
    """What the provider is still making goes back to the queue, and is found later for the same credit."""
    seller = serve_with(pipeline, "clearbit", 60, pending_share=0.5)
    ingest_contacts(EveryContact())
    first = run()
    assert first.books.returned == pipeline.queue() > 0
    with pipeline.warehouse._transaction() as session:
        session._connection.execute("UPDATE enrichment_staging SET not_before = NULL")
    second = run()
    assert pipeline.queue() == second.books.returned == 0
    assert first.books.finished + second.books.finished == 60
    assert first.credits + second.credits == seller.credits_used
    assert pipeline.box.world.slack.messages == []
