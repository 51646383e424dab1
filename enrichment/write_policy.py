"""
What may be written into the CRM.

Every CRM field has a rule. Nothing enters the CRM that its rule, the protected fields or the CRM's own property
description forbids, and a missing value never erases one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from enrichment.wire import FieldDescription, UnfitError, is_blank, same, to_wire


class Rule(StrEnum):
    """When a field may be written; docs/field-mapping.md has the table."""

    meaning: str

    def __new__(cls, name: str, meaning: str = "") -> Self:
        """Make a rule with its meaning."""
        member = str.__new__(cls, name)
        member._value_, member.meaning = name, meaning
        return member

    NEVER = "never", "never"
    FILL_BLANK = "fill_blank", "only if the field is blank"
    ALWAYS = "always", "whenever it differs from the current value, unless a person changed what we wrote"
    IF_NEWER = "if_newer", "only if the field was last changed before the provider's reply was received, or is blank"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """
    How one CRM field is filled.

    Args:
        field: the CRM's name of the field.
        source: the canonical field, or `provider`, `confidence`, `received_at`.
        rule: when it may be written.
        stamp: written only together with another field, so that a mark of time isn't a change of its own.
    """

    field: str
    source: str
    rule: Rule
    stamp: bool = False


def stamps_of(rules: Iterable[FieldRule]) -> frozenset[str]:
    """Return the fields that are written together with others only."""
    return frozenset(rule.field for rule in rules if rule.stamp)


@dataclass(frozen=True, slots=True)
class Change:
    """
    One field's new value, as the CRM wants it on the wire, and the one that it replaces.

    Only an undo has an empty new value, which clears the field; a missing value of a provider never erases one.
    """

    field: str
    before: str | None
    after: str


PROTECTED = "protected"
#: A mark of time stays out where none of the values that it marks was taken.
STAMP = "stamp"
#: A person has undone this value.
UNDONE = "undone"
#: It isn't what a person has approved.
DIFFERS = "not_approved"
#: A person has changed our value since.
EDITED = "edited_since"
NO_SUCH_FIELD = "no_such_field"
READ_ONLY = "read_only"
_POLICY_REASONS = frozenset({Rule.NEVER, Rule.FILL_BLANK, Rule.IF_NEWER, PROTECTED, STAMP, UNDONE, DIFFERS, EDITED})

#: Sources that say something of the reply, not of the contact.
_OF_THE_REPLY = frozenset({"provider", "confidence", "received_at"})

#: Of some contacts, by CRM id and field, the values that people have undone.
Undone = Mapping[str, Mapping[str, frozenset[str]]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    A value that was not written, and why.

    Args:
        field: the CRM's name of the field.
        reason: a short code, or the name of the rule that forbids it.
        value: the canonical value, where only its words show what to do about it, as with `not_an_option`.
    """

    field: str
    reason: str
    value: str = ""

    @property
    def by_policy(self) -> bool:
        """Return whether the user's own rule forbids the write; then nothing is wrong."""
        return self.reason in _POLICY_REASONS


@dataclass(frozen=True, slots=True)
class WritePlan:
    """What will be written to one contact, and what will not; `filled_before` as in `filled_fields`."""

    changes: tuple[Change, ...]
    refusals: tuple[Refusal, ...] = ()
    filled_before: str = ""


_NONE: Mapping[str, frozenset[str]] = {}


def plan_write(
    current: Mapping[str, str | None],
    values: Mapping[str, Any],
    rules: Sequence[FieldRule],
    descriptions: Mapping[str, FieldDescription],
    *,
    protected: frozenset[str] = frozenset(),
    changed_at: Mapping[str, datetime] | None = None,
    received_at: datetime | None = None,
    undone: Mapping[str, frozenset[str]] = _NONE,
) -> WritePlan:
    """
    Decide field by field what is written to one contact.

    Args:
        current: the CRM's values now; blank is None or an empty text. With those of fields that narrow others' options.
        values: canonical values by name; a missing or empty one changes nothing.
        rules: one per CRM field.
        descriptions: the CRM's own description of its fields.
        protected: fields that are never written, whatever their rule says.
        changed_at: when a field was last changed, for `if_newer`.
        received_at: when the provider answered, for `if_newer`.
        undone: by field, the values that people have undone. They aren't written again; of what is said of the reply,
            only together with other changes.
    """
    changes: list[Change] = []
    stamps: list[Change] = []
    refusals: list[Refusal] = []
    for rule in rules:
        value = values.get(rule.source)
        if is_blank(value):
            continue
        before = current.get(rule.field) or None
        try:
            check_field(rule.field, descriptions, protected)
            description = descriptions[rule.field].of_record(current)
            after = to_wire(value, description)
        except UnfitError as unfit:
            refusals.append(Refusal(rule.field, str(unfit), unfit.value))
            continue
        if before and same(before, after, description, listed=isinstance(value, list)):
            continue
        if not _permits(rule, before, (changed_at or {}).get(rule.field), received_at):
            refusals.append(Refusal(rule.field, rule.rule))
            continue
        listed = isinstance(value, list)
        taken_back = any(same(one, after, description, listed=listed) for one in undone.get(rule.field, ()))
        if taken_back and not rule.stamp and rule.source not in _OF_THE_REPLY:
            refusals.append(Refusal(rule.field, UNDONE))
            continue
        (stamps if rule.stamp or taken_back else changes).append(Change(rule.field, before, after))
    return WritePlan((*changes, *stamps) if changes else (), tuple(refusals))


def filled_fields(current: Mapping[str, str | None], rules: Iterable[FieldRule]) -> str:
    """Return the mapped fields that have a value, enclosed and separated by commas, as the ledger keeps them."""
    names = dict.fromkeys(rule.field for rule in rules if not is_blank(current.get(rule.field)))
    return f",{','.join(names)},"


def fields_to_read(rules: Iterable[FieldRule], descriptions: Mapping[str, FieldDescription]) -> list[str]:
    """Return the fields whose present values a plan needs: those of the rules, and those that narrow their options."""
    narrowing = (known.narrowed_by for known in descriptions.values() if known.narrowed_by)
    return list(dict.fromkeys((*(rule.field for rule in rules), *narrowing)))


def check_field(name: str, descriptions: Mapping[str, FieldDescription], protected: frozenset[str]) -> None:
    """Raise UnfitError if a field can't be written, or mustn't be, whatever its value."""
    if name in protected:
        raise UnfitError(PROTECTED)
    if name not in descriptions:
        raise UnfitError(NO_SUCH_FIELD)
    if descriptions[name].read_only:
        raise UnfitError(READ_ONLY)


def _permits(rule: FieldRule, before: str | None, changed_at: datetime | None, received_at: datetime | None) -> bool:
    match rule.rule:
        case Rule.NEVER:
            return False
        case Rule.ALWAYS:
            return True
        case Rule.FILL_BLANK:
            return is_blank(before)
        case Rule.IF_NEWER:
            if is_blank(before):
                return True
            return changed_at is not None and received_at is not None and changed_at < received_at
