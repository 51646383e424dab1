"""Taking back what was written to a CRM: the values before our writes are restored, where no person edited since."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from blocks.crms.base import Crm, CrmContact, Update, UpdateResult, contact_id, open_crm, read_apart
from blocks.log import event
from blocks.settings import load_settings
from blocks.warehouses.base import RunEnd, RunStart, Warehouse, open_warehouse
from enrichment import causes
from enrichment.errors import ConfigurationError, EnrichmentError, sealed
from enrichment.plan import Reference
from enrichment.records import Origin
from enrichment.stops import STOP_KINDS
from enrichment.undo import ConfirmedWrite, UndoPlan, UndoSelection, plan_undo
from enrichment.wire import FieldDescription
from enrichment.write_policy import Change, Refusal
from tasks.present_run import who

#: How many contacts are read and written at a time.
_PAGE = 1000
#: The CRM lacks the contact, or fails to give it.
GONE, UNREAD = "contact_gone", "unread"


@dataclass(frozen=True, slots=True)
class NotUndone:
    """A field, or with an empty name a contact, that stays as it is, and why."""

    crm_id: str
    field: str
    reason: str
    says: str


@dataclass
class UndoReport:
    """
    What an undo did, or would do.

    Args:
        run_id: of the undo, by which it can be undone itself; empty for a preview.
        crm: reference of the CRM.
        changes: what was restored, or would be, by CRM id.
        restored_before: how many values the CRM had back already.
        not_undone: what stays as it is.
    """

    run_id: str
    crm: str
    changes: dict[str, tuple[Change, ...]] = field(default_factory=dict)
    restored_before: int = 0
    not_undone: list[NotUndone] = field(default_factory=list)

    @property
    def values(self) -> int:
        """Return how many values were restored, or would be."""
        return sum(map(len, self.changes.values()))


@sealed
def undo(selection: UndoSelection, crm: str = "", *, write: bool) -> UndoReport:
    """
    Restore the values before the selected writes, or only say what would be restored; safe to repeat.

    Args:
        selection: the writes.
        crm: reference of the CRM; empty: that of the selected run, or else of the settings.
        write: whether to restore them.

    Raises:
        ConfigurationError: nothing is selected, or the run or the contact's id can't be right.
        EnrichmentError: the CRM takes no further call; a repetition goes on.
    """
    settings = load_settings()
    if selection.is_empty:
        raise ConfigurationError("choose what is undone: `--run`, `--contact`, `--field` or `--since`")
    with open_warehouse(settings.warehouse) as warehouse:
        warehouse.check_schema()
        run = warehouse.find_run(selection.run_id) if selection.run_id else None
        reference = crm or (run.crm if run else settings.crm)
        # A cleanup may have deleted the run's own row.
        if selection.run_id and not run and not warehouse.read_undoable(_origin(reference), selection, limit=1):
            raise ConfigurationError(
                f"the warehouse knows no run {selection.run_id}: `enrich why CRM_ID` shows the runs of a contact"
            )
        if selection.crm_id:
            contact_id(reference, selection.crm_id)
        with open_crm(reference) as target:
            work = _Undo(warehouse, target, selection, UndoReport(uuid.uuid4().hex if write else "", reference))
            return work.write() if write else work.preview()


def _origin(crm: str) -> Origin:
    return Origin(Reference.parse(crm).name)


@dataclass
class _Undo:
    """Goes through the contacts of the selected writes, page by page."""

    warehouse: Warehouse
    crm: Crm
    selection: UndoSelection
    report: UndoReport
    stop: str = ""

    def __post_init__(self) -> None:
        self._origin = _origin(self.report.crm)

    def preview(self) -> UndoReport:
        self._work()
        return self.report

    def write(self) -> UndoReport:
        start = RunStart(self.report.run_id, f"undo by {who()}", "", self.report.crm, "")
        self.warehouse.open_run(start, lease_seconds=load_settings().lease_seconds)
        state = "failed"
        try:
            self._work()
            state = "failed" if self.stop else "closed"
        finally:
            self.crm.finish()
            self.warehouse.close_run(self.report.run_id, RunEnd(0.0, state=state))
            event("undone", run=self.report.run_id, values=self.report.values, left=len(self.report.not_undone))
        if self.stop:
            raise EnrichmentError(
                f"{self.crm.name}: {self.stop}; {self.report.values:,} values were restored: run the same command "
                "again to go on"
            )
        return self.report

    def _work(self) -> None:
        described, after = self.crm.describe_fields(), ""
        while not self.stop:
            writes = self.warehouse.read_undoable(self._origin, self.selection, after=after, limit=_PAGE)
            if not writes:
                return
            after = writes[-1].crm_id
            by_contact = {crm_id: tuple(group) for crm_id, group in groupby(writes, attrgetter("crm_id"))}
            fields = [write.field for write in writes if write.field in described]
            contacts, unread = read_apart(self.crm, list(by_contact), list(dict.fromkeys(fields)))
            for crm_id in by_contact.keys() - contacts.keys():
                reason = UNREAD if crm_id in unread else GONE
                self._leave(crm_id, "", reason, "the CRM fails to give it" if crm_id in unread else "it is gone")
            self._act({one: by_contact[one] for one in by_contact if one in contacts}, contacts, described)

    def _act(
        self,
        by_contact: Mapping[str, Sequence[ConfirmedWrite]],
        contacts: Mapping[str, CrmContact],
        described: Mapping[str, FieldDescription],
    ) -> None:
        plans = {
            crm_id: plan_undo(writes, self.selection, contacts[crm_id].values, described, self.crm.protected)
            for crm_id, writes in by_contact.items()
        }
        for crm_id, plan in plans.items():
            self.report.restored_before += len(plan.restored)
            for one in plan.refusals:
                self._leave(crm_id, one.field, one.reason, _says(one, self.crm.name))
        if not self.report.run_id:
            self.report.changes |= {crm_id: plan.changes for crm_id, plan in plans.items() if plan.changes}
            return
        planned = {crm_id: (*plan.changes, *plan.restored) for crm_id, plan in plans.items()}
        self.warehouse.plan_undo(self._origin, self.report.run_id, planned)
        updates = [
            Update(contacts[crm_id].contact.crm_id, crm_id, plan.changes)
            for crm_id, plan in plans.items()
            if plan.changes
        ]
        results = {result.trace_id: result for result in self.crm.write(updates)}
        taken = {crm_id: self._taken(crm_id, plan, results.get(crm_id)) for crm_id, plan in plans.items()}
        reverted = [write for crm_id, names in taken.items() for name in names for write in plans[crm_id].reverts[name]]
        self.warehouse.finish_undo(self._origin, self.report.run_id, reverted)

    def _taken(self, crm_id: str, plan: UndoPlan, result: UpdateResult | None) -> list[str]:
        """Return the fields of a contact that have their old values now."""
        there = [change.field for change in plan.restored]
        if result is None:
            return there
        if result.reason:
            says = result.detail or causes.refused(result.reason, self.crm.name).words
            if result.reason in STOP_KINDS:
                self.stop = says
            self._leave(crm_id, "", GONE if result.gone else result.reason, says)
            return there
        refused = {one.field for one in result.refused}
        for one in result.refused:
            self._leave(crm_id, one.field, one.reason, _says(one, self.crm.name))
        taken = tuple(change for change in plan.changes if change.field not in refused)
        if taken:
            self.report.changes[crm_id] = taken
        return [*there, *(change.field for change in taken)]

    def _leave(self, crm_id: str, name: str, reason: str, says: str) -> None:
        self.report.not_undone.append(NotUndone(crm_id, name, reason, says))


def _says(refusal: Refusal, crm: str) -> str:
    words = causes.refused(refusal.reason, crm).words
    return f"{words} ({refusal.value})" if refusal.value else words
