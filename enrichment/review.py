"""What the weekly review is made of: ids and counts only, for the people who own the field mapping."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from enrichment.comparisons import EditedField
from enrichment.fields import FIELDS
from enrichment.records import ENRICHED, Disposition
from enrichment.refusals import RefusedField
from enrichment.unmatched import (
    KnownDomains,
    MistypedDomain,
    UnmatchedGroup,
    UnmatchedItem,
    group_unmatched,
    mistyped_domains,
    suggestions_of,
)

#: Columns whose fill rate is reported, and their labels.
FILLED_FIELDS: Mapping[str, str] = {name: field.label for name, field in FIELDS.items() if field.own_column}

#: Results of contacts of which nothing came.
_WITHOUT = (Disposition.UNMATCHED, Disposition.INVALID, Disposition.FAILED)

_RUNS_OF_SECONDS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Dead letters of one cause: those of these days, and all that wait to be put back."""

    reason: str
    step: str
    records: int
    waiting: int
    example: str


@dataclass(frozen=True, slots=True)
class ProviderUse:
    """What one provider was queried for and billed; `known` counts the replies that had the contact."""

    provider: str
    replies: int = 0
    known: int = 0
    credits: float = 0.0
    credits_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Latency:
    """How long contacts of the live lane took until they were written, in seconds."""

    records: int
    p50: int
    p95: int


@dataclass(frozen=True, slots=True)
class ReplyCount:
    """How many replies with one outcome a provider gave and billed, in these days or in as many days before."""

    provider: str
    outcome: str
    earlier: bool
    replies: int
    credits: float


@dataclass(frozen=True, slots=True)
class ResultCount:
    """How many contacts that one source had queued ended with a result for one reason, and one of them."""

    source: str
    result: str
    reason: str
    contacts: int
    example: str


@dataclass(frozen=True, slots=True)
class ResultShare:
    """
    How the contacts of one source or owner ended.

    Args:
        by: what `name` is: `queued by` (the pipeline's source), or `source` or `owner` in the CRM.
        name: of the source, or the owner's id.
        contacts: that were finished.
        unmatched, invalid, failed: of these.
    """

    by: str
    name: str
    contacts: int
    unmatched: int
    invalid: int
    failed: int

    @property
    def share(self) -> float:
        """Return the share that ended unmatched, invalid or failed, from 0 to 1."""
        return (self.unmatched + self.invalid + self.failed) / self.contacts


@dataclass(frozen=True, slots=True)
class CrmLook:
    """
    What the CRM says of the contacts that were finished last.

    Args:
        contacts: how many were read.
        shares: how they ended, by owner and by source.
        edited: which fields that we wrote have another value now.
    """

    contacts: int
    shares: Sequence[ResultShare]
    edited: Sequence[EditedField]


@dataclass(frozen=True, slots=True)
class ReviewCounts:
    """
    What a warehouse counts for a review.

    Args:
        since: the moment at which its days begin (ISO-8601 UTC).
        ended: contacts by disposition; `ended_before` is the same of the days before.
        replies: of these days and of the days before.
        contacts: that were enriched; `filled` says how many of them have a field.
        latency: how many contacts took how many seconds, by where the time begins.
        unmatched: contacts that aren't reviewed yet.
        domains: at which contacts were found, and how many.
        results: how contacts ended in these days, by what had queued them.
        failures, waiting, refusals: as in `Review`.
    """

    since: str
    ended: Mapping[str, int]
    ended_before: Mapping[str, int]
    replies: Sequence[ReplyCount]
    contacts: int
    filled: Mapping[str, int]
    latency: Mapping[str, Sequence[tuple[int, int]]]
    unmatched: Sequence[UnmatchedItem]
    failures: Sequence[FailureGroup]
    waiting: int
    refusals: Sequence[RefusedField] = ()
    domains: Mapping[str, int] = field(default_factory=dict)
    results: Sequence[ResultCount] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """
    Some days of contact enrichment.

    Args:
        days: how many, up to `read_at` (ISO-8601 UTC).
        ended: contacts by disposition; `ended_before` is the same of as many days before.
        providers: queries and bills of each provider.
        contacts: that were enriched; `filled` says how many of them have a field.
        latency: by where the time begins, `created` in the CRM or `staged`.
        unmatched: not reviewed yet, whenever they were filed.
        failures: dead letters by cause.
        waiting: records in the queue.
        refusals: values that CRM fields refused, by field and reason.
        mistyped: domains of unmatched contacts that look mistyped; the only part that says something of an address.
        invalid: contacts of these days for which nothing could be asked, by reason.
        shares: how contacts ended, by what had queued them, and by source and owner in the CRM; the worst first.
        look: what a sample in the CRM says; None: it wasn't read.
    """

    days: int
    read_at: str
    ended: Mapping[str, int]
    ended_before: Mapping[str, int]
    providers: Sequence[ProviderUse]
    contacts: int
    filled: Mapping[str, int]
    latency: Mapping[str, Latency]
    unmatched: Sequence[UnmatchedGroup]
    failures: Sequence[FailureGroup]
    waiting: int
    refusals: Sequence[RefusedField] = ()
    mistyped: Sequence[MistypedDomain] = ()
    invalid: Sequence[ResultCount] = ()
    shares: Sequence[ResultShare] = ()
    look: CrmLook | None = None


