"""
What may be written into the CRM.

Every CRM field has a rule. Nothing enters the CRM that its rule, the protected fields or the CRM's own property
description forbids, and a missing value never erases one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any


class Rule(StrEnum):
    """When a field may be written."""

    NEVER = "never"
    FILL_BLANK = "fill_blank"
    ALWAYS = "always"
    IF_NEWER = "if_newer"
    """Only if the field was last changed before the provider's reply was received."""


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


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """
    What the CRM says of one of its fields.

    Args:
        type: `string`, `number`, `bool`, `date`, `datetime` or `enumeration`.
        options: the permitted values of an enumeration.
        read_only: whether the CRM refuses every write.
        max_length: the longest text in characters, or None.
    """

    type: str
    options: frozenset[str] = frozenset()
    read_only: bool = False
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One field's new value, as the CRM wants it on the wire, and the one that it replaces."""

    field: str
    before: str | None
    after: str


PROTECTED = "protected"
_POLICY_REASONS = frozenset({Rule.NEVER, Rule.FILL_BLANK, Rule.IF_NEWER, PROTECTED})


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
    """What will be written to one contact, and what will not."""

    changes: tuple[Change, ...]
    refusals: tuple[Refusal, ...] = ()


class _UnfitError(Exception):
    """The value doesn't fit the CRM's field; the message is the reason code."""


def plan_write(
    current: Mapping[str, str | None],
    values: Mapping[str, Any],
    rules: Sequence[FieldRule],
    descriptions: Mapping[str, FieldDescription],
    *,
    protected: frozenset[str] = frozenset(),
    changed_at: Mapping[str, datetime] | None = None,
    received_at: datetime | None = None,
) -> WritePlan:
    """
    Decide field by field what is written to one contact.

    Args:
        current: the CRM's values now; blank is None or an empty text.
        values: canonical values by name; a missing or empty one changes nothing.
        rules: one per CRM field.
        descriptions: the CRM's own description of its fields.
        protected: fields that are never written, whatever their rule says.
        changed_at: when a field was last changed, for `if_newer`.
        received_at: when the provider answered, for `if_newer`.
    """
    changes: list[Change] = []
    stamps: list[Change] = []
    refusals: list[Refusal] = []
    for rule in rules:
        value = values.get(rule.source)
        if _is_blank(value):
            continue
        before = current.get(rule.field) or None
        try:
            _check_field(rule, descriptions, protected)
            after = to_wire(value, descriptions[rule.field])
        except _UnfitError as reason:
            refusals.append(Refusal(rule.field, str(reason)))
            continue
        if _same(before, after, descriptions[rule.field]):
            continue
        if not _permits(rule, before, (changed_at or {}).get(rule.field), received_at):
            refusals.append(Refusal(rule.field, rule.rule))
            continue
        (stamps if rule.stamp else changes).append(Change(rule.field, before, after))
    return WritePlan((*changes, *stamps) if changes else (), tuple(refusals))


def to_wire(value: Any, description: FieldDescription) -> str:
    """Return the value as the text that the CRM's field takes; raise if it doesn't fit."""
    match description.type:
        case "number":
            return _number(value)
        case "bool":
            return _one_of({True: "true", False: "false"}, value, "not_a_boolean")
        case "date" | "datetime":
            return _moment(value, description.type)
        case "enumeration":
            return _enumeration(value, description.options)
        case _:
            return _text(value, description.max_length)


def _is_blank(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, list):
        return all(_is_blank(item) for item in value)
    return value is None or value == {}


def _check_field(rule: FieldRule, descriptions: Mapping[str, FieldDescription], protected: frozenset[str]) -> None:
    if rule.field in protected:
        raise _UnfitError(PROTECTED)
    if rule.field not in descriptions:
        raise _UnfitError("no_such_field")
    if descriptions[rule.field].read_only:
        raise _UnfitError("read_only")


def _permits(rule: FieldRule, before: str | None, changed_at: datetime | None, received_at: datetime | None) -> bool:
    match rule.rule:
        case Rule.NEVER:
            return False
        case Rule.ALWAYS:
            return True
        case Rule.FILL_BLANK:
            return before is None
        case Rule.IF_NEWER:
            if before is None:
                return True
            return changed_at is not None and received_at is not None and changed_at < received_at


def _same(before: str | None, after: str, description: FieldDescription) -> bool:
    if before == after:
        return True
    if before is None or description.type not in {"number", "datetime", "enumeration"}:
        return False
    try:
        return bool(_comparable(before, description.type) == _comparable(after, description.type))
    except ValueError:
        return False


def _comparable(text: str, kind: str) -> Any:
    if kind == "number":
        return float(text)
    if kind == "datetime":
        return datetime.fromisoformat(text)
    return frozenset(text.split(";"))


def _number(value: Any) -> str:
    if isinstance(value, bool):
        raise _UnfitError("not_a_number")
    try:
        number = float(value)
        return str(int(number)) if number == int(number) else repr(number)
    except (TypeError, ValueError, OverflowError):
        raise _UnfitError("not_a_number") from None


def _one_of(table: Mapping[Any, str], value: Any, reason: str) -> str:
    if not isinstance(value, bool):
        raise _UnfitError(reason)
    return table[value]


def _moment(value: Any, kind: str) -> str:
    try:
        moment = value if isinstance(value, date) else datetime.fromisoformat(str(value))
    except ValueError:
        raise _UnfitError(f"not_a_{kind}") from None
    if kind == "date":
        return moment.isoformat()[:10]
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.isoformat().replace("+00:00", "Z")


def _enumeration(value: Any, options: frozenset[str]) -> str:
    wanted = [str(item) for item in value] if isinstance(value, list) else [str(value)]
    by_fold = {option.casefold(): option for option in sorted(options)}
    try:
        return ";".join(item if item in options else by_fold[item.strip().casefold()] for item in wanted)
    except KeyError:
        raise _UnfitError("not_an_option") from None


def _text(value: Any, max_length: int | None) -> str:
    if isinstance(value, dict):
        raise _UnfitError("not_a_text")
    text = "; ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    if max_length is not None and len(text) > max_length:
        raise _UnfitError("too_long")
    return text
