"""What no transaction of a run may do to the tables, whatever becomes of it later."""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: One row as it is watched.
Row = Mapping[str, Any]

_QUEUE = """
SELECT record_id, crm_id, claimed_by, claim_run_id, claim_expires_at, state, attempts, not_before,
    lane IN (SELECT lane FROM paused_lanes) AS paused, processed_at, request_key,
    claimed_by IS NOT NULL AND claim_run_id IN (SELECT run_id FROM enrichment_runs WHERE state <> 'open') AS left_locked
FROM enrichment_staging
"""
_RESERVED = (
    "SELECT provider || ' ' || request_key AS request, reserved_by, reserved_until, run_id FROM lookup_reservations"
)
_RUNS = "SELECT run_id, claimed, returned FROM enrichment_runs"
_WRITES = "SELECT crm_id, field, run_id, after, written_at IS NOT NULL AS confirmed FROM crm_writes"
#: What only the run that has locked a contact may change.
_ITS_OWN = ("claimed_by", "claim_run_id", "state", "attempts", "processed_at", "request_key")


@dataclass(frozen=True, slots=True)
class Tables:
    """
    The tables at one moment.

    Args:
        queue: by the request's id.
        reserved: the requests to providers, by their keys.
        runs: the totals, by run.
        writes: the new value of each change of a CRM field and whether it is confirmed, by contact, field and run.
    """

    queue: Mapping[str, Row]
    reserved: Mapping[str, Row]
    runs: Mapping[str, Row]
    writes: Mapping[tuple[str, str, str], tuple[str, bool]]

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> "Tables":
        """Return them as they are now."""

        def rows(statement: str, key: str) -> Mapping[str, Row]:
            return {row[key]: dict(row) for row in connection.execute(statement)}

        writes = {tuple(row[:3]): (row[3], bool(row[4])) for row in connection.execute(_WRITES)}
        return cls(rows(_QUEUE, "record_id"), rows(_RESERVED, "request"), rows(_RUNS, "run_id"), writes)

    def held(self, run_id: str, most_attempts: int) -> set[str]:
        """Return the contacts that a run has locked, and hasn't tried too often."""
        mine = [row for row in self.queue.values() if row["claimed_by"] and row["claim_run_id"] == run_id]
        return {row["crm_id"] for row in mine if row["attempts"] <= most_attempts}


@dataclass(frozen=True, slots=True)
class Transaction:
    """
    What was done in one.

    Args:
        verb: its name.
        run_id: whose it was; empty for a person's.
        at_work: the runs that live.
        before: the tables at its begin.
        after: the tables at its end.
        now: when that was.
        most_attempts: how often a contact may be tried.
        written: the contact, the field and the value of each change that the CRM has taken.
    """

    verb: str
    run_id: str
    at_work: Collection[str]
    before: Tables
    after: Tables
    now: str
    most_attempts: int
    written: Collection[tuple[str, str, str]]

    def locked(self, row: Row) -> bool:
        """Return whether a row of the queue is locked, by a lock that hasn't expired."""
        return bool(row["claimed_by"]) and row["claim_expires_at"] > self.now

    @property
    def taken(self) -> list[Row]:
        """The rows of the queue, as they were, that it has locked."""
        tokens = {key: row["claimed_by"] for key, row in self.after.queue.items() if row["claimed_by"]}
        before = self.before.queue
        return [row for key, row in before.items() if tokens.get(key, row["claimed_by"]) != row["claimed_by"]]

    def counted(self, what: str) -> int:
        """Return by how much the totals of all runs have grown."""
        return sum(row[what] for row in self.after.runs.values()) - sum(row[what] for row in self.before.runs.values())


def wrongs(done: Transaction) -> Iterator[str]:
    """Yield what it had no right to, in words; people, who have no run, may lock and change what runs work on."""
    for rule, breaks in (_RULES if done.run_id else _RULES_FOR_ALL).items():
        if count := breaks(done):
            yield f"{done.verb}: {count} {rule}"


def _of_others(done: Transaction) -> int:
    def kept(row: Row | None) -> list[Any]:
        return [row[name] for name in _ITS_OWN] if row else []

    others = {*done.at_work} - {done.run_id}
    return sum(
        row["claim_run_id"] in others and done.locked(row) and kept(row) != kept(done.after.queue.get(key))
        for key, row in done.before.queue.items()
    )


def _half_locked(done: Transaction) -> int:
    locked_as = {"waiting": [False], "claimed": [True], "enriched": [False, True]}
    return sum(bool(row["claimed_by"]) not in locked_as[row["state"]] for row in done.after.queue.values())


def _reserved_by_others(done: Transaction) -> int:
    def kept(key: str, row: Row) -> bool:
        after = done.after.reserved.get(key)
        return after["reserved_by"] == row["reserved_by"] if after else row["run_id"] == done.run_id

    return sum(row["reserved_until"] > done.now and not kept(key, row) for key, row in done.before.reserved.items())


def _not_counted(done: Transaction) -> int:
    if done.verb == "claim":
        return abs(done.counted("claimed") - len(done.taken))
    if done.verb == "release_run":
        before, after = (
            sum(bool(row["claimed_by"]) for row in tables.queue.values()) for tables in (done.before, done.after)
        )
        return abs(done.counted("returned") - (before - after))
    return 0


def _announced_unlocked(done: Transaction) -> int:
    if done.after.writes.keys() == done.before.writes.keys():
        return 0
    announced = {crm_id for crm_id, _, _ in _grown(done.before.writes, done.after.writes)}
    return len(announced - done.after.held(done.run_id, done.most_attempts))


def _confirmed_unwritten(done: Transaction) -> int:
    if done.after.writes == done.before.writes:
        return 0
    confirmed = {key: after for key, (after, confirmed) in done.after.writes.items() if confirmed}
    return sum(
        (crm_id, field, after) not in done.written
        for (crm_id, field, run_id), after in confirmed.items()
        if not done.before.writes.get((crm_id, field, run_id), ("", False))[1]
    )


def _grown(before: Iterable[tuple[str, str, str]], after: Iterable[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
    return {*after} - {*before}


_RULES_FOR_ALL: Mapping[str, Callable[[Transaction], int]] = {
    "requests were reserved, or freed, that another run makes": _reserved_by_others,
}
_RULES: Mapping[str, Callable[[Transaction], int]] = {
    **_RULES_FOR_ALL,
    "contacts were changed that another run has locked": _of_others,
    "contacts were locked twice": lambda done: sum(done.locked(row) for row in done.taken),
    "contacts were locked before their wait was over": lambda done: sum(
        (row["not_before"] or "") > done.now for row in done.taken
    ),
    "contacts of a paused queue were locked": lambda done: sum(row["paused"] for row in done.taken),
    "contacts are neither locked nor free": _half_locked,
    "contacts are locked by a run that has ended": lambda done: sum(
        row["left_locked"] and done.locked(row) for row in done.after.queue.values()
    ),
    "contacts were locked without counting the attempt": lambda done: sum(
        done.after.queue[row["record_id"]]["attempts"] <= row["attempts"] for row in done.taken
    ),
    "contacts were taken or put back without counting them": _not_counted,
    "contacts were to be written without a lock, or after their last attempt": _announced_unlocked,
    "changes count as written that the CRM hasn't taken": _confirmed_unwritten,
}
