"""The weekly review as people read it: whole, as a message, and as rows of a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enrichment.causes import failed, not_found
from enrichment.markdown import table
from enrichment.match_rate import MATCHED, match_rate_of, rate_in_words
from enrichment.records import Disposition
from enrichment.refusals import refused_line
from enrichment.review import FILLED_FIELDS, Latency, ProviderUse, ResultShare, Review, duration
from enrichment.wording import BEGINNINGS, RESULTS, amount, contacts

#: How many refused fields, and causes of unmatched contacts, the message lists; the whole review has all.
_REFUSALS_SENT, _CAUSES_SENT = 5, 3
#: A share of fewer contacts says nothing of a source or an owner; and how many the review shows of each kind.
_LEAST_CONTACTS, _WORST_SHOWN = 10, 5

#: Columns of tables that the report has as well.
UNMATCHED_HEAD = ("cause", "what is wrong", "provider", "contacts", "new", "oldest", "example", "what to do")
SHARE_HEAD = ("by", "name", "contacts", "without a result", "unmatched", "invalid", "failed")
EDITED_HEAD = ("field", "values of ours", "changed since", "example")
MISTYPED_HEAD = ("domain", "likely meant", "contacts", "example")
INVALID_HEAD = ("reason", "what is wrong", "contacts", "example", "what to do")


@dataclass(frozen=True, slots=True)
class Message:
    """What people are sent."""

    subject: str
    body: str


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


def review_markdown(review: Review, *, domains: bool) -> str:
    """
    Return the whole review as Markdown.

    Args:
        review: of some days.
        domains: show the domains that look mistyped, which say something of addresses: not where Prefect keeps it.
    """
    parts = [
        f"Contact enrichment, {_period(review)}",
        _table(("figure", "value"), figures(review)),
        f"## Fill rate of {review.contacts:,} contacts enriched in this period",
        _table(("field", "filled"), _fill_rates(review)),
        "## Unmatched contacts by cause",
        _table(UNMATCHED_HEAD, unmatched_cells(review)),
        "`enrich unmatched` lists them: the rows of `unmatched_records` without `reviewed_at`.",
        *(["## Domains that look mistyped", _table(MISTYPED_HEAD, mistyped_cells(review))] if domains else []),
        "## Invalid contacts of this period by reason",
        _table(INVALID_HEAD, invalid_cells(review)),
        "## Sources and owners with the largest share of contacts without a result",
        _table(SHARE_HEAD, share_cells(review)),
        f"## Fields that people changed after us{_read_of(review)}",
        _table(EDITED_HEAD, edited_cells(review)),
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


def _read_of(review: Review) -> str:
    return f", of {contacts(review.look.contacts)} read from the CRM" if review.look else " (the CRM wasn't read)"


def unmatched_cells(review: Review) -> list[tuple[str, ...]]:
    """Return the unmatched contacts by cause, with one contact's story, and what queues them again."""
    return [
        (
            group.cause,
            group.explained.words,
            group.provider,
            f"{group.records:,}",
            f"{group.recent:,}",
            group.oldest_at[:10],
            f"enrich why {group.ids[0]}",
            group.explained.advice,
        )
        for group in review.unmatched
    ]


def unmatched_rows(review: Review) -> list[dict[str, str]]:
    """Return the same as rows of a table."""
    return [dict(zip(UNMATCHED_HEAD, cells, strict=True)) for cells in unmatched_cells(review)]


def mistyped_cells(review: Review) -> list[tuple[str, ...]]:
    """Return the domains that look mistyped, and those that are likely meant."""
    return [(one.domain, one.meant, f"{one.contacts:,}", f"enrich why {one.example}") for one in review.mistyped]


def invalid_cells(review: Review) -> list[tuple[str, ...]]:
    """Return the contacts for which nothing could be asked, by reason."""
    return [
        (
            one.reason,
            (cause := not_found(one.reason)).words,
            f"{one.contacts:,}",
            f"enrich why {one.example}",
            cause.fix,
        )
        for one in review.invalid
    ]


