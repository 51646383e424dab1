"""Calls to HubSpot: one held client, and never answered by a half-truth."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any

from blocks.calls.credentials import CredentialSource, Grant
from blocks.calls.judging import Dialect
from blocks.calls.judging import judge as judge_answer
from blocks.calls.loop import Line, Purpose, make_call
from blocks.calls.messages import Answer, Call, whole, word
from blocks.calls.pacing import pacer_for
from enrichment.errors import QuotaExhaustedError
from enrichment.retry import Fault, RetryPolicy, Trouble, asked_wait, fault_of_status

COMPLETE = "COMPLETE"
OBJECT_NOT_FOUND = "OBJECT_NOT_FOUND"

#: How long to wait where a 429 names its policy and neither Retry-After nor an interval (guide to usage limits).
WAIT_OF_POLICY_SECONDS: Mapping[str, float] = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0}
LOCKED = 423
LEAST_LOCK_WAIT_SECONDS = 2.0
_DAILY = "DAILY"
_INTERVAL_HEADER = "x-hubspot-ratelimit-interval-milliseconds"

#: HubSpot's code for a property that isn't there, and how it says so in words alone.
DOESNT_EXIST = "PROPERTY_DOESNT_EXIST"
_UNKNOWN_PROPERTY = re.compile(
    r"Property \\?[\"']([a-z]\w{0,99})\\?[\"'] does(?:n't| not) exist", re.IGNORECASE | re.ASCII
)

_SCOPE_KEYS = ("requiredGranularScopes", "requiredScopes", "missingScopes")


@dataclass(frozen=True, slots=True)
class Flaw:
    """One property that HubSpot finds fault with, and its code for it."""

    field: str
    code: str

    def __str__(self) -> str:
        return f"{self.field} {self.code}".strip()


@dataclass(frozen=True, slots=True)
class Complaint:
    """
    One error object, free of personal data.

    Args:
        category: HubSpot's class of errors, for instance VALIDATION_ERROR.
        flaws: the properties concerned.
        ids: the record ids and trace ids that the error names.
        correlation_id: what HubSpot's support asks for.
    """

    category: str = ""
    flaws: tuple[Flaw, ...] = ()
    ids: frozenset[str] = frozenset()
    scopes: tuple[str, ...] = ()
    correlation_id: str = ""

    def __str__(self) -> str:
        parts = [self.category, ", ".join(map(str, self.flaws))]
        if self.correlation_id:
            parts.append(f"correlation id {self.correlation_id}")
        return ": ".join(part for part in parts if part)


def read_complaint(error: Any) -> Complaint:
    """Return what an error object says."""
    if not isinstance(error, dict):
        return Complaint()
    return Complaint(
        category=word(error.get("category")),
        flaws=tuple(dict.fromkeys((*_flaws_of_message(error.get("message")), *_flaws_of_details(error)))),
        ids=frozenset((*_context(error, "ids"), *_context(error, "objectWriteTraceId"))),
        scopes=tuple(dict.fromkeys(word(s) for part in _parts(error) for k in _SCOPE_KEYS for s in _context(part, k))),
        correlation_id=word(error.get("correlationId")),
    )


def judge(answer: Answer, accept: Callable[[Any], bool], *, at: str, scope: str, now: datetime) -> Answer | Trouble:
    """Return what HubSpot's answer means for the call, which needs a scope; it raises as every judge does."""
    dialect = Dialect("HubSpot", read_complaint, _read_limit, partial(_explain, at, scope))
    return judge_answer(answer, accept, dialect, at=at, now=now)


def is_complete(body: Any) -> bool:
    """Return whether a batch was done: any other state means that nothing can be said of its records."""
    return has_records(body) and body.get("status") == COMPLETE


def has_records(body: Any) -> bool:
    """Return whether a body lists records; the list may be empty."""
    results = body.get("results") if isinstance(body, dict) else None
    return isinstance(results, list) and all(isinstance(record, dict) and "id" in record for record in results)


