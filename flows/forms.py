"""Fields of Prefect's forms: a choice of the names that there are, or any other text, such as `hubspot/eu`."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, WithJsonSchema

from blocks.base import module_names
from blocks.providers.spec.model import spec_names


def _choice(names: Sequence[str], other: str) -> WithJsonSchema:
    """
    Return the schema of a text that the form offers as a choice, of which the empty one is the setting.

    Which blocks are saved isn't known when a flow is deployed, and several names are one text: so any text is valid in
    the schema, and the run says what is wrong with it.
    """
    listed = {"title": "choose", "type": "string", "enum": ["", *names]}
    return WithJsonSchema({"anyOf": [listed, {"title": other, "type": "string"}]})


ProviderName = Annotated[str, _choice(spec_names(), "several, or <name>/<block>")]
CrmName = Annotated[str, _choice(module_names("blocks.crms"), "<name>/<block>")]
WarehouseName = Annotated[str, _choice(module_names("blocks.warehouses"), "<name>/<block>")]

_CREDITS = {"title": "at most", "type": "number", "minimum": 0}
CreditCap = Annotated[
    float | None, Field(ge=0), WithJsonSchema({"anyOf": [_CREDITS, {"title": "no cap", "type": "null"}]})
]
