"""
Calls to HubSpot: one held client, paced, repeated where that is safe, and never answered by a half-truth.

Every call goes through `ApiClient.call_api` of `hubspot-api-client`. Its generated methods know the v3 paths only,
belong to several packages with a connection pool and exceptions each, and spend most of their time on models that we
don't need.
"""

import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import hubspot
from hubspot.crm.contacts.exceptions import ApiException
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationValueError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
)

from blocks.calls.pacing import Pacer, pacer_for
from blocks.crms.hubspot.answers import Answer, Trouble, has_records, judge, parse_json
from enrichment.errors import ConfigurationError, PostponedError, TransientError
from enrichment.retry import Fault, RetryDecision, RetryPolicy, Verdict, decide

logger = logging.getLogger(__name__)

#: A part of the allowed rate is left to clocks that differ and to whoever else uses the same app.
SAFETY = 0.95
#: HubSpot allows 5 searches a second for the whole account.
SEARCHES_PER_SECOND = 4.0
RETRY_POLICY = RetryPolicy(attempts_after_lost_answer=3)
UNAUTHORIZED = 401
#: As many as batches may be under way at once; the client would keep a few per processor.
MOST_CONNECTIONS = 32

#: The request never left.
_UNSENT = (ConnectTimeoutError, MaxRetryError, NewConnectionError, ProxyError)


@dataclass(frozen=True, slots=True)
class Call:
    """
    One request.

    Args:
        method: of HTTP.
        path: below the base URL.
        scope: what the access token must be allowed to do.
        query: its parameters.
        body: its JSON.
        searches: whether it counts as a search, which has a limit of its own.
        repeatable: whether it may be sent again after its answer was lost.
        accept: tells whether the body of a success holds what was asked for.
    """

    method: str
    path: str
    scope: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None
    searches: bool = False
    repeatable: bool = True
    accept: Callable[[Any], bool] = has_records


