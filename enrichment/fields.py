"""
The vocabulary: what may be known of a contact, under which name, of which type and in which unit.

Specs of providers, CRM mappings, settings, tables and the review use these names and no other.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from enrichment import forms

Type = Literal["text", "integer", "number", "boolean", "text_list", "datetime"]


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """
    A canonical field.

    Args:
        name: under which it is known everywhere.
        type: of its values; `datetime` is ISO-8601 text.
        label: how people call it.
        about: whose it is.
        unit: of its values, or the standard that they follow.
        least, most: the range; a value outside isn't valid.
        options: the only values that there are, if they are few.
        vocabulary: whether its values are words that many people share, so that figures may show them.
        own_column: whether `enriched_contacts` has a column of this name; the others stand in `attributes`.
        description: what it means, in a sentence.
        form: gives a value its one form, or None; it goes before the type.
        real: values that are placeholders elsewhere.
        sibling: the field that takes a value which isn't one of this field, and has no other.
    """

    name: str
    type: Type
    label: str
    about: Literal["person", "company", "result"]
    unit: str = ""
    least: float | None = None
    most: float | None = None
    options: tuple[str, ...] = ()
    vocabulary: bool = False
    own_column: bool = False
    description: str = ""
    form: Callable[[Any], Any] | None = None
    real: frozenset[str] = frozenset()
    sibling: str = ""

    @property
    def is_shared(self) -> bool:
        """Whether contacts have the same values, which then needn't be read each time."""
        return (self.about == "company" or self.vocabulary) and self.type != "text_list"


#: Names of people and places.
_REAL_NAMES = frozenset({"Na", "Nan", "Nil", "Null"})
#: The code of Namibia.
_REAL_CODES = frozenset({"NA"})


def _by_name(*fields: Field) -> Mapping[str, Field]:
    return {field.name: field for field in fields}


