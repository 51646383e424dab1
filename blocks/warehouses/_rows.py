"""How what crosses the seam to a warehouse becomes rows and JSON, and comes back."""

import functools
import re
import uuid
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import orjson

from blocks.providers.base import Reply
from blocks.warehouses._values import SavedReply
from enrichment.errors import RecordRefusedError
from enrichment.fields import FIELDS
from enrichment.moments import utc_text
from enrichment.records import Enrichment, Finished, Found, StagedRecord, State
from enrichment.text import storable
from enrichment.write_policy import Change, Refusal

Row = dict[str, Any]

#: U+0000 as JSON has it.
_NUL = rb"\u0000"

_QUOTED = re.compile(r"[\"'`]([^\"'`]+)[\"'`]")

_JSON_COLUMNS = frozenset({"reply", "tech_stack", "intent_keywords", "attributes", "api_versions"})
_TIMESTAMPS = frozenset({"enrichment_timestamp", "not_before", "reserved_until"})
_LISTS = frozenset({"rows", "ids", "keys"})
_FLAGS = frozenset({"refresh", "alert_sent", "earlier", "is_undo"})
_ENDING = (
    *("record_id", "disposition", "reason", "step", "detail", "request_key"),
    *("lookups", "email_domain", "filled_before"),
)
_OWN_COLUMNS = tuple(name for name, field in FIELDS.items() if field.own_column)


def row_of(item: Any) -> Row:
    """Return a flat dataclass as a row; `asdict` would copy every value, which took a fifth of a run's CPU."""
    return {name: getattr(item, name) for name in _names_of(item.__class__)}


