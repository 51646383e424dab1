"""
What HubSpot's events ask for, in the classic form (`contact.creation`) and the generic one (`object.creation`). Pure.

An event says only that something happened to a contact; how the contact is now, the run reads from HubSpot. So order
and repetition don't matter, and no value of an event is kept.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from blocks.crms.hubspot.contacts import is_record_id
from blocks.warehouses.base import NewRecord
from enrichment.records import Origin
from enrichment.text import UnreadableError, read_json
from triggers.staging import Batch, Key

CRM = "hubspot"
_ORIGIN = Origin(CRM)

_CONTACT_TYPE = "0-1"
#: Values of `changeSource` of changes that a program made through the API; `sourceId` is then its app's id.
_PROGRAMS = frozenset({"INTEGRATION", "API"})
#: Events that count even if our own app caused the change.
_COUNT_ALWAYS = frozenset({"deletion", "privacyDeletion"})

Event = Mapping[str, Any]


class MalformedError(Exception):
    """The body isn't a list of events."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """A contact that HubSpot deleted for privacy, and the moment by which a repeated event is known."""

    crm_id: str
    occurred_at: int | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    What one delivery asks for.

    Args:
        batch: for the queue.
        erasures: of everything that is known of a contact.
        counts: how many events there were, by what became of them.
    """

    batch: Batch
    erasures: tuple[Erasure, ...]
    counts: Mapping[str, int]


def read_delivery(body: bytes, app_id: str, portal_id: str = "") -> Delivery:
    """
    Return what the events of a delivery ask for; those that don't concern us are passed over.

    A single event that lacks its id is passed over too, since a repetition wouldn't fix it and would hold the others.

    Args:
        body: as received.
        app_id: whose changes are ours; empty for none.
        portal_id: the account whose contacts are ours, since accounts number theirs independently; empty for any.

    Raises:
        MalformedError: the body is no valid JSON list, or none of it is an object.
    """
    reader = _Reader(app_id, portal_id)
    for event in _events(body):
        if isinstance(event, dict):
            reader.read(event)
        else:
            reader.counts["unreadable"] += 1
    return reader.delivery()


def _events(body: bytes) -> list[Any]:
    try:
        events = read_json(body).value
    except UnreadableError:
        raise MalformedError("the body is not valid JSON") from None
    if not isinstance(events, list) or (events and not any(isinstance(event, dict) for event in events)):
        raise MalformedError("the body is not a list of objects")
    return events


@dataclass(slots=True)
class _Reader:
    app_id: str
    portal_id: str
    records: dict[str, NewRecord] = field(default_factory=dict)
    changed: set[Key] = field(default_factory=set)
    merges: set[tuple[Origin, str, str]] = field(default_factory=set)
    erasures: dict[str, Erasure] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def read(self, event: Event) -> None:
        """Note what one event asks for, and count it."""
        kind = _kind(event)
        if kind not in _KINDS:
            self.counts["ignored"] += 1
        elif self.portal_id and str(event.get("portalId", self.portal_id)) != self.portal_id:
            self.counts["other_portal"] += 1
        elif kind not in _COUNT_ALWAYS and _is_own(event, self.app_id):
            self.counts["own"] += 1
        else:
            self.counts[_KINDS[kind](self, event)] += 1

    def delivery(self) -> Delivery:
        """Return what all events together ask for; nothing is staged of a contact that is erased."""
        records = tuple(record for crm_id, record in self.records.items() if crm_id not in self.erasures)
        changed = frozenset(key for key in self.changed if key[1] not in self.erasures)
        batch = Batch(records, changed, frozenset(self.merges))
        return Delivery(batch, tuple(self.erasures.values()), dict(self.counts))

    def _stage(self, crm_id: str, created_at: str | None = None) -> None:
        known = self.records.get(crm_id)
        if known is None or known.contact_created_at is None:
            self.records[crm_id] = NewRecord(CRM, crm_id, None, "webhook", "live", created_at)

    def creation(self, event: Event) -> str:
        crm_id = _id(event.get("objectId"))
        if crm_id is None:
            return "unreadable"
        self._stage(crm_id, _moment(event.get("occurredAt")))
        return "created"

    def property_change(self, event: Event) -> str:
        crm_id = _id(event.get("objectId"))
        if event.get("propertyName") != "email":
            return "ignored"
        if crm_id is None:
            return "unreadable"
        self.changed.add((_ORIGIN, crm_id))
        if str(event.get("propertyValue") or "").strip():
            self._stage(crm_id)
        return "changed"

    def deletion(self, event: Event) -> str:
        """Let what waits be read again: the run finds the contact gone, and queries no provider for it."""
        crm_id = _id(event.get("objectId"))
        if crm_id is None:
            return "unreadable"
        self.changed.add((_ORIGIN, crm_id))
        return "deleted"

    def restore(self, event: Event) -> str:
        crm_id = _id(event.get("objectId"))
        if crm_id is None:
            return "unreadable"
        self.changed.add((_ORIGIN, crm_id))
        self._stage(crm_id)
        return "restored"

    def merge(self, event: Event) -> str:
        """Stage the contact that is left; what waits of the others is read again, and found in it."""
        given = event.get("mergedObjectIds")
        parts = [event.get("primaryObjectId"), event.get("objectId"), *(given if isinstance(given, list) else ())]
        survivor = next((found for part in (event.get("newObjectId"), *parts[:2]) if (found := _id(part))), None)
        if survivor is None:
            return "unreadable"
        merged = {crm_id for part in parts if (crm_id := _id(part))}
        self.changed |= {(_ORIGIN, crm_id) for crm_id in merged | {survivor}}
        self.merges |= {(_ORIGIN, crm_id, survivor) for crm_id in merged - {survivor}}
        self._stage(survivor)
        return "merged"

    def privacy_deletion(self, event: Event) -> str:
        crm_id = _id(event.get("objectId"))
        if crm_id is None:
            return "unreadable"
        occurred_at = event.get("occurredAt")
        self.erasures[crm_id] = Erasure(crm_id, occurred_at if isinstance(occurred_at, int) else None)
        return "erased"


_KINDS = {
    "creation": _Reader.creation,
    "propertyChange": _Reader.property_change,
    "deletion": _Reader.deletion,
    "restore": _Reader.restore,
    "merge": _Reader.merge,
    "privacyDeletion": _Reader.privacy_deletion,
}


def _kind(event: Event) -> str:
    """Return what happened to a contact; empty if it happened to something else."""
    family, _, kind = str(event.get("subscriptionType") or event.get("eventType") or "").partition(".")
    ours = family == "contact" or (family == "object" and event.get("objectTypeId") == _CONTACT_TYPE)
    return kind if ours else ""


def _is_own(event: Event, app_id: str) -> bool:
    """Return whether our app made the change; `appId` is that of the subscription, and says nothing of it."""
    if not app_id or str(event.get("changeSource")) not in _PROGRAMS:
        return False
    return str(event.get("sourceId") or "").rpartition(":")[2] == app_id


def _id(value: object) -> str | None:
    """Return an id as the REST API has it: text, while events have numbers."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value) if is_record_id(str(value)) else None


def _moment(milliseconds: object) -> str | None:
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int):
        return None
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
