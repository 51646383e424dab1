"""What the write policy permits of a chunk goes into the CRM, announced before and confirmed after."""

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from blocks.crms.base import Crm, CrmContact, Update, UpdateResult, read_apart
from blocks.warehouses.base import PlannedWrite, Warehouse
from enrichment.change_plans import approved_part
from enrichment.division import divide
from enrichment.edits import without_edits
from enrichment.identifiers import normalise_email, valid_addresses
from enrichment.plan import RunPlan
from enrichment.records import (
    NEEDS_APPROVAL,
    Chunk,
    Contact,
    Disposition,
    EarlierWrites,
    Enrichment,
    Finished,
    Found,
    OpenWrite,
    Returned,
    Settlement,
    StagedRecord,
    Stop,
)
from enrichment.refusals import kept, left_out
from enrichment.retry import refused_record, settle_absent, settle_failure, settle_unread
from enrichment.stops import STOP_KINDS, graver, hand_back
from enrichment.wire import holds
from enrichment.write_policy import Refusal, Rule, WritePlan, fields_to_read, filled_fields, plan_write
from tasks.change_plans import keep_changes

#: Why a contact goes back that has another address in the CRM than the one it was looked up by.
ADDRESS_CHANGED = "address_changed"

#: Why a contact goes back that a run has written to and would write to again; and after how many seconds it may be
#: taken, so that the same run doesn't at once.
WRITTEN_BY_THIS_RUN = "written_by_this_run"
_NEXT_RUN_SECONDS = 60.0


def values_of(enrichment: Enrichment) -> dict[str, object]:
    """Return the canonical values that a field mapping may name as its source."""
    return {
        **enrichment.fields,
        "provider": enrichment.provider,
        "confidence": enrichment.confidence,
        "received_at": enrichment.received_at,
    }


def _plan_contact(
    plan: RunPlan,
    crm: Crm,
    contact: CrmContact,
    enrichment: Enrichment,
    undone: Mapping[str, frozenset[str]],
    ours: Mapping[str, Collection[str]],
) -> WritePlan:
    written = plan_write(
        contact.values,
        values_of(enrichment),
        crm.rules,
        plan.descriptions,
        protected=crm.protected,
        changed_at=contact.changed_at,
        received_at=datetime.fromisoformat(enrichment.received_at),
        undone=undone,
    )
    if ours:
        written = without_edits(written, contact.values, ours, plan.descriptions, crm.rules)
    return replace(
        written,
        refusals=(*written.refusals, *left_out(crm.rules, enrichment)),
        filled_before=filled_fields(contact.values, crm.rules),
    )


@dataclass(frozen=True, slots=True)
class Planned:
    """
    What is to be written to some contacts.

    Args:
        contacts: what the CRM has of them, by CRM id; one that it doesn't have is absent.
        plans: what its write policy makes of them, by record id.
        unread: why the CRM fails to give a contact, by CRM id.
        earlier: what they were sent before.
    """

    contacts: Mapping[str, CrmContact]
    plans: Mapping[str, WritePlan]
    unread: Mapping[str, Exception]
    earlier: EarlierWrites


def read_and_plan(plan: RunPlan, warehouse: Warehouse, crm: Crm, found: Sequence[Found]) -> Planned:
    """Read contacts from the CRM, and say what is to be written to them; what a person has changed of ours stays."""
    changed_when = [rule.field for rule in crm.rules if rule.rule is Rule.IF_NEWER]
    ids = list(dict.fromkeys(item.record.crm_id for item in found))
    undone = warehouse.undone_of(plan.origin, ids)
    earlier = warehouse.earlier_writes(plan.origin, ids, plan.run_id)
    ours = _values_of_ours(warehouse.last_writes(plan.origin, ids), earlier)
    contacts, unread = read_apart(crm, ids, fields_to_read(crm.rules, plan.descriptions), history=changed_when)
    plans = {
        item.record.record_id: _plan_contact(
            plan, crm, contacts[crm_id], item.enrichment, undone.get(crm_id, {}), ours.get(crm_id, {})
        )
        for item in found
        if (crm_id := item.record.crm_id) in contacts
    }
    return Planned(contacts, plans, unread, earlier)


