"""
Retry decisions as values: in the call, and for the record.

The caller passes the time and the random number, so that each decision can be tested as a table.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from enrichment.errors import cause
from enrichment.moments import in_utc, read_moment
from enrichment.records import Disposition, Finished, Returned, Settlement, StagedRecord

#: A wait up to this many seconds is slept inside the call; a longer one sends the records back to the queue.
LONGEST_INLINE_WAIT_SECONDS = 60.0

# A longer wait is a number of another unit, or garbage.
_LONGEST_SENSIBLE_SECONDS = 366 * 86_400.0


class Fault(StrEnum):
    """How a call failed, which decides whether to repeat it."""

    CONNECT = "connect"
    """The request never left: repeating it is free."""
    UNTRUSTED = "untrusted"
    """The request never left, since the server's certificate isn't trusted: it won't be the next time, either."""
    THROTTLED = "throttled"
    """429, or 423: this credential calls too often."""
    UNAVAILABLE = "unavailable"
    """502, 503, 504 and similar ones: the service is down for every caller."""
    SERVER_ERROR = "server_error"
    """500: this request hit a bug of the service."""
    LOST_ANSWER = "lost_answer"
    """The request left and no whole answer came: it may have been billed."""


#: Faults that concern every caller of the same service, so that all of them wait.
SHARED_FAULTS = frozenset({Fault.THROTTLED, Fault.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to repeat which fault (attempts in all), and how long to wait (seconds)."""

    attempts: int = 5
    attempts_after_server_error: int = 3
    attempts_after_lost_answer: int = 1
    base_seconds: float = 1.0
    cap_seconds: float = 30.0

    def attempts_for(self, fault: Fault) -> int:
        """Return the number of attempts that this fault is worth."""
        if fault is Fault.UNTRUSTED:
            return 1
        if fault is Fault.SERVER_ERROR:
            return self.attempts_after_server_error
        if fault is Fault.LOST_ANSWER:
            return self.attempts_after_lost_answer
        return self.attempts

    def unrepeatable(self) -> "RetryPolicy":
        """Return the policy for a call that may have had its effect: it is repeated only if it can't have arrived."""
        return replace(self, attempts_after_server_error=1, attempts_after_lost_answer=1)


#: For a call that is made once, whatever comes of it.
ONCE = RetryPolicy(attempts=1, attempts_after_server_error=1, attempts_after_lost_answer=1)


@dataclass(frozen=True, slots=True)
class Trouble:
    """
    A failed exchange that may be repeated.

    Args:
        fault: how it failed.
        what: a few words or a code for it, free of personal data.
        wait_seconds: how long the server asked us to wait, or None.
        narrow: whether only the narrowest of the limits that the call counts against is concerned.
        divides: from which attempt on the request is better repeated in parts; 0 for never.
        request_id: by which the service knows the exchange.
    """

    fault: Fault
    what: str
    wait_seconds: float | None = None
    narrow: bool = False
    divides: int = 0
    request_id: str = ""


class Verdict(StrEnum):
    """What to do about a fault."""

    RETRY = "retry"
    POSTPONE = "postpone"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """The verdict, the wait, and whether every caller of the service must wait with us."""

    verdict: Verdict
    wait_seconds: float = 0.0
    holds_all: bool = False

    @property
    def sleep_seconds(self) -> float:
        """Return how long this caller sleeps by itself; where all are held, its next turn comes after the pause."""
        return 0.0 if self.holds_all else self.wait_seconds


def decide(
    fault: Fault,
    attempt: int,
    policy: RetryPolicy,
    *,
    server_wait: float | None,
    chance: float,
) -> RetryDecision:
    """
    Decide what follows the given attempt.

    Args:
        fault: how the call failed.
        attempt: the number of this attempt, from 1.
        policy: the limits.
        server_wait: seconds that the server asked for, or None.
        chance: a random number in [0, 1) for the jitter.
    """
    holds_all = fault in SHARED_FAULTS
    if server_wait is not None and server_wait > LONGEST_INLINE_WAIT_SECONDS:
        return RetryDecision(Verdict.POSTPONE, server_wait, holds_all)
    if attempt >= policy.attempts_for(fault):
        return RetryDecision(Verdict.GIVE_UP, server_wait or 0.0, holds_all and server_wait is not None)
    jitter = backoff(attempt, policy.base_seconds, policy.cap_seconds, chance)
    if server_wait is None:
        return RetryDecision(Verdict.RETRY, jitter, holds_all)
    # A little later than asked, never earlier: every waiting caller got the same moment.
    return RetryDecision(Verdict.RETRY, server_wait + min(jitter, 1.0) * 0.25, holds_all)


def backoff(attempt: int, base_seconds: float, cap_seconds: float, chance: float) -> float:
    """Return an exponential wait with full jitter, in seconds, for the wait after this attempt."""
    return float(min(cap_seconds, base_seconds * 2 ** min(attempt - 1, 30))) * chance


def fault_of_status(status: int) -> Fault | None:
    """Return the fault that an HTTP status stands for, or None if repeating can't help."""
    if status in {423, 429}:
        return Fault.THROTTLED
    if status == 500:
        return Fault.SERVER_ERROR
    if status == 477 or (status > 500 and status not in {501, 505, 511, 522, 525, 526}):
        return Fault.UNAVAILABLE
    return None


def asked_wait(
    headers: Mapping[str, str],
    *,
    now: datetime,
    body_hint: object = None,
    reset: tuple[str, str] | None = None,
) -> float | None:
    """
    Return the seconds that the server asked us to wait, or None.

    Args:
        headers: of the answer, names in lower case.
        now: the present, aware; the answer's own Date header is preferred for dates.
        body_hint: seconds named in the body.
        reset: a header's name and its format (`epoch_s`, `iso8601` or `delta_s`), looked at last.
    """
    present = _http_date(headers.get("date", "")) or now
    wait = parse_retry_after(headers.get("retry-after", ""), present)
    if wait is None and body_hint is not None:
        wait = _seconds(str(body_hint))
    if wait is None and reset is not None:
        wait = _until_reset(headers.get(reset[0].lower(), ""), reset[1], present)
    return wait


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds of a Retry-After value (RFC 9110 §10.2.3), or None if it makes no sense."""
    seconds = _seconds(value)
    if seconds is not None:
        return seconds
    moment = _http_date(value)
    return max(0.0, (moment - now).total_seconds()) if moment else None


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return float(math.ceil(seconds)) if 0 <= seconds <= _LONGEST_SENSIBLE_SECONDS else None


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return in_utc(moment)  # the asctime form and "-0000" carry no zone


def _until_reset(value: str, form: str, now: datetime) -> float | None:
    if form == "iso8601":
        try:
            return max(0.0, (read_moment(value) - now).total_seconds())
        except ValueError:
            return None
    if form == "delta_s":
        return _seconds(value)
    try:
        return _seconds(str(max(0.0, float(value) - now.timestamp())))
    except ValueError:
        return None


def refused_record(record_id: str, step: str, error: Exception) -> Finished:
    """Return the end of a record with a value that the warehouse can't store, neither now nor later."""
    return Finished(record_id, Disposition.FAILED, "value_not_storable", step, cause(error))


def settle_failure(
    record: StagedRecord,
    *,
    reason: str,
    step: str,
    detail: str,
    max_attempts: int,
    chance: float,
    permanent: bool = False,
) -> Settlement:
    """
    Decide whether a failed record waits for another attempt or becomes a dead letter.

    Args:
        record: the record; its `attempts` counts the one that just failed.
        reason: a short code, by which failures are counted.
        step: the task that failed.
        detail: the full error, free of personal data.
        max_attempts: the limit.
        chance: a random number in [0, 1) for the jitter.
        permanent: whether a further attempt could never succeed.
    """
    if permanent or record.attempts >= max_attempts:
        error = detail or "the answer said no more than this"  # such as a proxy's without a body
        return Finished(record.record_id, Disposition.FAILED, reason, step, error)
    wait = backoff(record.attempts, 120.0, 3600.0, 0.5 + chance / 2)
    return Returned(record.record_id, reason, wait)


def settle_unread(record: StagedRecord, error: Exception, *, step: str, max_attempts: int, chance: float) -> Settlement:
    """Decide what becomes of a record whose contact the CRM fails to give, while it gives others."""
    reason, detail = "contact_unreadable", cause(error)
    return settle_failure(record, reason=reason, step=step, detail=detail, max_attempts=max_attempts, chance=chance)


#: The first wait in seconds for a contact that the CRM doesn't have yet; each further one doubles its age.
_FIRST_ABSENT_WAIT = 30.0


def settle_absent(record: StagedRecord, *, step: str, patience_seconds: float) -> Settlement:
    """
    Decide what becomes of a record whose contact the CRM doesn't have: a new one may only be readable later.

    Args:
        record: the record; its age counts.
        step: the task that found nothing.
        patience_seconds: for how long after it was staged a contact may be absent before it is gone.
    """
    left = patience_seconds - record.age_seconds
    if left <= 0:
        return Finished(record.record_id, Disposition.INVALID, "contact_gone", step)
    wait = min(left, max(_FIRST_ABSENT_WAIT, float(record.age_seconds)))
    return Returned(record.record_id, "contact_absent", wait, costs_attempt=False)
