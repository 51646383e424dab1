"""What happens to contacts, and the events that HubSpot makes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.settings import HubSpotSettings

PORTAL_USER = 7
_CONTACT_TYPE = "0-1"
_SUBSCRIPTION = 3_329_277
_FLAGS = {"creation": ("NEW", "CREATED"), "deletion": ("DELETED", "DELETED"), "restore": ("RESTORED", "RESTORED")}


@dataclass(frozen=True, slots=True)
class Happening:
    """
    Something that happened to a contact.

    Args:
        kind: `creation`, `propertyChange`, `deletion`, `restore`, `merge` or `privacyDeletion`.
        contact_id: whom it happened to.
        at_ms: when, in milliseconds since 1970.
        source: who did it.
        details: fields that only this kind has.
    """

    kind: str
    contact_id: str
    at_ms: int
    source: str
    details: Mapping[str, Any] = field(default_factory=dict)


Listener = Callable[[Happening], None]


def is_subscribed(happening: Happening, settings: HubSpotSettings) -> bool:
    """Return whether the app wants to hear of it."""
    if happening.kind == "propertyChange":
        return happening.details["propertyName"] in settings.webhook_properties
    return happening.kind in settings.webhook_kinds


def event_of(happening: Happening, settings: HubSpotSettings, number: int) -> dict[str, Any]:
    """Return the event in the form of the app's subscriptions; a deletion for privacy has one form only."""
    generic = settings.webhook_form == "generic" and happening.kind != "privacyDeletion"
    event = {
        "eventId": number,
        "subscriptionId": _SUBSCRIPTION,
        "portalId": settings.portal_id,
        "appId": settings.app_id,
        "occurredAt": happening.at_ms,
        "subscriptionType": f"{'object' if generic else 'contact'}.{happening.kind}",
        "attemptNumber": 0,
        "objectId": int(happening.contact_id),
        "changeSource": happening.source,
        "sourceId": str(settings.app_id) if happening.source == "INTEGRATION" else f"userId:{PORTAL_USER}",
        **happening.details,
    }
    if generic:
        event["objectTypeId"] = _CONTACT_TYPE
    if happening.kind in _FLAGS:
        event["changeFlag"] = _FLAGS[happening.kind][generic]
    return event
