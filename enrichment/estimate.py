"""
What a backfill would cost: counted from what the journal knows, and from how providers answered so far.

A contact that the journal doesn't know may or may not be known to the first provider, and so may or may not have to be
looked up at the next. Hence each figure is given twice: as expected by the share of contacts that a provider has known
so far, and at most.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from enrichment.markdown import table
from enrichment.match_rate import match_rate, rate_in_words
from enrichment.wording import contacts

#: A match rate of fewer contacts than these may be far from that of the next ones.
_FEW = 30


@dataclass(frozen=True, slots=True)
class Terms:
    """
    What calling a provider costs.

    Args:
        credits: of one request, at most.
        batch_size: contacts that one call asks for.
        per_second: calls, as the pace begins.
        windows: allowances that hold as well, as calls and the seconds that they are for.
        longest_seconds: how long one call may take.
    """

    credits: float
    batch_size: int
    per_second: float
    windows: Sequence[tuple[float, float]] = ()
    longest_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TrackRecord:
    """
    How a provider has answered so far.

    Args:
        replies: conclusive ones that the journal has.
        credits: that they cost.
        matched: contacts that it knew, as the ledger has them; `unmatched`: those that it didn't.
    """

    replies: int = 0
    credits: float = 0.0
    matched: int = 0
    unmatched: int = 0

    @property
    def match_rate(self) -> float | None:
        """Return the share of contacts that the provider knew, from 0 to 1; None if it was asked about none."""
        return match_rate(self.matched, self.unmatched)


@dataclass(frozen=True, slots=True)
class Price:
    """What one credit of a provider costs."""

    amount: float
    currency: str


@dataclass(frozen=True, slots=True)
class Range:
    """A figure as expected, and at most."""

    expected: float = 0.0
    at_most: float = 0.0

    def times(self, factor: float) -> "Range":
        """Return the figure multiplied."""
        return Range(self.expected * factor, self.at_most * factor)


@dataclass(frozen=True, slots=True)
class ProviderEstimate:
    """
    One provider's part, or that of one of its follow-ups, which are about companies.

    Args:
        provider: its name.
        in_journal: contacts (companies) whose reply the journal has, which costs nothing.
        requests: contacts (companies) that it would be asked for.
        calls: that these need.
        credits: that they cost.
        hours: that the calls take at the rate limit.
        match_rate: so far; None if no contact was looked up, and then everything is as bad as it can be.
        looked_up: contacts of which the match rate is the share.
        money: what the credits cost; None without a price.
        currency: of the money.
        step: the follow-up's name; empty for the contacts themselves.
    """

    provider: str
    in_journal: int
    requests: Range
    calls: Range
    credits: Range
    hours: Range
    match_rate: float | None = None
    looked_up: int = 0
    money: Range | None = None
    currency: str = ""
    step: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """
    What a backfill would do; contacts that are skipped cost nothing.

    Args:
        selected: contacts that fulfil the conditions.
        waiting: of these, skipped because they are in the queue already.
        suppressed: skipped because they must never be looked up.
        fresh: skipped because they were enriched lately.
        unusable: skipped because no lookup could use what the CRM has of them.
        providers: in the order in which they are queried, each with its follow-ups behind it.
    """

    selected: int = 0
    waiting: int = 0
    suppressed: int = 0
    fresh: int = 0
    unusable: int = 0
    providers: Sequence[ProviderEstimate] = ()

    @property
    def priced(self) -> bool:
        """Return whether every provider has a price."""
        return all(one.money is not None for one in self.providers)


@dataclass(slots=True)
class Tally:
    """Counts one provider's requests, contact by contact; a request that several contacts share counts once."""

    known: set[str] = field(default_factory=set)
    open: dict[str, float] = field(default_factory=dict)

    def note_known(self, subject: str) -> None:
        """Count a contact or a company whose reply the journal has."""
        self.known.add(subject)

    def note_open(self, key: str, chance: float) -> None:
        """Count a request that the journal lacks, and how likely it is that it must be made (0 to 1)."""
        self.open[key] = max(chance, self.open.get(key, 0.0))

    @property
    def requests(self) -> Range:
        """Return how many requests must be made."""
        return Range(math.fsum(self.open.values()), float(len(self.open)))


