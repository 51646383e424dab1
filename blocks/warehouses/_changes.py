"""The verbs about what was written to a CRM and is undone."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from blocks.warehouses._rows import change_row, row_of
from blocks.warehouses._session import Transactions, replayed
from enrichment.records import Origin
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


_BEGINNING = "1970-01-01T00:00:00.000Z"
