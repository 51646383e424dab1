"""What a backfill would cost, before anything is spent or written: the CRM, the queue and the journal are only read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefect.artifacts import create_markdown_artifact

from blocks.crms.base import Crm, NewContact, load_crm
from blocks.log import event
from blocks.price_book import read_price_book
from blocks.providers.base import FollowUp, Provider
from blocks.providers.block import load_provider
from blocks.settings import load_settings
from blocks.warehouses.base import Row, Warehouse, open_warehouse
from enrichment.estimate import (
    Estimate,
    Price,
    ProviderEstimate,
    Tally,
    TrackRecord,
    chance_of_follow_up,
    chance_of_next,
    estimate_markdown,
    estimate_provider,
)
from enrichment.identifiers import suppression_keys
from enrichment.outcomes import ENRICHED, Outcome
from enrichment.plan import RunPlan
from enrichment.records import Contact, Enrichment
from enrichment.selection import Selection
from enrichment.waterfall import is_complete
from tasks.backfill import pages
from tasks.follow_ups import plan_of
from tasks.steps import step


@step(name="estimate")
def estimate(plan: RunPlan, selection: Selection) -> Estimate:
    """Return what it would cost to enrich a selection's contacts now."""
    prices = read_price_book(load_settings().price_book)
    crm = load_crm(plan.crm)
    try:
        with open_warehouse(plan.warehouse) as warehouse:
            survey = _Survey(plan, warehouse, crm, [_Asked.of(reference, warehouse) for reference in plan.providers])
            for page in pages(crm, selection, ""):
                survey.take(page.contacts)
    finally:
        crm.close()
    found = survey.result(prices)
    create_markdown_artifact(estimate_markdown(found), key="enrichment-estimate", description="Cost of a backfill")
    event("backfill_estimated", selection=selection.fingerprint, selected=found.selected, waiting=found.waiting)
    return found


@dataclass
class _Asked:
    """A provider, how it answered so far, and what it and its follow-ups would be asked for."""

    provider: Provider
    record: TrackRecord
    tally: Tally = field(default_factory=Tally)
    steps: list[tuple[FollowUp, Tally]] = field(default_factory=list)

    @classmethod
    def of(cls, reference: str, warehouse: Warehouse) -> "_Asked":
        provider = load_provider(reference)
        steps = [(further, Tally()) for further in provider.follow_ups]
        return cls(provider, warehouse.track_record(provider.name), steps=steps)

    def estimates(self, price: Price | None) -> Iterator[ProviderEstimate]:
        """Yield what its part costs, and the part of each follow-up."""
        name = self.provider.name
        yield estimate_provider(name, self.tally, self.record, self.provider.terms, price)
        for further, tally in self.steps:
            yield estimate_provider(name, tally, TrackRecord(), further.terms, price, step=further.step)


@dataclass
class _Case:
    """A contact, whether and how likely the next provider must be asked for it, and what is known already."""

    contact: Contact
    open: bool = True
    chance: float = 1.0
    found: list[Enrichment] = field(default_factory=list)
    usable: bool = False


