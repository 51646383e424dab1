"""What the weekly review says: ids and counts only, for the people who own the field mapping."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from enrichment.causes import failed, not_found
from enrichment.fields import FIELDS
from enrichment.match_rate import match_rate_of
from enrichment.records import ENRICHED, Disposition
from enrichment.refusals import RefusedField, refused_line
from enrichment.wording import BEGINNINGS, RESULTS

#: Columns whose fill rate is reported, and their labels.
FILLED_FIELDS: Mapping[str, str] = {name: field.label for name, field in FIELDS.items() if field.own_column}

#: How many refused fields the message lists; the whole review has all.
_REFUSALS_SENT = 5

_RUNS_OF_SECONDS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))


@dataclass(frozen=True, slots=True)
class UnmatchedGroup:
    """Unmatched contacts that aren't reviewed yet, for one reason at one provider; `recent` ones are of these days."""

    reason: str
    provider: str
    records: int
    recent: int
    example: str
    oldest_at: str


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
class ReviewCounts:
    """
    What a warehouse counts for a review.

    Args:
        ended: contacts by disposition; `ended_before` is the same of the days before.
        replies: of these days and of the days before.
        contacts: that were enriched; `filled` says how many of them have a field.
        latency: how many contacts took how many seconds, by where the time begins.
        unmatched, failures, waiting, refusals: as in `Review`.
    """

    ended: Mapping[str, int]
    ended_before: Mapping[str, int]
    replies: Sequence[ReplyCount]
    contacts: int
    filled: Mapping[str, int]
    latency: Mapping[str, Sequence[tuple[int, int]]]
    unmatched: Sequence[UnmatchedGroup]
    failures: Sequence[FailureGroup]
    waiting: int
    refusals: Sequence[RefusedField] = ()


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


@dataclass(frozen=True, slots=True)
class Message:
    """What people are sent."""

    subject: str
    body: str


def review_of(days: int, read_at: str, counts: ReviewCounts) -> Review:
    """
    Return the review.

    Args:
        days: that it covers.
        read_at: when the warehouse counted, by its own clock.
        counts: what it counted.
    """
    return Review(
        days,
        read_at,
        counts.ended,
        counts.ended_before,
        providers=_providers(counts.replies),
        contacts=counts.contacts,
        filled=counts.filled,
        latency={begun: latency_of(histogram) for begun, histogram in counts.latency.items()},
        unmatched=counts.unmatched,
        failures=counts.failures,
        waiting=counts.waiting,
        refusals=counts.refusals,
    )


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


def figures(review: Review) -> list[tuple[str, str]]:
    """Return the review's figures as label and value."""
    total, before = sum(review.ended.values()), sum(review.ended_before.values())
    return [
        ("contacts finished", f"{total:,} ({_days(review)} before: {before:,})"),
        *((RESULTS[name], f"{review.ended[name]:,}") for name in Disposition if review.ended.get(name)),
        ("match rate", _rates(review)),
        *((f"credits of {use.provider}", _credits(use, _days(review))) for use in review.providers),
        *((f"from {BEGINNINGS[begun]} to written", _taken(taken)) for begun, taken in sorted(review.latency.items())),
        ("unmatched contacts to review", _to_review(review)),
        ("failed contacts", f"{_letters(review):,}"),
        ("in the queue", f"{review.waiting:,}"),
    ]


def review_markdown(review: Review) -> str:
    """Return the whole review as Markdown."""
    parts = [
        f"Contact enrichment, {_period(review)}",
        _table(("", ""), figures(review)),
        f"## Fill rate of {review.contacts:,} contacts enriched in this period",
        _table(("field", "filled"), _fill_rates(review)),
        "## Unmatched contacts by reason",
        _unmatched_table(review),
        "`enrich unmatched` lists them: the rows of `unmatched_records` without `reviewed_at`.",
        "## Failed contacts by cause",
        _failure_table(review),
        "## Fields that were not written",
        _refusal_list(review),
        "## Providers",
        _table(
            ("provider", "replies", "contacts known", "credits"),
            [(use.provider, f"{use.replies:,}", f"{use.known:,}", amount(use.credits)) for use in review.providers],
        ),
    ]
    return "\n\n".join(parts)


