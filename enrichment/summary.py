"""What a run's summary says: counts only."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from enrichment.alerts import Cause
from enrichment.books import Books
from enrichment.records import Disposition, Stop


@dataclass(frozen=True, slots=True)
class RunReport:
    """
    What a run did: counts only, so that it may be kept anywhere.

    Args:
        run_id: the flow run's id.
        books: counted from the ledger.
        credits: what the provider billed, by its spec.
        lookups: replies that the provider was asked for, by outcome.
        api_versions: as the provider's answers stated them.
        versions_before: the same, of the last run.
        causes: dead letters by cause.
        stop: why the run ended early.
        crashed: chunks that broke.
    """

    run_id: str
    books: Books
    credits: float = 0.0
    lookups: Mapping[str, int] = field(default_factory=dict)
    api_versions: Sequence[str] = ()
    versions_before: Sequence[str] = ()
    causes: Sequence[Cause] = ()
    stop: Stop | None = None
    crashed: int = 0

    @property
    def version_changed(self) -> bool:
        """Return whether the provider speaks another version than in the last run."""
        seen, before = list(self.api_versions), list(self.versions_before)
        return bool(seen and before and seen != before)


def report_of(printed: Mapping[str, Any]) -> RunReport:
    """Return the report that the command line printed as JSON."""
    causes = [Cause(**cause) for cause in printed["causes"]]
    stop = Stop(**printed["stop"]) if printed["stop"] else None
    return RunReport(**{**printed, "books": Books(**printed["books"]), "causes": causes, "stop": stop})


def match_rate(books: Books) -> float | None:
    """Return the share of looked-up contacts that the provider knew, from 0 to 1; None if nobody was looked up."""
    known = books.count(Disposition.WRITTEN) + books.count(Disposition.UNCHANGED)
    asked = known + books.count(Disposition.UNMATCHED)
    return known / asked if asked else None


def summary_lines(report: RunReport) -> list[tuple[str, str]]:
    """Return the run's summary as label and value."""
    books, rate = report.books, match_rate(report.books)
    lines = [("claimed", f"{books.claimed:,}")]
    lines += [(name, f"{books.count(name):,}") for name in Disposition if books.count(name)]
    lines += [
        ("returned to the queue", f"{books.returned:,}"),
        ("books", "balanced" if books.balanced else "NOT balanced"),
        ("match rate", "no lookups" if rate is None else f"{rate:.1%}"),
        ("failure rate", f"{books.failure_rate:.2%}"),
        ("asked of the provider", f"{sum(report.lookups.values()):,} ({report.credits:,.0f} credits)"),
        ("API versions", _versions(report)),
    ]
    if report.stop:
        lines.append(("stopped early", report.stop.message))
    return lines


def _versions(report: RunReport) -> str:
    seen = ", ".join(report.api_versions) or "none seen"
    return f"{seen} (was {', '.join(report.versions_before)})" if report.version_changed else seen


def summary_markdown(report: RunReport) -> str:
    """Return the run's summary as Markdown."""
    table = [f"| {label} | {value} |" for label, value in summary_lines(report)]
    head = [f"**The run stopped early:** {report.stop.message}", ""] if report.stop else []
    return "\n".join([*head, "| | |", "|---|---:|", *table])


def failure_rows(causes: Iterable[Cause], replay: str) -> list[dict[str, str | int]]:
    """Return the failures as rows of a table: cause, step, count, one example's id, and how to replay."""
    return [
        {"cause": c.reason, "step": c.step, "records": c.count, "example": c.example, "replay": replay} for c in causes
    ]
