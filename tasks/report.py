"""The report: read from the warehouse, drawn, kept as a file, and sent to people."""

from collections.abc import Sequence
from pathlib import Path

from blocks.base import not_installed
from blocks.notifiers.base import Attachment, notify
from blocks.warehouses.base import open_warehouse
from enrichment.errors import ConfigurationError, TransientError, sealed
from enrichment.report import Report, first_week
from enrichment.report_sections import report_of
from enrichment.review import review_of

_DAY_SECONDS = 86_400


@sealed
def read_report(warehouse: str, days: int) -> Report:
    """Return the report on the weeks of the last days, by the warehouse's own clock; it changes nothing."""
    with open_warehouse(warehouse) as source:
        read_at = source.now()
        since = first_week(read_at, days)
        begin = f"{since}T00:00:00.000Z"
        review = review_of(days, read_at, source.review_counts(begin, begin))
        return report_of(since, source.report_counts(since, days * _DAY_SECONDS), review)


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
    """Return the page as a file of a message."""
    return Attachment(file_name(report), "text/html", page)


def file_name(report: Report) -> str:
    """Return what the report's file is called, by the day on which it was counted."""
    return f"contact-enrichment-{report.read_at[:10]}.html"