class HubSpotApi:
    """
    HubSpot as a place that answers calls; safe to share between threads.

    Args:
        base_url: without a slash at the end.
        api_version: `v3`, or a date such as `2026-09`.
        read_token: returns the access token; asked once more when HubSpot rejects it.
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
        token = read_token()
        self._client = _open_client(base_url, token)
        self._version = api_version
        self._read_token = read_token
        self._token_lock = threading.Lock()
        self._timeouts = timeouts
        self._policy = policy
        self._per_second = per_second
        credential = (base_url, hashlib.sha256(token.encode()).hexdigest())
        self._pacer = pacer_for("hubspot", credential, per_second * SAFETY)
        self._search_pacer = pacer_for("hubspot search", credential, SEARCHES_PER_SECOND)

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
        return f"/account-info/{self._version}/details"

    def ask(self, call: Call) -> Answer:
        """
        Make a call, and repeat it where that may help.

        Raises:
            RefusedError: HubSpot refuses the credentials or the request.
            QuotaExhaustedError: the day's calls are used up.
            PostponedError: HubSpot asked for a wait that is too long to sleep.
            TransientError: every attempt failed.
        """
        attempt = 1
        while True:
            outcome = self._attempt(call)
            if isinstance(outcome, Answer):
                return outcome
            self._recover(call, outcome, attempt)
            attempt += 1

    def share(self, fraction: float) -> None:
        """Use this part of the rate; others are at work too."""
        self._pacer.share(fraction)
        self._search_pacer.share(fraction)

    def close(self) -> None:
        """Give the connections back."""
        self._client.rest_client.pool_manager.clear()
        self._client.close()

    def _shaped(self, family: str) -> str:
        return f"v3/{family}" if self._version == "v3" else f"{family}/{self._version}"

    def _attempt(self, call: Call) -> Answer | Trouble:
        if call.searches:
            self._search_pacer.turn_blocking()
        self._pacer.turn_blocking()
        outcome = self._exchange(call)
        if isinstance(outcome, Trouble):
            return outcome
        self._learn_rate(outcome.headers)
        at = f"{call.method} {call.path}"
        return judge(outcome, call.accept, at=at, scope=call.scope, now=datetime.now(UTC))

    def _exchange(self, call: Call) -> Answer | Trouble:
        """Send the call, and once more with the secret read again if HubSpot rejects the token."""
        token = self._client.configuration.access_token
        outcome = self._send(call)
        if isinstance(outcome, Answer) and outcome.status == UNAUTHORIZED:
            self._renew_token(rejected=token)
            outcome = self._send(call)
        return outcome

    def _renew_token(self, *, rejected: str) -> None:
        with self._token_lock:
            # Another thread may have read the new one already.
            if self._client.configuration.access_token == rejected:
                self._client.configuration.access_token = self._read_token()
                logger.warning("hubspot_token_read_again")

    def _send(self, call: Call) -> Answer | Trouble:
        try:
            response = self._call_api(call)
            return Answer(response.status, _lower(response.headers), parse_json(response.data))
        except ApiException as error:
            return _answer_of(error)
        except UnicodeDecodeError as error:
            # The client decodes an error's body as UTF-8; a proxy's page may be written otherwise.
            return _answer_of(error.__context__)
        except LocationValueError:
            raise ConfigurationError("ENRICHMENT_HUBSPOT_BASE_URL is no address that can be called") from None
        except HTTPError as error:
            fault = Fault.CONNECT if isinstance(error, _UNSENT) else Fault.LOST_ANSWER
            return Trouble(fault, f"the network failed ({type(error).__name__})")

    def _call_api(self, call: Call) -> Any:
        """Make the one use of generated code: raw answer, no models, its pool, authorisation and exceptions."""
        return self._client.call_api(
            call.path,
            call.method,
            None,
            list(call.query),
            {"Accept": "application/json", "Content-Type": "application/json"},
            body=call.body,
            auth_settings=["oauth2"],
            _preload_content=False,
            _request_timeout=self._timeouts,
        )

    def _learn_rate(self, headers: Mapping[str, str]) -> None:
        limit = headers.get("x-hubspot-ratelimit-max", "")
        interval = headers.get("x-hubspot-ratelimit-interval-milliseconds", "")
        if not (limit.isdigit() and interval.isdigit() and int(limit) and int(interval)):
            return
        per_second = int(limit) * 1000 / int(interval)
        if per_second != self._per_second:
            logger.info("hubspot_rate_adopted per_second=%s", per_second)
            self._per_second = per_second
            self._pacer.allow(per_second * SAFETY)

    def _recover(self, call: Call, trouble: Trouble, attempt: int) -> None:
        """Wait until the call may be repeated, or raise."""
        policy = self._policy
        if not call.repeatable:
            policy = replace(policy, attempts_after_server_error=1, attempts_after_lost_answer=1)
        chance = random.random()  # noqa: S311 spreads waits, guards nothing
        decision = decide(trouble.fault, attempt, policy, server_wait=trouble.wait_seconds, chance=chance)
        if decision.holds_all:
            self._pacer_of(call, trouble).hold(decision.wait_seconds)
        _raise_or_log(decision, call, trouble, attempt)
        if not decision.holds_all:
            time.sleep(decision.wait_seconds)

    def _pacer_of(self, call: Call, trouble: Trouble) -> Pacer:
        return self._search_pacer if call.searches and trouble.policy == "SECONDLY" else self._pacer


def _open_client(base_url: str, token: str) -> Any:
    # Each access to `batch_api` builds a client with a connection pool of its own, hence this one is kept.
    client = hubspot.HubSpot(access_token=token, host=base_url, retry=False, connection_pool_maxsize=MOST_CONNECTIONS)
    return client.crm.contacts.batch_api.api_client


def _answer_of(error: Any) -> Answer | Trouble:
    if not getattr(error, "status", None):
        return Trouble(Fault.CONNECT, "the network failed (TLS)")  # which the client reports as status 0
    return Answer(error.status, _lower(error.headers or {}), parse_json(error.body))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _raise_or_log(decision: RetryDecision, call: Call, trouble: Trouble, attempt: int) -> None:
    if decision.verdict is Verdict.POSTPONE:
        raise PostponedError(f"HubSpot asked for a pause: {trouble.what}", decision.wait_seconds)
    if decision.verdict is Verdict.GIVE_UP:
        raise TransientError(f"HubSpot: {trouble.what} at {call.method} {call.path}, attempt {attempt}")
    logger.warning(
        "hubspot_call_repeated path=%s trouble=%r attempt=%s wait=%.1f",
        call.path,
        trouble.what,
        attempt,
        decision.wait_seconds,
    )
