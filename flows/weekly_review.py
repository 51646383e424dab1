"""Publish and send the results of the last days, and the unmatched contacts that wait for review."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from blocks.settings import load_settings
from enrichment.review import Review
from flows.forms import WarehouseName
from tasks.failed_runs import alert_failure
from tasks.report import write_report
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
    warehouse: WarehouseName = "",
    sample: Annotated[int, Field(ge=0, le=10_000)] = 1000,
) -> Review:
    """
    Read, publish and send the review.

    The report on the last weeks goes with it by e-mail, and into the folder that the settings name. This marks nothing
    as reviewed: use `enrich review --mark`.

    Args:
        days: How many days to look back.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.
        sample: How many of the contacts finished last to read from the CRM, for owners, sources and edits; 0: none.

    Returns:
        the review: ids and counts only.
    """
    settings = load_settings()
    review = read(warehouse or settings.warehouse, days, sample)
    publish_review(review)
    report = write_report(warehouse or settings.warehouse, settings.report_folder, review.look, url=settings.report_url)
    send_review(review, settings.notifier_references, report)
    return review
