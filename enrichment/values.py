"""How a value, as a provider or a CRM gives it, becomes one of a canonical field; and why it doesn't."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from enrichment import forms
from enrichment.fields import CONVERSIONS, Field, Type


def canonical(field: Field, value: Any, unit: str = "") -> Any:
    """
    Return a value of a canonical field in its form, unit and type, or None if it isn't a valid one.

    Args:
        field: that it belongs to.
        value: as the provider gives it.
        unit: of the value, one of the field's CONVERSIONS; empty if it is the canonical one.
    """
    if value is None:
        return None
    if isinstance(value, str) and len(value) <= _LONGEST_SHARED and field.is_shared:
        return _shared(field, value, unit)
    return _canonical(field, value, unit)


#: What is longer is rarely the same twice, and would take room.
_LONGEST_SHARED = 100


@functools.lru_cache(maxsize=5_000)  # colleagues have the same company, and companies the same industry
def _shared(field: Field, value: str, unit: str) -> Any:
    return _canonical(field, value, unit)


def _canonical(field: Field, value: Any, unit: str) -> Any:
    given = forms.cleaned(value, field.real)
    formed = field.form(given) if field.form and given is not None else given
    if unit:
        formed = _converted(field, number(formed), CONVERSIONS[field.unit][unit])
    typed = _TYPES[field.type](_first(formed) if field.type == "text" else formed)
    return typed if typed is not None and _is_within(field, typed) else None


#: Why a provider's value isn't used: it stands for none, isn't a number that the field can have, or isn't clear.
PLACEHOLDER, OUT_OF_RANGE, UNREADABLE = "placeholder", "out_of_range", "unreadable"


def why_left_out(field: Field, value: Any) -> str:
    """Return why a provider's value, which isn't a valid one, was left out, as a short code; empty if it has none."""
    first = value[0] if isinstance(value, list) and value else value  # a number or place stands before its country
    if first is None or isinstance(first, bool) or first in ("", [], {}):  # true stands for what the plan hides
        return ""
    if forms.cleaned(first) is None:
        return PLACEHOLDER
    return OUT_OF_RANGE if field.type in ("integer", "number") or field.form is forms.size_range else UNREADABLE


def _first(value: Any) -> Any:
    """Return the first value of a list, of what has a value at all; providers write a single one either way."""
    return next((item for item in value if item is not None), None) if isinstance(value, list) else value


def text(value: Any) -> str | None:
    """Return a text without blanks around it; None for anything that isn't a text or number."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return str(value).strip() or None


def number(value: Any) -> float | None:
    """Return a number, also from its text form."""
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):  # Python reads 51_200 as a number
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if abs(found) < float("inf") else None  # not for NaN either


def integer(value: Any) -> int | None:
    """Return a whole number, also from its text form."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = number(value)
    return int(found) if found is not None and found.is_integer() else None


def boolean(value: Any) -> bool | None:
    """Return a truth value, also from the words that providers write."""
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "false": False, "no": False}.get(str(value).strip().lower())


def text_list(value: Any) -> list[str] | None:
    """Return the texts of a list, each once; a single text is a list of it."""
    found = [text(item) for item in (value if isinstance(value, list) else [value])]
    return list(dict.fromkeys(item for item in found if item)) or None


_TYPES: Mapping[Type, Callable[[Any], Any]] = {
    "text": text,
    "integer": integer,
    "number": number,
    "boolean": boolean,
    "text_list": text_list,
    "datetime": text,
}


def _converted(field: Field, value: float | None, factor: float) -> float | None:
    # Neither cents nor what a multiplication of fractions adds behind the point are part of the value.
    found = number(value * factor) if value is not None else None
    return found if found is None else round(found, None if field.type == "integer" else 6)


def _is_within(field: Field, value: Any) -> bool:
    if field.options and value not in field.options:
        return False
    return (field.least is None or value >= field.least) and (field.most is None or value <= field.most)
