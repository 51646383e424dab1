"""How a call failed, as far as repeating it is concerned: pure."""

from dataclasses import dataclass
from datetime import datetime

import httpx

from blocks.providers.http.interpret import Answer
from blocks.providers.http.steps import Step
from blocks.providers.spec.model import ProviderSpec
from enrichment.errors import PostponedError, TransientError
from enrichment.retry import Fault, RetryPolicy, asked_wait

#: Asking again at once would be asking without end.
_LEAST_PENDING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """How a call failed, by which code it is counted, and how long the server asked us to wait."""

    fault: Fault
    reason: str
    wait_seconds: float | None = None


def trouble_of_error(error: Exception) -> Trouble:
    """Return what an exception of a call means for repeating it."""
    match error:
        case PostponedError():
            return Trouble(Fault.THROTTLED, "postponed", error.seconds)
        case TransientError():
            return Trouble(Fault.CONNECT, "no_token")
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout() | httpx.ProxyError():
            return Trouble(Fault.CONNECT, "unreachable")
        case _:
            return Trouble(Fault.LOST_ANSWER, "lost_answer")


def trouble_of_answer(spec: ProviderSpec, answer: Answer, step: Step, now: datetime) -> Trouble:
    """Return what an answer that asks for a repetition says of when."""
    return Trouble(step.fault, step.meaning.reason, wait_of_answer(spec, answer, step.fault, now))


def wait_of_answer(spec: ProviderSpec, answer: Answer, fault: Fault, now: datetime) -> float | None:
    """Return the seconds that an answer asks us to wait, by the headers and the hint that the spec names."""
    hint = spec.retry.body_hint
    # Many providers send it with each answer, also with those that have nothing to do with the allowance.
    reset = spec.rate.reset if fault is Fault.THROTTLED else None
    return asked_wait(
        answer.headers,
        now=now,
        body_hint=hint.find(answer.seen) if hint else None,
        reset=(reset.header, reset.format) if reset else None,
    )


def wait_of_pending(answer: Answer, now: datetime) -> float | None:
    """Return the seconds after which to ask again for what is still being made; the body has nothing to say."""
    wait = asked_wait(answer.headers, now=now)
    return None if wait is None else max(wait, _LEAST_PENDING_SECONDS)


def retry_policy(spec: ProviderSpec) -> RetryPolicy:
    """Return the spec's limits; a lost answer is asked for again only if that can't be billed twice."""
    retry = spec.retry
    return RetryPolicy(
        attempts=retry.attempts,
        attempts_after_server_error=retry.attempts_after_server_error,
        attempts_after_lost_answer=2 if spec.credits.billing_idempotent else 1,
        base_seconds=retry.base_seconds,
        cap_seconds=retry.cap_seconds,
    )
