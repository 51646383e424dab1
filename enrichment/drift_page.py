"""The review of the mapping as people read it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from enrichment.drift import Finding, Kind
from enrichment.markdown import table

_TITLES: Mapping[Kind, str] = {
    Kind.GONE: "no longer there",
    Kind.NEVER: "never there",
    Kind.TYPE_CHANGED: "another type",
    Kind.NEW: "new",
    Kind.LEFT_OUT: "values not used",
    Kind.NOT_UNDERSTOOD: "not understood",
    Kind.CRM_FIELD: "field of the CRM",
    Kind.CRM_VALUES: "values that the CRM doesn't take",
    Kind.VERSION: "API version",
}


@dataclass(frozen=True, slots=True)
class Drift:
    """
    What has changed around the mapping.

    Args:
        days: how far back, up to `day` (ISO-8601).
        day: of the review.
        replies: how many saved replies with data were read, by provider.
        most_replies: how many are read at most.
        findings: what has changed.
        notes: what couldn't be checked.
    """

    days: int
    day: str
    replies: Mapping[str, int]
    most_replies: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def serious(self) -> list[Finding]:
        """Return the changes by which values are lost until a person acts."""
        return [one for one in self.findings if one.serious]

    @property
    def sentence(self) -> str:
        """Return the result in a sentence."""
        changes = [one for one in self.findings if one.kind not in {Kind.VERSION, Kind.NEVER}]
        return (
            f"{len(changes):,} changes in {self.days} days; by {len(self.serious):,} of them values are lost until "
            "a person acts"
        )

    def markdown(self) -> str:
        """Return the whole review."""
        return "\n".join(
            [
                f"# Mapping: {self.sentence}",
                "",
                *self._sample(),
                *(f"* {note}" for note in self.notes),
                *_table(self.findings),
                *_proposals(self.findings),
            ]
        )

    def _sample(self) -> Iterator[str]:
        for name, count in self.replies.items():
            all_of_them = "a sample" if count >= self.most_replies else "all"
            yield f"* {name}: {count:,} saved replies with data read, {all_of_them} of the last {self.days} days"


def _table(findings: Iterable[Finding]) -> Iterator[str]:
    rows = [_row(one) for one in findings]
    if rows:
        yield ""
        yield table(("system", "what", "where", "replies", "since", ""), rows, numbers=[3])


def _row(one: Finding) -> tuple[str, ...]:
    replies = f"{one.count:,} of {one.of:,}" if one.of else ""
    words = ", ".join(f"{word} ({count:,})" for word, count in one.values)
    says = f"{one.says}: {words}" if words else one.says
    title = f"**{_TITLES[one.kind]}**" if one.serious else _TITLES[one.kind]
    return one.system, title, f"`{one.subject}`", replies, one.since, says


def _proposals(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield what to write into the provider's file or the mapping file, for each system that has something."""
    lines: dict[tuple[str, bool], list[str]] = {}
    for one in findings:
        if one.proposal:
            lines.setdefault((one.system, one.kind is Kind.CRM_FIELD), []).append(one.proposal)
    for (system, is_crm), proposed in lines.items():
        head = [f"# mapping file of {system}"] if is_crm else [f"# {system}", "fields:"]
        indent = "" if is_crm else "  "
        yield from ("", "Proposed; look at it before you take it over:", "", "```yaml", *head)
        yield from (f"{indent}{line}" for line in proposed)
        yield "```"
