"""The verbs about a run's books and the ledger: how records end, and what a run cost."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from blocks.warehouses._erasure import forget_late
from blocks.warehouses._lists import domains_of
from blocks.warehouses._rows import Row, enrichment_of, finished_row, refusal_row, renamed, row_of
from blocks.warehouses._session import Session, Transactions, replayed
from blocks.warehouses._values import Health, KeptRun, RunEnd, RunStart, Settled, Usage, WrittenField
from enrichment.alerts import Shares
from enrichment.books import Books
from enrichment.estimate import Price
from enrichment.lists import ALL, EVER
from enrichment.records import Claim, Disposition, Finished, OpenWrite, Origin, Returned, Settlement
from enrichment.refusals import RefusedField, refused_fields
from enrichment.review import FILLED_FIELDS, FailureGroup, ReplyCount, ResultCount, ReviewCounts
from enrichment.story import (
    EndedContact,
    FailedContact,
    FieldRefusal,
    FieldWrite,
    ProviderAnswer,
    QueuedContact,
    Story,
    UnmatchedContact,
)
from enrichment.unmatched import UnmatchedItem

#: How contacts end whose values in the CRM were read before.
_LOOKED_AT = frozenset({Disposition.WRITTEN, Disposition.UNCHANGED})


class BookVerbs(Transactions):
    """What the pipeline needs of the books and the ledger."""

    @replayed
    def open_run(self, start: RunStart, *, lease_seconds: int) -> None:
        """Open a run's books, and mark runs that died as abandoned."""
        with self._transaction() as session:
            session.run("abandon_runs", lease_seconds=lease_seconds)
            session.run("open_run", **row_of(start))

    @replayed
    def note_prices(self, prices: Mapping[str, Price]) -> None:
        """Remember what a credit of each provider costs from now on; its first price holds for the past, too."""
        with self._transaction() as session:
            for provider, price in sorted(prices.items()):
                what = {"provider": provider, "price": float(price.amount), "currency": price.currency}
                session.run("end_price", **what)
                session.run("begin_price", **what)

    @replayed
    def close_run(self, run_id: str, end: RunEnd) -> None:
        """Close a run's books."""
        with self._transaction() as session:
            session.run("close_run", run_id=run_id, **row_of(end) | {"api_versions": list(end.api_versions)})

    @replayed
    def read_books(self, run_id: str, *, claimed: int | None = None, returned: int | None = None) -> Books:
        """
        Return a run's books.

        Args:
            run_id: of the run.
            claimed: replaces the kept sum, which counts a claim of which the run never heard.
            returned: replaces the kept sum, which counts twice what was settled twice.
        """
        with self._transaction() as session:
            run = session.read("read_run", run_id=run_id)[0]
            taken = run["claimed"] if claimed is None else claimed
            back = run["returned"] if returned is None else returned
            if taken != run["claimed"]:
                session.run("count_claimed", run_id=run_id, claimed=taken - run["claimed"])
            if back != run["returned"]:
                session.run("count_returned", run_id=run_id, returned=back - run["returned"])
            ended = session.read("count_dispositions", run_id=run_id)
        counts = {Disposition(row["disposition"]): row["records"] for row in ended}
        return Books(taken, back, counts)

    @replayed
    def count_usage(self, run_id: str) -> list[Usage]:
        """
        Keep what a run had of its providers, counted from the journal; safe to repeat.

        Returns:
            one for each provider, outcome and API version.
        """
        with self._transaction() as session:
            session.run("forget_usage", run_id=run_id)
            session.run("keep_usage", run_id=run_id)
            return [Usage(**row) for row in session.read("read_usage", run_id=run_id)]

    def read_usage(self, run_id: str) -> list[Usage]:
        """Return what was counted last of a run's use of its providers."""
        return [Usage(**row) for row in self._query("read_usage", run_id=run_id)]

    def versions_before(self, provider: str, run_id: str) -> list[str]:
        """Return the API versions that a provider spoke in the last other run that it answered."""
        rows = self._query("read_versions_before", provider=provider, run_id=run_id)
        return [row["api_version"] for row in rows]

    def read_run(self, run_id: str) -> KeptRun:
        """Return what is kept of a run."""
        (row,) = self._query("read_run", run_id=run_id)
        return KeptRun(**row)

    def find_run(self, run_id: str) -> KeptRun | None:
        """Return what is kept of a run, or None if it never opened its books."""
        rows = self._query("read_run", run_id=run_id)
        return KeptRun(**rows[0]) if rows else None

    def results_before(self, provider: str, crm: str, lane: str, run_id: str) -> Shares:
        """Return what came of the contacts of the last other runs of the same provider, CRM and lane."""
        (row,) = self._query("sum_results", provider=provider, crm=crm, lane=lane, run_id=run_id)
        return Shares(**{name: int(value or 0) for name, value in row.items()})

    def count_reasons(self, run_id: str, disposition: Disposition) -> dict[str, int]:
        """Return how many records of a run ended with a disposition, by reason."""
        rows = self._query("count_reasons", run_id=run_id, disposition=disposition.value)
        return {row["reason"]: row["records"] for row in rows}

    def read_last_run(self, provider: str, crm: str, run_id: str) -> KeptRun | None:
        """
        Return the last other run of this provider and CRM whose state people know, or None.

        Args:
            provider: references of the run's providers.
            crm: reference of the run's CRM.
            run_id: of the run that is left out.
        """
        rows = self._query("read_last_run", provider=provider, crm=crm, run_id=run_id)
        return KeptRun(**rows[0]) if rows else None

    def ended_of(self, origin: Origin, crm_ids: Collection[str]) -> set[str]:
        """Return those of the contacts that have ended before, however that was."""
        return {row["crm_id"] for row in self._query("read_ended", **row_of(origin), ids=list(crm_ids))}

    def read_fresh(self, origin: Origin, keys_of: Mapping[str, Collection[str]], *, fresh_days: int) -> set[str]:
        """
        Return the contacts that were answered and written within the time as who they are today.

        Args:
            origin: whose contacts.
            keys_of: by CRM id the request keys that the contact has today.
            fresh_days: the time.
        """
        rows = self._query("read_fresh", **row_of(origin), ids=list(keys_of), fresh_days=fresh_days)
        latest = {row["crm_id"]: row["request_key"] for row in rows}
        return {crm_id for crm_id, key in latest.items() if key in keys_of[crm_id]}

    @replayed
    def settle(
        self, claim: Claim, origin: Origin, settlements: Sequence[Settlement], confirmed: Sequence[OpenWrite]
    ) -> Settled:
        """
        End a chunk in one transaction: ledger, dead letters, refusals, confirmed writes, and the queue.

        Args:
            claim: the chunk's claim; records that it no longer holds are left alone.
            origin: whose contacts.
            settlements: at most one for each record of the claim.
            confirmed: writes that the CRM holds now; other open ones of contacts that were written or are unchanged
                are forgotten; of the others, which weren't read, they may have arrived.
        """
        ended = [item for item in settlements if isinstance(item, Finished)]
        finished = [finished_row(item) for item in ended]
        looked_at = [row for row in finished if row["disposition"] in _LOOKED_AT]
        refusals = [refusal_row(item.record_id, one) for item in ended for one in item.refusals]
        returned = [row_of(item) for item in settlements if isinstance(item, Returned)]
        with self._transaction() as session:
            if not self.atomic:
                forget_late(session, origin, [record.crm_id for record in claim.records])
            session.run("lock_claim", token=claim.token)
            session.run("confirm_writes", **row_of(origin), rows=[row_of(item) for item in confirmed])
            session.run("forget_open_writes", token=claim.token, **row_of(origin), rows=looked_at)
            session.run("write_ledger", token=claim.token, run_id=claim.run_id, rows=finished)
            # Of all records: when a settlement is repeated, what it returns now may have finished the first time.
            counts = session.read("count_ended", run_id=claim.run_id, ids=[item.record_id for item in settlements])
            session.run("write_dead_letters", token=claim.token, run_id=claim.run_id, rows=finished)
            session.run("write_refusals", token=claim.token, run_id=claim.run_id, rows=refusals)
            session.run("restage_changed", token=claim.token, rows=renamed(finished))
            session.run("delete_finished", token=claim.token, rows=finished)
            back = session.run("return_records", token=claim.token, rows=returned)
            session.run("drop_claim_reservations", token=claim.token)
            dispositions = Counter[str]()
            for row in counts:  # a long list is counted in several parts
                dispositions[row["disposition"]] += row["records"]
            lost = len(settlements) - sum(dispositions.values()) - back
            session.run("count_returned", run_id=claim.run_id, returned=back + lost)
        return Settled(dispositions, back, lost)


