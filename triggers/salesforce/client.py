"""Calls to Salesforce's Pub/Sub API over gRPC and TLS, in one session, and what their failures mean."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import grpc

from blocks.calls.tls import LOOPBACK_HOSTS
from blocks.crms.salesforce.session import Session
from enrichment.errors import ConfigurationError, EnrichmentError
from triggers.salesforce.pubsub_pb2 import FetchRequest, FetchResponse, SchemaRequest, TopicInfo, TopicRequest
from triggers.salesforce.pubsub_pb2_grpc import PubSubStub

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
    """The stored position is unknown to Salesforce: take everything that is kept, and query the rest."""
    POLL = "poll"
    """The org's deliveries of 24 hours are used up: query until they come back."""
    STOP = "stop"
    """A person has to fix it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What happened, and what to do about it; `advice` says it to a person."""

    action: Action
    what: str
    advice: str = ""


class StreamFailedError(EnrichmentError):
    """The stream can't go on."""

    def __init__(self, failure: Failure) -> None:
        advice = f"; {failure.advice}" if failure.advice else ""
        super().__init__(f"Salesforce's Pub/Sub API: {failure.what}{advice}")
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
        error_code: the error code of Salesforce, with its prefix; empty if there is none.
        details: the text of gRPC, which is shown only if Salesforce said nothing: then it is about the connection.
    """
    code = error_code.removeprefix(CODE_PREFIX)
    what = f"{status} ({code})" if code else status + (f" ({details[:_LONGEST_DETAIL]})" if details else "")
    if code.startswith(_PROTECTION):
        return Failure(Action.SLOW_DOWN, what)
    action, advice = _ACTIONS.get(code) or _BY_STATUS.get(status) or (Action.RECONNECT, "")
    return Failure(action, what, advice)


_ANSWER_SECONDS = 30.0
_OPTIONS = (
    # A connection that died silently is noticed. Servers close a connection that is pinged too often.
    ("grpc.keepalive_time_ms", 150_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Else a new channel would inherit the pauses of the one that failed; we have our own.
    ("grpc.use_local_subchannel_pool", 1),
)


class Stream(Protocol):
    """A subscription as gRPC gives it: iterates over responses until it fails, ends or is cancelled."""

    def __iter__(self) -> Iterator[FetchResponse]:
        """Return the iterator."""

    def cancel(self) -> bool:
        """End it from our side."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API is (host and port), and who may vouch for it (PEM, None: the usual authorities)."""

    address: str
    authorities: bytes | None = None

    @classmethod
    def read(cls, address: str, ca_file: Path | None) -> "Endpoint":
        """
        Return the endpoint of the settings.

        Raises:
            ConfigurationError: the file can't be read.
        """
        try:
            return cls(address, ca_file.read_bytes() if ca_file else None)
        except OSError as error:
            raise ConfigurationError(
                f"ENRICHMENT_SALESFORCE_EVENTS_CA_FILE: {ca_file} can't be read ({type(error).__name__})"
            ) from None


class PubSubClient:
    """
    A connection in one session; a new session needs a new client.

    Every method raises StreamFailedError.
    """

    def __init__(self, endpoint: Endpoint, session: Session) -> None:
        host = endpoint.address.rpartition(":")[0]
        # A proxy of the environment is never meant for this machine itself.
        proxy = ("grpc.enable_http_proxy", int(host not in LOOPBACK_HOSTS))
        credentials = grpc.ssl_channel_credentials(endpoint.authorities)
        self._channel = grpc.secure_channel(endpoint.address, credentials, (*_OPTIONS, proxy))
        self._stub: Any = PubSubStub(self._channel)  # type: ignore[no-untyped-call]
        self._metadata = (
            ("accesstoken", session.token),
            ("instanceurl", session.instance_url),
            ("tenantid", session.org_id),
        )

    def topic(self, name: str) -> TopicInfo:
        """Return what the org says of a topic."""
        info: TopicInfo = self._ask(self._stub.GetTopic, TopicRequest(topic_name=name))
        return info

    def schema(self, schema_id: str) -> str:
        """Return a schema as JSON."""
        return str(self._ask(self._stub.GetSchema, SchemaRequest(schema_id=schema_id)).schema_json)

    def subscribe(self, requests: Iterator[FetchRequest]) -> Stream:
        """Open a stream; when the requests end, so does it."""
        stream: Stream = self._stub.Subscribe(requests, metadata=self._metadata)
        return stream

    def close(self) -> None:
        """Close the connection, and what goes over it."""
        self._channel.close()

    def _ask(self, call: Any, request: Any) -> Any:
        try:
            return call(request, metadata=self._metadata, timeout=_ANSWER_SECONDS)
        except grpc.RpcError as error:
            raise StreamFailedError(failure_of(error)) from None


def failure_of(error: Any) -> Failure:
    """Return what an error of gRPC means."""
    if error.code() is None:
        return Failure(Action.RECONNECT, "the connection was closed")
    trailers = dict(error.trailing_metadata() or ())
    return judge(error.code().name, str(trailers.get("error-code", "")), error.details() or "")