def complaints(body: Mapping[str, Any]) -> list[Complaint]:
    """Return what the errors of a partial success say."""
    return [read_complaint(error) for error in body.get("errors") or ()]


def _read_limit(answer: Answer, _complaint: Complaint, what: str, now: datetime) -> Trouble | None:
    if fault_of_status(answer.status) is not Fault.THROTTLED:
        return None
    body = answer.body if isinstance(answer.body, dict) else {}
    policy = word(body.get("policyName"))
    if policy == _DAILY or (not policy and _says_daily(answer, body)):
        raise QuotaExhaustedError(
            "HubSpot's calls of this day are used up: all apps of the account share them, and they are available again "
            "at midnight in the account's time zone"
        )
    wait = asked_wait(answer.headers, now=now)
    if answer.status == LOCKED:  # a record is being changed, and HubSpot wants it left alone for two seconds
        wait = max(wait or 0.0, LEAST_LOCK_WAIT_SECONDS)
    elif wait is None:
        wait = _policy_wait(policy, answer.headers)
    return Trouble(Fault.THROTTLED, what, wait, narrow=policy == "SECONDLY")


def _says_daily(answer: Answer, body: Mapping[str, Any]) -> bool:
    """Return whether an answer that names no policy is about the day's limit; each of its fields may be absent."""
    left = answer.headers.get("x-hubspot-ratelimit-daily-remaining")
    return answer.status == HTTPStatus.TOO_MANY_REQUESTS and (
        left == "0" or "daily" in str(body.get("message")).lower()
    )


def _policy_wait(policy: str, headers: Mapping[str, str]) -> float | None:
    interval = headers.get(_INTERVAL_HEADER, "")
    if policy == "TEN_SECONDLY_ROLLING" and (milliseconds := whole(interval)) is not None:
        return milliseconds / 1000
    return WAIT_OF_POLICY_SECONDS.get(policy)


def _explain(at: str, scope: str, status: int, complaint: Complaint, what: str) -> str:
    if status == 401:
        return (
            f"HubSpot rejects the access token: {what}, even after it was read again. Put a valid one into "
            "ENRICHMENT_HUBSPOT_ACCESS_TOKEN or the secret block that it names"
        )
    if status == 403:
        scopes = ", ".join(complaint.scopes) or scope
        return f"HubSpot forbids {at}: {what}. Add the scope {scopes} to the app or service key of the access token"
    return f"HubSpot refuses {at}: {what}. Check ENRICHMENT_HUBSPOT_API_VERSION and ENRICHMENT_HUBSPOT_BASE_URL"


