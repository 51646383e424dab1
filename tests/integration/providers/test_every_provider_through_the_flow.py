"""The whole loop once with each provider that is there: intake, lookup, storage, write-back and books."""

import uuid
from typing import Any

import pytest

from blocks.providers.spec import spec_names
from flows.enrich_contacts import enrich_contacts
from flows.ingest_contacts import ingest_contacts
from sandbox.server import Box
from tasks.books import RunReport
from tests.integration.conftest import Pipeline

#: Each provider's stand-in: settings of its account, and which of them are credentials.
ACCOUNTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "zoominfo": ({"client_secret": "sandbox-secret"}, ("client_id", "client_secret")),
    "zoominfo_legacy": ({"password": "sandbox-password"}, ("username", "password")),
    "clearbit": ({"per_minute": 60_000}, ("api_key",)),
    "peopledatalabs": ({}, ("api_key",)),
    "apollo": ({}, ("api_key",)),
    "hunter": ({}, ("api_key",)),
}


def serve_with(pipeline: Pipeline, name: str, contacts: int, **settings: Any) -> Any:
    """Start over with a new account of a provider, and return its stand-in."""
    if name not in ACCOUNTS:
        pytest.fail(f"no account for the provider '{name}': build its stand-in, and add it to ACCOUNTS")
    pipeline.new_world(contacts)
    account, credentials = ACCOUNTS[name]
    account = {**account, credentials[0]: f"new-{uuid.uuid4().hex}", **settings}  # no pause of an old one lasts
    pipeline.box.configure(**{name: account})
    pipeline.setenv("ENRICHMENT_PROVIDER", name)
    pipeline.setenv(f"ENRICHMENT_{name.upper()}_BASE_URL", address(pipeline.box, name))
    for credential in credentials:
        pipeline.setenv(f"ENRICHMENT_{name.upper()}_{credential.upper()}", account[credential])
    return pipeline.box.world.services[name]


def address(box: Box, name: str) -> str:
    return str(getattr(box, f"{name}_url"))


def run() -> RunReport:
    report = enrich_contacts()
    assert isinstance(report, RunReport)
    assert report.books.balanced
    return report


def crm_agrees(pipeline: Pipeline, run_id: str) -> int:
    """Compare every confirmed write with what the CRM holds; return how many there are."""
    held = pipeline.box.world.hubspot.contacts
    written = pipeline.warehouse.query("read_written", run_id=run_id, crm="hubspot")
    assert [row for row in written if held[row["crm_id"]].get(row["field"]) != row["after"]] == []
    return len(written)


@pytest.mark.parametrize("name", spec_names())
def test_contacts_are_enriched_by_every_provider(pipeline: Pipeline, name: str) -> None:
    """Everybody ends once, the CRM holds what the warehouse says, nobody is asked twice, and the credits agree."""
    seller = serve_with(pipeline, name, 60)
    assert ingest_contacts(everything=True) == 60
    report = run()
    assert report.books.claimed == report.books.finished == 60
    assert pipeline.queue() == 0
    assert {"written", "unmatched", "invalid"} <= report.books.dispositions.keys()
    assert crm_agrees(pipeline, report.run_id) > 60
    assert max(seller.lookups.values()) == 1
    assert report.credits == seller.credits_used > 0
    assert len(report.api_versions) == 1


# One that answers misses by a status, and one that answers them by null.
@pytest.mark.parametrize("name", ["clearbit", "apollo"])
def test_what_was_answered_is_not_asked_again(pipeline: Pipeline, name: str) -> None:
    """Hits and misses alike, nulls among them, are read from the journal by the next run."""
    seller = serve_with(pipeline, name, 30)
    ingest_contacts(everything=True)
    first = run()
    pipeline.setenv("ENRICHMENT_FRESH_DAYS", "0")
    ingest_contacts(everything=True)
    second = run()
    assert max(seller.lookups.values()) == 1
    assert second.credits == 0
    assert second.books.dispositions.get("unmatched") == first.books.dispositions.get("unmatched")


def test_queued_answers_come_with_a_later_run(pipeline: Pipeline) -> None:
    """What the provider is still making goes back to the queue, and is found later for the same credit."""
    seller = serve_with(pipeline, "clearbit", 60, pending_share=0.5)
    ingest_contacts(everything=True)
    first = run()
    assert first.books.returned == pipeline.queue() > 0
    with pipeline.warehouse.transaction() as session:
        session._connection.execute("UPDATE enrichment_staging SET not_before = NULL")
    second = run()
    assert pipeline.queue() == second.books.returned == 0
    assert first.books.finished + second.books.finished == 60
    assert first.credits + second.credits == seller.credits_used
    assert pipeline.box.world.slack.messages == []
