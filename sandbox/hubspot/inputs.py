"""The inputs of batch calls, checked for form and values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.exchange import Request
from sandbox.hubspot.errors import invalid
from sandbox.hubspot.values import Flaw, flaw_of

MOST_INPUTS = 100


@dataclass(frozen=True, slots=True)
class WriteInput:
    """One contact to write."""

    id: str
    trace_id: str
    values: Mapping[str, str]


def json_object(request: Request) -> dict[str, Any]:
    """
    Return the JSON object that is a request's body.

    Raises:
        HubSpotError: the body isn't a valid JSON object.
    """
    try:
        body = request.json()
    except ValueError:
        raise invalid("Invalid input JSON") from None
    if not isinstance(body, dict):
        raise invalid("Invalid input JSON: an object is expected")
    return body


def batch_inputs(body: Any, most: int = MOST_INPUTS) -> list[Mapping[str, Any]]:
    """
    Return the inputs of a batch.

    Raises:
        HubSpotError: they aren't well-formed, or too many.
    """
    inputs = body.get("inputs") if isinstance(body, dict) else None
    if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
        raise invalid("Invalid input JSON: inputs must be a list of objects")
    if len(inputs) > most:
        raise invalid(f"The maximum number of inputs in a batch request is {most}, but {len(inputs)} came")
    return inputs


def write_inputs(body: Any, *, with_ids: bool) -> list[WriteInput]:
    """
    Return the contacts that a batch writes.

    Raises:
        HubSpotError: they aren't well-formed.
    """
    inputs = batch_inputs(body)
    if any(each.get("idProperty") for each in inputs):
        raise invalid("Unable to perform update/upsert by non-unique 0-1 property")
    read = [
        WriteInput(
            id=numeric_id(each.get("id")) if with_ids else "",
            trace_id=str(each.get("objectWriteTraceId") or ""),
            values=property_values(each.get("properties")),
        )
        for each in inputs
    ]
    if with_ids and len({each.id for each in read}) < len(read):
        raise invalid("Duplicate IDs found in batch input")
    return read


def numeric_id(value: Any) -> str:
    """
    Return a record id.

    Raises:
        HubSpotError: the value isn't a valid id.
    """
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()):
        raise invalid("Invalid input JSON: id must be the text of a number")
    return value


def property_values(values: Any) -> dict[str, str]:
    """
    Return the values to write, null as an empty text, which clears as well.

    Raises:
        HubSpotError: one isn't a text.
    """
    if not isinstance(values, dict):
        raise invalid("Invalid input JSON: properties must be an object")
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            raise invalid(f"Invalid input JSON: cannot deserialize the value of '{name}' as a string")
    return {name: value or "" for name, value in values.items()}


def value_flaws(
    inputs: Sequence[Mapping[str, str]], definitions: Mapping[str, Mapping[str, Any]]
) -> dict[int, list[Flaw]]:
    """Return what is wrong with the values of each input that has bad ones, by its place."""
    return {
        place: flaws
        for place, values in enumerate(inputs)
        if (flaws := [f for n, v in values.items() if (f := flaw_of(n, v, definitions.get(n)))])
    }
