"""The asker of an estimate: it counts what would have to be paid for, and how likely."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from blocks.providers.base import Asked, Provider, Reply
from blocks.warehouses.base import Warehouse
from enrichment.estimate import (
    Price,
    ProviderEstimate,
    Tally,
    TrackRecord,
    chance_of_follow_up,
    chance_of_next,
    estimate_provider,
)
from enrichment.plan import RunPlan
from enrichment.records import Settlement
from enrichment.waterfall import lacking
from lookup.cases import Case, Heard, Pending
from lookup.journal import JournalReader


@dataclass
class Counter:
    """
    Counts requests over many contacts; a case whose reply isn't known goes on with the chance that it would.

    Args:
        plan: of the run.
        warehouse: keeps the journal.
        providers: that may be queried.
    """

    plan: RunPlan
    warehouse: Warehouse
    providers: Iterable[Provider]
    _journal: JournalReader = field(init=False)
    _providers: dict[str, Provider] = field(init=False)
    _records: dict[str, TrackRecord] = field(init=False)
    _tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read how each provider has answered so far."""
        self._journal = JournalReader(self.plan, self.warehouse)
        self._providers = {provider.name: provider for provider in self.providers}
        self._records = {name: self.warehouse.track_record(name) for name in self._providers}

    def ask(self, reference: str, asked: Asked, requests: Mapping[str, Pending]) -> Heard:
        """Return what the journal has, and count it and what it lacks."""
        heard = self._journal.ask(reference, asked, requests)
        tally = self._tally(asked)
        for key in heard.known:
            for subject in [key] if asked.step else requests[key].record_ids:  # contacts, or companies
                tally.note_known(subject)
        for key in heard.missing:
            tally.note_open(key, requests[key].chance)
        return heard

    def settle_missing(self, case: Case, asked: Asked, reply: Reply) -> Settlement | None:
        """Let the case go on to the next provider, as likely as this one doesn't know it."""
        if asked.step:
            return None
        case.unanswered = True
        record = self._records[asked.name]
        for further in self._providers[asked.name].follow_ups:
            if lacking(case.found, further.fills):  # it isn't known yet which contacts share a company
                self._tally(further).note_open(reply.key, chance_of_follow_up(case.chance, record))
        case.chance = chance_of_next(case.chance, record)
        return None

    def estimates(self, prices: Mapping[str, Price]) -> Iterator[ProviderEstimate]:
        """Yield what each provider's part costs, and the part of each of its follow-ups behind it."""
        for name, provider in self._providers.items():
            price = prices.get(name)
            yield estimate_provider(name, self._tally(provider), self._records[name], provider.terms, price)
            for further in provider.follow_ups:
                tally = self._tally(further)
                yield estimate_provider(name, tally, TrackRecord(), further.terms, price, step=further.step)

    def _tally(self, asked: Asked) -> Tally:
        return self._tallies.setdefault((asked.name, asked.step), Tally())
