"""Calls to Salesforce: paced, repeated where that is safe, with one new session if the present one is rejected."""

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from blocks.calls.pacing import pacer_for
from blocks.crms.salesforce.answers import Answer, Trouble, judge
from blocks.crms.salesforce.session import Session, SessionSource
from blocks.crms.salesforce.transport import Call, Transport
from enrichment.errors import ContractError, PostponedError, TransientError
from enrichment.retry import RetryDecision, RetryPolicy, Verdict, decide

logger = logging.getLogger(__name__)

RETRY_POLICY = RetryPolicy(attempts_after_lost_answer=3)
UNAUTHORIZED = 401
COLLECTIONS = "composite/sobjects"


class SalesforceApi:
    """
    One Salesforce org as a place that answers calls; safe to share between threads.

    Args:
        sessions: hands out sessions.
        transport: sends single calls.
        credential: tells this credential from others, for the pace.
        api_version: such as `68.0`.
        instance_url: instead of the one that comes with the session; empty for that.
        per_second: calls.
        policy: how often a call is repeated.
    """

    def __init__(
        self,
        sessions: SessionSource,
        transport: Transport,
        *,
        credential: str,
        api_version: str,
        instance_url: str,
        per_second: float,
        policy: RetryPolicy = RETRY_POLICY,
    ) -> None:
        self.credential = credential
        self._sessions = sessions
        self._transport = transport
        self._root = f"/services/data/v{api_version}/"
        self._instance_url = instance_url
        self._policy = policy
        self._pacer = pacer_for("salesforce", credential, per_second)

    def ask(self, call: Call, accept: Callable[[Any], bool]) -> Answer:
        """
        Make a call, and repeat it where that may help.

        Args:
            call: the call.
            accept: tells whether the body of a success holds what was asked for.

        Raises:
            RefusedError: Salesforce refuses the credentials or the request.
            QuotaExhaustedError: the calls of 24 hours are used up.
            PostponedError: Salesforce asked for a wait that is too long to sleep.
            TransientError: every attempt failed.
        """
        attempt = 1
        while True:
            outcome = self._attempt(call, accept)
            if isinstance(outcome, Answer):
                return outcome
            self._recover(call, outcome, attempt)
            attempt += 1

    def rows(self, soql: str, *, deleted: bool = False) -> Iterator[Mapping[str, Any]]:
        """Yield the rows of a query, however many pages Salesforce makes of them; it raises as `ask` does."""
        call = Call("GET", "queryAll/" if deleted else "query/", {"q": soql})
        while True:
            page = self.ask(call, _is_page).body
            yield from page["records"]
            if page["done"]:
                return
            following = str(page.get("nextRecordsUrl", ""))
            if not following.startswith(self._root):
                raise ContractError("Salesforce's query is not done, and says not where it goes on")
            call = Call("GET", following.removeprefix(self._root))

    def pause(self, attempt: int) -> None:
        """Wait before records that failed for the moment are sent again."""
        chance = random.random()  # noqa: S311 - spreads waits, guards nothing
        time.sleep(min(self._policy.cap_seconds, self._policy.base_seconds * 2 ** (attempt - 1)) * chance)

    @property
    def host(self) -> str:
        """The org's address."""
        return self._present().instance_url.partition("//")[2]

    def share(self, fraction: float) -> None:
        """Use this part of the rate; others are at work too."""
        self._pacer.share(fraction)

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    def _attempt(self, call: Call, accept: Callable[[Any], bool]) -> Answer | Trouble:
        self._pacer.turn_blocking()
        outcome = self._exchange(call)
        if isinstance(outcome, Trouble):
            return outcome
        return judge(outcome, accept, at=f"{call.method} {_shown(call.path)}", now=datetime.now(UTC))

    def _exchange(self, call: Call) -> Answer | Trouble:
        """Send the call, and once more in a new session if Salesforce rejects the present one."""
        session = self._sessions.current()
        outcome = self._transport.send(self._placed(session), call)
        if isinstance(outcome, Answer) and outcome.status == UNAUTHORIZED:
            session = self._sessions.renew(session)
            outcome = self._transport.send(self._placed(session), call)
        return outcome

    def _present(self) -> Session:
        return self._placed(self._sessions.current())

    def _placed(self, session: Session) -> Session:
        return replace(session, instance_url=self._instance_url) if self._instance_url else session

    def _recover(self, call: Call, trouble: Trouble, attempt: int) -> None:
        """Wait until the call may be repeated, or raise."""
        policy = self._policy
        if not call.repeatable:
            policy = replace(policy, attempts_after_server_error=1, attempts_after_lost_answer=1)
        chance = random.random()  # noqa: S311 - spreads waits, guards nothing
        decision = decide(trouble.fault, attempt, policy, server_wait=trouble.wait_seconds, chance=chance)
        if decision.holds_all:
            self._pacer.hold(decision.wait_seconds)
        _raise_or_log(decision, call, trouble, attempt)
        if not decision.holds_all:
            time.sleep(decision.wait_seconds)


def _raise_or_log(decision: RetryDecision, call: Call, trouble: Trouble, attempt: int) -> None:
    at = f"{call.method} {_shown(call.path)}"
    if decision.verdict is Verdict.POSTPONE:
        raise PostponedError(f"Salesforce asked for a pause: {trouble.what}", decision.wait_seconds)
    if decision.verdict is Verdict.GIVE_UP:
        raise TransientError(f"Salesforce: {trouble.what} at {at}, attempt {attempt}")
    logger.warning(
        "salesforce_call_repeated call=%r trouble=%r attempt=%s wait=%.1f",
        at,
        trouble.what,
        attempt,
        decision.wait_seconds,
    )


def _shown(path: str) -> str:
    # Query locators are of no use to anybody who reads a message.
    return path.partition("/")[0] if path.startswith("query") else path


def _is_page(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("records"), list) and isinstance(body.get("done"), bool)
