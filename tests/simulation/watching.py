"""What no transaction of a run may do to the queue, whatever becomes of it later."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: One row of the queue as it is watched.
Row = Mapping[str, Any]

LOOK = """
SELECT record_id, crm_id, claimed_by, claim_run_id, COALESCE(claim_expires_at > steady(0), 0) AS is_locked, state,
    attempts, not_before > steady(0) AS waits, lane IN (SELECT lane FROM paused_lanes) AS paused, processed_at,
    request_key,
    claimed_by IS NOT NULL AND claim_run_id IN (SELECT run_id FROM enrichment_runs WHERE state <> 'open') AS left_locked
FROM enrichment_staging
"""
#: What only the run that has locked a contact may change.
_ITS_OWN = ("claimed_by", "claim_run_id", "state", "attempts", "processed_at", "request_key")


@dataclass(frozen=True, slots=True)
class Transaction:
    """
    What a run did in one.

    Args:
        verb: its name.
        run_id: whose it was.
        at_work: the runs that live.
        before: the queue at its begin, by record.
        after: the queue at its end.
    """

    verb: str
    run_id: str
    at_work: Collection[str]
    before: Mapping[str, Row]
    after: Mapping[str, Row]

    @property
    def taken(self) -> list[Row]:
        """The rows, as they were, that it has locked."""
        tokens = {key: row["claimed_by"] for key, row in self.after.items() if row["claimed_by"]}
        return [row for key, row in self.before.items() if tokens.get(key, row["claimed_by"]) != row["claimed_by"]]


def wrongs(done: Transaction) -> Iterator[str]:
    """Yield what it had no right to, in words."""
    for rule, breaks in _RULES.items():
        if count := breaks(done):
            yield f"{done.verb}: {count} {rule}"


def _of_others(done: Transaction) -> int:
    def kept(row: Row | None) -> list[Any]:
        return [row[name] for name in _ITS_OWN] if row else []

    others = {*done.at_work} - {done.run_id}
    return sum(
        row["is_locked"] and row["claim_run_id"] in others and kept(row) != kept(done.after.get(key))
        for key, row in done.before.items()
    )


def _half_locked(done: Transaction) -> int:
    locked_as = {"waiting": [False], "claimed": [True], "enriched": [False, True]}
    return sum(bool(row["claimed_by"]) not in locked_as[row["state"]] for row in done.after.values())


_RULES: Mapping[str, Callable[[Transaction], int]] = {
    "contacts were changed that another run has locked": _of_others,
    "contacts were locked twice": lambda done: sum(row["is_locked"] for row in done.taken),
    "contacts were locked before their wait was over": lambda done: sum(bool(row["waits"]) for row in done.taken),
    "contacts of a paused queue were locked": lambda done: sum(row["paused"] for row in done.taken),
    "contacts are neither locked nor free": _half_locked,
    "contacts are locked by a run that has ended": lambda done: sum(
        row["is_locked"] and row["left_locked"] for row in done.after.values()
    ),
    "contacts were locked without counting the attempt": lambda done: sum(
        done.after[row["record_id"]]["attempts"] <= row["attempts"] for row in done.taken
    ),
}
