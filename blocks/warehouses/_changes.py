"""The verbs about changes of a CRM: what was written and is undone, and what is planned and waits for approval."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from blocks.warehouses._rows import change_row, record_of, row_of
from blocks.warehouses._session import Transactions, replayed
from blocks.warehouses._values import NewPlan
from enrichment.change_plans import KeptPlan, PlannedChange, RunChanges, WaitingPlan
from enrichment.records import Claim, Origin
from enrichment.undo import ConfirmedWrite, UndoSelection
from enrichment.write_policy import Change, Undone


class ChangeVerbs(Transactions):
    """What undoing needs of the table of writes."""

    def undone_of(self, origin: Origin, crm_ids: Collection[str]) -> Undone:
        """Return the values of these contacts that people have undone, those included that are just being undone."""
        found: dict[str, dict[str, frozenset[str]]] = {}
        for row in self._query("read_undone", **row_of(origin), ids=list(crm_ids)):
            fields = found.setdefault(row["crm_id"], {})
            fields[row["field"]] = fields.get(row["field"], frozenset()) | {row["before"]}
        return found

    def last_writes(self, origin: Origin, crm_ids: Collection[str]) -> dict[str, dict[str, str]]:
        """Return what the CRM has last taken from us and wasn't undone, by CRM id and field."""
        found: dict[str, dict[str, str]] = {}
        for row in self._query("read_last_writes", **row_of(origin), ids=list(crm_ids)):
            found.setdefault(row["crm_id"], {})[row["field"]] = row["after"] or ""
        return found

    def read_undoable(
        self, origin: Origin, selection: UndoSelection, *, after: str = "", limit: int
    ) -> list[ConfirmedWrite]:
        """
        Return the confirmed writes of contacts of which the selection takes some, by contact and field, oldest first.

        Args:
            origin: whose contacts.
            selection: what is to be undone.
            after: the id of the last contact of an earlier page; empty for the beginning.
            limit: the most contacts.
        """
        conditions = row_of(selection) | {"since": selection.since or _BEGINNING}
        rows = self._query("read_undoable", **row_of(origin), **conditions, after=after, limit=limit)
        return [ConfirmedWrite(**row | {"after": row["after"] or ""}) for row in rows]

    @replayed
    def plan_undo(self, origin: Origin, run_id: str, changes: Mapping[str, Sequence[Change]]) -> None:
        """Record what will be sent to the CRM before it is sent, by CRM id; from now on no run writes those values."""
        rows = [change_row(crm_id, change) for crm_id, planned in changes.items() for change in planned]
        with self._transaction() as session:
            session.run("plan_writes", **row_of(origin), run_id=run_id, is_undo=True, rows=rows)

    @replayed
    def finish_undo(self, origin: Origin, run_id: str, reverted: Iterable[ConfirmedWrite]) -> None:
        """
        Confirm what an undo has planned of the fields of these writes, and mark the writes as undone by it.

        Of a write that was an undo itself, the writes that it had undone are valid again.
        """
        writes = list(reverted)
        rows = [{"crm_id": one.crm_id, "field": one.field, "run_id": one.run_id} for one in writes]
        again = [row for row, one in zip(rows, writes, strict=True) if one.is_undo]
        mine = [row | {"run_id": run_id} for row in rows]
        with self._transaction() as session:
            # Without transactions the order matters: what is marked isn't undone again, and what is open holds already.
            session.run("unmark_reverted", **row_of(origin), rows=again)
            session.run("mark_reverted", **row_of(origin), reverted_by=run_id, rows=rows)
            session.run("confirm_writes", **row_of(origin), rows=mine)
            session.run("forget_open_undo", **row_of(origin), rows=mine)

    @replayed
    def keep_planned(self, plan: NewPlan, origin: Origin, changes: Sequence[PlannedChange]) -> None:
        """Add changes to a plan, which is opened by the first of them; safe to repeat."""
        rows = [
            change_row(one.crm_id, one.change) | {"record_id": one.record_id, "reason": one.rule, "source": one.source}
            for one in changes
        ]
        with self._transaction() as session:
            session.run("open_plan", **row_of(plan))
            session.run("keep_planned", plan_id=plan.plan_id, **row_of(origin), rows=rows)

    def read_plan(self, plan_id: str) -> KeptPlan | None:
        """Return a plan, or None if there is none of this id."""
        rows = self._query("read_plan", plan_id=plan_id)
        return KeptPlan(**rows[0]) if rows else None

    def waiting_plans(self) -> list[WaitingPlan]:
        """Return the plans that wait for a decision, the newest first; at most 100."""
        return [WaitingPlan(**row) for row in self._query("read_waiting_plans")]

    def read_planned(self, plan_id: str) -> list[PlannedChange]:
        """Return a plan's changes, by contact and field."""
        return [
            PlannedChange(
                row["crm_id"],
                row["record_id"],
                Change(row["field"], row["before"], row["after"]),
                row["rule"],
                row["source"],
            )
            for row in self._query("read_planned", plan_id=plan_id)
        ]

    def planned_of(self, plan_id: str, origin: Origin, crm_ids: Collection[str]) -> dict[str, frozenset[Change]]:
        """Return the changes that a plan has for these contacts, by CRM id; none, unless it was approved."""
        found: dict[str, frozenset[Change]] = {}
        for row in self._query("read_planned_of", plan_id=plan_id, **row_of(origin), ids=list(crm_ids)):
            change = Change(row["field"], row["before"], row["after"])
            found[row["crm_id"]] = found.get(row["crm_id"], frozenset()) | {change}
        return found

    @replayed
    def seal_plan(self, plan_id: str, digest: str) -> None:
        """Keep the digest of a plan that is complete."""
        with self._transaction() as session:
            session.run("seal_plan", plan_id=plan_id, digest=digest)

    @replayed
    def decide_plan(self, plan_id: str, *, state: str, by: str, note: str) -> bool:
        """Note who approved or declined a plan, and return whether it was waiting for that."""
        with self._transaction() as session:
            return bool(session.run("decide_plan", plan_id=plan_id, state=state, decided_by=by, note=note))

    @replayed
    def release_planned(self, plan_id: str) -> None:
        """Let any run claim the contacts that wait for a plan's approval."""
        with self._transaction() as session:
            session.run("release_planned", plan_id=plan_id)

    def count_run_changes(self, run_id: str) -> RunChanges:
        """Return what a run writes, what it has announced included."""
        (row,) = self._query("count_run_changes", run_id=run_id)
        return RunChanges(row["contacts"], row["total"], row["overwritten"])

    @replayed
    def withdraw_writes(self, origin: Origin, run_id: str, crm_ids: Collection[str]) -> None:
        """Forget what a run has announced to write to contacts, and hasn't sent."""
        with self._transaction() as session:
            session.run("withdraw_writes", **row_of(origin), run_id=run_id, ids=list(crm_ids))

    @replayed
    def claim_planned(
        self,
        run_id: str,
        plan_id: str,
        *,
        origin: Origin,
        limit: int,
        lease_seconds: int,
        make_token: Callable[[], str],
    ) -> Claim:
        """Take free records of a plan, each once in a run; see `claim`."""
        token = make_token()
        with self._claiming() as session:
            session.run(
                "claim_planned",
                token=token,
                run_id=run_id,
                plan_id=plan_id,
                **row_of(origin),
                limit=limit,
                lease_seconds=lease_seconds,
            )
            rows = session.read("read_claim", token=token)
            session.run("take_planned", plan_id=plan_id, run_id=run_id, token=token)
            session.run("count_claimed", run_id=run_id, claimed=len(rows))
        return Claim(token, run_id, tuple(record_of(row) for row in rows))


_BEGINNING = "1970-01-01T00:00:00.000Z"
