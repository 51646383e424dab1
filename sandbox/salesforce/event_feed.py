"""What happens to contacts, published as events."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

from sandbox.clock import Clock
from sandbox.salesforce.event_bus import EventBus
from sandbox.salesforce.event_schemas import CHANGES, CREATED, NESTED
from sandbox.salesforce.store import Record
from sandbox.settings import SalesforceSettings

USER_ID = "0055e000000abcdAAA"
#: Fields whose name inside of a compound field is another one.
_INNER = {"MailingCity": "City"}
_WITH_VALUES = {"CREATE", "UPDATE", "UNDELETE"}


class EventFeed:
    """Publishes changes of contacts: change events, and for a new one the platform event of a flow."""

    def __init__(self, bus: EventBus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._numbers = count(1)

    def publish(
        self, kind: str, record: Record, changed: Collection[str], settings: SalesforceSettings, origin: str
    ) -> None:
        """Publish a change of one contact."""
        if settings.change_events:
            names = record.values if kind in ("CREATE", "UNDELETE") else changed
            values = {name: record.values.get(name) for name in names} if kind in _WITH_VALUES else {}
            moments = {"LastModifiedDate": record.modified * 1000}
            if kind in ("CREATE", "UNDELETE"):
                moments["CreatedDate"] = record.created * 1000
            self.publish_change(kind, [record.id], values, moments if values else {}, origin=origin)
        if settings.creation_events and kind == "CREATE":
            self.publish_creation({"Contact_Id__c": record.id, "Email__c": record.values.get("Email")})

    def publish_creation(self, values: Mapping[str, Any]) -> str:
        """Publish a platform event, and return its id."""
        system = {"CreatedDate": self._clock.milliseconds(), "CreatedById": USER_ID}
        return self._bus.publish(CREATED, {**system, **values}).id

    def publish_change(
        self,
        kind: str,
        ids: Sequence[str],
        values: Mapping[str, Any] | None = None,
        moments: Mapping[str, int] | None = None,
        *,
        origin: str = "",
        entity: str = "Contact",
    ) -> None:
        """Publish one change event; several ids mean that the same happened to several records."""
        fields = self._bus.schema(CHANGES).fields
        number = next(self._numbers)
        header = {
            "entityName": entity,
            "recordIds": list(ids),
            "changeType": kind,
            "changeOrigin": origin,
            "transactionKey": f"0000{number:06d}-e9e0-4ce0-8a0a-000000000000",
            "sequenceNumber": 1,
            "commitTimestamp": self._clock.milliseconds(),
            "commitNumber": number,
            "commitUser": USER_ID,
            "nulledFields": [],
            "diffFields": [],
            "changedFields": _bitmaps([*(values or {}), *(moments or {})], fields) if kind == "UPDATE" else [],
        }
        self._bus.publish(CHANGES, {"ChangeEventHeader": header, **_nested(values or {}, fields), **(moments or {})})


def _nested(values: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name in NESTED:
            found.setdefault(NESTED[name], {})[_INNER.get(name, name)] = value
        elif name in fields:
            found[name] = value if not isinstance(value, datetime) else value.isoformat()
    return found


def _bitmaps(names: Collection[str], fields: Sequence[str]) -> list[str]:
    """Return the changed fields as bitmaps: one of the whole, and one for each compound field by its place."""
    outer = [name for name in names if name in fields]
    whole = sum(1 << fields.index(name) for name in outer)
    compounds = sorted({fields.index(NESTED[name]) for name in names if name in NESTED})
    return [*([f"0x{whole:X}"] if whole else []), *(f"{place}-0x4" for place in compounds)]
