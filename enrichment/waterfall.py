"""Several providers one after the other: the next is queried only for what the ones before it lack."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from enrichment.records import Enrichment

#: The attribute that says by which requests follow-ups have filled fields: provider, step, the journal's keys.
FOLLOW_UPS = "follow_ups"


def lacking(found: Sequence[Enrichment], required: Iterable[str]) -> set[str]:
    """
    Return the required fields that no provider has filled yet.

    Args:
        found: what the providers so far know.
        required: canonical fields; none means that any match will do.
    """
    return {name for name in required if all(_is_blank(one.fields.get(name)) for one in found)}


def is_complete(found: Sequence[Enrichment], required: Sequence[str]) -> bool:
    """Return whether no further provider needs to be queried."""
    return bool(found) and not lacking(found, required)


def complete(known: Enrichment, step: str, fields: Mapping[str, Any], keys: Sequence[str], at: str) -> Enrichment:
    """
    Return a provider's knowledge with what one of its follow-ups adds to it; what it knew already stays.

    Args:
        known: by the contact's own reply, and perhaps by other follow-ups.
        step: the follow-up's name.
        fields: that it fills.
        keys: of its requests that were answered; without any, nothing changes.
        at: when the latest of its replies was received.
    """
    if not keys:
        return known
    added = {name: value for name, value in fields.items() if not _is_blank(value)}
    kept = {name: value for name, value in known.fields.items() if not _is_blank(value)}
    steps = {known.provider: {**_steps(known).get(known.provider, {}), step: list(keys)}}
    return replace(known, fields={**added, **kept, FOLLOW_UPS: steps}, received_at=max(known.received_at, at))


def unite(pages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fields of several pages: lists are joined, each value once, and of others the first page's counts."""
    fields: dict[str, Any] = {}
    for name, value in (item for page in pages for item in page.items()):
        before = fields.setdefault(name, value)
        if before is not value and isinstance(before, list) and isinstance(value, list):
            fields[name] = [*before, *(one for one in value if one not in before)]
    return fields


def merge(found: Sequence[Enrichment]) -> Enrichment:
    """
    Return one enrichment of several: for each field the first provider that has it.

    The record's id and confidence are the first provider's, the time is the latest reply's, and `sources` says which
    provider gave which field. Of one provider, nothing changes.
    """
    if len(found) == 1:
        return found[0]
    fields: dict[str, Any] = {}
    sources: dict[str, str] = {}
    steps: dict[str, Any] = {}
    for one in found:
        steps |= _steps(one)
        for name, value in one.fields.items():
            if not _is_blank(value) and name not in fields and name != FOLLOW_UPS:
                fields[name], sources[name] = value, one.provider
    fields |= {FOLLOW_UPS: steps} if steps else {}
    first = found[0]
    received_at = max(one.received_at for one in found)
    left_out = {name: reason for one in found for name, reason in one.left_out.items() if name not in fields}
    return Enrichment(
        first.provider, first.provider_record_id, first.confidence, _with(fields, sources), received_at, left_out
    )


def _steps(one: Enrichment) -> Mapping[str, Any]:
    steps: Mapping[str, Any] = one.fields.get(FOLLOW_UPS, {})
    return steps


def _with(fields: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    return {**fields, "sources": dict(sources)}


def _is_blank(value: Any) -> bool:
    return value is None or value in ("", [], {})
