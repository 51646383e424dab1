"""
The sections of a provider's spec.

Of the JMESPath expressions, those of `outcomes.response`, `errors` and `retry.body_hint` see
`{status, headers, body}` of an answer, header names in lower case. Those of `outcomes.item`, `confidence` and
`record_id` see `{item}`, one contact's part of the answer: it is all that the journal keeps, and a journalled reply
must mean the same tomorrow. `record` is relative to the item, and `fields` are relative to the record.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from blocks.providers.spec.expressions import Expression
from blocks.providers.spec.transforms import TRANSFORMS
from enrichment.fields import CONVERSIONS, FIELDS, unknown_field
from enrichment.fields import Field as CanonicalKind
from enrichment.records import Outcome

Identifier = Literal["email", "first_name", "last_name", "company_name"]
ANSWER_NAMES = frozenset({"status", "headers", "body"})
PLACEHOLDERS = ("$items", "$item", "$input", "$output_fields")
#: A follow-up also knows what the user chose, and the number of the page, which is absent for the first one.
FOLLOW_UP_PLACEHOLDERS = (*PLACEHOLDERS, "$chosen", "$page")
#: The least confidence that counts, on the provider's own scale; absent if there is none.
MIN_CONFIDENCE = "$min_confidence"
ITEM_PLACEHOLDERS = ("$input", "$reference", MIN_CONFIDENCE)
#: As a key of a mapping, it puts the identifiers among the others.
SPREAD = "$input"
ITEM_NAMES = frozenset({"item"})


def check_names(expression: Expression | None, known: frozenset[str]) -> None:
    """Raise ValueError if the expression looks up a name that it can't see."""
    unknown = expression.names - known if expression else set()
    if expression and unknown:
        raise ValueError(f"'{expression.text}' sees only {', '.join(sorted(known))}, not {', '.join(sorted(unknown))}")


def keeps_every_item(expression: Expression | None) -> Expression | None:
    """Return the path of a list of items, or raise ValueError if it would lose some of them."""
    if expression is not None and expression.projects:
        raise ValueError(f"'{expression.text}' is a projection: it drops nulls and shifts items onto wrong contacts")
    return expression


