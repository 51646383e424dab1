"""What a run would do, before anything is spent or written: a dry run over the queue, and the cost of a backfill."""

from collections import Counter as Count
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from blocks.crms.base import ContactPage, Crm, NewContact, open_crm
from blocks.log import event
from blocks.providers.base import Provider
from blocks.settings import load_settings, read_price_book
from blocks.warehouses.base import Warehouse, open_warehouse
from enrichment.estimate import Estimate, estimate_markdown
from enrichment.intake import Selection
from enrichment.plan import RunPlan
from enrichment.records import Disposition, Finished, Found, StagedRecord
from enrichment.retry import settle_absent
from enrichment.write_policy import Change, Refusal, WritePlan
from lookup.counting import Counter
from lookup.journal import JournalReader
from lookup.walk import LookUp, load_providers
from tasks.artifacts import publish_markdown
from tasks.backfill import pages
from tasks.change_plans import ShownPlan, keep_changes, sealed_plan
from tasks.steps import step
from tasks.write_back import read_and_plan


@dataclass(frozen=True, slots=True)
class Preview:
    """
    What a run would do with the next records of the queue.

    Args:
        records: how many were looked at.
        unpaid: how many of them lack a reply that has to be paid for.
        would_ask: how many replies would have to be paid for; the follow-ups of contacts that are still to be queried
            aren't among them, since their companies aren't known yet.
        most_credits: what these replies would cost at most.
        changes: what would be written, by CRM id.
        results: how the records would end that need no paid reply, by disposition.
        refusals: values that would not be written, by CRM id, those included that the user's own rules forbid.
        kept: the plan of these changes, if it was kept.
    """

    records: int
    unpaid: int
    would_ask: int
    most_credits: float
    changes: dict[str, tuple[Change, ...]]
    results: Mapping[Disposition, int]
    refusals: dict[str, tuple[Refusal, ...]]
    kept: ShownPlan | None = None


@step(name="preview", task_run_name="see what would be written to {plan.crm_name}")
def preview(plan: RunPlan, limit: int, *, keep: bool = False) -> Preview:
    """Return what a run would do with the next records of the queue, by the journal alone, and perhaps keep it."""
    with open_warehouse(plan.warehouse) as warehouse, open_crm(plan.crm) as crm:
        waiting = warehouse.peek(origin=plan.origin, lane=plan.lane, limit=limit)
        reader = JournalReader(plan, warehouse)
        # A claim counts as an attempt.
        records = [replace(one, attempts=one.attempts + 1) for one in waiting]
        done = LookUp(plan, warehouse, crm, reader, load_providers(plan)).run(records)
        read = read_and_plan(plan, warehouse, crm, done.found)
        kept = _keep(plan, warehouse, crm, done.found, read.plans) if keep else None
    results = Count(one.disposition for one in done.settlements if isinstance(one, Finished))
    changes: dict[str, tuple[Change, ...]] = {}
    refusals: dict[str, tuple[Refusal, ...]] = {}
    for item in done.found:
        planned = read.plans.get(item.record.record_id)
        if planned and planned.refusals:
            refusals[item.record.crm_id] = planned.refusals
        if item.record.crm_id in read.unread:
            continue
        if planned is None:
            absent = settle_absent(item.record, step="write_back", patience_seconds=plan.absent_seconds)
            results.update([absent.disposition] if isinstance(absent, Finished) else [])
        elif planned.changes:
            results[Disposition.WRITTEN] += 1
            changes[item.record.crm_id] = planned.changes
        else:
            results[Disposition.UNCHANGED] += 1
    event("previewed", records=len(waiting), would_ask=len(reader.lacking))
    unpaid = len(waiting) - len(done.found) - len(done.settlements)
    return Preview(
        len(waiting), unpaid, len(reader.lacking), sum(reader.lacking.values()), changes, dict(results), refusals, kept
    )


def _keep(
    plan: RunPlan, warehouse: Warehouse, crm: Crm, found: Sequence[Found], plans: Mapping[str, WritePlan]
) -> ShownPlan:
    keep_changes(plan, warehouse, crm, [item for item in found if item.record_id in plans], plans)
    return sealed_plan(warehouse, plan.run_id)


@step(name="estimate", task_run_name="estimate the cost at {plan.provider_names}")
def estimate(plan: RunPlan, selection: Selection) -> Estimate:
    """Return what it would cost to enrich a selection's contacts now."""
    with open_warehouse(plan.warehouse) as warehouse, open_crm(plan.crm) as crm:
        found = survey(plan, warehouse, crm, pages(crm, plan.crm_name, selection, ""), selection.source)
    publish_markdown(estimate_markdown(found), key="enrichment-estimate", description="Cost of a backfill")
    event("backfill_estimated", selection=selection.fingerprint, selected=found.selected, waiting=found.waiting)
    return found


def survey(plan: RunPlan, warehouse: Warehouse, crm: Crm, found: Iterable[ContactPage], source: str) -> Estimate:
    """
    Return what it would cost to enrich contacts.

    Args:
        plan: of a run.
        warehouse: has the saved replies, and how providers answered so far.
        crm: knows the contacts.
        found: the contacts, page by page.
        source: what would have queued them.

    Raises:
        ConfigurationError: a provider or the price book isn't configured.
    """
    prices = read_price_book(load_settings().price_book)
    providers = load_providers(plan)
    counter = Counter(plan, warehouse, providers.values())
    seen = _Survey(plan, warehouse, crm, counter, providers, source)
    for page in found:
        seen.take(page.contacts)
    return Estimate(
        seen.selected,
        seen.waiting,
        seen.skipped[Disposition.SUPPRESSED],
        seen.skipped[Disposition.SKIPPED_FRESH],
        seen.skipped[Disposition.INVALID],
        tuple(counter.estimates(prices)),
    )


@dataclass
class _Survey:
    """Goes through the contacts as a run would if they were staged, by what costs nothing."""

    plan: RunPlan
    warehouse: Warehouse
    crm: Crm
    counter: Counter
    providers: Mapping[str, Provider]
    source: str
    selected: int = 0
    waiting: int = 0
    skipped: Count[Disposition] = field(default_factory=Count)

    def take(self, contacts: Sequence[NewContact]) -> None:
        """Count some contacts."""
        waiting = self.warehouse.waiting_of(self.plan.origin, [contact.crm_id for contact in contacts])
        self.selected += len(contacts)
        self.waiting += len(waiting)
        records = [
            StagedRecord.as_if_claimed(self.plan.crm_name, contact.crm_id, contact.email, self.source)
            for contact in contacts
            if contact.crm_id not in waiting
        ]
        done = LookUp(self.plan, self.warehouse, self.crm, self.counter, self.providers).run(records)
        self.skipped.update(
            one.disposition
            for one in done.settlements
            # A contact that the provider is known to bar from lookups was looked up: its reply is in the journal.
            if isinstance(one, Finished) and not one.request_key
        )
