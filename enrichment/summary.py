"""What a run's summary says: counts only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from enrichment.alerts import Cause, failed_contacts, refused_field
from enrichment.books import Books
from enrichment.markdown import table
from enrichment.match_rate import match_rate_of
from enrichment.messages import concern_lines
from enrichment.records import Disposition, Stop
from enrichment.refusals import RefusedField, refusals_by_field
from enrichment.wording import RESULTS, amount, contacts, in_credits, totals


@dataclass(frozen=True, slots=True)
class ProviderUse:
    """
    What a run had of one provider.

    Args:
        provider: its name.
        lookups: its replies, by outcome.
        credits: what it billed, by its spec.
        api_versions: as its answers stated them, else of the path.
        versions_before: the same, of the last run that it answered.
        request_id: by which it knows its last answer; empty if it gives none.
    """

    provider: str
    lookups: Mapping[str, int] = field(default_factory=dict)
    credits: float = 0.0
    api_versions: Sequence[str] = ()
    versions_before: Sequence[str] = ()
    request_id: str = ""

    @property
    def replies(self) -> int:
        """Return how many replies it gave."""
        return sum(self.lookups.values())

    @property
    def version_changed(self) -> bool:
        """Return whether it speaks a version that it didn't speak in the last run."""
        return bool(self.versions_before) and not set(self.api_versions) <= set(self.versions_before)


@dataclass(frozen=True, slots=True)
class RateUse:
    """
    What a run used of the rate of a service.

    Args:
        service: its name.
        calls: that the run was allowed in each window, at last.
        window_seconds: the window.
        share: of what was allowed between the first and the last call, 0 to 1.
    """

    service: str
    calls: float
    window_seconds: float
    share: float

    def __str__(self) -> str:
        """Return it for people, as `98% of 25 calls per second`."""
        window = _WINDOWS.get(self.window_seconds, f"{self.window_seconds:g} seconds")
        return f"{self.share:.0%} of {amount(self.calls)} calls per {window}"


_WINDOWS: Mapping[float, str] = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}
#: A run that uses this share of a rate is held back by it.
_BINDING = 0.9


@dataclass(frozen=True, slots=True)
class RunReport:
    """
    What a run did: counts only, so that it may be kept anywhere.

    Args:
        run_id: the flow run's id.
        books: counted from the ledger.
        providers: what it had of each provider that answered, in the order in which they are queried.
        causes: dead letters by cause.
        stop: why the run ended early.
        crashed: chunks that broke.
        refusals: values that CRM fields didn't take, by field and reason.
        crm: by which name its contacts are known.
        locked: contacts that other runs have locked at its end.
        locked_until: when the last of them is free, unless its run goes on; ISO-8601 UTC text.
        rates: what it used of the rates of provider and CRM, where it made enough calls to tell, and made them itself.
    """

    run_id: str
    books: Books
    providers: Sequence[ProviderUse] = ()
    causes: Sequence[Cause] = ()
    stop: Stop | None = None
    crashed: int = 0
    refusals: Sequence[RefusedField] = ()
    crm: str = ""
    rates: Sequence[RateUse] = ()
    locked: int = 0
    locked_until: str = ""

    @property
    def credits_by_provider(self) -> dict[str, float]:
        """Return what each provider billed, by its name."""
        return {use.provider: use.credits for use in self.providers}

    @property
    def credits(self) -> float:
        """Return what all providers billed."""
        return sum(use.credits for use in self.providers)

    @property
    def api_versions(self) -> list[str]:
        """Return the versions that all providers spoke."""
        return sorted({version for use in self.providers for version in use.api_versions})


def report_of(printed: Mapping[str, Any]) -> RunReport:
    """Return the report that the command line printed as JSON."""
    providers = [ProviderUse(**use) for use in printed["providers"]]
    causes = [Cause(**cause | {"contacts": tuple(cause["contacts"])}) for cause in printed["causes"]]
    stop = Stop(**printed["stop"]) if printed["stop"] else None
    refusals = [
        RefusedField(**one | {"values": tuple((value, count) for value, count in one["values"])})
        for one in printed["refusals"]
    ]
    known = {name: value for name, value in printed.items() if name != "format_version"}
    parts = {
        "books": Books(**printed["books"]),
        "providers": providers,
        "causes": causes,
        "stop": stop,
        "refusals": refusals,
        "rates": [RateUse(**use) for use in printed["rates"]],
    }
    return RunReport(**{**known, **parts})


