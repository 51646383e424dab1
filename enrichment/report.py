"""
The report on some weeks of contact enrichment: what a warehouse counts for it, and what it is made of.

Nothing here names a person: counts, names of fields and CRM ids only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

FREE = "costs nothing"


@dataclass(frozen=True, slots=True)
class WeekResults:
    """How many contacts ended in a week with one result; a week is its Monday, such as 2026-11-23."""

    week: str
    result: str
    contacts: int


@dataclass(frozen=True, slots=True)
class Matches:
    """How many contacts of a week a provider knew, and how many it was asked about and didn't know."""

    week: str
    provider: str
    matched: int
    unmatched: int


@dataclass(frozen=True, slots=True)
class SourceMatches:
    """How many contacts were known and unknown, by what had queued them."""

    source: str
    matched: int
    unmatched: int


@dataclass(frozen=True, slots=True)
class Fill:
    """How many results of a week and a provider have a field."""

    week: str
    provider: str
    field: str
    results: int
    filled: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What a provider billed in a week for answers of one kind; without a price there is no cost and no currency."""

    week: str
    provider: str
    outcome: str
    api_version: str
    currency: str | None
    replies: int
    credits: float
    cost: float | None


@dataclass(frozen=True, slots=True)
class Taken:
    """How many live contacts of a week took so many seconds until they were written, from `created` or `staged`."""

    week: str
    begun: str
    seconds: int
    records: int


@dataclass(frozen=True, slots=True)
class RunsEnded:
    """How many runs ended alike, and the last week in which one did."""

    state: str
    stop_kind: str
    runs: int
    last_week: str


@dataclass(frozen=True, slots=True)
class FieldChanges:
    """How often a CRM field was filled that had been blank, and how often a value was replaced."""

    field: str
    filled: int
    replaced: int


@dataclass(frozen=True, slots=True)
class FieldImpact:
    """Of the contacts read for a write: how many had a value in a CRM field before our first write, and now."""

    field: str
    contacts: int
    filled_before: int
    filled_now: int


@dataclass(frozen=True, slots=True)
class ReportCounts:
    """What a warehouse counts for a report; `contacts` are those that were ever finished."""

    results: Sequence[WeekResults] = ()
    matches: Sequence[Matches] = ()
    sources: Sequence[SourceMatches] = ()
    fill: Sequence[Fill] = ()
    spending: Sequence[Spent] = ()
    latency: Sequence[Taken] = ()
    runs: Sequence[RunsEnded] = ()
    written: Sequence[FieldChanges] = ()
    impact: Sequence[FieldImpact] = ()
    contacts: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """One mark of a chart: where on the x axis, which series, and how much."""

    x: str
    series: str
    value: float


@dataclass(frozen=True, slots=True)
class Chart:
    """
    A chart as data.

    Args:
        kind: `bars` (stacked, by week), `lines` (by week) or `change` (two marks for each x, joined).
        title: of the chart.
        alt: what it shows, for who can't see it.
        unit: of the values: `number`, `share` (0 to 1) or `minutes`.
        points: the marks.
        places: all places on the x axis (of `change`, the rows), in order, also those without a mark.
        series: in the order in which they get their colours.
    """

    kind: str
    title: str
    alt: str
    unit: str
    points: Sequence[Point]
    places: Sequence[str]
    series: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a caption; cells are texts."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Step:
    """A command that comes next, what it does, and what it costs."""

    command: str
    does: str
    price: str = FREE


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report; `says` is what its figures mean."""

    key: str
    title: str
    says: str
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    steps: Sequence[Step] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """
    Some weeks of contact enrichment.

    Args:
        since: the first day, such as 2026-08-31.
        read_at: when the warehouse counted, by its own clock (ISO-8601 UTC).
        figures: the most important ones, as label and value.
        sections: in order.
    """

    since: str
    read_at: str
    figures: Sequence[tuple[str, str]]
    sections: Sequence[Section]

    @property
    def title(self) -> str:
        """Return what the report is about."""
        return f"Contact enrichment, {self.period}"

    @property
    def period(self) -> str:
        """Return its days."""
        return f"{self.since} to {self.read_at[:10]}"


def first_week(read_at: str, days: int) -> str:
    """Return the Monday of the week in which the report begins: that of so many days ago."""
    begin = date.fromisoformat(read_at[:10]) - timedelta(days=days)
    return (begin - timedelta(days=begin.weekday())).isoformat()


def weeks_between(since: str, read_at: str) -> list[str]:
    """Return the Mondays from the first week to that of a moment."""
    first, last = date.fromisoformat(since), date.fromisoformat(read_at[:10])
    return [(first + timedelta(days=days)).isoformat() for days in range(0, (last - first).days + 1, 7)]
