"""How a call is built from a spec's templates: pure."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from blocks.calls.messages import Call
from blocks.providers.spec.follow_ups import PAGE
from blocks.providers.spec.model import ProviderSpec
from blocks.providers.spec.sections import MIN_CONFIDENCE, SPREAD
from enrichment.fields import CONVERSIONS


def provider_input(spec: ProviderSpec, lookup_input: Mapping[str, str]) -> dict[str, Any]:
    """Return the identifiers under the provider's names; nulls and unknown names are left out."""
    form = spec.request
    named = {form.inputs[name]: value for name, value in lookup_input.items() if name in form.inputs and value}
    page = {PAGE: int(lookup_input[PAGE])} if PAGE in lookup_input else {}
    return {name: _typed(value, whole=name in form.integers) for name, value in named.items()} | page


def build_call(
    spec: ProviderSpec, inputs: Sequence[Mapping[str, Any]], output_fields: Sequence[str], min_confidence: float = 0.0
) -> Call:
    """
    Return the call that asks for these contacts.

    Args:
        spec: the spec of the provider.
        inputs: under the provider's names.
        output_fields: the fields of the provider to ask for.
        min_confidence: the least confidence (0 to 100) of a match.
    """
    form = spec.request
    pages = [one.get(PAGE) for one in inputs]
    inputs = [{name: value for name, value in one.items() if name != PAGE} for one in inputs]
    least = {MIN_CONFIDENCE: _least(spec, min_confidence)}
    items = [
        _fill(form.item, {"$input": one, "$reference": reference(place), **least}) for place, one in enumerate(inputs)
    ]
    asked = {"$items": items, "$item": items[0], "$input": inputs[0], "$output_fields": list(output_fields)}
    values = {**asked, PAGE: pages[0]}
    body = _fill(form.body, values)
    query = _fill(form.query, values) or {}
    headers = {"Accept": form.accept, **form.headers}
    content = None
    if body is not None:
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers["Content-Type"] = form.content_type
    return Call(form.method, form.path, _flat(query), headers, content=content)


def _least(spec: ProviderSpec, min_confidence: float) -> int | None:
    """Return the least confidence on the provider's scale; None if every match counts, or it states none."""
    if not min_confidence or spec.confidence is None:
        return None
    return math.ceil(min_confidence / CONVERSIONS["percent"][spec.confidence.unit or "percent"])


def reference(place: int) -> str:
    """Return the text by which an answer may name the contact at this place of a call."""
    return str(place)


def _fill(template: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(template, Mapping):
        filled = {name: _fill(part, values) for name, part in template.items() if name != SPREAD}
        filled |= values[SPREAD] if SPREAD in template else {}
        return {name: part for name, part in filled.items() if part not in (None, "", [], {})}
    if isinstance(template, list):
        return [_fill(part, values) for part in template]
    if isinstance(template, str) and template.startswith("$"):
        return values[template]
    return template


def _typed(value: str, *, whole: bool) -> str | int:
    return int(value) if whole and value.isdecimal() else value


def _flat(query: Mapping[str, Any]) -> dict[str, str]:
    return {name: ",".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in query.items()}
