"""Which fields a CRM didn't take: what is kept of each refusal, and what people read of many."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from enrichment.causes import refused
from enrichment.fields import SOURCES
from enrichment.records import Enrichment
from enrichment.values import PLACEHOLDER, UNREADABLE
from enrichment.write_policy import FieldRule, Refusal, Rule

#: How many characters of a refused value are kept.
_LONGEST_VALUE = 200

#: Reasons that hold for every contact: the field is at fault, not the value.
OF_THE_FIELD = frozenset({"no_such_field", "read_only"})

#: Reasons that lie with the provider's values: they are counted and shown, but people at the CRM can't change them.
OF_THE_PROVIDER = frozenset({PLACEHOLDER, UNREADABLE})


@dataclass(frozen=True, slots=True)
class RefusedField:
    """
    How many values one CRM field refused for one reason.

    Args:
        field: the CRM's name of the field.
        reason: a short code.
        contacts: how many values, one for each contact.
        values: the most frequent ones, with how often each was refused; none that say something of a person.
        planned: how many values were to be written to the field, the refused ones included; 0 if that isn't known.
    """

    field: str
    reason: str
    contacts: int
    values: tuple[tuple[str, int], ...] = ()
    planned: int = 0

    @property
    def share(self) -> float:
        """Return the share of the field's values that was refused, from 0 to 1."""
        return self.contacts / max(self.planned, self.contacts)


def kept(refusals: Iterable[Refusal], rules: Sequence[FieldRule]) -> tuple[Refusal, ...]:
    """Return what is kept of a contact's refusals: those that are problems, without values that are personal."""
    sources = {rule.field: rule.source for rule in rules}
    return tuple(
        Refusal(one.field, one.reason, one.value[:_LONGEST_VALUE] if _may_be_shown(sources.get(one.field, "")) else "")
        for one in refusals
        if not one.by_policy
    )


def left_out(rules: Sequence[FieldRule], enrichment: Enrichment) -> Iterator[Refusal]:
    """Yield the CRM fields that stay as they are because the provider's value, which wasn't blank, wasn't valid."""
    for rule in rules:
        reason = enrichment.left_out.get(rule.source, PLACEHOLDER)
        if reason != PLACEHOLDER and rule.source not in enrichment.fields and rule.rule is not Rule.NEVER:
            yield Refusal(rule.field, reason)


def _may_be_shown(source: str) -> bool:
    field = SOURCES.get(source)
    return field is not None and (field.about != "person" or field.vocabulary)


def refused_fields(rows: Iterable[tuple[str, str, str | None, int, int]]) -> list[RefusedField]:
    """Return figures from rows of field, reason, value, how often that value, and how often all, in the rows' order."""
    values: dict[tuple[str, str], list[tuple[str, int]]] = {}
    totals: dict[tuple[str, str], int] = {}
    for field, reason, value, contacts, total in rows:
        totals[field, reason] = total
        values.setdefault((field, reason), [])
        if value:
            values[field, reason].append((value, contacts))
    return [RefusedField(*key, total, tuple(values[key])) for key, total in totals.items()]


def refused_line(one: RefusedField, crm: str) -> str:
    """Return one figure in a line: the field, how many values, why, and the most frequent ones."""
    return f"{one.field}: {refused_text(one, crm)}"


def refused_text(one: RefusedField, crm: str) -> str:
    """Return one figure without its field."""
    if one.reason in OF_THE_FIELD:
        were = "value was" if one.contacts == 1 else "values were"
        return f"{refused(one.reason, crm).words}; {one.contacts:,} {were} not written"
    of = f" of {one.planned:,}" if one.planned > one.contacts else ""
    values = "value" if one.contacts == one.planned == 1 else "values"
    text = f"{one.contacts:,}{of} {values} {refused(one.reason, crm).words}"
    return f"{text}; {_most_frequent(one.values)}" if one.values else text


def refusals_by_field(figures: Iterable[RefusedField], crm: str) -> dict[str, str]:
    """Return for each field what it refused, as people read it."""
    texts: dict[str, list[str]] = {}
    for one in figures:
        texts.setdefault(one.field, []).append(refused_text(one, crm))
    return {field: "; ".join(lines) for field, lines in texts.items()}


def _most_frequent(values: Sequence[tuple[str, int]]) -> str:
    listed = ", ".join(f"{value} ({count:,})" for value, count in values)
    return f"the most frequent: {listed}" if len(values) > 1 else f"the value: {listed}"