@functools.cache
def _names_of(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def contact_row(item: Found, run_id: str) -> Row:
    """Return a result that a run stores as the row of its tables; fields without their own column are attributes."""
    enrichment = item.enrichment
    own = {name: enrichment.fields.get(name) for name in _OWN_COLUMNS}
    further = {name: value for name, value in enrichment.fields.items() if name not in _OWN_COLUMNS}
    row = {
        "record_id": item.record.record_id,
        "request_key": item.request_key,
        "lookups": item.lookups,
        "email_domain": item.email_domain,
        "crm_id": item.record.crm_id,
        "enrichment_timestamp": enrichment.received_at,
        "provider": enrichment.provider,
        "provider_record_id": enrichment.provider_record_id,
        "confidence": enrichment.confidence,
        "attributes": further or None,
        "remapped_by": run_id if item.record.is_remap else None,
        **own,
    }
    return _present(row)


def reply_row(reply: Reply) -> Row:
    """Return a reply as its row of the journal."""
    row = {
        "request_key": reply.key,
        "reply": reply.body,
        "outcome": reply.outcome,
        "credits": reply.credits,
        "api_version": reply.api_version,
        "request_id": reply.request_id,
    }
    return _present(row)


def _present(row: Row) -> Row:
    """Return a row without what is absent, since null in a column of JSON would be JSON's, and not the table's."""
    return {name: value for name, value in row.items() if value is not None}


def finished_row(item: Finished) -> Row:
    """Return how a record ended as a row; what was refused has rows of its own."""
    return {name: getattr(item, name) for name in _ENDING}


def change_row(crm_id: str, change: Change) -> Row:
    """Return a change of a contact's field as a row; a field that is cleared has no value after."""
    return {"crm_id": crm_id, "field": change.field, "before": change.before, "after": change.after or None}


def refusal_row(record_id: str, refusal: Refusal) -> Row:
    """Return a refusal of a staged record's contact as a row."""
    return {"record_id": record_id, "field": refusal.field, "reason": refusal.reason, "value": refusal.value or None}


def renamed(rows: Sequence[Row]) -> list[Row]:
    """Return rows of staged records with the id that a new request in their place will have."""
    return [row | {"new_record_id": uuid.uuid4().hex} for row in rows]


def enrichment_of(row: Row) -> Enrichment:
    """Return what a row of `enriched_contacts` says."""
    own = {name: row[name] for name in _OWN_COLUMNS if row[name] is not None}
    return Enrichment(
        row["provider"],
        row["provider_record_id"],
        row["confidence"],
        {**(row["attributes"] or {}), **own},
        row["enrichment_timestamp"],
    )


def reply_of(row: Row) -> SavedReply:
    """Return what a row of the journal says."""
    return SavedReply(body=row["reply"], **{name: value for name, value in row.items() if name != "reply"})


def record_of(row: Row) -> StagedRecord:
    """Return what a row of the queue says."""
    return StagedRecord(**row | {"state": State(row["state"])})


def bind(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a statement's values with lists and dicts as JSON text."""
    return {
        name: to_json(value) if isinstance(value, list | dict) else storable(value) for name, value in values.items()
    }


def to_json(value: Any) -> str:
    """Return the JSON of a value; what no engine can store is left out of it, so that its neighbours are stored."""
    try:
        text = orjson.dumps(value)
    except TypeError:  # half a character, or a number beyond 64 bits
        text = orjson.dumps(storable(value))
    return (text if _NUL not in text else orjson.dumps(storable(value))).decode()


def refusal(engine: str, code: str, words: str, values: Mapping[str, Any]) -> RecordRefusedError:
    """
    Return the error of a statement that failed because of a value.

    Args:
        engine: its name, for people.
        code: of the error.
        words: of the engine, which may quote the value; they show only in which column it stands.
        values: of the statement, before they are bound.
    """
    rows: Any = next((values[name] for name in _LISTS if name in values), [])
    # Of several rows any may be at fault; they are tried again in parts.
    columns = _columns_with(rows[0], set(_QUOTED.findall(words))) if len(rows) == 1 else []
    place = f" in the column {', '.join(columns)}" if columns else ""
    return RecordRefusedError(f"{engine} can't store a value{place} ({code})")


def _columns_with(row: Any, quoted: Container[str], above: str = "") -> list[str]:
    if isinstance(row, dict):
        return [found for name, value in row.items() for found in _columns_with(value, quoted, f"{above}.{name}")]
    return [above.removeprefix(".")] if above and str(row) in quoted else []


def sliced(values: Mapping[str, Any], *, most_items: int, most_bytes: int) -> Iterator[dict[str, Any]]:
    """
    Return a statement's values once, or several times with a part of a list too long for one statement each.

    A list without items gives nothing: there is nothing to do or to find.
    """
    name = next((name for name in values if name in _LISTS), None)
    if name is None:
        yield dict(values)
        return
    part: list[Any] = []
    size = 0
    for item in values[name]:
        length = len(to_json(item).encode())
        if part and (len(part) == most_items or size + length > most_bytes):
            yield {**values, name: part}
            part, size = [], 0
        part.append(item)
        size += length
    if part:
        yield {**values, name: part}


def decode(row: Row) -> Row:
    """Return a row with JSON read and timestamps as ISO-8601 UTC text, for every engine; it is changed in place."""
    for name in _coded(tuple(row)):
        row[name] = _decode_value(name, row[name])
    return row


@functools.cache
def _coded(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns whose values an engine may have in a form of its own."""
    return tuple(name for name in names if name in _JSON_COLUMNS | _FLAGS or is_moment(name))


def is_moment(name: str) -> bool:
    """Return whether a column with this name has moments."""
    return name.endswith("_at") or name in _TIMESTAMPS


def _decode_value(name: str, value: Any) -> Any:
    if name in _JSON_COLUMNS:
        return orjson.loads(value) if isinstance(value, str) else value
    if name in _FLAGS:
        return bool(value) if isinstance(value, int) else value  # some engines have no type for it
    if isinstance(value, int):
        value = datetime.fromtimestamp(value / 1000, UTC)  # an engine that gives milliseconds since 1970
    return utc_text(value) if isinstance(value, datetime) else value
