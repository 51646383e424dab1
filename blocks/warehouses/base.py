"""
The seam to a warehouse: about a dozen verbs, each one transaction of named statements.

The statements stand in the engine's own SQL file; an engine adds only how to connect, and its name for a placeholder.
Rows travel as one JSON text per statement, since that is what every engine can unpack. Timestamps are the engine's own
clock, and cross the seam as ISO-8601 UTC text. Every later update of a claimed record names the claim it relies on.
"""

import uuid
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import ClassVar

from blocks.base import PipelineBlock, block_class, configure
from blocks.warehouses import _erasure
from blocks.warehouses._journal import JournalVerbs
from blocks.warehouses._lanes import LaneVerbs
from blocks.warehouses._replay import replayed
from blocks.warehouses._rows import (
    Erased,
    JournalLookup,
    MadeFor,
    NewRecord,
    PlannedWrite,
    Renewal,
    Row,
    RunEnd,
    RunStart,
    Settled,
    contact_row,
    enrichment_of,
    renamed,
    renewal_of,
)
from blocks.warehouses._run_books import RunBooks
from blocks.warehouses._session import Session
from blocks.warehouses._sql import SqlFile
from enrichment.records import (
    Claim,
    Enrichment,
    Finished,
    Found,
    OpenWrite,
    Returned,
    Settlement,
    StagedRecord,
    State,
    Unmatched,
)
from enrichment.references import Reference

__all__ = [
    "Erased",
    "JournalLookup",
    "MadeFor",
    "NewRecord",
    "PlannedWrite",
    "Renewal",
    "Row",
    "RunEnd",
    "RunStart",
    "Session",
    "Settled",
    "Warehouse",
    "WarehouseBlock",
    "load_warehouse",
    "open_warehouse",
]


