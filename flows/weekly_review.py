"""Publish and send the results of the last days, and the unmatched contacts that wait for review."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from blocks.settings import load_settings
from enrichment.review import Review
from tasks.failed_runs import alert_failure
from tasks.review import publish_review, read, send_review


@flow(
    name="weekly-review",
    flow_run_name="review {days} days of contact enrichment",
    description=__doc__,
    persist_result=False,
    on_failure=[alert_failure],
    on_crashed=[alert_failure],
)
def weekly_review(
    days: Annotated[int, Field(ge=1, le=366)] = 7,
    warehouse: str = "",
) -> Review:
    """
    Read, publish and send the review.

    This marks nothing as reviewed: use `enrich review --mark`.

    Args:
        days: How many days to look back.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.

    Returns:
        the review: ids and counts only.
    """
    settings = load_settings()
    review = read(warehouse or settings.warehouse, days)
    publish_review(review)
    send_review(review, settings.notifier_references)
    return review
