"""Several providers one after the other: the next is asked only for what the ones before it lack."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from enrichment.records import Enrichment


def lacking(found: Sequence[Enrichment], required: Iterable[str]) -> set[str]:
    """
    Return the required fields that no provider has filled yet.

    Args:
        found: what the providers so far know.
        required: canonical fields; none means that any match will do.
    """
    return {name for name in required if all(_is_blank(one.fields.get(name)) for one in found)}


def is_complete(found: Sequence[Enrichment], required: Sequence[str]) -> bool:
    """Return whether no further provider needs to be asked."""
    return bool(found) and not lacking(found, required)


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
    for one in found:
        for name, value in one.fields.items():
            if not _is_blank(value) and name not in fields:
                fields[name], sources[name] = value, one.provider
    first = found[0]
    received_at = max(one.received_at for one in found)
    return Enrichment(first.provider, first.provider_record_id, first.confidence, _with(fields, sources), received_at)


def _with(fields: Mapping[str, Any], sources: Mapping[str, str]) -> dict[str, Any]:
    return {**fields, "sources": dict(sources)}


def _is_blank(value: Any) -> bool:
    return value is None or value in ("", [], {})
