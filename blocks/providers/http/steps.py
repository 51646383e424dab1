"""What follows from an answer: the next step, when and how to repeat, and at which rate to go on; pure."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from blocks.calls.messages import Answer
from blocks.providers.http.interpret import (
    CUT,
    UNREADABLE,
    Meaning,
    answer_meaning,
    error_code,
    is_about_fields,
    refused_fields,
    request_id,
)
from blocks.providers.spec.model import ProviderSpec
from blocks.providers.spec.sections import Rate, Window
from enrichment.records import Outcome
from enrichment.retry import Fault, RetryPolicy, Trouble, asked_wait, fault_of_status

#: While more than this share of a long window is left, only the shortest one sets the pace.
PLENTY = 0.2

#: A window so small that it would ask for less than this is used up instead: the server then reports its end.
SLOWEST = 1.0


class Action(StrEnum):
    """What follows an answer."""

    READ = "read"
    """The answer has items."""
    SETTLE = "settle"
    """The answer means the same for all its contacts."""
    DROP_FIELDS = "drop_fields"
    """The account lacks some output fields: retry without them."""
    SPLIT = "split"
    """Smaller batches may pass."""
    DOUBT = "doubt"
    """Refused without a known reason: either one contact is poisoned, or the form of the request is wrong."""
    REPEAT = "repeat"
    """The call failed in a way that a retry may fix."""


#: Why a call is refused that asks for fields which the account lacks, where the provider has no code for it.
FIELDS_REFUSED = "output_fields_refused"

_AGAIN = Meaning(Outcome.RETRYABLE)

#: From here on statuses are those of a proxy in front of the service, which can't reach it.
_FIRST_OF_A_PROXY = 520

#: A retry without a wait would never end.
_LEAST_PENDING_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """An action with what it needs to know."""

    action: Action
    meaning: Meaning = _AGAIN
    fault: Fault = Fault.LOST_ANSWER
    fields: tuple[str, ...] = ()


def next_step(spec: ProviderSpec, answer: Answer, asked_fields: Sequence[str]) -> Step:
    """
    Decide what follows an answer.

    Args:
        spec: the spec of the provider.
        answer: a whole answer.
        asked_fields: the output fields that the call asked for.
    """
    if answer.cut and not answer.success:  # what is left of it could be read as another refusal
        cut = Meaning(Outcome.RETRYABLE, CUT)
        return Step(Action.REPEAT, cut, fault_of_status(answer.status) or Fault.UNAVAILABLE)
    refused = refused_fields(spec, answer, asked_fields)
    if refused and len(refused) < len(asked_fields):
        return Step(Action.DROP_FIELDS, fields=tuple(refused))
    if is_about_fields(spec, answer) and spec.request.probe:
        return Step(Action.DOUBT, Meaning(Outcome.REJECTED, FIELDS_REFUSED), fields=tuple(asked_fields))
    meaning = answer_meaning(spec, answer)
    if meaning and meaning.outcome is not Outcome.RETRYABLE:
        return Step(Action.SETTLE, meaning)
    # A status that others use otherwise is a throttle where the spec calls it retryable (403 at one provider).
    down = Fault.UNAVAILABLE if answer.status >= _FIRST_OF_A_PROXY else None
    fault = fault_of_status(answer.status) or (Fault.THROTTLED if meaning else down)
    if fault:
        return Step(Action.REPEAT, meaning or Meaning(Outcome.RETRYABLE, _reason(spec, answer)), fault)
    return _read_or_doubt(spec, answer, asked_fields)


def trouble_of_answer(spec: ProviderSpec, answer: Answer, step: Step, contacts: int, now: datetime) -> Trouble:
    """Return what an answer to a call for so many contacts, which asks for a repetition, says of when and how."""
    wait = wait_of_answer(spec, answer, step.fault, now)
    divides = _divides(spec, answer, step.fault) if contacts > 1 else 0
    return Trouble(step.fault, step.meaning.reason, wait, divides=divides, request_id=request_id(spec, answer))


def _divides(spec: ProviderSpec, answer: Answer, fault: Fault) -> int:
    """Return from which attempt on a batch is better repeated in parts, because of its size or of one contact in it."""
    if answer.status in spec.batch.split_on:
        return 1
    return 2 if answer.status >= 500 or (fault is Fault.LOST_ANSWER and spec.credits.billing_idempotent) else 0


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
    """Return the seconds after which to retry for what is still being made; the body has nothing to say."""
    wait = asked_wait(answer.headers, now=now)
    return None if wait is None else max(wait, _LEAST_PENDING_SECONDS)


def retry_policy(spec: ProviderSpec) -> RetryPolicy:
    """Return the spec's limits; a lost answer is requested again only if that can't be billed twice."""
    retry = spec.retry
    return RetryPolicy(
        attempts=retry.attempts,
        attempts_after_server_error=retry.attempts_after_server_error,
        attempts_after_lost_answer=2 if spec.credits.billing_idempotent else 1,
        base_seconds=retry.base_seconds,
        cap_seconds=retry.cap_seconds,
    )


def _read_or_doubt(spec: ProviderSpec, answer: Answer, asked_fields: Sequence[str]) -> Step:
    if answer.success:
        lost = Meaning(Outcome.RETRYABLE, CUT if answer.cut else UNREADABLE)
        return Step(Action.READ) if answer.readable else Step(Action.REPEAT, lost, Fault.LOST_ANSWER)
    refusal = Meaning(Outcome.REJECTED, _reason(spec, answer))
    if answer.status in {400, 422} and spec.request.probe:
        return Step(Action.DOUBT, refusal, fields=tuple(asked_fields))
    return Step(Action.SPLIT if answer.status in spec.batch.split_on else Action.SETTLE, refusal)


def _reason(spec: ProviderSpec, answer: Answer) -> str:
    return error_code(spec, answer) or f"status_{answer.status}"


class Pace(NamedTuple):
    """Calls per second, and the seconds of the window that asks for them."""

    per_second: float
    window_seconds: float


def first_pace(rate: Rate, contract: float | None = None) -> Pace:
    """Return the pace to begin with."""
    return pace_after(rate, {}, contract)


def pace_after(rate: Rate, headers: Mapping[str, str], contract: float | None) -> Pace:
    """
    Return the pace to go on with.

    A window that runs low is paced at its own rate, at which a sliding window never empties: better than to use it up
    and be shut out for hours.

    Args:
        rate: the spec's windows.
        headers: of the last answer, names in lower case.
        contract: the calls per second that the user's contract allows, instead of the spec's usual ones; or None.
    """
    shortest = _shortest(rate)
    binding = [window for window in rate.windows if _unseen(window) or window is shortest or _low(window, headers)]
    paces = [Pace(_pace(window, headers, shortest, contract), window.per_seconds) for window in binding]
    return min([*paces, Pace(contract, 1.0)] if contract else paces)


def _pace(window: Window, headers: Mapping[str, str], shortest: Window, contract: float | None) -> float:
    usual = contract * window.per_seconds if contract and window is shortest else window.limit
    pace = _limit(window, headers, usual) / window.per_seconds
    return pace if _unseen(window) or window is shortest else max(pace, SLOWEST)


def _unseen(window: Window) -> bool:
    """Return whether no header says what is left of the window, so that only pacing keeps us within it."""
    return not window.remaining_header


def _shortest(rate: Rate) -> Window:
    return min(rate.windows, key=lambda window: window.per_seconds)


def _limit(window: Window, headers: Mapping[str, str], usual: float) -> float:
    stated = _number(headers, window.limit_header, window.member)
    return stated if stated is not None and stated > 0 else usual


def _low(window: Window, headers: Mapping[str, str]) -> bool:
    left = _number(headers, window.remaining_header, window.member)
    return left is not None and left < PLENTY * _limit(window, headers, window.limit)


def _number(headers: Mapping[str, str], name: str, member: str) -> float | None:
    """Return a header's number; a negative one or none at all means that it isn't known, or that there is no limit."""
    text = headers.get(name.lower(), "")
    try:
        value = float(json.loads(text)[member] if member else text)
    except (ValueError, TypeError, KeyError):
        return None
    return value if 0 <= value < math.inf else None
