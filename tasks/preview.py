"""A dry run: what would be written, from the journal where it has the reply; nothing is spent, claimed or written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from blocks.crms.base import CrmContact, load_crm
from blocks.log import event
from blocks.providers.base import FollowUp, Provider
from blocks.providers.block import load_provider
from blocks.warehouses.base import Row, Warehouse, open_warehouse
from enrichment.outcomes import ENRICHED
from enrichment.plan import RunPlan
from enrichment.records import Contact, Enrichment, StagedRecord
from enrichment.waterfall import complete, is_complete, lacking, merge
from enrichment.write_policy import Change
from tasks.asking import Wanted
from tasks.follow_ups import follow_up, plan_of
from tasks.steps import step
from tasks.write_back import history_fields, plan_contact


@dataclass(frozen=True, slots=True)
class Preview:
    """
    What a run would do with the next records of the queue.

    Args:
        records: how many were looked at.
        would_ask: how many replies would have to be paid for; the follow-ups of contacts that are still to be asked
            for aren't among them, since nobody knows their companies yet.
        changes: what would be written, by CRM id.
    """

    records: int
    would_ask: int
    changes: dict[str, tuple[Change, ...]]


@step(name="preview")
def preview(plan: RunPlan, limit: int) -> Preview:
    """Return what the next records of the queue would have written to the CRM."""
    crm = load_crm(plan.crm)
    try:
        with open_warehouse(plan.warehouse) as warehouse:
            records = warehouse.peek(crm=plan.crm_name, lane=plan.lane, limit=limit)
            fields = [rule.field for rule in crm.rules]
            contacts = crm.read([r.crm_id for r in records], fields, history=history_fields(crm.rules))
            known = _read_journal(plan, warehouse, [_known(record, contacts) for record in records])
    finally:
        crm.close()
    changes = {
        crm_id: plan_contact(plan, crm, contacts[crm_id], merge(found)).changes
        for crm_id, found in known.found.items()
        if crm_id in contacts
    }
    event("previewed", records=len(records), would_ask=known.would_ask)
    return Preview(len(records), known.would_ask, changes)


@dataclass
class _Known:
    """What the journal knows, by CRM id, how many requests it lacks, and whose follow-ups are among them."""

    found: dict[str, list[Enrichment]] = field(default_factory=dict)
    would_ask: int = 0
    waiting: set[str] = field(default_factory=set)


def _read_journal(plan: RunPlan, warehouse: Warehouse, contacts: Sequence[Contact]) -> _Known:
    """Go through the providers as a run would, as far as the journal reaches."""
    known, open_contacts = _Known(), list(contacts)
    for reference in plan.providers:
        provider = load_provider(reference)
        keys = {contact.crm_id: _key(provider, contact) for contact in open_contacts}
        wanted = {key for key in keys.values() if key}
        replies = warehouse.read_replies(provider.name, wanted, reply_days=plan.reply_days)
        known.would_ask += len(wanted - replies.keys())
        there = {crm_id: replies[key] for crm_id, key in keys.items() if key in replies}
        matched = [crm_id for crm_id, row in there.items() if _note(known.found, crm_id, provider, row)]
        for further in provider.follow_ups:
            _follow_up(plan, warehouse, further, {crm_id: there[crm_id]["reply"] for crm_id in matched}, known)
        open_contacts = [
            contact
            for contact in open_contacts
            if (keys[contact.crm_id] in replies or not keys[contact.crm_id])
            and contact.crm_id not in known.waiting
            and not is_complete(known.found.get(contact.crm_id, []), plan.required_fields)
        ]
    return known


def _note(found: dict[str, list[Enrichment]], crm_id: str, provider: Provider, row: Row) -> bool:
    """Add what a reply says of a contact, and return whether the provider has it."""
    reading = provider.read(row["reply"])
    if reading.outcome in ENRICHED:
        enrichment = Enrichment(
            provider.name, reading.provider_record_id, reading.confidence, reading.fields, row["received_at"]
        )
        found.setdefault(crm_id, []).append(enrichment)
    return reading.outcome in ENRICHED


def _follow_up(
    plan: RunPlan, warehouse: Warehouse, further: FollowUp, replies: Mapping[str, Any], known: _Known
) -> None:
    """Add what the journal has of a follow-up, and count what it lacks."""

    def journal(wanted: Mapping[str, Wanted]) -> Mapping[str, Row]:
        return warehouse.read_replies(further.name, wanted, reply_days=plan_of(further, plan).reply_days)

    lacked = {crm_id: reply for crm_id, reply in replies.items() if lacking(known.found[crm_id], further.fills)}
    told = follow_up(further, lacked, journal)
    for crm_id, one in told.items():
        found = known.found[crm_id]
        found[-1] = complete(found[-1], further.step, one.fields, one.keys, one.received_at)
    known.waiting |= {crm_id for crm_id, one in told.items() if one.missing}
    known.would_ask += len({key for one in told.values() for key in one.missing})


def _key(provider: Provider, contact: Contact) -> str:
    lookup_input = provider.choose_input(contact)
    return provider.request_key(lookup_input) if lookup_input else ""


def _known(record: StagedRecord, contacts: Mapping[str, CrmContact]) -> Contact:
    if record.email_address or record.crm_id not in contacts:
        return Contact(record.crm_id, record.email_address)
    return replace(contacts[record.crm_id].contact, crm_id=record.crm_id)