def review_of(days: int, read_at: str, counts: ReviewCounts, look: CrmLook | None = None) -> Review:
    """
    Return the review.

    Args:
        days: that it covers.
        read_at: when the warehouse counted, by its own clock.
        counts: what it counted.
        look: what a sample in the CRM says.
    """
    unmatched = suggestions_of(counts.unmatched, KnownDomains(counts.domains))
    queued_by = shares_of("queued by", ((one.source, one.result, one.contacts) for one in counts.results))
    return Review(
        days,
        read_at,
        counts.ended,
        counts.ended_before,
        providers=_providers(counts.replies),
        contacts=counts.contacts,
        filled=counts.filled,
        latency={begun: latency_of(histogram) for begun, histogram in counts.latency.items()},
        unmatched=group_unmatched(unmatched, counts.since),
        failures=counts.failures,
        waiting=counts.waiting,
        refusals=counts.refusals,
        mistyped=mistyped_domains(unmatched),
        invalid=_invalid(counts.results),
        shares=(*queued_by, *(look.shares if look else ())),
        look=look,
    )


def shares_of(by: str, ended: Iterable[tuple[str, str, int]]) -> list[ResultShare]:
    """
    Return how the contacts of each source or owner ended, the worst first.

    Args:
        by: what the names are.
        ended: name, result and number of contacts.
    """
    counts: dict[str, Counter[str]] = {}
    for name, result, contacts in ended:
        counts.setdefault(name, Counter())[result] += contacts
    made = [ResultShare(by, name, each.total(), *(each[one] for one in _WITHOUT)) for name, each in counts.items()]
    return sorted(made, key=lambda one: (-one.share, -one.contacts, one.name))


def _invalid(results: Iterable[ResultCount]) -> list[ResultCount]:
    found: dict[str, ResultCount] = {}
    for one in results:
        if one.result == Disposition.INVALID:
            known = found.get(one.reason, replace(one, source="", contacts=0))
            found[one.reason] = replace(known, contacts=known.contacts + one.contacts)
    return sorted(found.values(), key=lambda one: (-one.contacts, one.reason))


def percentile(histogram: Iterable[tuple[int, int]], share: float) -> int:
    """
    Return the smallest value that this share of all reach at most (the nearest rank).

    Args:
        histogram: values, and how often each occurs; at least one.
        share: from 0 to 1.
    """
    counts = sorted(histogram)
    rank = share * sum(count for _, count in counts)
    reached = accumulate(count for _, count in counts)
    return next(value for (value, _), seen in zip(counts, reached, strict=True) if seen >= rank)


def duration(seconds: int) -> str:
    """Return a time as people say it, by its two largest units."""
    for unit, name, part, part_name in _RUNS_OF_SECONDS:
        if seconds >= unit:
            rest = seconds % unit // part
            return f"{seconds // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{seconds} s"


def _providers(replies: Sequence[ReplyCount]) -> list[ProviderUse]:
    uses = []
    for provider in sorted({one.provider for one in replies}):
        mine = [one for one in replies if one.provider == provider]
        now = [one for one in mine if not one.earlier]
        uses.append(
            ProviderUse(
                provider,
                replies=sum(one.replies for one in now),
                known=sum(one.replies for one in now if one.outcome in ENRICHED),
                credits=sum(one.credits for one in now),
                credits_before=sum(one.credits for one in mine if one.earlier),
            )
        )
    return uses


def latency_of(histogram: Iterable[tuple[int, int]]) -> Latency:
    """Return how long contacts took, of how many took how many seconds; at least one."""
    # Two clocks may disagree about what was first.
    taken = [(max(0, seconds), records) for seconds, records in histogram]
    return Latency(sum(records for _, records in taken), percentile(taken, 0.5), percentile(taken, 0.95))
