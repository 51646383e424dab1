"""The verbs about the report: what it counts, all of it from the views for analysts, and profiles of the CRM."""

import json
from typing import TypeVar

from blocks.warehouses._rows import Row
from blocks.warehouses._session import Session, Transactions, replayed
from enrichment.profile import KeptProfile
from enrichment.report import (
    FieldChanges,
    FieldImpact,
    Fill,
    Matches,
    ReportCounts,
    RunsEnded,
    SourceMatches,
    Spent,
    Taken,
    WeekResults,
)

T = TypeVar("T")

#: Sums of whole numbers, which some engines give as decimal ones.
_WHOLE = frozenset(
    ["matched", "unmatched", "results", "filled", "replies", "seconds", "replaced", "filled_before", "filled_now"]
)


class ReportVerbs(Transactions):
    """What people read over many weeks."""

    def report_counts(self, since: str, longest_seconds: int) -> ReportCounts:
        """
        Return what the report counts.

        Args:
            since: Monday of its first week, such as 2026-08-31.
            longest_seconds: of contacts created longer ago than this, the time until they were written says nothing.
        """
        with self._reading() as session:
            return ReportCounts(
                results=_all(session, "report_results", WeekResults, since=since),
                matches=_all(session, "report_matches", Matches, since=since),
                sources=_all(session, "report_sources", SourceMatches, since=since),
                fill=_all(session, "report_fill", Fill, since=since),
                spending=_all(session, "report_spending", Spent, since=since),
                latency=_all(session, "report_latency", Taken, since=since, longest=longest_seconds),
                runs=_all(session, "report_runs", RunsEnded, since=since),
                written=_all(session, "report_written", FieldChanges, since=since),
                impact=_all(session, "report_impact", FieldImpact),
                contacts=session.read("report_contacts")[0]["contacts"],
            )

    @replayed
    def keep_profile(self, kept: KeptProfile) -> None:
        """Keep the counts of a look at a CRM."""
        with self._transaction() as session:
            session.run(
                "keep_profile",
                crm=kept.crm,
                at=kept.profiled_at,
                contacts=kept.contacts,
                contacts_read=kept.read,
                counts=json.dumps(kept.counts),
            )

    def read_profiles(self) -> list[KeptProfile]:
        """Return the first and the latest profile of each CRM, which may be the same."""
        return [
            KeptProfile(
                row["crm"], row["profiled_at"], row["contacts"], row["contacts_read"], json.loads(row["counts"])
            )
            for row in self._query("read_profiles")
        ]


def _all(session: Session, query: str, kind: type[T], **values: str | int) -> tuple[T, ...]:
    return tuple(kind(**_plain(row)) for row in session.read(query, **values))


def _plain(row: Row) -> Row:
    whole = {name: int(row[name]) for name in row.keys() & _WHOLE}
    return row | whole | {name: float(row[name]) for name in ("credits", "cost") if row.get(name) is not None}