def unmatched_rows(review: Review) -> list[dict[str, str | int]]:
    """Return the unmatched contacts by reason as rows of a table, with the command that shows one contact's story."""
    return [
        {
            "reason": group.reason,
            "what is wrong": not_found(group.reason).words,
            "provider": group.provider,
            "contacts": group.records,
            "new": group.recent,
            "oldest": group.oldest_at[:10],
            "example": f"enrich why {group.example}",
        }
        for group in review.unmatched
    ]


def review_message(review: Review, link: str = "") -> Message:
    """
    Return what people are sent: the figures, and where to look.

    Args:
        review: of some days.
        link: to the run that published the whole review, if there is one.
    """
    total = sum(review.ended.values())
    subject = f"Contact enrichment, {_period(review)}: {total:,} contacts, match rate {_rate(review.ended)}"
    lines = [f"{label}: {value}" for label, value in figures(review)]
    if review.contacts:
        lines.append("filled: " + ", ".join(f"{name} {rate}" for name, rate in _fill_rates(review)))
    if review.unmatched:
        lines.append("To review: `enrich unmatched` lists the contacts; then `enrich review --mark`.")
    if _letters(review):
        lines.append("Failed contacts: `enrich failures` lists them with what to do, `enrich retry` puts them back.")
    lines += [f"Not written: {refused_line(one, 'the CRM')}" for one in review.refusals[:_REFUSALS_SENT]]
    if link:
        lines.append(f"The whole review: {link}, under Artifacts.")
    return Message(subject, "\n".join(lines))


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


def _period(review: Review) -> str:
    return f"{_days(review)} to {review.read_at[:10]}"


def _days(review: Review) -> str:
    return "1 day" if review.days == 1 else f"{review.days} days"


def _rate(ended: Mapping[str, int]) -> str:
    rate = match_rate_of({Disposition(name): count for name, count in ended.items()})
    return "no lookups" if rate is None else f"{rate:.1%}"


def _rates(review: Review) -> str:
    return f"{_rate(review.ended)} ({_days(review)} before: {_rate(review.ended_before)})"


def _credits(use: ProviderUse, days: str) -> str:
    return f"{amount(use.credits)} for {use.replies:,} replies ({days} before: {amount(use.credits_before)})"


def amount(credit: float) -> str:
    """Return a number of credits as people write it."""
    return f"{credit:,.1f}".removesuffix(".0")


def _taken(taken: Latency) -> str:
    return f"50% within {duration(taken.p50)}, 95% within {duration(taken.p95)} ({taken.records:,} live contacts)"


def _to_review(review: Review) -> str:
    records = sum(group.records for group in review.unmatched)
    recent = sum(group.recent for group in review.unmatched)
    most = (
        f"; most frequent reason: {review.unmatched[0].reason} ({review.unmatched[0].records:,})"
        if review.unmatched
        else ""
    )
    return f"{records:,}, {recent:,} of them new{most}"


def _letters(review: Review) -> int:
    return sum(group.waiting for group in review.failures)


def _fill_rates(review: Review) -> list[tuple[str, str]]:
    if not review.contacts:
        return []
    return [(label, f"{review.filled[name] / review.contacts:.0%}") for name, label in FILLED_FIELDS.items()]


def _unmatched_table(review: Review) -> str:
    rows = [[f"{v:,}" if isinstance(v, int) else v for v in row.values()] for row in unmatched_rows(review)]
    return _table(("reason", "what is wrong", "provider", "contacts", "new", "oldest", "example"), rows)


def _failure_table(review: Review) -> str:
    rows = [
        (
            one.reason,
            (cause := failed(one.reason, one.step)).words,
            f"{one.records:,}",
            f"{one.waiting:,}",
            f"enrich why {one.example}",
            cause.advice,
        )
        for one in review.failures
    ]
    return _table(("cause", "what is wrong", "in this period", "waiting", "example", "to repair it"), rows)


def _refusal_list(review: Review) -> str:
    return "\n".join(f"* {refused_line(one, 'the CRM')}" for one in review.refusals) or "None."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "None."
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