FIELDS: Mapping[str, Field] = _by_name(
    Field(
        "company_name",
        "text",
        "company",
        "company",
        own_column=True,
        description="Name of the company that the person works for.",
    ),
    Field(
        "employee_count",
        "integer",
        "employees",
        "company",
        unit="people",
        least=1,
        most=10_000_000,
        own_column=True,
        description="How many people work there; only where the provider gives a number.",
        form=forms.count,
        sibling="employee_range",
    ),
    Field(
        "industry",
        "text",
        "industry",
        "company",
        vocabulary=True,
        own_column=True,
        description="The provider's own word for it.",
    ),
    Field(
        "linkedin_url",
        "text",
        "LinkedIn URL",
        "person",
        unit="URL",
        own_column=True,
        description="The person's profile.",
        form=forms.linkedin_url,
    ),
    Field("tech_stack", "text_list", "tech stack", "company", own_column=True, description="Products that it uses."),
    Field(
        "intent_keywords",
        "text_list",
        "intent keywords",
        "company",
        own_column=True,
        description="Topics that the company shows interest in.",
    ),
    Field("first_name", "text", "first name", "person", description="Given name.", real=_REAL_NAMES),
    Field("last_name", "text", "last name", "person", description="Family name.", real=_REAL_NAMES),
    Field("title", "text", "job title", "person", description="As the person or the company writes it."),
    Field(
        "seniority",
        "text",
        "seniority",
        "person",
        options=forms.SENIORITIES,
        vocabulary=True,
        description="The highest level that the person's position has.",
        form=forms.seniority,
    ),
    Field(
        "department",
        "text",
        "department",
        "person",
        vocabulary=True,
        description="The provider's own word for it.",
    ),
    Field(
        "phone",
        "text",
        "phone",
        "person",
        unit="E.164",
        description="Direct number at work; left out if it can't be read for certain or must not be called.",
        form=forms.phone,
    ),
    Field(
        "mobile_phone",
        "text",
        "mobile phone",
        "person",
        unit="E.164",
        description="Mobile number; left out if it can't be read for certain or must not be called.",
        form=forms.phone,
    ),
    Field("city", "text", "city", "person", description="Where the person works.", real=_REAL_NAMES),
    Field(
        "state",
        "text",
        "state",
        "person",
        unit="ISO 3166-2 in the US and Canada, else the name",
        vocabulary=True,
        description="State or region where the person works.",
        form=forms.state,
        real=_REAL_CODES,
    ),
    Field(
        "country",
        "text",
        "country",
        "person",
        unit="ISO 3166-1 alpha-2",
        vocabulary=True,
        description="Country where the person works.",
        form=forms.country,
        real=_REAL_CODES,
    ),
    Field(
        "company_domain",
        "text",
        "company domain",
        "company",
        description="Domain of the company's website, without `www.`.",
        form=forms.domain,
    ),
    Field(
        "company_linkedin_url",
        "text",
        "company LinkedIn URL",
        "company",
        unit="URL",
        description="The company's page.",
        form=forms.company_linkedin_url,
    ),
    Field(
        "annual_revenue",
        "integer",
        "annual revenue",
        "company",
        unit="usd",
        least=1,
        most=10_000_000_000_000,
        description="Revenue of a year in whole US dollars.",
    ),
    Field(
        "employee_range",
        "text",
        "employee range",
        "company",
        unit="people",
        vocabulary=True,
        description="Size as a range, such as `11-50` or `10001+`.",
        form=forms.size_range,
        sibling="employee_count",
    ),
    Field(
        "founded_year",
        "integer",
        "founded",
        "company",
        unit="year",
        least=500,
        most=2100,
        description="Year in which the company was founded.",
        form=forms.year,
    ),
    Field(
        "company_city",
        "text",
        "company city",
        "company",
        description="Where the company has its seat.",
        real=_REAL_NAMES,
    ),
    Field(
        "company_state",
        "text",
        "company state",
        "company",
        unit="ISO 3166-2 in the US and Canada, else the name",
        vocabulary=True,
        description="State or region of its seat.",
        form=forms.state,
        real=_REAL_CODES,
    ),
    Field(
        "company_country",
        "text",
        "company country",
        "company",
        unit="ISO 3166-1 alpha-2",
        vocabulary=True,
        description="Country of its seat.",
        form=forms.country,
        real=_REAL_CODES,
    ),
)

#: What a mapping may name beside the fields: not of the contact, but of the reply.
RESULT_FIELDS: Mapping[str, Field] = _by_name(
    Field("provider", "text", "provider", "result", description="Provider that knew the contact first."),
    Field(
        "confidence",
        "number",
        "confidence",
        "result",
        unit="percent",
        least=0,
        most=100,
        description="How sure that provider is of its match.",
    ),
    Field("received_at", "datetime", "received at", "result", unit="UTC", description="When it answered."),
)

#: What a CRM's field may be filled from.
SOURCES: Mapping[str, Field] = {**FIELDS, **RESULT_FIELDS}

#: How much one of a provider's units is in the canonical unit.
CONVERSIONS: Mapping[str, Mapping[str, float]] = {
    "usd": {"usd": 1, "thousand_usd": 1_000, "million_usd": 1_000_000},
    "percent": {"percent": 1, "tenth": 10, "fraction": 100},
}


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name that looks most like this one, or an empty text if none does."""
    return next(iter(get_close_matches(name.strip().lower(), list(known), n=1)), "")


def unknown_field(name: str, known: Iterable[str] = FIELDS) -> str:
    """Return what to say of a name that isn't among the known ones: the nearest, or else all of them."""
    names = list(known)
    likely = nearest(name, names)
    return f"unknown field '{name}': " + (
        f"did you mean '{likely}'?" if likely else f"choose one of {', '.join(names)}"
    )


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


#: Why a provider's value isn't used: it stands for none, is no number that the field can have, or isn't clear.
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
