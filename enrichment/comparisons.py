"""What SQL can't see of the promises: the field mapping, and what the CRM holds now."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from enrichment.promises import EXAMPLES, Sighting, sighting
from enrichment.wire import FieldDescription, same
from enrichment.write_policy import FieldRule, Rule


@dataclass(frozen=True, slots=True)
class FieldWrites:
    """How often a field of the CRM was written, how often in place of another value, and a contact of each."""

    field: str
    writes: int
    replaced: int
    example: str
    replaced_example: str | None


def check_policy(
    rules: Sequence[FieldRule], protected: frozenset[str], written: Iterable[FieldWrites]
) -> dict[str, Sighting]:
    """Return what today's mapping says of the fields that were written."""
    kinds = {rule.field: rule.rule for rule in rules}
    found = {name: Sighting() for name in ("field_not_mapped", "protected_field_written", "value_replaced")}

    def add(check: str, one: FieldWrites, count: int, crm_id: str) -> None:
        seen = found[check]
        found[check] = Sighting(seen.count + count, (*seen.examples, (crm_id, one.field))[:EXAMPLES])

    for one in sorted(written, key=lambda each: each.field):
        kind = kinds.get(one.field)
        if one.field in protected:
            add("protected_field_written", one, one.writes, one.example)
        elif kind is None:
            add("field_not_mapped", one, one.writes, one.example)
        elif kind is Rule.NEVER:
            add("value_replaced", one, one.writes, one.example)
        elif kind is Rule.FILL_BLANK and one.replaced:
            add("value_replaced", one, one.replaced, one.replaced_example or one.example)
    return found


@dataclass(frozen=True, slots=True)
class Booked:
    """Credits that a provider's replies have cost, and that lost ones may have cost."""

    credits: float = 0.0
    doubtful: float = 0.0


@dataclass(frozen=True, slots=True)
class LastWrite:
    """The last value that the CRM confirmed of a contact's field, and when it was to be sent (ISO-8601 UTC)."""

    crm_id: str
    field: str
    after: str
    planned_at: str


@dataclass(frozen=True, slots=True)
class Held:
    """What the CRM has of a contact: the values of fields, and when one was changed last, if it says so."""

    values: Mapping[str, str | None]
    changed_at: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EditedField:
    """How many values that we wrote into a field were compared, how many are others now, and one such contact."""

    field: str
    values: int
    edited: int
    example: str


def edited_fields(
    writes: Iterable[LastWrite], held: Mapping[str, Held], descriptions: Mapping[str, FieldDescription]
) -> list[EditedField]:
    """Return which fields people have changed after us, the most often changed first; see `compare`."""
    compared: Counter[str] = Counter()
    edited: dict[str, list[str]] = {}
    for one in writes:
        state = _state(one, held.get(one.crm_id), descriptions.get(one.field))
        compared[one.field] += state != "gone"
        if state == "changed":
            edited.setdefault(one.field, []).append(one.crm_id)
    made = [EditedField(name, compared[name], len(ids), min(ids)) for name, ids in edited.items()]
    return sorted(made, key=lambda one: (-one.edited, one.field))


def compare(
    writes: Iterable[LastWrite], held: Mapping[str, Held], descriptions: Mapping[str, FieldDescription]
) -> tuple[Counter[str], Sighting]:
    """
    Compare what was written with what the CRM holds.

    Args:
        writes: the last of each field of some contacts.
        held: what the CRM has, by CRM id; a contact that it doesn't have is absent.
        descriptions: the CRM's own, by field.

    Returns:
        how many values are `ours`, were `changed` by a person since, or are of a contact that is `gone`; and those that
        are not there although nothing was changed since.
    """
    states = [(one, _state(one, held.get(one.crm_id), descriptions.get(one.field))) for one in writes]
    missing = sighting((one.crm_id, one.field) for one, state in states if state == "missing")
    return Counter(state for _, state in states), missing


def _state(write: LastWrite, held: Held | None, description: FieldDescription | None) -> str:
    if held is None:
        return "gone"
    value = held.values.get(write.field)
    if value == write.after or (value and description and same(value, write.after, description)):
        return "ours"
    changed = held.changed_at.get(write.field)
    return "missing" if changed is not None and changed < datetime.fromisoformat(write.planned_at) else "changed"
