"""Calls to Salesforce, and queries over all their pages."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from blocks.calls.loop import Line, Purpose, make_call
from blocks.calls.messages import Answer, Call
from blocks.calls.pacing import pacer_for
from blocks.crms.salesforce.answers import judge
from blocks.crms.salesforce.session import Session, SessionSource
from blocks.crms.salesforce.transport import Transport
from enrichment.errors import ContractError
from enrichment.retry import RetryPolicy, backoff

RETRY_POLICY = RetryPolicy(attempts_after_lost_answer=3)
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
        self._pacer = pacer_for("salesforce", credential, per_second)
        self._line = Line("salesforce", "Salesforce", policy, self._pacer, sessions, forgives=True)
        self._transport = transport
        self._root = f"/services/data/v{api_version}/"
        self._instance_url = instance_url

    def ask(self, call: Call, accept: Callable[[Any], object]) -> Answer:
        """
        Make a call, and repeat it where that may help.

        Args:
            call: the call.
            accept: tells whether the body of a success holds what was asked for.

        Raises:
            CredentialsRejectedError: Salesforce refuses the credentials.
            RequestRefusedError: Salesforce refuses the request.
            QuotaExhaustedError: the calls of 24 hours are used up.
            PostponedError: Salesforce asked for a wait that is too long to sleep.
            TransientError: every attempt failed.
        """
        at = f"{call.method} {_shown(call.path)}"
        return make_call(
            self._line,
            Purpose(at, call.repeatable),
            lambda session: self._transport.send(self._placed(session), call),
            lambda answer: judge(answer, accept, at=at, now=datetime.now(UTC)),
        )

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
                raise ContractError("Salesforce's query isn't complete, but the answer has no URL of the next page")
            call = Call("GET", following.removeprefix(self._root))

    def pause(self, attempt: int) -> None:
        """Wait before records that failed for the moment are sent again."""
        chance = random.random()  # noqa: S311 - spreads waits, guards nothing
        policy = self._line.policy
        time.sleep(backoff(attempt, policy.base_seconds, policy.cap_seconds, chance))

    @property
    def host(self) -> str:
        """The org's address."""
        return self._placed(self._sessions.get()).instance_url.partition("//")[2]

    def share(self, fraction: float) -> None:
        """Use this part of the rate; others are at work too."""
        self._pacer.share(fraction)

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    def _placed(self, session: Session) -> Session:
        return replace(session, instance_url=self._instance_url) if self._instance_url else session


def _shown(path: str) -> str:
    # Query locators are of no use to anybody who reads a message.
    return path.partition("/")[0] if path.startswith("query") else path


def _is_page(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("records"), list) and isinstance(body.get("done"), bool)
