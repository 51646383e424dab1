"""What a service's answer means for the call: it can be used, it may be repeated, or no further call can succeed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from blocks.calls.messages import Answer
from enrichment.errors import CredentialsRejectedError, RequestRefusedError, TransientError
from enrichment.retry import Fault, Trouble, asked_wait, fault_of_status


@dataclass(frozen=True, slots=True)
class Dialect:
    """
    How one service words what is wrong.

    Args:
        title: the service's name, for people.
        read_complaint: returns what an error's body says, free of personal data; its text is shown.
        read_limit: returns the trouble of a limit that the service has in its own way, or None; it is given the answer,
            the complaint, both as a text, and the present, and raises QuotaExhaustedError if an allowance is used up.
        explain: says why a call is refused and what to do, by the status, the complaint and both as a text.
        grants: whether it only hands out credentials, so that each refusal concerns them.
    """

    title: str
    read_complaint: Callable[[Any], Any]
    read_limit: Callable[[Answer, Any, str, datetime], Trouble | None]
    explain: Callable[[int, Any, str], str]
    grants: bool = False


def judge(
    answer: Answer, accept: Callable[[Any], object], dialect: Dialect, *, at: str, now: datetime
) -> Answer | Trouble:
    """
    Return the answer if it can be used, or the trouble if the call may be repeated.

    Args:
        answer: as received.
        accept: returns whether the body of a success holds what was asked for.
        dialect: the dialect of the service.
        at: what was called, for messages.
        now: the present, aware.

    Raises:
        QuotaExhaustedError: an allowance is used up.
        TransientError: the service can't serve us now, and repeating won't help soon.
        CredentialsRejectedError: the service refuses the credentials.
        RequestRefusedError: it refuses the request.
    """
    if answer.success:
        return answer if accept(answer.body) else Trouble(Fault.LOST_ANSWER, f"status {answer.status} without content")
    complaint = dialect.read_complaint(answer.body)
    what = f"status {answer.status}" + (f" ({complaint})" if str(complaint) else "")
    limit = dialect.read_limit(answer, complaint, what, now)
    if limit is not None:
        return limit
    fault = fault_of_status(answer.status)
    if fault is not None:
        return Trouble(fault, what, asked_wait(answer.headers, now=now))
    if answer.status >= 500:  # such as 525, a broken certificate on their side
        raise TransientError(f"{dialect.title} answered {what} to {at}")
    message = dialect.explain(answer.status, complaint, what)
    if answer.status == 401 or dialect.grants:
        raise CredentialsRejectedError(message)
    raise RequestRefusedError(message, answer.status, complaint)
