"""Deriving results again from saved replies: what would differ, and the queue of those that do; nothing is paid for."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from blocks.crms.base import Crm, contact_id, open_crm
from blocks.log import event
from blocks.providers.base import Provider
from blocks.warehouses.base import NewRecord, Warehouse, open_warehouse
from enrichment.errors import ConfigurationError
from enrichment.moments import utc_text
from enrichment.plan import BACKFILL, RunPlan
from enrichment.records import REMAP, Finished, Found, StagedRecord
from enrichment.remap import NO_MATCH, NOT_SAVED, QUEUED, Remap, RemapSelection
from lookup.journal import JournalReader
from lookup.walk import LookUp, load_providers
from tasks.steps import step
from tasks.write_back import read_and_plan

_PAGE = 500


@step(name="find-remaps")
def find_remaps(plan: RunPlan, selection: RemapSelection, *, queue: bool) -> Remap:
    """
    Return what differs if the saved replies are read by today's rules, and perhaps queue the contacts that it is about.

    Args:
        plan: with the providers of the settings, in whose order replies are read.
        selection: of contacts.
        queue: whether to queue those that differ.

    Raises:
        ConfigurationError: the provider isn't one of the plan's, or the id can't be one of the CRM's.
    """
    if selection.provider and selection.provider not in plan.provider_names.split(","):
        raise ConfigurationError(
            f"'{selection.provider}' is not one of the providers in ENRICHMENT_PROVIDER ({plan.provider_names}): "
            "results are derived from the replies of those, in their order"
        )
    with open_warehouse(plan.warehouse) as warehouse, open_crm(plan.crm) as crm:
        survey = _Survey(plan, warehouse, crm, load_providers(plan))
        for ids in _pages(plan, warehouse, selection):
            differing = survey.take(ids)
            if queue:
                warehouse.stage([NewRecord(plan.crm_name, one, None, REMAP, BACKFILL) for one in differing])
    found = survey.remap
    event("remaps_found", looked_at=found.looked_at, differ=len(found.contacts), queued=queue)
    return found


def _pages(plan: RunPlan, warehouse: Warehouse, selection: RemapSelection) -> Iterator[list[str]]:
    only = contact_id(plan.crm, selection.crm_id) if selection.crm_id else ""
    since = utc_text(datetime.fromisoformat(warehouse.now()) - timedelta(days=selection.days))
    left, after = selection.limit or math.inf, ""
    while left > 0:
        page = warehouse.remappable(
            plan.origin,
            provider=selection.provider,
            crm_id=only,
            since=since,
            after=after,
            limit=int(min(_PAGE, left)),
        )
        if page:
            yield page
        left = left - len(page) if len(page) == _PAGE else 0
        after = page[-1] if page else ""


@dataclass
class _Survey:
    """Goes through contacts as a run would if they were queued, by saved replies of any age alone."""

    plan: RunPlan
    warehouse: Warehouse
    crm: Crm
    providers: Mapping[str, Provider]
    remap: Remap = field(default_factory=Remap)

    def take(self, ids: Sequence[str]) -> list[str]:
        """Count what differs of some contacts, and return the ids of those."""
        waiting = self.warehouse.waiting_of(self.plan.origin, ids)
        free = [one for one in ids if one not in waiting]
        records = [StagedRecord.as_if_claimed(self.plan.crm_name, one, None, REMAP) for one in free]
        reader = JournalReader(self.plan, self.warehouse)
        done = LookUp(self.plan, self.warehouse, self.crm, reader, self.providers).run(records)
        self.remap.looked_at += len(ids)
        self.remap.leave(QUEUED, len(waiting))
        self._count_left(records, done)
        self._compare(done.found)
        return [one for one in ids if one in self.remap.contacts]

    def _count_left(self, records: Sequence[StagedRecord], done: LookUp) -> None:
        missed = {one.record_id for one in done.unmatched}
        ended = [one for one in done.settlements if isinstance(one, Finished)]
        for one in ended:
            self.remap.leave(NO_MATCH if one.record_id in missed else f"is {one.disposition} ({one.reason})")
        answered = {one.record_id for one in done.found} | {one.record_id for one in ended}
        self.remap.leave(NOT_SAVED, sum(1 for record in records if record.record_id not in answered))

    def _compare(self, found: Sequence[Found]) -> None:
        stored = self.warehouse.read_enriched(self.plan.origin, [item.record.crm_id for item in found])
        read = read_and_plan(self.plan, self.warehouse, self.crm, found)
        for item in found:
            crm_id = item.record.crm_id
            self.remap.take(crm_id, stored.get(crm_id), item.enrichment, read.plans.get(item.record_id))
