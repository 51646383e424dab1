"""The weekly review through its flow: read from a real warehouse, published in a real Prefect, and sent for real."""

from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort

from enrichment.errors import TransientError
from enrichment.intake import EveryContact
from flows.enrich_contacts import enrich_contacts
from flows.ingest_contacts import ingest_contacts
from flows.weekly_review import weekly_review
from tests.integration.conftest import Pipeline


def artifact(key: str) -> Any:
    """Return the newest artifact of that key."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])), sort=ArtifactSort.CREATED_DESC, limit=1
        )
    return found[0].data


def test_a_week_is_reviewed_and_sent(pipeline: Pipeline, tmp_path: Path) -> None:
    """The figures are the run's, people get one message, and neither it nor the artifacts hold personal data."""
    pipeline.new_world(120)
    world = pipeline.box.world
    pipeline.setenv("ENRICHMENT_REPORT_FOLDER", str(tmp_path / "reports"))
    pipeline.setenv("ENRICHMENT_REPORT_URL", "https://reports.example/weekly/")
    ingest_contacts(EveryContact(), lane="live")
    report = enrich_contacts()
    review = weekly_review()
    assert review.ended == {str(name): count for name, count in report.books.dispositions.items()}
    assert [(use.provider, use.credits) for use in review.providers] == [("zoominfo", world.zoominfo.credits_used)]
    assert review.contacts >= review.ended["written"] > 0
    assert sum(group.records for group in review.unmatched) >= review.ended["unmatched"] > 0
    assert review.latency["staged"].records == review.ended["written"]
    (message,), (mail,) = world.slack.messages, world.mail.messages
    assert "Contact enrichment, 7 days to" in message.text
    assert "enrich review --mark" in message.text
    assert f"written: {review.ended['written']:,}" in mail.body
    (kept,) = (tmp_path / "reports").iterdir()
    assert [name for name, _ in mail.attachments] == [kept.name]
    link = f"https://reports.example/weekly/{kept.name}"
    assert all(link in text for text in (message.text, mail.body, artifact("enrichment-report")))
    shown = (
        kept.read_text() + message.text + mail.body + artifact("weekly-review") + str(artifact("unmatched-by-reason"))
    )
    assert "| zoominfo |" in artifact("weekly-review")
    assert review.look is not None
    assert review.look.contacts > 0
    people = world.hubspot.contacts.values()
    personal = {p[name] for p in people for name in ("email", "lastname", "company") if p.get(name)}
    assert [text for text in personal if text in shown] == []
    assert weekly_review().unmatched == review.unmatched


def test_a_review_that_cannot_be_sent_fails_loudly(pipeline: Pipeline) -> None:
    """It is published all the same, and tried again before it fails."""
    pipeline.new_world(1)
    pipeline.box.configure(slack={"failure": "server_error"})
    pipeline.setenv("ENRICHMENT_NOTIFIERS", "slack")
    with pytest.raises(TransientError, match="no notifier could send the weekly review"):
        weekly_review(days=1)
    assert "1 day to" in artifact("weekly-review")


def test_without_notifiers_the_review_is_published_only(pipeline: Pipeline) -> None:
    """A reader of Prefect's UI needs no message."""
    pipeline.new_world(1)
    pipeline.setenv("ENRICHMENT_NOTIFIERS", "")
    assert weekly_review().ended == {}
    assert pipeline.box.world.slack.messages == []
