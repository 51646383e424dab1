"""The weekly review: read from the warehouse, shown in Prefect, and sent to people."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from prefect.runtime import flow_run

from blocks.crms.base import Crm, CrmContact, crm_name, open_crm, read_apart
from blocks.log import event
from blocks.notifiers.base import notify
from blocks.settings import load_settings
from blocks.warehouses.base import Warehouse, open_warehouse
from enrichment.comparisons import Held, LastWrite, edited_fields
from enrichment.errors import EnrichmentError, TransientError, cause, sealed
from enrichment.moments import utc_text
from enrichment.records import Origin
from enrichment.review import CrmLook, ResultShare, Review, review_of, shares_of
from enrichment.review_text import review_markdown, review_message, unmatched_rows
from tasks.artifacts import publish_markdown, publish_table
from tasks.report import WrittenReport
from tasks.steps import step

#: People change values weeks after they were written: so far back are ours compared with the CRM's.
_EDITED_DAYS = 90


@sealed
def read_review(warehouse: str, days: int, *, sample: int = 0) -> Review:
    """
    Return the review of the last days, by the warehouse's own clock; nothing is marked by it.

    Args:
        warehouse: reference of the warehouse.
        days: that it covers.
        sample: how many of the contacts that were finished last to read from the CRM; 0: none.
    """
    with open_warehouse(warehouse) as source:
        read_at = source.now()
        since, before = (_back(read_at, count * days) for count in (1, 2))
        return review_of(days, read_at, source.review_counts(since, before), look_at_crm(source, since, sample))


def look_at_crm(warehouse: Warehouse, since: str, sample: int) -> CrmLook | None:
    """
    Return what the CRM says of contacts that were finished last; None if it isn't to be read, or can't be now.

    Args:
        warehouse: knows which contacts these are.
        since: the moment from which on (ISO-8601 UTC text).
        sample: how many at most; one call reads a hundred or more.
    """
    reference = load_settings().crm
    if not sample:
        return None
    try:
        origin = Origin(crm_name(reference))
        ended = dict(warehouse.finished_last(origin, since, sample))
        writes = warehouse.confirmed_writes(origin, days=_EDITED_DAYS, contacts=sample)
        if not (ended or writes):
            return None
        with open_crm(reference) as crm:
            return _look(crm, ended, writes) if crm.about else None
    except EnrichmentError as error:  # a review without it is better than none
        event("review_without_crm", crm=reference, error=cause(error))
        return None


def _look(crm: Crm, ended: Mapping[str, str], written: Sequence[LastWrite]) -> CrmLook:
    known = crm.describe_fields()
    writes = [one for one in written if one.field in known]
    ids = dict.fromkeys([*ended, *(one.crm_id for one in writes)])
    origins = {by: crm.about[by] for by in ("source", "owner")}
    read, unread = read_apart(crm, list(ids), list({*origins.values(), *(one.field for one in writes)}))
    shares = [share for by, name in origins.items() for share in _shares(by, name, ended, read)]
    held = {crm_id: Held(one.values) for crm_id, one in read.items()}
    edited = edited_fields([one for one in writes if one.crm_id not in unread], held, known)
    return CrmLook(len(read), shares, edited)


def _shares(by: str, name: str, ended: Mapping[str, str], read: Mapping[str, CrmContact]) -> list[ResultShare]:
    values = {crm_id: contact.values.get(name) for crm_id, contact in read.items()}
    return shares_of(by, ((value, ended[one], 1) for one, value in values.items() if value and one in ended))


@sealed
def mark_reviewed(warehouse: str, review: Review) -> int:
    """Mark the unmatched contacts of a review as reviewed, and return how many; what came after it stays."""
    with open_warehouse(warehouse) as target:
        return target.mark_reviewed(review.read_at)


@step(name="read-review", task_run_name="read the figures of {days} days")
def read(warehouse: str, days: int, sample: int) -> Review:
    """Read the review as a task."""
    return read_review(warehouse, days, sample=sample)


@step(name="publish-review", task_run_name="publish the review")
def publish_review(review: Review) -> None:
    """Publish the review and its table of unmatched contacts as artifacts."""
    publish_markdown(
        review_markdown(review, domains=False),
        key="weekly-review",
        description=f"{review.days} day(s) up to {review.read_at[:10]}",
    )
    if review.unmatched:
        publish_table(
            unmatched_rows(review), key="unmatched-by-reason", description="Unmatched contacts that wait for review"
        )


@step(name="send-review", task_run_name="send the review")
def send_review(review: Review, notifiers: Sequence[str], report: WrittenReport | None = None) -> None:
    """Send one message with the figures, and the report with it; raise TransientError if no notifier can be reached."""
    message = review_message(review, flow_run.ui_url or "")
    where = f"\nThe report of the last weeks: {report.link or report.path}" if report and report.path else ""
    page = report.page if report else None
    if notify(message.subject, message.body + where, notifiers, kind="weekly_review", attachment=page) or not notifiers:
        return
    raise TransientError("no notifier could send the weekly review: check each with `enrich doctor`")


def _back(moment: str, days: int) -> str:
    earlier = datetime.fromisoformat(moment) - timedelta(days=days)
    return utc_text(earlier)
