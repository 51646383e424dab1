"""What a backfill would cost, before anything is spent or written: the CRM, the queue and the journal are only read."""

from collections import Counter as Count
from collections.abc import Sequence
from dataclasses import dataclass, field

from prefect.artifacts import create_markdown_artifact

from blocks.crms.base import Crm, NewContact, open_crm
from blocks.log import event
from blocks.price_book import read_price_book
from blocks.settings import load_settings
from blocks.warehouses.base import Warehouse, open_warehouse
from enrichment.estimate import Estimate, estimate_markdown
from enrichment.plan import RunPlan
from enrichment.records import Disposition, Finished, StagedRecord, State
from enrichment.selection import Selection
from lookup.counting import Counter
from lookup.walk import LookUp
from tasks.backfill import pages
from tasks.steps import step


@step(name="estimate")
def estimate(plan: RunPlan, selection: Selection) -> Estimate:
    """Return what it would cost to enrich a selection's contacts now."""
    prices = read_price_book(load_settings().price_book)
    with open_warehouse(plan.warehouse) as warehouse, open_crm(plan.crm) as crm:
        counter = Counter(plan, warehouse)
        survey = _Survey(plan, warehouse, crm, counter)
        for page in pages(crm, selection, ""):
            survey.take(page.contacts)
    skipped = survey.skipped
    found = Estimate(
        survey.selected,
        survey.waiting,
        skipped[Disposition.SUPPRESSED],
        skipped[Disposition.SKIPPED_FRESH],
        skipped[Disposition.INVALID],
        tuple(counter.estimates(prices)),
    )
    create_markdown_artifact(estimate_markdown(found), key="enrichment-estimate", description="Cost of a backfill")
    event("backfill_estimated", selection=selection.fingerprint, selected=found.selected, waiting=found.waiting)
    return found


@dataclass
class _Survey:
    """Goes through the contacts as a run would if they were staged, as far as that is free."""

    plan: RunPlan
    warehouse: Warehouse
    crm: Crm
    counter: Counter
    selected: int = 0
    waiting: int = 0
    skipped: Count[Disposition] = field(default_factory=Count)

    def take(self, contacts: Sequence[NewContact]) -> None:
        """Count some contacts."""
        waiting = self.warehouse.waiting_of(self.plan.origin, [contact.crm_id for contact in contacts])
        self.selected += len(contacts)
        self.waiting += len(waiting)
        records = [
            StagedRecord(contact.crm_id, self.plan.crm_name, contact.crm_id, contact.email, State.CLAIMED, attempts=1)
            for contact in contacts
            if contact.crm_id not in waiting
        ]
        done = LookUp(self.plan, self.warehouse, self.crm, self.counter).run(records)
        self.skipped.update(
            one.disposition
            for one in done.settlements
            # A contact that the provider is known to bar from lookups was looked up: its reply is in the journal.
            if isinstance(one, Finished) and not one.request_key
        )
