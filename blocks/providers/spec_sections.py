"""
The sections of a provider's spec.

Of the JMESPath expressions, those of `outcomes.response`, `errors` and `retry.body_hint` see
`{status, headers, body}` of an answer, header names in lower case. Those of `outcomes.item`, `confidence` and
`record_id` see `{item}`, one contact's part of the answer: it is all that the journal keeps, and a journalled reply
must mean the same tomorrow. `record` is relative to the item, and `fields` are relative to the record.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from blocks.providers.expressions import Expression
from blocks.providers.transforms import TRANSFORMS, TYPES
from enrichment.outcomes import Outcome

Identifier = Literal["email", "first_name", "last_name", "company_name"]
ANSWER_NAMES = frozenset({"status", "headers", "body"})
PLACEHOLDERS = ("$items", "$item", "$input", "$output_fields")
ITEM_NAMES = frozenset({"item"})


def check_names(expression: Expression | None, known: frozenset[str]) -> None:
    """Raise ValueError if the expression looks up a name that it can't see."""
    unknown = expression.names - known if expression else set()
    if expression and unknown:
        raise ValueError(f"'{expression.text}' sees only {', '.join(sorted(known))}, not {', '.join(sorted(unknown))}")


class Part(BaseModel):
    """A section of a spec: unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HeaderAuth(Part):
    """A secret in a header of the provider's own."""

    kind: Literal["header"]
    name: str
    credential: str = "api_key"


class BearerAuth(Part):
    """A long-lived bearer token."""

    kind: Literal["bearer"]
    credential: str = "api_key"


class BasicAuth(Part):
    """HTTP Basic; some providers take the key as user name and no password."""

    kind: Literal["basic"]
    username: str = "username"
    password: str | None = "password"  # noqa: S105  a field's name


class QueryAuth(Part):
    """A secret in the query string; only for providers that take it nowhere else."""

    kind: Literal["query"]
    name: str
    credential: str = "api_key"


class ClientCredentialsAuth(Part):
    """OAuth2 client credentials: id and secret by HTTP Basic, no scope asked for, so that all granted ones come."""

    kind: Literal["oauth2_client_credentials"]
    token_path: str
    default_lifetime_seconds: float = Field(3600, gt=0)
    renew_before_seconds: float = Field(60, ge=0)


Auth = Annotated[HeaderAuth | BearerAuth | BasicAuth | QueryAuth | ClientCredentialsAuth, Field(discriminator="kind")]


class RequestForm(Part):
    """
    The call that asks for contacts.

    Args:
        inputs: the provider's name of each identifier.
        item: what stands for one contact; `$input` is its identifiers under the provider's names.
        body: `$items` is the list of all contacts, `$item` the only one, `$output_fields` the fields asked for.
        query: takes the same names; a list is joined by commas. Null and empty values are left out of both.
        probe: an input that surely matches nobody, so that asking is free. It tells a wrong form of request from a
            poisoned contact: without it, a refusal that no rule explains stops the run.
    """

    method: Literal["GET", "POST"]
    path: str
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"
    accept: str = "application/json"
    inputs: Mapping[Identifier, str]
    item: Any = "$input"
    body: Any = None
    query: Any = None
    probe: Mapping[Identifier, str] | None = None

    @field_validator("item", "body", "query")
    @classmethod
    def _placeholders_are_known(cls, template: Any, info: ValidationInfo) -> Any:
        known = ("$input",) if info.field_name == "item" else PLACEHOLDERS
        unknown = {name for name in _placeholders(template) if name not in known}
        if unknown:
            raise ValueError(f"unknown placeholder {', '.join(sorted(unknown))}; known are {', '.join(known)}")
        return template


def _placeholders(template: Any) -> Iterator[str]:
    if isinstance(template, str) and template.startswith("$"):
        yield template
    parts = template.values() if isinstance(template, Mapping) else template if isinstance(template, list) else ()
    for part in parts:
        yield from _placeholders(part)


class Batch(Part):
    """How many contacts one call takes, and which statuses a smaller batch may cure."""

    max: int = Field(1, ge=1)
    split_on: tuple[Literal[400, 413, 422, 502, 504], ...] = ()


class Correlate(Part):
    """How an item is known to answer a request: by the echo of its input, or by its place."""

    by: Literal["echo", "position"] = "position"
    echo: Expression | None = None

    @model_validator(mode="after")
    def _echo_has_a_path(self) -> Self:
        if self.by == "echo" and self.echo is None:
            raise ValueError("by: echo needs the key echo: the path of the input in an item")
        return self


class Rule(Part):
    """If `when` holds, the outcome is this; the reason is the code found at `reason_path`, else `reason`."""

    when: Expression
    outcome: Outcome
    reason: str = ""
    reason_path: Expression | None = None


class Outcomes(Part):
    """Ordered rules, first hit wins: for the answer as a whole, then for each item."""

    response: tuple[Rule, ...] = ()
    item: tuple[Rule, ...]

    @field_validator("response", "item")
    @classmethod
    def _rules_see_what_there_is(cls, rules: tuple[Rule, ...], info: ValidationInfo) -> tuple[Rule, ...]:
        for rule in rules:
            check_names(rule.when, ITEM_NAMES if info.field_name == "item" else ANSWER_NAMES)
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
    """One allowance of calls; the headers say what the account really has, and what is left."""

    limit: int = Field(gt=0)
    per_seconds: float = Field(gt=0)
    limit_header: str = ""
    remaining_header: str = ""


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
    """Where a canonical field stands in the record, and what it becomes: first the transform, then the type."""

    path: Expression
    type: str = "text"
    transform: str | None = None

    @field_validator("type", "transform")
    @classmethod
    def _is_known(cls, name: str | None, info: ValidationInfo) -> str | None:
        known = TYPES if info.field_name == "type" else TRANSFORMS
        if name is not None and name not in known:
            raise ValueError(f"unknown {info.field_name} '{name}'; choose one of {', '.join(known)}")
        return name


class OutputFields(Part):
    """The provider's fields to ask for; one that a refusal with such a code names is dropped, and the call repeated."""

    names: tuple[str, ...] = ()
    drop_on: tuple[str, ...] = ()


class Timeouts(Part):
    """Bounds of one call; `total` also ends an answer that trickles."""

    connect_seconds: float = Field(5.0, gt=0)
    read_seconds: float = Field(30.0, gt=0)
    total_seconds: float = Field(60.0, gt=0)


class Usage(Part):
    """A free call that tells what is left; the expressions see its body."""

    path: str
    remaining: Expression
    limit: Expression


class Fixture(Part):
    """A recorded answer and what it means, replayed by the contract test."""

    name: str
    inputs: tuple[Mapping[Identifier, str], ...] = Field(min_length=1)
    status: int = 200
    headers: Mapping[str, str] = {}
    body: Any = None
    outcomes: tuple[Outcome, ...]
    reasons: tuple[str, ...] | None = None
    fields: tuple[Mapping[str, Any], ...] | None = None