class Part(BaseModel):
    """A section of a spec: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RequestForm(Part):
    """
    The call that requests contacts.

    Args:
        inputs: the provider's name of each identifier.
        integers: which of those names take a whole number.
        item: what stands for one contact; `$input` is its identifiers under the provider's names, and as a key without
            a value puts them among other keys. `$reference` is a text by which the answer may name the contact, and
            `$min_confidence` is the least confidence that counts, in whole numbers of the provider's own scale.
        body: `$items` is the list of all contacts, `$item` the only one, `$output_fields` the fields asked for.
        query: takes the same names; a list is joined by commas. Null and empty values are left out of both.
        probe: an input that surely matches no one, so that the call is free. It shows whether a refusal is due to the
            form of the request or to a poisoned contact: without it, a refusal that no rule explains stops the run.
    """

    method: Literal["GET", "POST"]
    path: str
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"
    accept: str = "application/json"
    inputs: Mapping[str, str]
    integers: tuple[str, ...] = ()
    item: Any = "$input"
    body: Any = None
    query: Any = None
    probe: Mapping[str, str] | None = None

    placeholders: ClassVar[tuple[str, ...]] = PLACEHOLDERS

    @property
    def used(self) -> set[str]:
        """Return the placeholders of what is sent."""
        return {*_placeholders(self.body, spread=True), *_placeholders(self.query, spread=True)}

    @field_validator("path")
    @classmethod
    def _path_is_fixed(cls, path: str) -> str:
        if "$" in path:
            raise ValueError("a path has no placeholders: put the identifiers into query or body")
        return path

    @field_validator("item", "body", "query")
    @classmethod
    def _placeholders_are_known(cls, template: Any, info: ValidationInfo) -> Any:
        known = ITEM_PLACEHOLDERS if info.field_name == "item" else cls.placeholders
        unknown = {name for name in _placeholders(template) if name not in known}
        if unknown:
            raise ValueError(f"unknown placeholder {', '.join(sorted(unknown))}; known are {', '.join(known)}")
        return template


def _placeholders(template: Any, *, spread: bool = False) -> Iterator[str]:
    """Yield the placeholders of a template; the one that may be a key only if that is asked for."""
    if isinstance(template, str) and template.startswith("$"):
        yield template
    if isinstance(template, Mapping):
        yield from (f"key {name}" for name in template if str(name).startswith("$") and name != SPREAD)
        yield from (SPREAD for name in template if spread and name == SPREAD)
    parts = template.values() if isinstance(template, Mapping) else template if isinstance(template, list) else ()
    for part in parts:
        yield from _placeholders(part, spread=spread)


class Batch(Part):
    """How many contacts one call takes, how many are sent unless the user says, and which statuses fewer may cure."""

    max: int = Field(1, ge=1)
    default: int | None = Field(None, ge=1)
    split_on: tuple[Literal[400, 413, 422, 502, 504], ...] = ()


class Correlate(Part):
    """
    How an item is known to answer a request: by the echo of its input, by that of our reference, or by its place.

    Args:
        by: the way.
        echo: the path of the input, or of the reference, in an item.
    """

    by: Literal["echo", "reference", "position"] = "position"
    echo: Expression | None = None

    @model_validator(mode="after")
    def _echo_has_a_path(self) -> Self:
        if self.by != "position" and self.echo is None:
            raise ValueError(f"by: {self.by} needs the key echo: the path of the input or reference in an item")
        return self


class Rule(Part):
    """
    If `when` holds, the outcome is this; the reason is the code found at `reason_path`, else `reason`.

    `billed` is for an answer that is no match and costs as much as one.
    """

    when: Expression
    outcome: Outcome
    reason: str = ""
    reason_path: Expression | None = None
    billed: bool = False


class Outcomes(Part):
    """Ordered rules, first hit wins: for the answer as a whole, then for each item."""

    response: tuple[Rule, ...] = ()
    item: tuple[Rule, ...]

    @field_validator("response", "item")
    @classmethod
    def _rules_see_what_there_is(cls, rules: tuple[Rule, ...], info: ValidationInfo) -> tuple[Rule, ...]:
        for rule in rules:
            check_names(rule.when, ITEM_NAMES if info.field_name == "item" else ANSWER_NAMES)
            if info.field_name == "response" and rule.when.compares_with_text("status"):
                raise ValueError(f"'{rule.when.text}' never holds: a status is a number, as in status == `402`")
            check_names(rule.reason_path, ITEM_NAMES if info.field_name == "item" else ANSWER_NAMES)
        return rules


class Errors(Part):
    """Where an error body holds codes and texts; several shapes fit into one expression."""

    codes: Expression = Expression("`[]`")
    texts: Expression = Expression("`[]`")

    @field_validator("codes", "texts")
    @classmethod
    def _sees_the_answer(cls, expression: Expression) -> Expression:
        check_names(expression, ANSWER_NAMES)
        return expression


class Window(Part):
    """
    One allowance of calls; the headers say what the account really has, and what is left.

    Args:
        limit: the calls, until a header says otherwise.
        per_seconds: the length.
        limit_header: holds the limit.
        remaining_header: holds what is left.
        member: of the JSON objects that the headers hold, where they hold such.
    """

    limit: int = Field(gt=0)
    per_seconds: float = Field(gt=0)
    limit_header: str = ""
    remaining_header: str = ""
    member: str = ""


class Reset(Part):
    """The header that says when an exhausted window ends."""

    header: str
    format: Literal["epoch_s", "iso8601", "delta_s"]


class Rate(Part):
    """The allowances, which hold all at once; the shortest window sets the pace while the others have plenty left."""

    windows: tuple[Window, ...] = Field(min_length=1)
    reset: Reset | None = None


class Retry(Part):
    """How often a call is made in all, and how long to wait where the server doesn't say."""

    attempts: int = Field(5, ge=1, le=20)
    attempts_after_server_error: int = Field(3, ge=1, le=20)
    base_seconds: float = Field(1.0, gt=0)
    cap_seconds: float = Field(30.0, gt=0)
    body_hint: Expression | None = None

    @field_validator("body_hint")
    @classmethod
    def _sees_the_answer(cls, expression: Expression | None) -> Expression | None:
        check_names(expression, ANSWER_NAMES)
        return expression


class Credits(Part):
    """What a reply costs, for which outcomes, and whether the same question asked twice is billed once."""

    amount: float = Field(1.0, ge=0)
    charge_on: tuple[Outcome, ...] = (Outcome.MATCHED, Outcome.PARTIAL)
    billing_idempotent: bool = False


