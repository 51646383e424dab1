"""The verbs that let people look: the weekly review, one contact's story, and what a run failed at and wrote."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, TypeVar

from blocks.warehouses._rows import Row, enrichment_of
from blocks.warehouses._session import Session, Transactions, replayed
from blocks.warehouses._values import WrittenField
from enrichment.alerts import Cause
from enrichment.records import Origin
from enrichment.review import FILLED_FIELDS, FailureGroup, ReplyCount, ReviewCounts, UnmatchedGroup
from enrichment.story import (
    EndedContact,
    FailedContact,
    FieldWrite,
    ProviderAnswer,
    QueuedContact,
    Story,
    UnmatchedContact,
)

T = TypeVar("T")


class InsightVerbs(Transactions):
    """What people ask of the warehouse."""

    def now(self) -> str:
        """Return the time by the warehouse's own clock, as ISO-8601 UTC text."""
        return str(self._query("read_clock")[0]["read_at"])

    def review_counts(self, since: str, before: str) -> ReviewCounts:
        """
        Return what the weekly review counts.

        Args:
            since: the moment at which its days begin, as ISO-8601 UTC text.
            before: the moment at which the days before begin.
        """
        with self._reading() as session:
            endings = session.read("review_endings", since=since, before=before)
            (fill,) = session.read("review_fill", since=since)
            return ReviewCounts(
                ended={row["disposition"]: row["records"] for row in endings if not row["earlier"]},
                ended_before={row["disposition"]: row["records"] for row in endings if row["earlier"]},
                replies=[ReplyCount(**row) for row in session.read("review_replies", since=since, before=before)],
                contacts=fill["contacts"],
                filled={name: fill[name] for name in FILLED_FIELDS},
                latency=_histograms(session.read("review_latency", since=since)),
                # A sum is a decimal number at some engines.
                unmatched=[
                    UnmatchedGroup(**row | {"recent": int(row["recent"])})
                    for row in session.read("review_unmatched", since=since)
                ],
                failures=[
                    FailureGroup(**row | {"records": int(row["records"]), "waiting": int(row["waiting"])})
                    for row in session.read("review_failures", since=since)
                ],
                waiting=sum(row["records"] for row in session.read("count_queue")),
            )

    @replayed
    def mark_reviewed(self, until: str) -> int:
        """Mark the unmatched contacts that were filed up to a moment as reviewed, and return how many."""
        with self._transaction() as session:
            return session.run("mark_reviewed", until=until)

    def read_story(self, origin: Origin, crm_id: str) -> Story:
        """Return what the tables say of a contact; without a CRM's name, of the contacts of this id in every CRM."""
        with self._reading() as session:
            who = {**asdict(origin), "crm_id": crm_id}
            return Story(
                staging=_all(session, "story_staging", QueuedContact, who),
                ledger=_all(session, "story_ledger", EndedContact, who),
                replies=_all(session, "story_replies", ProviderAnswer, who),
                unmatched=_all(session, "story_unmatched", UnmatchedContact, who),
                writes=_all(session, "story_writes", FieldWrite, who),
                failures=_all(session, "story_failures", FailedContact, who),
                stored={row["crm"]: enrichment_of(row) for row in session.read("story_contact", **who)},
            )

    def count_failures(self, run_id: str) -> list[Cause]:
        """Return a run's dead letters by cause, the most frequent first."""
        rows = self._query("count_failures", run_id=run_id)
        return [Cause(row["reason"], row["step"], row["records"], row["example"]) for row in rows]

    def read_written(self, run_id: str, origin: Origin) -> list[WrittenField]:
        """Return the fields that a run has written and the CRM has confirmed, by contact and field."""
        return [WrittenField(**row) for row in self._query("read_written", run_id=run_id, **asdict(origin))]


def _all(session: Session, query: str, kind: type[T], who: dict[str, Any]) -> tuple[T, ...]:
    return tuple(kind(**row) for row in session.read(query, **who))


def _histograms(rows: Iterable[Row]) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        found.setdefault(row["begun"], []).append((int(row["seconds"]), row["records"]))
    return found
