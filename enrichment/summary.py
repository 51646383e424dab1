"""What a run's summary says: counts only."""

from collections.abc import Iterable, Mapping, Sequence

from enrichment.alerts import Cause
from enrichment.books import Books
from enrichment.records import Disposition


def match_rate(books: Books) -> float | None:
    """Return the share of looked-up contacts that the provider knew, from 0 to 1; None if nobody was looked up."""
    known = books.count(Disposition.WRITTEN) + books.count(Disposition.UNCHANGED)
    asked = known + books.count(Disposition.UNMATCHED)
    return known / asked if asked else None


def summary_lines(
    books: Books, *, credits_used: float, lookups: Mapping[str, int], api_versions: Sequence[str]
) -> list[tuple[str, str]]:
    """Return the run's summary as label and value."""
    rate = match_rate(books)
    lines = [("claimed", f"{books.claimed:,}")]
    lines += [(name, f"{books.count(name):,}") for name in Disposition if books.count(name)]
    lines += [
        ("returned to the queue", f"{books.returned:,}"),
        ("books", "balanced" if books.balanced else "NOT balanced"),
        ("match rate", "no lookups" if rate is None else f"{rate:.1%}"),
        ("failure rate", f"{books.failure_rate:.2%}"),
        ("asked of the provider", f"{sum(lookups.values()):,} ({credits_used:,.0f} credits)"),
        ("API versions", ", ".join(api_versions) or "none seen"),
    ]
    return lines


def summary_markdown(
    books: Books, *, credits_used: float, lookups: Mapping[str, int], api_versions: Sequence[str], stop: str
) -> str:
    """Return the run's summary as Markdown."""
    lines = summary_lines(books, credits_used=credits_used, lookups=lookups, api_versions=api_versions)
    table = [f"| {label} | {value} |" for label, value in lines]
    head = [f"**The run stopped early:** {stop}", ""] if stop else []
    return "\n".join([*head, "| | |", "|---|---:|", *table])


def failure_rows(causes: Iterable[Cause], replay: str) -> list[dict[str, str | int]]:
    """Return the failures as rows of a table: cause, step, count, one example's id, and how to replay."""
    return [
        {"cause": c.reason, "step": c.step, "records": c.count, "example": c.example, "replay": replay} for c in causes
    ]
