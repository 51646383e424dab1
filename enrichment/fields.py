"""
The vocabulary: what may be known of a contact, under which name, of which type and in which unit.

Specs of providers, CRM mappings, settings, tables and the review use these names and no other.
"""

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