T = TypeVar("T")

_EVERY_ONE = {"since": EVER, "run_id": "", "reason": "", "limit": ALL}


class InsightVerbs(Transactions):
    """What people read from the warehouse."""

    def now(self) -> str:
        """Return the time by the warehouse's own clock, as ISO-8601 UTC text."""
        return str(self._query("read_clock")[0]["read_at"])

    def read_health(self) -> Health:
        """Return what a person on call looks at first."""
        (row,) = self._query("read_health")
        return Health(**row)

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
                since,
                ended={row["disposition"]: row["records"] for row in endings if not row["earlier"]},
                ended_before={row["disposition"]: row["records"] for row in endings if row["earlier"]},
                replies=[ReplyCount(**row) for row in session.read("review_replies", since=since, before=before)],
                contacts=fill["contacts"],
                filled={name: fill[name] for name in FILLED_FIELDS},
                latency=_histograms(session.read("review_latency", since=since)),
                unmatched=[UnmatchedItem(**row) for row in session.read("list_unmatched", **_EVERY_ONE)],
                domains=domains_of(session.read("matched_domains")),
                results=[ResultCount(**row) for row in session.read("review_results", since=since)],
                # A sum is a decimal number at some engines.
                failures=[
                    FailureGroup(**row | {"records": int(row["records"]), "waiting": int(row["waiting"])})
                    for row in session.read("review_failures", since=since)
                ],
                waiting=sum(row["records"] for row in session.read("count_queue")),
                refusals=_refused(session.read("review_refusals", since=since)),
            )

    @replayed
    def mark_reviewed(self, until: str) -> int:
        """Mark the unmatched contacts that were filed up to a moment as reviewed, and return how many."""
        with self._transaction() as session:
            return session.run("mark_reviewed", until=until)

    def read_story(self, origin: Origin, crm_id: str) -> Story:
        """Return what the tables say of a contact; without a CRM's name, of the contacts of this id in every CRM."""
        with self._reading() as session:
            who = {**row_of(origin), "crm_id": crm_id}
            return Story(
                staging=_all(session, "story_staging", QueuedContact, who),
                ledger=_all(session, "story_ledger", EndedContact, who),
                replies=_all(session, "story_replies", ProviderAnswer, who),
                unmatched=_all(session, "story_unmatched", UnmatchedContact, who),
                writes=_all(session, "story_writes", FieldWrite, who),
                refusals=_all(session, "story_refusals", FieldRefusal, who),
                failures=_all(session, "story_failures", FailedContact, who),
                stored={row["crm"]: enrichment_of(row) for row in session.read("story_contact", **who)},
            )

    def count_refusals(self, run_id: str) -> list[RefusedField]:
        """Return the values that CRM fields refused in a run, by field and reason, the most frequent first."""
        return _refused(self._query("count_refusals", run_id=run_id))

    def read_written(self, run_id: str, origin: Origin) -> list[WrittenField]:
        """Return the fields that a run has written and the CRM has confirmed, by contact and field."""
        return [WrittenField(**row) for row in self._query("read_written", run_id=run_id, **row_of(origin))]


def _refused(rows: Iterable[Row]) -> list[RefusedField]:
    # A sum is a decimal number at some engines.
    return refused_fields(
        (one["field"], one["reason"], one["value"], one["contacts"], int(one["total"])) for one in rows
    )


def _all(session: Session, query: str, kind: type[T], who: dict[str, Any]) -> tuple[T, ...]:
    return tuple(kind(**row) for row in session.read(query, **who))


def _histograms(rows: Iterable[Row]) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for row in rows:
        found.setdefault(row["begun"], []).append((int(row["seconds"]), row["records"]))
    return found
