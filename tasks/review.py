"""The weekly review: read from the warehouse, shown in Prefect, and sent to people."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from prefect.runtime import flow_run

from blocks.notifiers.base import notify
from blocks.warehouses.base import open_warehouse
from enrichment.errors import TransientError, sealed
from enrichment.moments import utc_text
from enrichment.review import Review, review_markdown, review_message, review_of, unmatched_rows
from tasks.artifacts import publish_markdown, publish_table
from tasks.report import WrittenReport
from tasks.steps import step


@sealed
def read_review(warehouse: str, days: int) -> Review:
    """Return the review of the last days, by the warehouse's own clock; nothing is marked by it."""
    with open_warehouse(warehouse) as source:
        read_at = source.now()
        since, before = (_back(read_at, count * days) for count in (1, 2))
        return review_of(days, read_at, source.review_counts(since, before))


@sealed
def mark_reviewed(warehouse: str, review: Review) -> int:
    """Mark the unmatched contacts of a review as reviewed, and return how many; what came after it stays."""
    with open_warehouse(warehouse) as target:
        return target.mark_reviewed(review.read_at)


@step(name="read-review")
def read(warehouse: str, days: int) -> Review:
    """Read the review as a task."""
    return read_review(warehouse, days)


@step(name="publish-review")
def publish_review(review: Review) -> None:
    """Publish the review and its table of unmatched contacts as artifacts."""
    publish_markdown(
        review_markdown(review), key="weekly-review", description=f"{review.days} day(s) up to {review.read_at[:10]}"
    )
    if review.unmatched:
        publish_table(
            unmatched_rows(review), key="unmatched-by-reason", description="Unmatched contacts that wait for review"
        )


@step(name="send-review")
def send_review(review: Review, notifiers: Sequence[str], report: WrittenReport | None = None) -> None:
    """Send one message with the figures, and the report with it; raise TransientError if no notifier can be reached."""
    message = review_message(review, flow_run.ui_url or "")
    where = f"\nThe report of the last weeks: {report.path}" if report and report.path else ""
    page = report.page if report else None
    if notify(message.subject, message.body + where, notifiers, kind="weekly_review", attachment=page) or not notifiers:
        return
    raise TransientError("no notifier could send the weekly review: check each with `enrich doctor`")


def _back(moment: str, days: int) -> str:
    earlier = datetime.fromisoformat(moment) - timedelta(days=days)
    return utc_text(earlier)
