"""A dry run: what a run would do with the next queued contacts; nothing is spent, claimed or written."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from blocks.crms.base import open_crm
from blocks.log import event
from blocks.warehouses.base import open_warehouse
from enrichment.plan import RunPlan
from enrichment.records import Disposition, Finished
from enrichment.write_policy import Change
from lookup.journal import JournalReader
from lookup.walk import LookUp
from tasks.steps import step
from tasks.write_back import read_and_plan


@dataclass(frozen=True, slots=True)
class Preview:
    """
    What a run would do with the next records of the queue.

    Args:
        records: how many were looked at.
        would_ask: how many replies would have to be paid for; the follow-ups of contacts that are still to be queried
            aren't among them, since nobody knows their companies yet.
        changes: what would be written, by CRM id.
        results: how the records would end that need no paid reply, by disposition.
    """

    records: int
    would_ask: int
    changes: dict[str, tuple[Change, ...]]
    results: Mapping[Disposition, int]


@step(name="preview")
def preview(plan: RunPlan, limit: int) -> Preview:
    """Return what a run would do with the next records of the queue, as far as the journal reaches."""
    with open_warehouse(plan.warehouse) as warehouse, open_crm(plan.crm) as crm:
        waiting = warehouse.peek(origin=plan.origin, lane=plan.lane, limit=limit)
        reader = JournalReader(plan, warehouse)
        # A claim counts as an attempt.
        done = LookUp(plan, warehouse, crm, reader).run(replace(one, attempts=one.attempts + 1) for one in waiting)
        _, plans = read_and_plan(plan, crm, done.found)
    results = Counter(one.disposition for one in done.settlements if isinstance(one, Finished))
    changes: dict[str, tuple[Change, ...]] = {}
    for item in done.found:
        planned = plans.get(item.record.record_id)
        if planned is None:
            results[Disposition.INVALID] += 1  # the CRM no longer has the contact
        elif planned.changes:
            results[Disposition.WRITTEN] += 1
            changes[item.record.crm_id] = planned.changes
        else:
            results[Disposition.UNCHANGED] += 1
    event("previewed", records=len(waiting), would_ask=len(reader.lacking))
    return Preview(len(waiting), len(reader.lacking), changes, dict(results))
