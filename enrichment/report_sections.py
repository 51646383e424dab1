"""
What the report says: figures, charts as data, sentences and the next commands.

Values in, values out: a warehouse counts, this shapes, and `reporting/` draws.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from enrichment.fields import FIELDS
from enrichment.match_rate import MATCHED, match_rate
from enrichment.profile import KeptProfile
from enrichment.promises import Verdict
from enrichment.records import Disposition
from enrichment.report import (
    Chart,
    Fill,
    Point,
    Report,
    ReportCounts,
    Section,
    Spent,
    Step,
    Table,
    Taken,
    weeks_between,
)
from enrichment.report_profile import profiled
from enrichment.report_trouble import audited, failures, operations, unmatched
from enrichment.review import Latency, Review, duration, latency_of
from enrichment.wording import BEGINNINGS, RESULTS, amount, in_credits

K = TypeVar("K")


def report_of(
    since: str,
    counts: ReportCounts,
    review: Review,
    verdicts: Sequence[Verdict] = (),
    profiles: Sequence[KeptProfile] = (),
) -> Report:
    """
    Return the report.

    Args:
        since: Monday of its first week.
        counts: what the warehouse counted from then on.
        review: of the same days, with what waits for people.
        verdicts: of the audit; none: the report says nothing of it.
        profiles: the first and the latest of each CRM; none: likewise.
    """
    weeks = weeks_between(since, review.read_at)
    sections = (
        _impact(counts),
        *([profiled(profiles)] if profiles else []),
        _results(counts, weeks),
        _match_rates(counts, weeks),
        _fill_rates(counts, weeks),
        _cost(counts, weeks),
        _latency(counts, weeks),
        failures(counts, review),
        unmatched(review),
        operations(counts),
        *([audited(verdicts)] if verdicts else []),
    )
    return Report(since, review.read_at, _figures(counts, review), sections)


def _sums(pairs: Iterable[tuple[K, float]]) -> dict[K, float]:
    sums: dict[K, float] = defaultdict(float)
    for key, value in pairs:
        sums[key] += value
    return sums


def _figures(counts: ReportCounts, review: Review) -> list[tuple[str, str]]:
    finished = sum(one.contacts for one in counts.results)
    money = _money(counts.spending)
    taken = _summed(counts.latency, "created") or _summed(counts.latency, "staged")
    return [
        ("contacts finished", f"{finished:,}"),
        ("contacts looked up", f"{sum(one.contacts for one in counts.results if one.result in MATCHED):,}"),
        ("match rate", _percent(_overall(counts))),
        ("credits", amount(sum(one.credits for one in counts.spending))),
        ("cost", money or "no price set"),
        ("written within (95%)", duration(taken.p95) if taken else "none yet"),
        ("failed contacts that wait", f"{sum(group.waiting for group in review.failures):,}"),
    ]


def _overall(counts: ReportCounts) -> float | None:
    known = _sums((str(MATCHED.get(Disposition(one.result))), one.contacts) for one in counts.results)
    return match_rate(known.get("True", 0), known.get("False", 0))


def _results(counts: ReportCounts, weeks: Sequence[str]) -> Section:
    names = [name for name in Disposition if any(one.result == name for one in counts.results)]
    totals = _sums((one.result, one.contacts) for one in counts.results)
    finished = sum(totals.values())
    says = (
        f"{finished:,.0f} contacts were finished: "
        + ", ".join(f"{totals[name]:,.0f} {RESULTS[name]}" for name in names)
        + ". Unchanged means that the CRM held everything already; unmatched, suppressed and invalid are no failures."
        if finished
        else "No contact has been finished yet."
    )
    chart = Chart(
        "bars",
        "Contacts per week by result",
        f"Stacked bars for {len(weeks)} weeks. {says}",
        "number",
        [Point(one.week, RESULTS[Disposition(one.result)], one.contacts) for one in counts.results],
        weeks,
        [RESULTS[name] for name in names],
    )
    step = Step("enrich backfill --missing industry --estimate", "says what older contacts would cost")
    return Section("results", "Contacts per week", says, [chart], steps=[step])


def _match_rates(counts: ReportCounts, weeks: Sequence[str]) -> Section:
    providers = sorted({one.provider for one in counts.matches})
    matched = _sums((one.provider, one.matched) for one in counts.matches)
    unmatched = _sums((one.provider, one.unmatched) for one in counts.matches)
    says = (
        "The match rate is the share of looked-up contacts that a provider knew: written or unchanged, of these and "
        f"the unmatched ones. It was {_percent(_overall(counts))}. A provider's own rate counts the contacts that it "
        "was asked about; a second one is asked only about what the first one lacks."
    )
    chart = Chart(
        "lines",
        "Match rate by provider",
        _series_alt(weeks, {name: match_rate(matched[name], unmatched[name]) for name in providers}),
        "share",
        [
            Point(one.week, one.provider, rate)
            for one in counts.matches
            if (rate := match_rate(one.matched, one.unmatched)) is not None
        ],
        weeks,
        providers,
    )
    rows = [(name, *_match_cells(matched[name], unmatched[name])) for name in providers]
    sources = [(one.source, *_match_cells(one.matched, one.unmatched)) for one in counts.sources]
    head = ("looked up", "known", "match rate")
    tables = [Table("By provider", ("provider", *head), rows), Table("By source", ("source", *head), sorted(sources))]
    step = Step("enrich unmatched", "lists who wasn't matched, why, and what to do")
    return Section("match-rate", "Match rate", says, [chart], tables, [step])


def _match_cells(matched: float, unmatched: float) -> tuple[str, str, str]:
    return f"{matched + unmatched:,.0f}", f"{matched:,.0f}", _percent(match_rate(matched, unmatched))


def _fill_rates(counts: ReportCounts, weeks: Sequence[str]) -> Section:
    providers = sorted({one.provider for one in counts.fill})
    names = [name for name in FIELDS if any(one.field == name for one in counts.fill)]
    labels = {name: FIELDS[name].label for name in names}
    totals = {
        (provider, name): _share(one for one in counts.fill if (one.provider, one.field) == (provider, name))
        for provider in providers
        for name in names
    }
    by_week = {
        (week, name): _share(one for one in counts.fill if (one.week, one.field) == (week, name))
        for week in weeks
        for name in names
    }
    overall = {labels[name]: _share(one for one in counts.fill if one.field == name) for name in names}
    chart = Chart(
        "lines",
        "Fill rate by field",
        _series_alt(weeks, overall),
        "share",
        [Point(week, labels[name], rate) for (week, name), rate in by_week.items() if rate is not None],
        weeks,
        [labels[name] for name in names],
    )
    says = (
        "The fill rate is the share of results that have a field. A known contact can lack fields that the provider "
        "doesn't sell, or doesn't know. If a rate falls suddenly, the provider may have changed something: compare the "
        "API versions below."
    )
    rows = [(labels[name], *(_percent(totals[provider, name]) for provider in providers)) for name in names]
    table = Table("Fill rate by field and provider", ("field", *providers), rows)
    step = Step("enrich run --dry-run", "shows what would be written to the contacts that wait")
    return Section("fill-rate", "Fill rate", says, [chart] if names else [], [table] if names else [], [step])


def _share(parts: Iterable[Fill]) -> float | None:
    results = filled = 0
    for one in parts:
        results += one.results
        filled += one.filled
    return filled / results if results else None


def _cost(counts: ReportCounts, weeks: Sequence[str]) -> Section:
    providers = sorted({one.provider for one in counts.spending if one.credits})
    spent = _sums((one.provider, one.credits) for one in counts.spending)
    by_week = _sums(((one.week, one.provider), one.credits) for one in counts.spending)
    chart = Chart(
        "bars",
        "Credits per week by provider",
        f"Stacked bars for {len(weeks)} weeks. " + ", ".join(f"{name}: {amount(spent[name])}" for name in providers),
        "number",
        [Point(week, name, value) for (week, name), value in by_week.items() if value],
        weeks,
        providers,
    )
    total, money = sum(spent.values()), _money(counts.spending)
    says = (
        f"Providers billed {in_credits(total)}{f', which cost {money}' if money else ''}. "
        "The cost of a filled field is everything that was billed, divided by the contacts that have the field now: "
        "what you would have paid if this field were all that you wanted."
    )
    per_field = [
        (FIELDS[name].label, f"{filled:,.0f}", *_per_value(total, counts.spending, filled))
        for name, filled in _sums((one.field, one.filled) for one in counts.fill).items()
        if filled
    ]
    tables = [Table("Cost per filled field", ("field", "filled", "credits each", "money each"), sorted(per_field))]
    steps = [Step("enrich backfill --estimate", "says what a backfill would cost at most, and how it was counted")]
    if not money:
        steps.append(
            Step("enrich doctor", "first set ENRICHMENT_PRICE_BOOK to a file with prices; runs then keep money")
        )
    return Section("cost", "Credits and money", says, [chart] if providers else [], tables if per_field else [], steps)


def _per_value(total: float, spending: Sequence[Spent], filled: float) -> tuple[str, str]:
    money = _sums((one.currency, one.cost) for one in spending if one.currency and one.cost is not None)
    each = ", ".join(f"{value / filled:,.3f} {currency}" for currency, value in sorted(money.items()))
    return f"{total / filled:,.2f}", each or "no price set"


def _money(spending: Iterable[Spent]) -> str:
    sums = _sums((one.currency, one.cost) for one in spending if one.currency and one.cost is not None)
    return ", ".join(f"{value:,.2f} {currency}" for currency, value in sorted(sums.items()))


def _latency(counts: ReportCounts, weeks: Sequence[str]) -> Section:
    begun = "created" if any(one.begun == "created" for one in counts.latency) else "staged"
    taken = {
        week: _taken((one.seconds, one.records) for one in counts.latency if (one.week, one.begun) == (week, begun))
        for week in weeks
    }
    whole = _summed(counts.latency, begun)
    shares = {"50% of the contacts": 0, "95% of the contacts": 1}
    points = [
        Point(week, name, (one.p50, one.p95)[place] / 60)
        for week, one in taken.items()
        if one
        for name, place in shares.items()
    ]
    says = (
        f"From {BEGINNINGS[begun]} to written, half of {whole.records:,} live contacts took at most "
        f"{duration(whole.p50)}, and 95% at most {duration(whole.p95)}. Contacts of a backfill don't count."
        if whole
        else "No live contact has been written yet."
    )
    chart = Chart("lines", "Minutes until a live contact is written", says, "minutes", points, weeks, list(shares))
    step = Step("enrich doctor", "says whether listeners, workers and schedules are up")
    return Section("latency", "From created to written", says, [chart] if points else [], steps=[step])


def _summed(latency: Iterable[Taken], begun: str) -> Latency | None:
    return _taken((one.seconds, one.records) for one in latency if one.begun == begun)


def _taken(histogram: Iterable[tuple[int, int]]) -> Latency | None:
    counted = list(histogram)
    return latency_of(counted) if counted else None


def _impact(counts: ReportCounts) -> Section:
    shown = sorted(
        (one for one in counts.impact if one.contacts), key=lambda one: -(one.filled_now - one.filled_before)
    )
    points = [
        Point(one.field, name, value / one.contacts)
        for one in shown
        for name, value in (("before our first write", one.filled_before), ("now", one.filled_now))
    ]
    filled = sum(one.filled for one in counts.written)
    replaced = sum(one.replaced for one in counts.written)
    says = (
        f"{counts.contacts:,} contacts have been through the pipeline. In this time {filled:,} blank fields were "
        f"filled and {replaced:,} values replaced. Complete is the share of the contacts known to a provider that have "
        "a value in the field: when we first read them, before anything was written, and now."
    )
    written = {one.field: (one.filled, one.replaced) for one in counts.written}
    rows = [
        (
            one.field,
            f"{one.contacts:,}",
            _percent(one.filled_before / one.contacts),
            _percent(one.filled_now / one.contacts),
            *(f"{count:,}" for count in written.get(one.field, (0, 0))),
        )
        for one in shown
    ]
    alt = "; ".join(f"{row[0]}: {row[2]} before, {row[3]} now" for row in rows)
    chart = Chart(
        "change",
        "Complete before our first write, and now",
        alt,
        "share",
        points,
        [one.field for one in shown],
        ["before our first write", "now"],
    )
    head = ("CRM field", "contacts", "before", "now", "filled", "replaced")
    return Section(
        "impact",
        "Impact on the CRM",
        says,
        [chart] if points else [],
        [Table("Complete before and now; filled and replaced in this time", head, rows)] if rows else [],
        [Step("enrich why CRM_ID", "shows what one contact held before, and what was written")],
    )


def _series_alt(weeks: Sequence[str], overall: Mapping[str, float | None]) -> str:
    said = ", ".join(f"{name} {_percent(rate)}" for name, rate in overall.items())
    return f"Lines for {len(weeks)} weeks. Over all of them: {said or 'nothing yet'}."


def _percent(rate: float | None) -> str:
    return "none yet" if rate is None else f"{rate:.1%}"