@dataclass
class _Survey:
    """Goes through the contacts as a run would, as far as that is free."""

    plan: RunPlan
    warehouse: Warehouse
    crm: Crm
    asked: Sequence[_Asked]
    selected: int = 0
    waiting: int = 0
    suppressed: int = 0
    fresh: int = 0
    unusable: int = 0

    def take(self, contacts: Sequence[NewContact]) -> None:
        """Count some contacts."""
        waiting = self.warehouse.waiting_of(self.plan.crm_name, [contact.crm_id for contact in contacts])
        self.selected += len(contacts)
        self.waiting += len(waiting)
        free = [contact for contact in contacts if contact.crm_id not in waiting]
        cases = [_Case(contact) for contact in self._drop_unwanted(self._identified(free))]
        for asked in self.asked:
            self._consult(asked, [case for case in cases if case.open])
        self.unusable += sum(1 for case in cases if not case.usable)

    def result(self, prices: Mapping[str, Price]) -> Estimate:
        """Return what was counted."""
        return Estimate(
            self.selected,
            self.waiting,
            self.suppressed,
            self.fresh,
            self.unusable,
            tuple(part for one in self.asked for part in one.estimates(prices.get(one.provider.name))),
        )

    def _identified(self, contacts: Sequence[NewContact]) -> list[Contact]:
        """Return the contacts' identifiers; the CRM is asked only for those without an address."""
        bare = [contact.crm_id for contact in contacts if not contact.email]
        read = self.crm.read(bare, []) if bare else {}
        self.unusable += len(bare) - len(read)
        known = [Contact(contact.crm_id, contact.email) for contact in contacts if contact.email]
        return [*known, *(found.contact for found in read.values())]

    def _drop_unwanted(self, contacts: Sequence[Contact]) -> list[Contact]:
        keys = {contact.crm_id: suppression_keys(contact, self.plan.crm_name) for contact in contacts}
        fresh, suppressed = self.warehouse.screen(
            self.plan.crm_name,
            list(keys),
            [key for some in keys.values() for key in some],
            fresh_days=self.plan.fresh_days,
        )
        barred = {crm_id for crm_id, some in keys.items() if suppressed.intersection(some)}
        self.suppressed += len(barred)
        self.fresh += len(fresh - barred)
        return [contact for contact in contacts if contact.crm_id not in barred | fresh]

    def _consult(self, asked: _Asked, cases: Sequence[_Case]) -> None:
        keys = {case.contact.crm_id: _key(asked.provider, case.contact) for case in cases}
        wanted = {key for key in keys.values() if key}
        replies = self.warehouse.read_replies(asked.provider.name, wanted, reply_days=self.plan.reply_days)
        known: list[tuple[_Case, Row]] = []
        for case in cases:
            key = keys[case.contact.crm_id]
            case.usable = case.usable or bool(key)
            if key in replies:
                known.append((case, replies[key]))
            elif key:
                self._note_open(asked, case, key)
        followed = [(case.chance, row["reply"]) for case, row in known if self._note_known(asked, case, row)]
        for further, tally in asked.steps:
            self._follow_up(further, tally, followed)

    def _note_open(self, asked: _Asked, case: _Case, key: str) -> None:
        asked.tally.note_open(key, case.chance)
        for _, tally in asked.steps:  # nobody knows yet who has the same company
            tally.note_open(key, chance_of_follow_up(case.chance, asked.record))
        case.chance = chance_of_next(case.chance, asked.record)

    def _note_known(self, asked: _Asked, case: _Case, row: Row) -> bool:
        """Take what the journal has, and return whether the provider knows the contact."""
        asked.tally.note_known(case.contact.crm_id)
        reading = asked.provider.read(row["reply"])
        if reading.outcome in ENRICHED:
            case.found.append(
                Enrichment(
                    asked.provider.name,
                    reading.provider_record_id,
                    reading.confidence,
                    reading.fields,
                    row["received_at"],
                )
            )
        if reading.outcome is Outcome.SUPPRESSED or is_complete(case.found, self.plan.required_fields):
            case.open = False
        return reading.outcome in ENRICHED

    def _follow_up(self, further: FollowUp, tally: Tally, known: Sequence[tuple[float, Any]]) -> None:
        """Count the companies of contacts that the journal has."""
        chances: dict[str, float] = {}
        for chance, reply in known:
            company = further.choose_input(reply)
            if company is not None:
                key = further.request_key(company)
                chances[key] = max(chance, chances.get(key, 0.0))
        reply_days = plan_of(further, self.plan).reply_days
        replies = self.warehouse.read_replies(further.name, list(chances), reply_days=reply_days)
        for key, chance in chances.items():
            if key in replies:
                tally.note_known(key)
            else:
                tally.note_open(key, chance)


def _key(provider: Provider, contact: Contact) -> str:
    lookup_input = provider.choose_input(contact)
    return provider.request_key(lookup_input) if lookup_input else ""
