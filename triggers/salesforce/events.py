"""
What an event means for the queue. Pure: an event comes in decoded, and out come contacts.

See https://developer.salesforce.com/docs/platform/change-data-capture for the header of change events.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from blocks.crms.base import NewContact
from blocks.crms.salesforce.ids import contact_id_of

ENTITY = "Contact"
_CREATED = frozenset({"CREATE", "GAP_CREATE"})
_RESTORED = frozenset({"UNDELETE", "GAP_UNDELETE"})
_DELETED = frozenset({"DELETE", "GAP_DELETE"})
#: What they change isn't said, or is everything.
_UNSAID = _RESTORED | _DELETED | {"GAP_UPDATE"}
_OVERFLOW = "GAP_OVERFLOW"
_WILDCARD = "*"


@dataclass(frozen=True, slots=True)
class Meaning:
    """
    What one event means for the queue.

    Args:
        contacts: that are to be staged.
        committed_at: when Salesforce committed the change.
        created: whether the contacts are new ones, so that the event of one that has ended already is a repeated one.
        query_needed: whether the event doesn't name its contacts, so that a query must look for them.
        changed: ids of contacts whose address changed, or that are gone: what is queued of them is out of date.
    """

    contacts: tuple[NewContact, ...] = ()
    committed_at: datetime | None = None
    created: bool = False
    query_needed: bool = False
    changed: tuple[str, ...] = ()


def read_change(event: Mapping[str, Any], fields: Sequence[str], our_client: str) -> Meaning:
    """
    Return what a change event means.

    New and restored contacts are staged, and those whose e-mail address was filled in or corrected. Gap events have
    ids only; the run reads the record anyway, and so it does where what is queued is out of date.

    Args:
        event: as decoded.
        fields: of the event's schema, in order.
        our_client: the name that our own changes carry.
    """
    header = event["ChangeEventHeader"]
    kind, committed_at = header["changeType"], _moment(header["commitTimestamp"])
    if kind == _OVERFLOW:
        return Meaning(committed_at=committed_at, query_needed=True)
    if header["entityName"] != ENTITY or _is_ours(header.get("changeOrigin"), our_client):
        return Meaning(committed_at=committed_at)
    if any(_WILDCARD in each for each in header["recordIds"]):
        return Meaning(committed_at=committed_at, query_needed=kind not in _DELETED)
    if kind in _CREATED:
        return Meaning(_contacts(header["recordIds"], event.get("Email"), committed_at), committed_at, created=True)
    sets_email = _is_set("Email", header.get("changedFields") or (), fields)
    contacts = _contacts(header["recordIds"], event.get("Email"), _moment(event.get("CreatedDate")))
    # A channel may be set up to send the address with every change, so its presence alone says nothing.
    is_staged = kind in _RESTORED or (sets_email and bool(event.get("Email")))
    is_changed = sets_email or kind in _UNSAID
    changed = tuple(contact.crm_id for contact in contacts) if is_changed else ()
    return Meaning(contacts if is_staged else (), committed_at, changed=changed)


def read_platform_event(event: Mapping[str, Any], id_field: str, email_field: str) -> Meaning:
    """Return what a platform event means; dots in a field's name lead into nested fields."""
    published_at = _moment(event.get("CreatedDate"))
    contacts = _contacts([_value(event, id_field)], _value(event, email_field), published_at)
    return Meaning(contacts, published_at, created=bool(contacts))


def _contacts(ids: Sequence[Any], email: Any, created_at: datetime | None) -> tuple[NewContact, ...]:
    address = email if isinstance(email, str) and email else None
    known = dict.fromkeys(filter(None, map(contact_id_of, ids)))
    return tuple(NewContact(each, address, created_at.isoformat() if created_at else None) for each in known)


def _is_set(name: str, bitmaps: Sequence[str], fields: Sequence[str]) -> bool:
    """Return whether a field is among those of the bitmaps: hexadecimal, the lowest bit is the schema's first field."""
    # Those of nested fields begin with the position of their parent and a hyphen.
    whole = next((bitmap for bitmap in bitmaps if "-" not in bitmap), "0")
    return name in fields and bool(int(whole, 16) >> fields.index(name) & 1)


def _is_ours(origin: str | None, our_client: str) -> bool:
    return f"client={our_client}" in (origin or "").split(";")


def _value(event: Any, path: str) -> Any:
    for name in path.split("."):
        event = event.get(name) if isinstance(event, Mapping) else None
    return event


def _moment(milliseconds: Any) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if isinstance(milliseconds, int) and milliseconds else None