class Warehouse(JournalVerbs, LaneVerbs, RunBooks):
    """
    What the pipeline asks of a warehouse.

    Every verb raises ConfigurationError if the warehouse isn't set up or refuses us, and TransientError if it can't be
    reached now. A verb whose transaction gave way to another one (ConflictError) is repeated as a whole.
    """

    name: ClassVar[str]
    sql: SqlFile
    #: Whether the statements of a verb take effect together.
    atomic: ClassVar[bool] = True

    @abstractmethod
    def migrate(self) -> list[str]:
        """Apply the migrations that are missing, in order, and return their names; safe to repeat."""

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""

    def check(self) -> str:
        """Say in one line what answers and how many records wait."""
        waiting = sum(row["records"] for row in self.query("count_queue"))
        paused = "".join(f"; lane {lane} is paused since {since}" for lane, since in self.paused_lanes().items())
        return f"{self.name} answers; {waiting:,} records in the queue{paused}"

    @replayed
    def stage(
        self,
        records: Sequence[NewRecord],
        *,
        changed: Collection[tuple[str, str]] = (),
        cursor: tuple[str, str] | None = None,
    ) -> int:
        """
        Put contacts into the queue; one that is in it already stays as it is, or moves up to the live lane.

        A scheduled intake looks for new contacts and reads an overlap, so it leaves out those that have ended before.
        The address of a person who was erased isn't kept again.

        Args:
            records: the contacts.
            changed: CRM and id of contacts that changed; those in the queue are read anew, and if a run is at work on
                one, it is done again once that run has ended it.
            cursor: name and value of the intake's position, committed together with the rows.

        Returns:
            how many were new.
        """
        rows = [asdict(record) | {"record_id": uuid.uuid4().hex} for record in records]
        with self.transaction() as session:
            rows = _erasure.without_erased_addresses(session, rows)
            session.run("note_changes", rows=[{"crm": crm, "crm_id": crm_id} for crm, crm_id in sorted(set(changed))])
            session.run("promote_staged", rows=rows)
            staged = session.run("stage_records", rows=rows)
            if cursor:
                session.run("save_cursor", name=cursor[0], cursor=cursor[1])
        return staged

    @replayed
    def restage_failed(self, run_id: str = "") -> int:
        """Put dead letters back into the queue, all or one run's, and return how many."""
        with self.transaction() as session:
            letters = renamed(session.read("read_dead_letters", run_id=run_id))
            session.run("restage_dead_letters", rows=letters)
            session.run("mark_replayed", rows=letters)
        return len(letters)

    @replayed
    def claim(
        self, run_id: str, *, crm: str, lane: str, limit: int, lease_seconds: int, make_token: Callable[[], str]
    ) -> Claim:
        """
        Take free records, live ones first, oldest first.

        Args:
            run_id: who takes them.
            crm: whose contacts.
            lane: `live`, `backfill`, or empty for both.
            limit: the most to take.
            lease_seconds: how long the claim lasts.
            make_token: gives a fresh token, never used before.
        """
        token = make_token()
        with self.claiming() as session:
            session.run(
                "claim_records",
                token=token,
                run_id=run_id,
                crm=crm,
                lane=lane,
                limit=limit,
                lease_seconds=lease_seconds,
            )
            rows = session.read("read_claim", token=token)
            session.run("count_claimed", run_id=run_id, claimed=len(rows))
        records = tuple(StagedRecord(**row | {"state": State(row["state"])}) for row in rows)
        return Claim(token, run_id, records)

    def peek(self, *, crm: str, lane: str, limit: int) -> list[StagedRecord]:
        """Return the records that a claim would take, without taking them."""
        rows = self.query("peek_records", crm=crm, lane=lane, limit=limit)
        return [StagedRecord(**row | {"state": State(row["state"])}) for row in rows]

    @replayed
    def renew(
        self, claim: Claim, record_ids: Collection[str], *, provider: str, crm: str, lease_seconds: int
    ) -> Renewal:
        """Prolong the claim of these records just before money is spent, and see who else is at work with both."""
        with self.transaction() as session:
            session.run("renew_claim", token=claim.token, lease_seconds=lease_seconds, ids=list(record_ids))
            session.run("renew_reservations", token=claim.token, lease_seconds=lease_seconds)
            session.run("mark_run_seen", run_id=claim.run_id)
            held = session.read("read_held", token=claim.token, ids=list(record_ids))
            runs = session.read("count_runs_at_work", provider=provider, crm=crm)
        return renewal_of(held, runs)

    @replayed
    def screen(
        self, crm: str, crm_ids: Collection[str], keys: Collection[str], *, fresh_days: int
    ) -> tuple[set[str], set[str]]:
        """
        Return which contacts need no lookup.

        Returns:
            the ids of contacts that were written within `fresh_days`, and those of the hashed keys that are suppressed.
        """
        with self.transaction() as session:
            fresh = session.read("read_fresh", crm=crm, ids=list(crm_ids), fresh_days=fresh_days)
            suppressed = session.read("read_suppressed", keys=list(keys))
        return {row["crm_id"] for row in fresh}, {row["key_hash"] for row in suppressed}

    @replayed
    def suppress(self, keys: Collection[str], reason: str) -> None:
        """Remember hashed identifiers that must never be looked up."""
        with self.transaction() as session:
            session.run("suppress_keys", keys=list(keys), reason=reason)

    @replayed
    def erase(self, crm: str, crm_id: str) -> Erased:
        """Remove what is known of a contact, and remember by hashes never to look it up; safe to repeat."""
        with self.transaction() as session:
            return _erasure.erase(session, crm, crm_id, uuid.uuid4().hex)

    @replayed
    def store(
        self, claim: Claim, crm: str, found: Sequence[Found], unmatched: Sequence[Unmatched], *, provider: str
    ) -> frozenset[str]:
        """
        Keep results, and mark their staged records enriched.

        Returns:
            the ids of the records that the claim still holds; nothing is kept of the others.
        """
        ids = [item.record.record_id for item in found] + [row.record_id for row in unmatched]
        with self.transaction() as session:
            session.run("lock_claim", token=claim.token)
            held = frozenset(row["record_id"] for row in session.read("read_held", token=claim.token, ids=ids))
            rows = [contact_row(item) for item in found if item.record.record_id in held]
            misses = [asdict(row) for row in unmatched if row.record_id in held]
            session.run("upsert_contacts", crm=crm, run_id=claim.run_id, rows=rows)
            session.run("append_history", crm=crm, run_id=claim.run_id, rows=rows)
            session.run("upsert_unmatched", crm=crm, run_id=claim.run_id, provider=provider, rows=misses)
            session.run("mark_enriched", token=claim.token, rows=rows)
        return held

    def read_enriched(self, crm: str, crm_ids: Collection[str]) -> dict[str, Enrichment]:
        """Return what is stored of these contacts, by CRM id."""
        rows = self.query("read_enriched", crm=crm, ids=list(crm_ids))
        return {row["crm_id"]: enrichment_of(row) for row in rows}

    @replayed
    def plan_writes(self, claim: Claim, crm: str, planned: Sequence[PlannedWrite]) -> frozenset[str]:
        """
        Record what will be sent to the CRM before it is sent, so that a crash in between loses no `before`.

        Returns:
            the ids of the records that the claim still holds; only those may be sent.
        """
        with self.transaction() as session:
            session.run("lock_claim", token=claim.token)
            rows_held = session.read("read_held", token=claim.token, ids=[item.record_id for item in planned])
            held = frozenset(row["record_id"] for row in rows_held)
            rows = [
                {"crm_id": item.crm_id, **asdict(change)}
                for item in planned
                if item.record_id in held
                for change in item.changes
            ]
            session.run("plan_writes", crm=crm, run_id=claim.run_id, rows=rows)
        return held

    def open_writes(self, crm: str, crm_ids: Collection[str]) -> list[OpenWrite]:
        """Return the writes to these contacts that were planned and never confirmed."""
        return [OpenWrite(**row) for row in self.query("read_open_writes", crm=crm, ids=list(crm_ids))]

    @replayed
    def mark_reviewed(self, until: str) -> int:
        """Mark the unmatched contacts that were filed up to a moment as reviewed, and return how many."""
        with self.transaction() as session:
            return session.run("mark_reviewed", until=until)

    @replayed
    def settle(
        self, claim: Claim, crm: str, settlements: Sequence[Settlement], confirmed: Sequence[OpenWrite]
    ) -> Settled:
        """
        End a chunk in one transaction: ledger, dead letters, confirmed writes, and the queue.

        Args:
            claim: the chunk's claim; records that it no longer holds are left alone.
            crm: whose contacts.
            settlements: at most one for each record of the claim.
            confirmed: writes that the CRM holds now; other open ones of the finished contacts are forgotten.
        """
        finished = [asdict(item) for item in settlements if isinstance(item, Finished)]
        returned = [asdict(item) for item in settlements if isinstance(item, Returned)]
        with self.transaction() as session:
            if not self.atomic:
                _erasure.forget_late(session, crm, [record.crm_id for record in claim.records])
            session.run("lock_claim", token=claim.token)
            session.run("confirm_writes", crm=crm, rows=[asdict(item) for item in confirmed])
            session.run("forget_open_writes", token=claim.token, crm=crm, rows=finished)
            session.run("write_ledger", token=claim.token, run_id=claim.run_id, rows=finished)
            # Of all records: when a settlement is repeated, what it returns now may have finished the first time.
            ended = session.read("count_ended", run_id=claim.run_id, ids=[item.record_id for item in settlements])
            session.run("write_dead_letters", token=claim.token, run_id=claim.run_id, rows=finished)
            session.run("restage_changed", token=claim.token, rows=renamed(finished))
            session.run("delete_finished", token=claim.token, rows=finished)
            back = session.run("return_records", token=claim.token, rows=returned)
            session.run("drop_claim_reservations", token=claim.token)
            dispositions = Counter[str]()
            for row in ended:  # a long list is counted in several parts
                dispositions[row["disposition"]] += row["records"]
            lost = len(settlements) - sum(dispositions.values()) - back
            session.run("count_returned", run_id=claim.run_id, returned=back + lost)
        return Settled(dispositions, back, lost)


class WarehouseBlock(PipelineBlock):
    """Configuration of a warehouse."""

    kind: ClassVar[str] = "warehouse"

    def get_warehouse(self) -> Warehouse:
        """Return the adapter."""
        raise NotImplementedError


def load_warehouse(reference: str) -> Warehouse:
    """Return the warehouse that a reference names."""
    parsed = Reference.parse(reference)
    return configure(block_class(__package__, parsed.name, WarehouseBlock), parsed.document).get_warehouse()


@contextmanager
def open_warehouse(reference: str) -> Iterator[Warehouse]:
    """Give the warehouse that a reference names, and close it."""
    warehouse = load_warehouse(reference)
    try:
        yield warehouse
    finally:
        warehouse.close()