def _parts(error: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield error
    for part in error.get("errors") or ():
        if isinstance(part, dict):
            yield part


def _flaws_of_message(message: Any) -> Iterator[Flaw]:
    # Rejected properties are described by JSON lists inside the text of the message.
    text = message if isinstance(message, str) else ""
    yield from (Flaw(name, DOESNT_EXIST) for name in _UNKNOWN_PROPERTY.findall(text))
    position = text.find("[{")
    while position >= 0:
        try:
            items, position = json.JSONDecoder().raw_decode(text, position)
        except ValueError:
            return
        yield from (Flaw(word(i.get("name")), word(i.get("error"))) for i in items if isinstance(i, dict))
        position = text.find("[{", position)


def _flaws_of_details(error: Mapping[str, Any]) -> Iterator[Flaw]:
    for part in _parts(error):
        for name in _context(part, "propertyName"):
            yield Flaw(word(name), word(part.get("code") or part.get("subCategory")))


def _context(error: Mapping[str, Any], key: str) -> list[str]:
    context = error.get("context")
    values = context.get(key) if isinstance(context, dict) else None
    return [str(value) for value in values] if isinstance(values, list) else []


#: HubSpot counts calls within so many seconds.
_WINDOW_SECONDS = 10.0
#: HubSpot allows 5 searches a second for the whole account.
SEARCHES_PER_SECOND = 4.0
RETRY_POLICY = RetryPolicy(attempts_after_lost_answer=3)
#: As many as batches may be under way at once; the client would keep a few per processor.
MOST_CONNECTIONS = 32


class HubSpotApi:
    """
    HubSpot as a place that answers calls; safe to share between threads.

    Args:
        base_url: without a slash at the end.
        api_version: `v3`, or a date such as `2026-09`.
        read_token: returns the access token; called once more when HubSpot rejects it.
        per_second: calls, until HubSpot states its own limit.
        timeouts: seconds to connect and to read.
        policy: how often a call is repeated.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_version: str,
        read_token: Callable[[], str],
        per_second: float,
        timeouts: tuple[float, float],
        policy: RetryPolicy = RETRY_POLICY,
    ) -> None:
        credentials = CredentialSource(lambda: Grant(read_token()), "hubspot")
        token = credentials.get()
        from blocks.crms.hubspot.client import HubSpotClient  # noqa: PLC0415 - it loads HubSpot's library

        self._client = HubSpotClient(base_url, token, timeouts, MOST_CONNECTIONS)
        self.version = api_version
        self.account_key = (base_url, hashlib.sha256(token.encode()).hexdigest())
        self._search_pacer = pacer_for("hubspot search", self.account_key, SEARCHES_PER_SECOND)
        self._pacer = pacer_for("hubspot", self.account_key, per_second, _WINDOW_SECONDS)
        # HubSpot's own hiccups look the same as a rotated token.
        self._line = Line("hubspot", "HubSpot", policy, self._pacer, credentials, forgives=True)

    def contacts(self, tail: str) -> str:
        """Return the path of a contacts endpoint."""
        return f"/crm/{self._shaped('objects')}/contacts{tail}"

    def properties(self, tail: str) -> str:
        """Return the path of a contact properties endpoint."""
        return f"/crm/{self._shaped('properties')}/contacts{tail}"

    def lists(self, tail: str) -> str:
        """Return the path of a lists endpoint."""
        return f"/crm/{self._shaped('lists')}{tail}"

    def account(self) -> str:
        """Return the path of the account's details."""
        return f"/account-info/{self.version}/details"

    def ask(
        self,
        call: Call,
        scope: str,
        accept: Callable[[Any], bool] = has_records,
        *,
        searches: bool = False,
        before_repeat: Callable[[], None] | None = None,
    ) -> Answer:
        """
        Make a call, and repeat it where that may help.

        Args:
            call: the call.
            scope: what the access token must be allowed to do.
            accept: returns whether the body of a success holds what was asked for.
            searches: whether it counts as a search, which has a separate limit.
            before_repeat: called before each repetition; it may raise to end the call.

        Raises:
            CredentialsRejectedError: HubSpot refuses the access token.
            RequestRefusedError: HubSpot refuses the request.
            QuotaExhaustedError: the day's calls are used up.
            PostponedError: HubSpot asked for a wait that is too long to sleep.
            TransientError: every attempt failed.
        """
        at = f"{call.method} {call.path}"

        def judged(answer: Answer) -> Answer | Trouble:
            self._learn_rate(answer.headers)
            return judge(answer, accept, at=at, scope=scope, now=datetime.now(UTC))

        narrow = self._search_pacer if searches else None
        purpose = Purpose(at, call.repeatable, narrow=narrow, before_repeat=before_repeat)
        return make_call(self._line, purpose, partial(self._client.send, call), judged)

    def share(self, fraction: float) -> None:
        """Use this part of the rate; others are at work too."""
        self._pacer.share(fraction)
        self._search_pacer.share(fraction)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _shaped(self, family: str) -> str:
        return f"v3/{family}" if self.version == "v3" else f"{family}/{self.version}"

    def _learn_rate(self, headers: Mapping[str, str]) -> None:
        limit = whole(headers.get("x-hubspot-ratelimit-max", ""))
        interval = whole(headers.get("x-hubspot-ratelimit-interval-milliseconds", ""))
        if limit and interval:
            self._pacer.allow(limit * 1000 / interval, interval / 1000)
