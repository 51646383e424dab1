"""
What failures of the Pub/Sub API mean. Pure.

Salesforce names them in the trailer `error-code`; see
https://developer.salesforce.com/docs/platform/pub-sub-api/guide/handling-errors.html.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from enrichment.errors import EnrichmentError

CODE_PREFIX = "sfdc.platform.eventbus.grpc."
_LONGEST_DETAIL = 300


class Action(StrEnum):
    """What to do about a failure."""

    RECONNECT = "reconnect"
    """Open the stream again, with growing pauses."""
    SLOW_DOWN = "slow_down"
    """The same with long pauses: we are too many, or too fast."""
    NEW_SESSION = "new_session"
    """The session isn't taken any more: get another one, then open the stream again."""
    REPLAY = "replay"
    """The stored position is unknown over there: take everything that is kept, and query the rest."""
    POLL = "poll"
    """The org's deliveries of 24 hours are used up: query until they come back."""
    STOP = "stop"
    """A person has to mend it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What happened, and what to do about it; `mend` says it to a person."""

    action: Action
    what: str
    mend: str = ""


class StreamFailedError(EnrichmentError):
    """The stream can't go on."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"Salesforce's Pub/Sub API: {failure.what}" + (f"; {failure.mend}" if failure.mend else ""))
        self.failure = failure


_BUG = "this is a bug of the listener: please report it"
_TOPIC = (
    "check ENRICHMENT_SALESFORCE_EVENTS_TOPIC, and that Contact is selected for Change Data Capture, or that the "
    "platform event exists: see docs/salesforce.md"
)
_PERMISSION = (
    "give the integration user the permissions of docs/salesforce.md: View All Records on Contact, or Read on the "
    "platform event"
)

_ACTIONS: Mapping[str, tuple[Action, str]] = {
    "service.unavailable": (Action.RECONNECT, ""),
    "topic.api.unavailable": (Action.RECONNECT, ""),
    "schema.api.unavailable": (Action.RECONNECT, ""),
    "subscription.internal.error": (Action.RECONNECT, ""),
    "concurrent.client.limit.exceeded": (Action.SLOW_DOWN, ""),
    "service.auth.error": (Action.NEW_SESSION, ""),
    "service.auth.headers.invalid": (
        Action.STOP,
        "session, instance URL and org don't match: check ENRICHMENT_SALESFORCE_LOGIN_URL",
    ),
    "service.tenant.license": (Action.STOP, "the org isn't licensed for the Pub/Sub API: contact Salesforce"),
    "topic.not.found": (Action.STOP, _TOPIC),
    "topic.meta.permission": (Action.STOP, _PERMISSION),
    "subscription.topic.cannot.subscribe": (Action.STOP, _PERMISSION),
    "subscription.limit.exceeded": (Action.POLL, ""),
    "subscription.fetch.replayid.corrupted": (Action.REPLAY, ""),
    "subscription.fetch.replayid.validation.failed": (Action.STOP, _BUG),
    "subscription.fetch.requested.events.invalid": (Action.STOP, _BUG),
    "subscription.fetch.topic.mismatch": (Action.STOP, _BUG),
    "subscription.fetch.overflow": (Action.STOP, _BUG),
}
_PROTECTION = "service.protection."
#: Without a code of Salesforce's, for instance from a proxy in between; all others are worth another try.
_BY_STATUS: Mapping[str, tuple[Action, str]] = {
    "UNAUTHENTICATED": (Action.NEW_SESSION, ""),
    "RESOURCE_EXHAUSTED": (Action.SLOW_DOWN, ""),
    "PERMISSION_DENIED": (Action.STOP, _PERMISSION),
    "NOT_FOUND": (Action.STOP, _TOPIC),
    "INVALID_ARGUMENT": (Action.STOP, _TOPIC),
    "FAILED_PRECONDITION": (Action.STOP, _TOPIC),
    "UNIMPLEMENTED": (Action.STOP, "check ENRICHMENT_SALESFORCE_EVENTS_ENDPOINT: the Pub/Sub API doesn't answer there"),
}


def judge(status: str, error_code: str, details: str = "") -> Failure:
    """
    Return what a failed call means.

    Args:
        status: the name of gRPC's status code.
        error_code: Salesforce's, with its prefix; empty if there is none.
        details: gRPC's text, which is shown only if Salesforce said nothing: then it is about the connection.
    """
    code = error_code.removeprefix(CODE_PREFIX)
    what = f"{status} ({code})" if code else status + (f" ({details[:_LONGEST_DETAIL]})" if details else "")
    if code.startswith(_PROTECTION):
        return Failure(Action.SLOW_DOWN, what)
    action, mend = _ACTIONS.get(code) or _BY_STATUS.get(status) or (Action.RECONNECT, "")
    return Failure(action, what, mend)
