"""A dry run: what would be written, from the journal where it has the reply; nothing is spent, claimed or written."""

from dataclasses import dataclass

from blocks.crms.base import load_crm
from blocks.providers.block import load_provider
from blocks.warehouses.base import open_warehouse
from enrichment.outcomes import ENRICHED
from enrichment.plan import RunPlan
from enrichment.records import Contact, Enrichment, StagedRecord
from enrichment.write_policy import Change
from tasks.steps import event, step
from tasks.write_back import history_fields, plan_contact


@dataclass(frozen=True, slots=True)
class Preview:
    """
    What a run would do with the next records of the queue.

    Args:
        records: how many were looked at.
        would_ask: how many replies would have to be paid for.
        changes: what would be written, by CRM id.
    """

    records: int
    would_ask: int
    changes: dict[str, tuple[Change, ...]]


@step(name="preview")
def preview(plan: RunPlan, limit: int) -> Preview:
    """Return what the next records of the queue would have written to the CRM."""
    provider, crm = load_provider(plan.provider), load_crm(plan.crm)
    try:
        with open_warehouse(plan.warehouse) as warehouse:
            records = warehouse.peek(crm=plan.crm_name, lane=plan.lane, limit=limit)
            fields = [rule.field for rule in crm.rules]
            contacts = crm.read([r.crm_id for r in records], fields, history=history_fields(crm.rules))
            keys = {}
            for record in records:
                given = contacts[record.crm_id].contact if record.crm_id in contacts else Contact(record.crm_id)
                lookup_input = provider.choose_input(_known(record, given))
                if lookup_input:
                    keys[record.crm_id] = provider.request_key(lookup_input)
            replies = warehouse.read_replies(plan.provider_name, set(keys.values()), reply_days=plan.reply_days)
        changes = {}
        for crm_id, key in keys.items():
            reading = provider.read(replies[key]["reply"]) if key in replies else None
            if reading and reading.outcome in ENRICHED and crm_id in contacts:
                enrichment = Enrichment(
                    plan.provider_name,
                    reading.provider_record_id,
                    reading.confidence,
                    reading.fields,
                    replies[key]["received_at"],
                )
                changes[crm_id] = plan_contact(plan, crm, contacts[crm_id], enrichment).changes
    finally:
        crm.close()
    event("previewed", records=len(records), would_ask=len(set(keys.values()) - set(replies)))
    return Preview(len(records), len(set(keys.values()) - set(replies)), changes)


def _known(record: StagedRecord, contact: Contact) -> Contact:
    return Contact(record.crm_id, record.email_address) if record.email_address else contact
