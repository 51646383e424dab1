"""
The section of a provider's spec that describes follow-ups: further calls about the company of a contact that is known.

The expressions of a follow-up see what those of the provider see; its `key` and `pages` are explained below. What
isn't said here (credentials, address, rate, retries, error shapes, timeouts) is the provider's.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from blocks.providers.spec.expressions import Expression
from blocks.providers.spec.sections import (
    FOLLOW_UP_PLACEHOLDERS,
    ITEM_NAMES,
    Batch,
    CanonicalFields,
    Correlate,
    Credits,
    Fixture,
    Outcomes,
    OutputFields,
    Part,
    RequestForm,
    check_names,
    keeps_every_item,
)

CHOSEN, PAGE = "$chosen", "$page"


class Switch(Part):
    """
    The user's setting that has a follow-up made: it costs credits, so it isn't made unless that is set.

    Args:
        name: of the block's field, and so of the variable.
        description: of that field.
        kind: `yes_no`, or `list` for values separated by commas, which the call takes as `$chosen`.
        most: how many values one call takes.
        joined_by: what stands between the values where the provider wants them as one text.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = Field(pattern=r"\.$")
    kind: Literal["yes_no", "list"] = "yes_no"
    most: int = Field(50, ge=1)
    joined_by: str = ""


class Pages(Part):
    """
    How many pages an answer has; each further one is a separate request, with its number as `$page`.

    Args:
        count: the number of pages; sees the item, as the rules do.
        results: the number of results, where nothing counts pages.
        size: results of one page, to divide those by.
        most: pages that are read, however many there are.
    """

    count: Expression | None = None
    results: Expression | None = None
    size: int = Field(100, ge=1)
    most: int = Field(20, ge=1)

    @field_validator("count", "results")
    @classmethod
    def _sees_the_item(cls, expression: Expression | None) -> Expression | None:
        check_names(expression, ITEM_NAMES)
        return expression

    @model_validator(mode="after")
    def _is_counted_somehow(self) -> Self:
        if (self.count is None) == (self.results is None):
            raise ValueError("give one of the keys count and results, which says how many pages there are")
        return self


class FollowUpRequest(RequestForm):
    """The call; content type, accepted type and headers are the provider's unless they stand here."""

    placeholders: ClassVar[tuple[str, ...]] = FOLLOW_UP_PLACEHOLDERS


class FollowUp(Part):
    """
    A further call that fills fields which the contact's own reply lacks, made once for all contacts with the same key.

    Args:
        name: of the step, part of the journal's key.
        switch: the setting that has it made.
        key: what it queries, by our names: paths in the contact's record. Without a value, no call is made.
        request: the call; its `inputs` give the provider's name of each part of the key.
        outcomes: its own rules for items; those for whole answers go before the rules of the provider.
        credits: what it costs, if not what a contact costs.
        cache_days: for how long its replies are used, if not for as long as those of contacts.
        fields: what it fills; their paths are relative to its `record`.
        pages: if one answer may not be all.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    switch: Switch
    key: dict[str, Expression] = Field(min_length=1)
    request: FollowUpRequest
    batch: Batch = Batch()
    items: Expression | None = None
    record: Expression = Expression("@")
    correlate: Correlate = Correlate()
    outcomes: Outcomes
    credits: Credits | None = None
    cache_days: int | None = Field(None, ge=1)
    fields: CanonicalFields = Field(min_length=1)
    output_fields: OutputFields = OutputFields()
    pages: Pages | None = None
    fixtures: tuple[Fixture, ...] = ()

    _keeps_every_item = field_validator("items")(keeps_every_item)

    @field_validator("request")
    @classmethod
    def _asks_with_its_key(cls, request: FollowUpRequest, info: ValidationInfo) -> FollowUpRequest:
        names = set(info.data.get("key", ()))
        if names and set(request.inputs) != names:
            raise ValueError(f"inputs names {_listed(request.inputs)}, but the key is {_listed(names)}")
        return request

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        used = set(_texts([self.request.body, self.request.query]))
        if (self.switch.kind == "list") != (CHOSEN in used):
            raise ValueError(f"{CHOSEN} stands for the values of a switch of the kind list: one requires the other")
        if (self.pages is not None) != (PAGE in used):
            raise ValueError(
                f"{PAGE} is the number of a further page: it requires the key pages, and the key pages requires it"
            )
        if self.batch.max > 1 and (self.items is None or self.pages is not None):
            raise ValueError("batch.max above 1 needs the key items, and excludes pages")
        return self


def _texts(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    parts = template.values() if isinstance(template, Mapping) else template if isinstance(template, list) else ()
    for part in parts:
        yield from _texts(part)


def _listed(names: Any) -> str:
    return ", ".join(sorted(names)) or "nothing"
