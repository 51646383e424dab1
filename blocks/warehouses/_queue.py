"""The verbs about the queue: what gets into it, who takes it, and which lanes are paused."""

import uuid
from collections.abc import Callable, Collection, Sequence

from blocks.log import event
from blocks.warehouses import _erasure
from blocks.warehouses._rows import Row, record_of, row_of
from blocks.warehouses._session import Session, Transactions, replayed
from blocks.warehouses._values import NewRecord, QueueCount, Renewal
from enrichment.identifiers import normalise_email, valid_addresses
from enrichment.moments import read_moment
from enrichment.records import NAMED_BY_CRM, Claim, Origin, StagedRecord
from enrichment.status import LockStatus


class _OvertakenError(Exception):
    """Another run has staged the page; what this one did is rolled back."""


class QueueVerbs(Transactions):
    """What the pipeline needs of the queue."""

    @replayed
    def stage(
        self,
        records: Sequence[NewRecord],
        *,
        changed: Collection[tuple[Origin, str]] = (),
        merges: Collection[tuple[Origin, str, str]] = (),
        cursor: tuple[str, str] | None = None,
    ) -> int:
        """
        Put contacts into the queue; one that is in it already stays as it is, or moves up to the live lane.

        One that is to be refreshed is so too if it is in the queue already; what a run works on is then done again.

        A scheduled intake looks for new contacts and reads an overlap, so it leaves out those that have ended before.
        The address of a person who was erased isn't kept again.

        Args:
            records: the contacts.
            changed: origin and id of contacts that changed; those in the queue are read again, and if a run works on
                one, it is done again once that run has ended it.
            merges: origin, id, and the id of the contact into which it was merged; an erasure of that one finds it.
            cursor: name and value of the intake's position, committed together with the rows.

        Returns:
            how many were new.
        """
        with self._transaction() as session:
            session.run(
                "note_changes", rows=[row_of(origin) | {"crm_id": crm_id} for origin, crm_id in sorted(set(changed))]
            )
            staged = _stage(session, records)
            _erasure.note_merges(session, merges)
            if cursor:
                session.run("save_cursor", name=cursor[0], cursor=cursor[1])
        return staged

    @replayed
    def stage_page(self, records: Sequence[NewRecord], *, name: str, before: str, after: str) -> int | None:
        """
        Stage a page of a selection and move its cursor, unless another run has done so.

        Args:
            records: of the page.
            name: of the cursor.
            before: where the cursor stood when the page was read.
            after: where it stands behind the page.

        Returns:
            how many were new in the queue; None if the cursor had been moved meanwhile, and nothing was staged.
        """
        try:
            with self._transaction() as session:
                staged = _stage(session, records)
                # Last, for an engine without transactions: a page that is staged twice does no harm, a lost one does.
                _require_moved(session.run("advance_cursor", name=name, before=before, cursor=after))
        except _OvertakenError:
            return None
        return staged

    @replayed
    def restage_failed(
        self, run_id: str = "", reason: str = "", *, origin: Origin | None = None, crm_ids: Collection[str] = ()
    ) -> int:
        """
        Put dead letters back into the queue, and return of how many contacts.

        They are refreshed: a contact that was written before it failed isn't passed over as fresh. What was paid for
        is in the journal, so that nothing is paid for again.

        Args:
            run_id: only this run's; empty: all runs'.
            reason: only with this cause; empty: any.
            origin: only of these contacts: whose they are.
            crm_ids: their ids.
        """
        with self._transaction() as session:
            letters = [
                row
                for row in session.read("read_dead_letters", run_id=run_id, reason=reason)
                if origin is None or (Origin(row["crm"], row["object_type"]) == origin and row["crm_id"] in crm_ids)
            ]
            contacts = {(row["crm"], row["object_type"], row["crm_id"]): row for row in letters}
            _stage(session, [_again(row) for row in contacts.values()])
            session.run("mark_replayed", rows=letters)
        return len(contacts)

    @replayed
    def save_cursor(self, name: str, cursor: str) -> None:
        """Keep a position or another short text that all processes share, whether or not there was one."""
        with self._transaction() as session:
            session.run("save_cursor", name=name, cursor=cursor)

    def read_cursor(self, name: str) -> str | None:
        """Return where a cursor stands; None if there is none of this name."""
        rows = self._query("read_cursor", name=name)
        return str(rows[0]["cursor"]) if rows else None

    @replayed
    def begin_cursor(self, name: str, cursor: str) -> str:
        """Return where a cursor stands; one that doesn't exist yet begins here."""
        with self._transaction() as session:
            session.run("begin_cursor", name=name, cursor=cursor)
            return str(session.read("read_cursor", name=name)[0]["cursor"])

    @replayed
    def pause_lane(self, lane: str) -> None:
        """Let no run claim from a lane until it is resumed; what is claimed already is finished."""
        with self._transaction() as session:
            session.run("pause_lane", lane=lane)

    @replayed
    def resume_lane(self, lane: str) -> bool:
        """Let runs claim from a lane again; return whether it was paused."""
        with self._transaction() as session:
            paused = {row["lane"] for row in session.read("read_pauses")}
            session.run("resume_lane", lane=lane)
        return lane in paused

    def paused_lanes(self) -> dict[str, str]:
        """Return the paused lanes, and since when each is (ISO-8601 UTC)."""
        return {row["lane"]: row["paused_at"] for row in self._query("read_pauses")}

    def count_queue(self) -> list[QueueCount]:
        """Return how many records are in the queue, by lane and state."""
        return [QueueCount(**row) for row in self._query("count_queue")]

    def count_lane(self, origin: Origin, lane: str) -> int:
        """Return how many records a lane, or both if it is empty, has of an origin, claimed ones included."""
        return int(self._query("count_lane", **row_of(origin), lane=lane)[0]["records"])

    def waiting_of(self, origin: Origin, crm_ids: Collection[str]) -> set[str]:
        """Return those of the contacts that are in the queue."""
        return {row["crm_id"] for row in self._query("read_waiting", **row_of(origin), ids=list(crm_ids))}

    @replayed
    def claim(
        self,
        run_id: str,
        *,
        origin: Origin,
        lane: str,
        limit: int,
        lease_seconds: int,
        make_token: Callable[[], str],
        source: str = "",
    ) -> Claim:
        """
        Take free records, live ones first, oldest first.

        Args:
            run_id: who takes them.
            origin: whose contacts.
            lane: `live`, `backfill`, or empty for both.
            limit: the most to take.
            lease_seconds: how long the claim lasts.
            make_token: gives a fresh token, never used before.
            source: of what; empty: any.
        """
        token = make_token()
        with self._claiming() as session:
            session.run(
                "claim_records",
                token=token,
                run_id=run_id,
                **row_of(origin),
                lane=lane,
                source=source,
                limit=limit,
                lease_seconds=lease_seconds,
            )
            rows = session.read("read_claim", token=token)
            session.run("count_claimed", run_id=run_id, claimed=len(rows))
        return Claim(token, run_id, tuple(record_of(row) for row in rows))

    def peek(self, *, origin: Origin, lane: str, limit: int) -> list[StagedRecord]:
        """Return the records that a claim would take, without taking them."""
        rows = self._query("peek_records", **row_of(origin), lane=lane, limit=limit)
        return [record_of(row) for row in rows]

    def next_due(self, *, origin: Origin, lane: str) -> float | None:
        """Return in how many seconds a claim finds something, 0: now; None: nothing waits, or only in paused lanes."""
        (row,) = self._query("next_due", **row_of(origin), lane=lane)
        if row["due_at"] is None:
            return None
        return max(0.0, (read_moment(row["due_at"]) - read_moment(row["read_at"])).total_seconds())

    def change_mark(self) -> str:
        """
        Return what differs after every change of the queue, without waking a warehouse that sleeps while it is idle.

        Empty if the engine has nothing of the kind: then to look costs nothing, or can't be helped.
        """
        return ""

    @replayed
    def renew(
        self, claim: Claim, record_ids: Collection[str], *, provider: str, crm: str, lease_seconds: int
    ) -> Renewal:
        """Prolong the claim of these records just before money is spent, and see who else is at work with both."""
        with self._transaction() as session:
            session.run("renew_claim", token=claim.token, lease_seconds=lease_seconds, ids=list(record_ids))
            session.run("renew_reservations", token=claim.token, lease_seconds=lease_seconds)
            session.run("mark_run_seen", run_id=claim.run_id)
            held = session.read("read_held", token=claim.token, ids=list(record_ids))
            runs = session.read("count_runs_at_work", provider=provider, crm=crm)
        return Renewal(
            frozenset(row["record_id"] for row in held),
            {row["lane"]: row["at_provider"] for row in runs},
            {row["lane"]: row["at_crm"] for row in runs},
        )

    @replayed
    def renew_run(self, run_id: str, *, lease_seconds: int) -> bool:
        """Prolong all locks of a run; return False if another process has closed its books, which ends its locks."""
        with self._transaction() as session:
            if any(row["state"] != "open" for row in session.read("read_run_state", run_id=run_id)):
                return False
            session.run("renew_claims_of_run", run_id=run_id, lease_seconds=lease_seconds)
            session.run("renew_reservations_of_run", run_id=run_id, lease_seconds=lease_seconds)
            session.run("mark_run_seen", run_id=run_id)
        return True

    @replayed
    def cancel_run(self, run_id: str) -> None:
        """Let every process that works on a run know that it is cancelled; its books are closed once all have ended."""
        with self._transaction() as session:
            session.run("cancel_run", run_id=run_id)

    @replayed
    def release_run(self, run_id: str, *, costs_attempt: bool) -> int:
        """
        Put what a run still holds back into the queue, once nothing works for it any more.

        Its requests may be made by others at once. What was reserved for them stays counted, since it may be billed.

        Args:
            run_id: of the run.
            costs_attempt: whether it may be the contacts' fault that the run has ended.

        Returns:
            how many records went back.
        """
        with self._transaction() as session:
            released = session.run("release_claims_of_run", run_id=run_id, spared=0 if costs_attempt else 1)
            session.run("renew_reservations_of_run", run_id=run_id, lease_seconds=-1)
            session.run("count_returned", run_id=run_id, returned=released)
        return released

    def read_locks(self) -> list[LockStatus]:
        """Return which runs have locked contacts, the one that was seen least lately first."""
        return [LockStatus(**row) for row in self._query("read_locks")]


def _require_moved(changed: int) -> None:
    if not changed:
        raise _OvertakenError


def _stage(session: Session, records: Sequence[NewRecord]) -> int:
    given = [row_of(record) | {"record_id": uuid.uuid4().hex} for record in records]
    rows = [_with_one_address(row) for row in _erasure.without_erased_addresses(session, given)]
    several = sum(1 for record in records if len(valid_addresses(record.email_address)) > 1)
    if several:
        event("first_of_several_addresses_queued", contacts=several)
    session.run("promote_staged", rows=rows)
    session.run("mark_refresh", rows=[row for row in rows if row["refresh"]])
    return session.run("stage_records", rows=rows)


def _again(row: Row) -> NewRecord:
    """Return the request of a failed contact; what the CRM knows of it is read again, and what a list had is kept."""
    return NewRecord(
        row["crm"],
        row["crm_id"],
        None if row["source"] in NAMED_BY_CRM else row["email_address"],
        "manual",
        row["lane"],
        refresh=True,
        object_type=row["object_type"],
    )


def _with_one_address(row: Row) -> Row:
    """Return a row with its first valid address in its one form; a text without any stays, to be seen."""
    return row | {"email_address": normalise_email(row["email_address"]) or row["email_address"]}