class CanonicalField(Part):
    """
    Where a canonical field stands in the record.

    Args:
        path: of the value; `[path, country]` for a phone or a state, which can be read only with its country.
        transform: applied to it before the vocabulary gives it its form.
        unit: of the provider's value, where it isn't the field's own.
        type: may be left out; if it stands here, it is the field's own.
    """

    path: Expression
    transform: str | None = Field(None, json_schema_extra={"enum": [*TRANSFORMS, None]})
    unit: str = Field("", json_schema_extra={"enum": ["", *(name for units in CONVERSIONS.values() for name in units)]})
    type: str = ""

    @field_validator("transform")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        if name is not None and name not in TRANSFORMS:
            raise ValueError(f"unknown transform '{name}'; choose one of {', '.join(TRANSFORMS)}")
        return name


def canonical_flaws(field: CanonicalKind, mapped: CanonicalField) -> Iterator[tuple[str, str]]:
    """Give the keys, and what is wrong there, if what is mapped has another type than the field, or a foreign unit."""
    if mapped.type and mapped.type != field.type:
        yield "type", f"{field.name} has the type {field.type}, not {mapped.type}"
    units = CONVERSIONS.get(field.unit, {})
    if mapped.unit and mapped.unit not in units:
        allowed = f"choose one of {', '.join(units)}" if units else "leave the key out"
        yield "unit", f"{field.name} can't be converted from '{mapped.unit}': {allowed}"


def raise_flaws(flaws: Iterable[tuple[tuple[str, ...], str]]) -> None:
    """Raise ValidationError if there are any, each with its keys below those of the section that is being read."""
    details = [
        InitErrorDetails(type=PydanticCustomError("canonical", "{what}", {"what": what}), loc=loc, input=None)
        for loc, what in flaws
    ]
    if details:
        raise ValidationError.from_exception_data("fields", details)


def _are_canonical(mapped: dict[str, CanonicalField]) -> dict[str, CanonicalField]:
    flaws = [((name,), unknown_field(name)) for name in mapped if name not in FIELDS]
    known = {name: one for name, one in mapped.items() if name in FIELDS}
    raise_flaws(
        [
            *flaws,
            *(((name, key), what) for name, one in known.items() for key, what in canonical_flaws(FIELDS[name], one)),
        ]
    )
    return mapped


#: A section `fields`: each key a name of the vocabulary.
CanonicalFields = Annotated[
    dict[str, CanonicalField],
    AfterValidator(_are_canonical),
    Field(json_schema_extra={"propertyNames": {"enum": list(FIELDS)}}),
]


class OutputFields(Part):
    """
    The provider's fields to ask for; those that a refusal names are dropped, and the call repeated.

    What a refusal with 400 or 422 doesn't name is found by free calls, if the request has a probe.

    Args:
        names: of the fields.
        drop_on: codes of refusals whose texts quote the refused fields.
        refused: where a refusal lists them instead.
        unnamed: whether a refusal with another status is about fields, too.
    """

    names: tuple[str, ...] = ()
    drop_on: tuple[str, ...] = ()
    refused: Expression | None = None
    unnamed: Expression | None = None

    @field_validator("refused", "unnamed")
    @classmethod
    def _sees_the_answer(cls, expression: Expression | None) -> Expression | None:
        check_names(expression, ANSWER_NAMES)
        return expression


class Timeouts(Part):
    """Bounds of one call; `total` also ends an answer that trickles."""

    connect_seconds: float = Field(5.0, gt=0)
    read_seconds: float = Field(30.0, gt=0)
    total_seconds: float = Field(60.0, gt=0)


class Usage(Part):
    """A free call that shows that the credentials are taken; the expressions find in its body what is left, if said."""

    path: str
    remaining: Expression = Expression("`null`")
    limit: Expression = Expression("`null`")


class Fixture(Part):
    """A recorded answer and what it means, replayed by the contract test."""

    name: str
    inputs: tuple[Mapping[str, str], ...] = Field(min_length=1)
    status: int = 200
    headers: Mapping[str, str] = {}
    body: Any = None
    outcomes: tuple[Outcome, ...]
    reasons: tuple[str, ...] | None = None
    fields: tuple[Mapping[str, Any], ...] | None = None