def summary_lines(report: RunReport) -> list[tuple[str, str]]:
    """Return the run's summary as label and value."""
    books, rate = report.books, match_rate_of(report.books.dispositions)
    lines = [("taken from the queue", f"{books.claimed:,}")]
    lines += [(RESULTS[name], f"{books.count(name):,}") for name in Disposition if books.count(name)]
    lines += [
        ("returned to the queue", f"{books.returned:,}"),
        ("totals", totals(match=books.balanced)),
        ("match rate", "no lookups" if rate is None else f"{rate:.1%}"),
        ("failure rate", f"{books.failure_rate:.2%}"),
    ]
    for use in report.providers:
        lines.append((f"replies of {use.provider}", f"{use.replies:,} ({in_credits(use.credits)})"))
        lines.append((f"API version of {use.provider}", _versions(use)))
    if not report.providers:
        lines.append(("replies of providers", "none"))
    elif len(report.providers) > 1:
        lines.append(("credits, all providers", amount(report.credits)))
    lines += [(f"rate used at {use.service}", str(use)) for use in report.rates]
    if report.rates:
        most = max(report.rates, key=lambda use: use.share)
        lines.append(("held back by", f"the rate of {most.service}" if most.share >= _BINDING else "no rate limit"))
    lines += [(f"not written: {name}", text) for name, text in refusals_by_field(report.refusals, report.crm).items()]
    if report.locked:
        text = f"{report.locked:,}, until {report.locked_until} at the latest unless those runs go on"
        lines.append(("locked by other runs", text))
    if report.stop:
        lines.append(("stopped early", report.stop.message))
    return lines


def cancelled_in_words(books: Books) -> str:
    """Return what became of the contacts of a run that was cancelled, and what to do next."""
    return (
        f"the run was cancelled: {books.finished:,} contacts have a result, {books.returned:,} went back to the queue, "
        "and what was paid for is saved; run the same command again to go on"
    )


def _versions(use: ProviderUse) -> str:
    seen = ", ".join(use.api_versions) or "none seen"
    return f"{seen} (last run: {', '.join(use.versions_before)})" if use.version_changed else seen


def in_one_sentence(report: RunReport) -> str:
    """Return what people want to know first of a run."""
    books = report.books
    if not books.claimed:
        return "No contact was taken from the queue."
    ended = {RESULTS[name]: books.count(name) for name in Disposition if name is not Disposition.WRITTEN}
    rest = {**ended, "back in the queue": books.returned}
    others = ", ".join(f"{count:,} {label}" for label, count in rest.items() if count)
    written = f"{books.count(Disposition.WRITTEN):,} of {contacts(books.claimed)} written to {report.crm}"
    return f"{written}{f' ({others})' if others else ''}, for {in_credits(report.credits)}."


def summary_markdown(report: RunReport, page: str = "") -> str:
    """
    Return the run's summary as Markdown: a sentence, the counts, and what failed or was not written, with what to do.

    Args:
        report: of the run.
        page: address of a contact's page in the CRM, `{crm_id}` in the id's place; empty if that isn't known.
    """
    head = [f"**{in_one_sentence(report)}**", ""]
    head += [f"**The run stopped early:** {report.stop.message}", ""] if report.stop else []
    names = ", ".join(use.provider for use in report.providers)
    failures = [failed_contacts(one, report.crm, names) for one in report.causes]
    refusals = [refused_field(one, report.crm) for one in report.refusals]
    trouble = [_as_item(line) for one in (*failures, *refusals) for line in concern_lines(one, page)]
    below = ["", "What failed or was not written:", "", *trouble] if trouble else []
    return "\n".join([*head, table(("figure", "value"), summary_lines(report), numbers=[1]), *below])


def _as_item(line: str) -> str:
    """Return a line of a concern as an item of a list in Markdown, or as one below it."""
    return f"  * {line.removeprefix('- ')}" if line.startswith("- ") else f"* {line}"
