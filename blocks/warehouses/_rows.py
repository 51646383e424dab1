"""What crosses the seam to a warehouse, and how it becomes JSON and comes back."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from blocks.providers.base import Reply
from enrichment.credits import CapReached
from enrichment.fields import FIELDS
from enrichment.records import Enrichment, Found
from enrichment.write_policy import Change

Row = dict[str, Any]

_JSON_COLUMNS = frozenset({"reply", "tech_stack", "intent_keywords", "attributes", "api_versions"})
_TIMESTAMPS = frozenset({"enrichment_timestamp", "not_before", "reserved_until"})
_LISTS = frozenset({"rows", "ids", "keys"})
_OWN_COLUMNS = tuple(name for name, field in FIELDS.items() if field.own_column)


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A request to enrich one contact; `contact_created_at` is ISO-8601 UTC text."""

    crm: str
    crm_id: str
    email_address: str | None
    source: str
    lane: str
    contact_created_at: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """What will be sent to the CRM for one staged record."""

    record_id: str
    crm_id: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class MadeFor:
    """For which staged record a request is made; `email_key` is the hashed address that it asks with, if any."""

    record_id: str
    request_key: str
    email_key: str | None = None


@dataclass(frozen=True, slots=True)
class JournalLookup:
    """
    What the journal says of request keys.

    Args:
        replies: those it has.
        granted: keys that the asker may now pay for.
        erased: keys of people who were erased, who must not be asked about.
        refused: keys that nobody may pay for now, because a cap on credits is reached.
        reached: that cap.
    """

    replies: Mapping[str, Row]
    granted: frozenset[str]
    erased: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    reached: CapReached | None = None


@dataclass(frozen=True, slots=True)
class Renewal:
    """The records that the claim still holds, and by lane how many runs are at work with this provider, this CRM."""

    held: frozenset[str]
    at_provider: Mapping[str, int]
    at_crm: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Settled:
    """How many records of a chunk ended or went back; `lost` ones are held by another run now."""

    dispositions: Mapping[str, int]
    returned: int
    lost: int


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of each table an erasure removed or, of the replies, blanked."""

    rows: Mapping[str, int]

    @property
    def total(self) -> int:
        """Return how many rows that were in all; 0 if nothing was known of the contact."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class RunStart:
    """What is known of a run when it opens its books."""

    run_id: str
    flow_run_name: str
    provider: str
    crm: str
    lane: str


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What is known of a run when it closes its books."""

    failure_rate: float
    stop_kind: str = ""
    alert_kind: str = ""
    alert_sent: bool = False
    credits: float = 0.0
    api_versions: Sequence[str] = ()
    state: str = "closed"


def contact_row(item: Found) -> Row:
    """Return a result as the row of its tables; fields without a column of their own are attributes."""
    enrichment = item.enrichment
    own = {name: enrichment.fields.get(name) for name in _OWN_COLUMNS}
    further = {name: value for name, value in enrichment.fields.items() if name not in _OWN_COLUMNS}
    return {
        "record_id": item.record.record_id,
        "request_key": item.request_key,
        "crm_id": item.record.crm_id,
        "enrichment_timestamp": enrichment.received_at,
        "provider": enrichment.provider,
        "provider_record_id": enrichment.provider_record_id,
        "confidence": enrichment.confidence,
        "attributes": further,
        **own,
    }


def reply_row(reply: Reply) -> Row:
    """Return a reply as its row of the journal."""
    return {
        "request_key": reply.key,
        "reply": reply.body,
        "outcome": reply.outcome,
        "credits": reply.credits,
        "api_version": reply.api_version,
        "request_id": reply.request_id,
    }


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


def renewal_of(held: Sequence[Row], runs: Sequence[Row]) -> Renewal:
    """Return what the rows of a renewal say."""
    return Renewal(
        frozenset(row["record_id"] for row in held),
        {row["lane"]: row["at_provider"] for row in runs},
        {row["lane"]: row["at_crm"] for row in runs},
    )


def bind(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a statement's values with lists and dicts as JSON text."""
    return {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
        for name, value in values.items()
    }


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
        length = len(json.dumps(item, ensure_ascii=False).encode())
        if part and (len(part) == most_items or size + length > most_bytes):
            yield {**values, name: part}
            part, size = [], 0
        part.append(item)
        size += length
    if part:
        yield {**values, name: part}


def decode(row: Row) -> Row:
    """Return a row with JSON read and timestamps as ISO-8601 UTC text, whatever the engine gave."""
    return {name: _decode_value(name, value) for name, value in row.items()}


def _decode_value(name: str, value: Any) -> Any:
    if name in _JSON_COLUMNS and isinstance(value, str):
        return json.loads(value)
    if isinstance(value, int) and (name.endswith("_at") or name in _TIMESTAMPS):
        value = datetime.fromtimestamp(value / 1000, UTC)  # an engine that gives milliseconds since 1970
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value