def _values_of_ours(
    last: Mapping[str, Mapping[str, str]], earlier: EarlierWrites
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return which values of a field are ours, by contact: the last confirmed one, and those announced since."""
    announced: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for write in earlier.unconfirmed:
        announced[write.crm_id, write.field].append(write.after)
    return {
        crm_id: {name: (value, *announced.get((crm_id, name), ())) for name, value in fields.items()}
        for crm_id, fields in last.items()
    }


def _is_another(record: StagedRecord, contact: Contact) -> bool:
    """Return whether the CRM has another address than it gave when the contact was staged."""
    staged = normalise_email(record.email_address) if record.named_by_crm else None
    return staged is not None and staged not in valid_addresses(contact.email)


@dataclass
class WriteBack:
    """The chunk's state while its updates are sent."""

    plan: RunPlan
    chunk: Chunk
    warehouse: Warehouse
    crm: Crm
    settlements: list[Settlement] = field(default_factory=list)
    confirmed: list[OpenWrite] = field(default_factory=list)
    stop: Stop | None = None
    planned: Counter[str] = field(default_factory=Counter)

    def run(self) -> Chunk:
        read = read_and_plan(self.plan, self.warehouse, self.crm, self.chunk.found)
        if self.plan.change_plan:
            read = self._as_approved(read)
        contacts, plans, earlier = read.contacts, read.plans, read.earlier
        self._confirm_arrived(contacts, earlier)
        found = self._same_people(contacts)
        planned = [item for item in found if self._has_changes(item, read)]
        planned = self._once_a_run(planned, earlier)
        held = self._announce(planned, plans)
        if self.plan.guard.is_on and not self.plan.change_plan:
            held = self._within_guard([item for item in planned if item.record_id in held], plans)
        self._send([item for item in planned if item.record.record_id in held], plans, contacts)
        return replace(
            self.chunk,
            found=(),
            settlements=(*self.chunk.settlements, *self.settlements),
            confirmed=(*self.chunk.confirmed, *self.confirmed),
            stop=graver(self.chunk.stop, self.stop),
            planned=dict(self.planned),
        )

    def _same_people(self, contacts: Mapping[str, CrmContact]) -> list[Found]:
        """Put back those whose address has changed since the CRM gave it, to be looked up by the present one."""
        if self.plan.change_plan:
            return list(self.chunk.found)
        others = {
            item.record.crm_id: item.record
            for item in self.chunk.found
            if item.record.crm_id in contacts and _is_another(item.record, contacts[item.record.crm_id].contact)
        }
        if others:
            self.warehouse.stage([], changed=[(self.plan.origin, crm_id) for crm_id in others])
            self.settlements += hand_back(others.values(), ADDRESS_CHANGED)
        return [item for item in self.chunk.found if item.record.crm_id not in others]

    def _as_approved(self, read: Planned) -> Planned:
        """Return what is planned without what isn't in the plan that is applied; of a declined one, nothing is left."""
        ids = [item.record.crm_id for item in self.chunk.found]
        approved = self.warehouse.planned_of(self.plan.change_plan, self.plan.origin, ids)
        plans = {
            item.record_id: approved_part(
                read.plans[item.record_id], approved.get(item.record.crm_id, frozenset()), self.crm.rules
            )
            for item in self.chunk.found
            if item.record_id in read.plans
        }
        return replace(read, plans=plans)

    def _once_a_run(self, planned: Sequence[Found], earlier: EarlierWrites) -> list[Found]:
        """Leave to the next run what this one has written to and would write to again: it keeps one value before."""
        arrived = {write.crm_id for write in self.confirmed if write.run_id == self.plan.run_id}
        changed = earlier.changed | arrived
        again = [item.record for item in planned if item.record.crm_id in changed]
        self.settlements += hand_back(again, WRITTEN_BY_THIS_RUN, _NEXT_RUN_SECONDS)
        return [item for item in planned if item.record.crm_id not in changed]

    def _confirm_arrived(self, contacts: Mapping[str, CrmContact], earlier: EarlierWrites) -> None:
        """Confirm writes that a run announced before it died: those that the CRM holds by now did arrive."""
        for write in earlier.unconfirmed:
            if write.crm_id in contacts and self._holds(contacts[write.crm_id], write):
                self.confirmed.append(write)

    def _holds(self, contact: CrmContact, write: OpenWrite) -> bool:
        return holds(contact.values.get(write.field), write.after, self.plan.descriptions.get(write.field))

    def _has_changes(self, item: Found, read: Planned) -> bool:
        """Settle at once what needs no update, or can't get one now."""
        record, plans = item.record, read.plans
        if record.crm_id in read.unread:
            self.settlements.append(
                settle_unread(
                    record,
                    read.unread[record.crm_id],
                    step="write_back",
                    max_attempts=self.plan.max_attempts,
                    chance=random.random(),  # noqa: S311 - jitter
                )
            )
            return False
        if record.record_id not in plans:
            patience = self.plan.absent_seconds
            self.settlements.append(settle_absent(record, step="write_back", patience_seconds=patience))
            return False
        if plans[record.record_id].changes:
            return True
        arrived = any(write.crm_id == record.crm_id for write in self.confirmed)
        disposition = Disposition.WRITTEN if arrived else Disposition.UNCHANGED
        self._finish(record, disposition, plans[record.record_id])
        return False

    def _announce(self, planned: Sequence[Found], plans: Mapping[str, WritePlan]) -> frozenset[str]:
        writes = [
            PlannedWrite(item.record.record_id, item.record.crm_id, plans[item.record.record_id].changes)
            for item in planned
        ]
        announced = divide(writes, lambda part: self.warehouse.plan_writes(self.chunk.claim, self.plan.origin, part))
        held = frozenset[str]().union(*announced.results)
        refused = {one.record_id: error for one, error in announced.refused}
        self.settlements += [refused_record(one, "write_back", error) for one, error in refused.items()]
        lost = [item.record_id for item in planned if item.record_id not in {*held, *refused}]
        self.settlements += [Returned(record_id, "claim_lost") for record_id in lost]
        return held

    def _within_guard(self, items: Sequence[Found], plans: Mapping[str, WritePlan]) -> frozenset[str]:
        """
        Return the ids of the records that may be sent: all, or none if the run would write more than its guard permits.

        What was announced is counted after it was committed: of batches that go the same way at once, the last one
        sees all others.
        """
        exceeded = self.plan.guard.exceeded_by(self.warehouse.count_run_changes(self.plan.run_id)) if items else ""
        if not exceeded:
            return frozenset(item.record_id for item in items)
        keep_changes(self.plan, self.warehouse, self.crm, items, plans, exceeded)
        self.warehouse.withdraw_writes(self.plan.origin, self.plan.run_id, [item.record.crm_id for item in items])
        hours = self.plan.guard.hours
        self.settlements += hand_back((item.record for item in items), NEEDS_APPROVAL, 3600 * hours)
        self.stop = Stop(
            NEEDS_APPROVAL,
            f"{exceeded}: its contacts wait for your approval, {hours:g} hours at most",
        )
        return frozenset()

    def _send(self, items: Sequence[Found], plans: Mapping[str, WritePlan], contacts: Mapping[str, CrmContact]) -> None:
        updates = [
            Update(
                contacts[item.record.crm_id].contact.crm_id,
                item.record.record_id,
                plans[item.record.record_id].changes,
            )
            for item in items
        ]
        results = {result.trace_id: result for result in self.crm.write(updates)}
        for item in items:
            self._settle(item, plans[item.record.record_id], results[item.record.record_id])

    def _settle(self, item: Found, plan: WritePlan, result: UpdateResult) -> None:
        record = item.record
        if not result.reason:
            refused = {refusal.field for refusal in result.refused}
            taken = [change for change in plan.changes if change.field not in refused]
            disposition = Disposition.WRITTEN if taken else Disposition.UNCHANGED
            self._finish(record, disposition, plan, result.refused)
            self.confirmed += [
                OpenWrite(record.crm_id, change.field, change.after, self.plan.run_id) for change in taken
            ]
        elif result.gone:
            self.settlements.append(Finished(record.record_id, Disposition.INVALID, "contact_gone", "write_back"))
        elif result.reason in STOP_KINDS or result.wait_seconds is not None:
            wait = result.wait_seconds or 0.0
            self.settlements.append(Returned(record.record_id, result.reason, wait, costs_attempt=False))
            self._note_stop(result)
        else:
            self._fail(item, result)

    def _finish(
        self, record: StagedRecord, disposition: Disposition, plan: WritePlan, refused_by_crm: Sequence[Refusal] = ()
    ) -> None:
        refused = kept((*plan.refusals, *refused_by_crm), self.crm.rules)
        self.planned.update({change.field for change in plan.changes} | {refusal.field for refusal in refused})
        self.settlements.append(
            Finished(
                record.record_id,
                disposition,
                step="write_back",
                refusals=refused,
                filled_before=plan.filled_before,
            )
        )

    def _note_stop(self, result: UpdateResult) -> None:
        if result.reason in STOP_KINDS and self.stop is None:
            self.stop = Stop(result.reason, f"{self.plan.crm_name}: {result.detail or result.reason}")

    def _fail(self, item: Found, result: UpdateResult) -> None:
        self.settlements.append(
            settle_failure(
                item.record,
                reason=result.reason,
                step="write_back",
                detail=result.detail,
                max_attempts=self.plan.max_attempts,
                chance=random.random(),  # noqa: S311 - jitter
                permanent=result.permanent,
            )
        )