def estimate_provider(
    provider: str, tally: Tally, record: TrackRecord, terms: Terms, price: Price | None, *, step: str = ""
) -> ProviderEstimate:
    """Return what the part of a provider or of its follow-up costs."""
    requests = tally.requests
    calls = Range(*(float(math.ceil(number / terms.batch_size)) for number in (requests.expected, requests.at_most)))
    usual = min(record.credits / record.replies, terms.credits) if record.replies else terms.credits
    cost = Range(requests.expected * usual, requests.at_most * terms.credits)
    return ProviderEstimate(
        provider,
        len(tally.known),
        requests,
        calls,
        cost,
        Range(hours_for(calls.expected, terms), hours_for(calls.at_most, terms)),
        record.match_rate,
        record.matched + record.unmatched,
        cost.times(price.amount) if price else None,
        price.currency if price else "",
        step,
    )


def hours_for(calls: float, terms: Terms) -> float:
    """Return how many hours the calls take: at the pace, or by the allowance that is used up first."""
    waits = [max(0.0, calls - limit) / limit * seconds for limit, seconds in terms.windows]
    return max([calls / terms.per_second, *waits]) / 3600


def chance_of_next(chance: float, record: TrackRecord) -> float:
    """Return how likely the next provider is queried, too, if this one is queried with such a chance."""
    return chance * (1.0 - (record.match_rate or 0.0))


def chance_of_follow_up(chance: float, record: TrackRecord) -> float:
    """Return how likely a provider is queried about a contact's company, given the chance for the contact itself."""
    return chance * (1.0 if record.match_rate is None else record.match_rate)


def estimate_lines(estimate: Estimate) -> list[tuple[str, str]]:
    """Return the estimate as label and value."""
    lines = [("contacts selected", f"{estimate.selected:,}")]
    skipped = {
        "already in the queue": estimate.waiting,
        "suppressed": estimate.suppressed,
        "enriched recently": estimate.fresh,
        "without a usable identifier": estimate.unusable,
    }
    lines += [(f"- {label}", f"{count:,}") for label, count in skipped.items()]
    for one in estimate.providers:
        lines += _provider_lines(one)
    lines += [(f"total cost, {currency}", _range(total, ",.2f")) for currency, total in totals(estimate).items()]
    if not estimate.priced:
        lines.append(("cost", "set ENRICHMENT_PRICE_BOOK to a file with the price per credit"))
    return lines


def totals(estimate: Estimate) -> Mapping[str, Range]:
    """Return the money by currency, of those providers that have a price."""
    sums: dict[str, Range] = {}
    for one in estimate.providers:
        if one.money:
            before = sums.get(one.currency, Range())
            sums[one.currency] = Range(before.expected + one.money.expected, before.at_most + one.money.at_most)
    return sums


def in_one_sentence(estimate: Estimate) -> str:
    """Return what people want to know first: how many contacts, and what they would cost."""
    if not estimate.selected:
        return "no contact meets the conditions"
    if not any(one.requests.at_most for one in estimate.providers):
        return f"{contacts(estimate.selected)}: no paid lookup is needed"
    costs = [
        f"{_range(one.credits, ',.0f')} credit{'s' * (one.credits.at_most != 1)} at {_name(one)}"
        for one in estimate.providers
    ]
    money = [f"{_range(total, ',.2f')} {currency}" for currency, total in totals(estimate).items()]
    return f"{contacts(estimate.selected)}: {', '.join([*costs, *money])}"


def estimate_markdown(estimate: Estimate) -> str:
    """Return the estimate as Markdown."""
    figures = table(("figure", "value"), estimate_lines(estimate), numbers=[1])
    return "\n\n".join([f"**{in_one_sentence(estimate)}**", "Nothing was spent or written.", figures])


def _provider_lines(one: ProviderEstimate) -> list[tuple[str, str]]:
    rate = rate_in_words(one.match_rate, one.looked_up)
    if one.looked_up < _FEW:
        rate += ": too few to expect by, so count on the highest cost"
    lines = [
        ("saved replies, free", f"{one.in_journal:,}"),
        *([] if one.step else [("match rate so far", rate)]),
        (f"{'companies' if one.step else 'contacts'} to look up", _range(one.requests, ",.0f")),
        ("calls", _range(one.calls, ",.0f")),
        ("credits", _range(one.credits, ",.0f")),
        ("hours at the rate limit", _range(one.hours, ",.2f")),
        *([(one.currency, _range(one.money, ",.2f"))] if one.money else []),
    ]
    return [(f"{_name(one)}: {label}", value) for label, value in lines]


def _name(one: ProviderEstimate) -> str:
    return f"{one.provider} {one.step}".rstrip()


def _range(figure: Range, form: str) -> str:
    expected, at_most = format(figure.expected, form), format(figure.at_most, form)
    return expected if expected == at_most else f"{expected} expected, at most {at_most}"
