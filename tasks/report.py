"""The report: read from the warehouse, drawn, kept as a file, and sent to people."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blocks.base import not_installed
from blocks.log import event
from blocks.notifiers.base import Attachment, notify
from blocks.warehouses.base import open_warehouse
from enrichment.errors import ConfigurationError, TransientError, cause, sealed
from enrichment.report import Report, first_week
from enrichment.report_sections import report_of
from enrichment.review import CrmLook, review_of
from tasks.artifacts import publish_link
from tasks.audit import audit
from tasks.steps import step

_DAYS = 90
_DAY_SECONDS = 86_400


@sealed
def read_report(warehouse: str, days: int, look: CrmLook | None = None) -> Report:
    """
    Return the report on the weeks of the last days, by the warehouse's own clock; it changes nothing.

    Args:
        warehouse: reference of the warehouse.
        days: how far to look back.
        look: what the review has read from the CRM.
    """
    with open_warehouse(warehouse) as source:
        read_at = source.now()
        since = first_week(read_at, days)
        begin = f"{since}T00:00:00.000Z"
        review = review_of(days, read_at, source.review_counts(begin, begin), look)
        counts = source.report_counts(since, days * _DAY_SECONDS)
        profiles = source.read_profiles()
    return report_of(since, counts, review, audit(warehouse, days=days, sample=0).verdicts, profiles)


def render_report(report: Report) -> str:
    """
    Return the report as one HTML page.

    Raises:
        ConfigurationError: what draws it isn't installed.
    """
    try:
        from reporting.page import render  # noqa: PLC0415 - takes a second to import, and is an extra
    except ModuleNotFoundError as error:
        raise not_installed("the report", error.name or "altair", "report") from None
    return render(report)


def save_report(page: str, path: Path) -> None:
    """Write the page; raise ConfigurationError if that isn't possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the report can't be written to {path}: {error.strerror}") from None


def send_report(report: Report, page: str, path: Path, notifiers: Sequence[str]) -> None:
    """Send the figures, with the page where the channel carries files; raise TransientError if no notifier takes it."""
    lines = [f"{label}: {value}" for label, value in report.figures]
    body = "\n".join([*lines, f"The whole report: {path}"])
    if not notify(report.title, body, notifiers, kind="report", attachment=attachment_of(report, page)):
        raise TransientError("no notifier could send the report: check each with `enrich doctor`")


def attachment_of(report: Report, page: str) -> Attachment:
    """Return the page as a file of a message; its name has the day on which it was counted."""
    return Attachment(f"contact-enrichment-{report.read_at[:10]}.html", "text/html", page)


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """
    A report.

    Args:
        page: as a file of a message.
        path: where it is kept; None: nowhere.
        link: by which people reach it there; empty if nothing serves the folder.
    """

    page: Attachment
    path: Path | None
    link: str = ""


@step(name="write-report", task_run_name="write the report")
def write_report(warehouse: str, folder: Path | None, look: CrmLook | None, *, url: str = "") -> WrittenReport | None:
    """
    Build the report on the last weeks, keep it in a folder if there is one, and link to it if something serves that.

    The review goes on without it: None if what draws it isn't installed; an event says why it isn't kept.
    """
    report = read_report(warehouse, _DAYS, look)
    try:
        page = attachment_of(report, render_report(report))
        path = folder / page.name if folder else None
        if path:
            save_report(page.text, path)
    except ConfigurationError as error:
        event("report_not_written", because=cause(error))
        return None
    link = f"{url.rstrip('/')}/{page.name}" if path and url else ""
    if link:
        publish_link(link, "the report", key="enrichment-report", description="The report of the last weeks")
    return WrittenReport(page, path, link)
