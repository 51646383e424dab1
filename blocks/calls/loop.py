"""
The one loop of every call: attempt, renew the credentials once, decide, hold the others or sleep, and try again.

Whoever calls says how the request is sent and what its answer means. What one attempt consists of is written once, as
steps; two thin drivers take them, one blocking and one on an event loop.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar

from blocks.calls.credentials import CredentialSource
from blocks.calls.messages import Answer
from blocks.calls.pacing import Pacer
from enrichment.errors import PostponedError, TransientError
from enrichment.retry import RetryDecision, RetryPolicy, Trouble, Verdict, decide

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
    """

    at: str
    repeatable: bool = True
    policy: RetryPolicy | None = None
    narrow: Pacer | None = None
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Failure:
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


@dataclass(frozen=True, slots=True)
class _Sleep:
    seconds: float


@dataclass(frozen=True, slots=True)
class _Fetch:
    source: CredentialSource[Any]
    refused: Any = None


@dataclass(frozen=True, slots=True)
class _Send:
    grant: Any


_Steps = Generator[_Sleep | _Fetch | _Send, Any, Answer | Trouble]


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
        TransientError: every attempt failed.
        EnrichmentError: whatever else `judge` raises, or what gives the credentials.
    """
    for attempt in count(purpose.attempt):
        outcome = _take(_attempt(line, purpose), send)
        judged = outcome if isinstance(outcome, Trouble) else judge(outcome)
        if not isinstance(judged, Trouble):
            return judged
        decision = _decide(line, purpose, judged, attempt)
        if decision.verdict is Verdict.POSTPONE:
            raise PostponedError(f"{line.title} asked for a pause: {judged.what}", decision.wait_seconds)
        if decision.verdict is Verdict.GIVE_UP:
            raise TransientError(f"{line.title}: {judged.what} at {purpose.at}, attempt {attempt}")
        time.sleep(decision.sleep_seconds)
    raise AssertionError  # counting doesn't end


async def make_call_async(
    line: Line[GrantT],
    purpose: Purpose,
    send: Callable[[GrantT], Awaitable[Answer | Trouble]],
    judge: Callable[[Answer], Awaitable[ResultT | Trouble]],
    gate: Callable[[], AbstractAsyncContextManager[None]],
) -> ResultT | Failure:
    """
    Make a call as `make_call` does, on an event loop.

    Args:
        line: to the service.
        purpose: of the call.
        send: makes one exchange.
        judge: says what the answer means.
        gate: lets one attempt in, and may refuse it by raising.

    Returns:
        what `judge` made of the answer; or how the call failed, which is the caller's to make something of.
    """
    for attempt in count(purpose.attempt):
        async with gate():
            outcome = await _take_async(_attempt(line, purpose), send)
        judged = outcome if isinstance(outcome, Trouble) else await judge(outcome)
        if not isinstance(judged, Trouble):
            return judged
        decision = _decide(line, purpose, judged, attempt)
        if decision.verdict is Verdict.RETRY:
            await asyncio.sleep(decision.sleep_seconds)
        if decision.verdict is not Verdict.RETRY or judged.divides:
            return Failure(judged, decision.verdict, attempt)
    raise AssertionError  # counting doesn't end


def _attempt(line: Line[Any], purpose: Purpose) -> _Steps:
    """Take one attempt: in turn, and once more with new credentials if the present ones are refused."""
    if line.credentials is None:
        yield from _turns(line, purpose)
        outcome: Answer | Trouble = yield _Send(None)
        return outcome
    grant = yield _Fetch(line.credentials)
    yield from _turns(line, purpose)
    outcome = yield _Send(grant)
    if not (isinstance(outcome, Answer) and outcome.status == UNAUTHORIZED):
        return outcome
    renewed = yield _Fetch(line.credentials, grant)
    if renewed == grant and not line.forgives:
        return outcome
    yield from _turns(line, purpose)
    outcome = yield _Send(renewed)
    return outcome


def _turns(line: Line[Any], purpose: Purpose) -> Iterator[Any]:
    for pacer in filter(None, (purpose.narrow, line.pacer)):
        yield from map(_Sleep, pacer.waits())


def _take(steps: _Steps, send: Callable[[Any], Answer | Trouble]) -> Answer | Trouble:
    result: Any = None
    while True:
        try:
            step = steps.send(result)
        except StopIteration as end:
            done: Answer | Trouble = end.value
            return done
        result = None
        match step:
            case _Sleep(seconds):
                time.sleep(seconds)
            case _Fetch(source, refused):
                result = source.get(refused)
            case _Send(grant):
                result = send(grant)


async def _take_async(steps: _Steps, send: Callable[[Any], Awaitable[Answer | Trouble]]) -> Answer | Trouble:
    result: Any = None
    while True:
        try:
            step = steps.send(result)
        except StopIteration as end:
            done: Answer | Trouble = end.value
            return done
        result = None
        match step:
            case _Sleep(seconds):
                await asyncio.sleep(seconds)
            case _Fetch(source, refused):
                result = source.at_hand() if refused is None else None
                if result is None:
                    result = await asyncio.to_thread(source.get, refused, time.monotonic())
            case _Send(grant):
                result = await send(grant)


def _decide(line: Line[Any], purpose: Purpose, trouble: Trouble, attempt: int) -> RetryDecision:
    """Decide what follows an attempt that failed, hold everybody whom it concerns, and log it."""
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
