"""
The one loop of every call: attempt, renew the credentials once, decide, hold the others or sleep, and try again.

A caller says how the request is sent and what its answer means. The loop is written once, as a coroutine; blocking
callers run it with waits that block, so that it never suspends and needs no event loop.
"""

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from blocks.calls.credentials import CredentialSource
from blocks.calls.messages import Answer
from blocks.calls.pacing import Pacer
from enrichment.errors import PostponedError, ServerFailedError, TransientError
from enrichment.retry import Fault, RetryDecision, RetryPolicy, Trouble, Verdict, decide

logger = logging.getLogger(__name__)

UNAUTHORIZED = 401

GrantT = TypeVar("GrantT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Line(Generic[GrantT]):
    """
    What all calls to one service with one credential share.

    Args:
        name: of the service, in log lines.
        title: its name, for people.
        policy: how often a call is repeated.
        pacer: of all its calls; None where nothing paces them.
        credentials: gives what proves who we are; None where the request itself does, as at a token endpoint.
        forgives: whether a 401 is worth one more try with the same credentials, where no others are to be had.
    """

    name: str
    title: str
    policy: RetryPolicy
    pacer: Pacer | None = None
    credentials: CredentialSource[GrantT] | None = None
    forgives: bool = False


@dataclass(frozen=True, slots=True)
class Purpose:
    """
    What one call is about, beside its content.

    Args:
        at: what is called, for messages and log lines: without identifiers of people.
        repeatable: whether it may be sent again although it may have arrived.
        policy: how often it is repeated, if not as usual on the line.
        narrow: paces a limit that only calls of this kind count against, beside the line's own.
        attempt: the number of the first attempt, if earlier ones were made as a part of something larger.
        before_repeat: called before each repetition; it may raise to end the call. A blocking call's only.
    """

    at: str
    repeatable: bool = True
    policy: RetryPolicy | None = None
    narrow: Pacer | None = None
    attempt: int = 1
    before_repeat: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """
    A call that came to no usable answer.

    Args:
        trouble: of the last attempt.
        verdict: what to do about it; RETRY if the pause is over, and the request is better repeated in parts.
        attempt: the number of the last one.
    """

    trouble: Trouble
    verdict: Verdict
    attempt: int


class _Blocking:
    """Waits in this thread: none of it ever suspends."""

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  there is no event loop

    async def fetch(self, source: CredentialSource[GrantT], refused: GrantT | None = None) -> GrantT:
        return source.get(refused)


class _Suspending:
    """Waits on an event loop."""

    def __init__(self, pause: Callable[[float], Awaitable[None]]) -> None:
        self.sleep = pause

    async def fetch(self, source: CredentialSource[GrantT], refused: GrantT | None = None) -> GrantT:
        at_hand = source.at_hand() if refused is None else None
        return at_hand if at_hand is not None else await asyncio.to_thread(source.get, refused, time.monotonic())


def make_call(
    line: Line[GrantT],
    purpose: Purpose,
    send: Callable[[GrantT], Answer | Trouble],
    judge: Callable[[Answer], ResultT | Trouble],
) -> ResultT:
    """
    Make a call, and repeat it where that may help.

    Args:
        line: to the service.
        purpose: of the call.
        send: makes one exchange.
        judge: says what the answer means; it may raise to end the call.

    Raises:
        PostponedError: the service asked for a wait that is too long to sleep.
        TransientError: every attempt failed; ServerFailedError if the last one was answered with 500.
        EnrichmentError: whatever else `judge` raises, or what gives the credentials.
    """

    async def sent(grant: GrantT) -> Answer | Trouble:
        if line.pacer is None:
            return send(grant)
        left = line.pacer.sent()
        outcome = send(grant)
        if isinstance(outcome, Answer):
            line.pacer.answered(left)
        return outcome

    async def judged(answer: Answer) -> ResultT | Trouble:
        return judge(answer)

    outcome = _finish(_loop(_Blocking(), line, purpose, sent, judged, nullcontext))
    if not isinstance(outcome, Unanswered):
        return outcome
    trouble = outcome.trouble
    if outcome.verdict is Verdict.POSTPONE:
        raise PostponedError(f"{line.title} requested a pause: {trouble.what}", trouble.wait_seconds or 0.0)
    kind = ServerFailedError if trouble.fault is Fault.SERVER_ERROR else TransientError
    raise kind(f"{line.title}: {trouble.what} at {purpose.at}, attempt {outcome.attempt}")


async def make_call_async(
    line: Line[GrantT],
    purpose: Purpose,
    send: Callable[[GrantT], Awaitable[Answer | Trouble]],
    judge: Callable[[Answer], Awaitable[ResultT | Trouble]],
    gate: Callable[[], AbstractAsyncContextManager[None]],
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> ResultT | Unanswered:
    """
    Make a call as `make_call` does, on an event loop.

    Args:
        line: to the service.
        purpose: of the call.
        send: makes one exchange.
        judge: says what the answer means.
        gate: lets one attempt in, and may refuse it by raising.
        pause: sleeps, and may end the call by raising.

    Returns:
        what `judge` made of the answer; or how the call failed, which is the caller's to make something of.
    """
    return await _loop(_Suspending(pause), line, purpose, send, judge, gate)


def _finish(coroutine: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Return what a coroutine returns that never suspends, since it waits in this thread."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: ResultT = end.value
        return result
    raise AssertionError("a blocking call suspended")


async def _loop(
    waits: _Blocking | _Suspending,
    line: Line[GrantT],
    purpose: Purpose,
    send: Callable[[GrantT], Awaitable[Answer | Trouble]],
    judge: Callable[[Answer], Awaitable[ResultT | Trouble]],
    gate: Callable[[], AbstractAsyncContextManager[None]],
) -> ResultT | Unanswered:
    attempt = purpose.attempt
    while True:
        async with gate():
            outcome = await _attempt(waits, line, purpose, send)
        judged = outcome if isinstance(outcome, Trouble) else await judge(outcome)
        if not isinstance(judged, Trouble):
            return judged
        decision = _decide(line, purpose, judged, attempt)
        if decision.verdict is Verdict.RETRY:
            await waits.sleep(decision.sleep_seconds)
        if decision.verdict is not Verdict.RETRY or 0 < judged.divides <= attempt:
            return Unanswered(judged, decision.verdict, attempt)
        if purpose.before_repeat:
            purpose.before_repeat()
        attempt += 1


async def _attempt(
    waits: _Blocking | _Suspending,
    line: Line[GrantT],
    purpose: Purpose,
    send: Callable[[Any], Awaitable[Answer | Trouble]],
) -> Answer | Trouble:
    """Send in turn, and once more with new credentials if the present ones are refused."""

    async def send_in_turn(grant: GrantT | None) -> Answer | Trouble:
        for pacer in filter(None, (purpose.narrow, line.pacer)):
            for seconds in pacer.waits():
                await waits.sleep(seconds)
        return await send(grant)

    if line.credentials is None:
        return await send_in_turn(None)
    grant = await waits.fetch(line.credentials)
    outcome = await send_in_turn(grant)
    if isinstance(outcome, Trouble) or outcome.status != UNAUTHORIZED:
        return outcome
    renewed = await waits.fetch(line.credentials, grant)
    return outcome if renewed == grant and not line.forgives else await send_in_turn(renewed)


def _decide(line: Line[Any], purpose: Purpose, trouble: Trouble, attempt: int) -> RetryDecision:
    """Decide what follows an attempt that failed, hold every caller that it concerns, and log it."""
    chance = random.random()  # noqa: S311  it spreads callers in time, nothing more
    policy = purpose.policy or line.policy
    if not purpose.repeatable:
        policy = policy.unrepeatable()
    decision = decide(trouble.fault, attempt, policy, server_wait=trouble.wait_seconds, chance=chance)
    logger.warning(
        "call_failed service=%s at=%r fault=%s trouble=%r attempt=%s next=%s wait_seconds=%.1f",
        line.name,
        purpose.at,
        trouble.fault,
        trouble.what,
        attempt,
        decision.verdict,
        decision.wait_seconds,
    )
    pacer = purpose.narrow if trouble.narrow and purpose.narrow else line.pacer
    if decision.holds_all and pacer is not None:
        pacer.hold(decision.wait_seconds)
        logger.warning("calls_paused service=%s seconds=%.1f", line.name, decision.wait_seconds)
    return decision


class CallPool(ThreadPoolExecutor):
    """Runs calls in threads that belong to the task run that submits them, so that their log lines reach it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function in a thread, with a copy of the caller's context."""
        return super().submit(contextvars.copy_context().run, fn, *args, **kwargs)