def share_cells(review: Review) -> list[tuple[str, ...]]:
    """Return the sources and owners of which the largest share of contacts has no result."""
    return [
        (one.by, one.name, f"{one.contacts:,}", f"{one.share:.0%}", *map(str, (one.unmatched, one.invalid, one.failed)))
        for one in worst_shares(review, _WORST_SHOWN)
    ]


def worst_shares(review: Review, most: int) -> list[ResultShare]:
    """Return the worst of each kind of source, of those that have enough contacts to say something."""
    telling = [one for one in review.shares if one.share and one.contacts >= _LEAST_CONTACTS]
    kinds = dict.fromkeys(one.by for one in telling)
    return [one for kind in kinds for one in [each for each in telling if each.by == kind][:most]]


def edited_cells(review: Review) -> list[tuple[str, ...]]:
    """Return the fields that people changed after us."""
    return [
        (one.field, f"{one.values:,}", f"{one.edited:,} ({one.edited / one.values:.0%})", f"enrich why {one.example}")
        for one in (review.look.edited if review.look else ())
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
    lines += [f"- {contacts(group.records)}: {group.explained.words}" for group in review.unmatched[:_CAUSES_SENT]]
    if review.unmatched:
        lines.append("To review: `enrich unmatched` lists the contacts; then `enrich review --mark`.")
    lines += [_worst(one) for one in worst_shares(review, 1)]
    if review.look and review.look.edited:
        edited = ", ".join(f"{one.field} ({one.edited:,} of {one.values:,})" for one in review.look.edited)
        lines.append(f"Changed by people after us: {edited}.")
    if _letters(review):
        lines.append("Failed contacts: `enrich failures` lists them with what to do, `enrich retry` puts them back.")
    lines += [f"Not written: {refused_line(one, 'the CRM')}" for one in review.refusals[:_REFUSALS_SENT]]
    if link:
        lines.append(f"The whole review: {link}, under Artifacts.")
    return Message(subject, "\n".join(lines))


def _period(review: Review) -> str:
    return f"{_days(review)} to {review.read_at[:10]}"


def _days(review: Review) -> str:
    return "1 day" if review.days == 1 else f"{review.days} days"


def _worst(one: ResultShare) -> str:
    where = f"{one.by} {one.name}"
    return f"Most without a result: {where}, {one.share:.0%} of {one.contacts:,}."


def _rate(ended: Mapping[str, int]) -> str:
    results = {Disposition(name): count for name, count in ended.items()}
    return rate_in_words(match_rate_of(results), sum(count for name, count in results.items() if name in MATCHED))


def _rates(review: Review) -> str:
    return f"{_rate(review.ended)} ({_days(review)} before: {_rate(review.ended_before)})"


def _credits(use: ProviderUse, days: str) -> str:
    return f"{amount(use.credits)} for {use.replies:,} replies ({days} before: {amount(use.credits_before)})"


def _taken(taken: Latency) -> str:
    return f"50% within {duration(taken.p50)}, 95% within {duration(taken.p95)} ({taken.records:,} live contacts)"


def _to_review(review: Review) -> str:
    records = sum(group.records for group in review.unmatched)
    recent = sum(group.recent for group in review.unmatched)
    return f"{records:,}, {recent:,} of them new"


def _letters(review: Review) -> int:
    return sum(group.waiting for group in review.failures)


def _fill_rates(review: Review) -> list[tuple[str, str]]:
    if not review.contacts:
        return []
    return [(label, f"{review.filled[name] / review.contacts:.0%}") for name, label in FILLED_FIELDS.items()]


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
    return _table(("cause", "what is wrong", "in this period", "waiting", "example", "how to fix it"), rows)


def _refusal_list(review: Review) -> str:
    return "\n".join(f"* {refused_line(one, 'the CRM')}" for one in review.refusals) or "None."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return table(head, rows) if rows else "None."
