"""
What Salesforce's answers say, reduced to what holds no personal data.

Salesforce's error messages may quote values and queries, hence e-mail addresses. Only error codes and field names leave
this module, and the name of a trigger that failed.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from enrichment.errors import CredentialsRejectedError, QuotaExhaustedError, TransientError
from enrichment.retry import Fault, asked_wait, fault_of_status

#: Both exhausted allowances have this code; only the message tells which.
REQUEST_LIMIT_EXCEEDED = "REQUEST_LIMIT_EXCEEDED"
_CONCURRENT = "concurrent"

_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
#: `CODE:message:fields--` of a bulk result, and the beginning of what a failing trigger says.
_BULK_ERROR = re.compile(r"(?P<code>[A-Z][A-Z0-9_]{1,99}):.*:(?P<fields>[\w, ]*?)\s*--\s*", re.DOTALL)
_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,99}\b")
_TRIGGER = re.compile(r"(?P<name>[A-Za-z]\w{0,79}): execution of (?P<event>\w{1,40})")
_COLUMN = re.compile(r"No such column '(?P<name>[A-Za-z]\w{0,79})'")
_LOCKED = "UNABLE_TO_LOCK_ROW"
_USAGE = re.compile(r"(?:^|[;\s])api-usage=(?P<used>\d+)/(?P<allowed>\d+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer; `body` is its JSON, else its text. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failed exchange that may be repeated."""

    fault: Fault
    what: str
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """
    One error, free of personal data.

    Args:
        code: Salesforce's status code or error code.
        fields: that it names.
        trigger: of the customer, that failed.
        locked: whether somebody else was changing the record.
        concurrent: whether too many requests were under way.
    """

    code: str = ""
    fields: tuple[str, ...] = ()
    trigger: str = ""
    locked: bool = False
    concurrent: bool = False

    def __str__(self) -> str:
        return ": ".join(part for part in (self.code, ", ".join(self.fields), self.trigger) if part)


class RefusedError(CredentialsRejectedError):
    """Salesforce refuses this very request; a repetition would end the same way."""

    def __init__(self, message: str, status: int, complaint: Complaint) -> None:
        super().__init__(message)
        self.status = status
        self.complaint = complaint


def parse_json(data: bytes | str | None) -> Any:
    """Return the JSON of a body, or None if it is none (an HTML page of a proxy, an empty or truncated text)."""
    try:
        return json.loads(data or b"")
    except ValueError:
        return None


def read_complaint(body: Any) -> Complaint:
    """Return what the first error of a body says: a list of errors, one error, or that of a token endpoint."""
    error = body[0] if isinstance(body, list) and body else body
    if not isinstance(error, Mapping):
        return Complaint()
    code = error.get("errorCode") or error.get("statusCode") or error.get("error")
    fields = error.get("fields")
    return _complaint(word(code), fields if isinstance(fields, list) else [], str(error.get("message") or ""))


def read_bulk_error(text: str) -> Complaint:
    """Return what the column `sf__Error` of a failed row says."""
    found, code = _BULK_ERROR.fullmatch(text), _CODE.match(text)
    fields = found["fields"].replace(",", " ").split() if found else []
    return _complaint(code[0] if code else "", fields, text)


def judge(answer: Answer, accept: Callable[[Any], bool], *, at: str, now: datetime) -> Answer | Trouble:
    """
    Return the answer if it can be used, or the trouble if the call may be repeated.

    Args:
        answer: as received.
        accept: tells whether the body of a success holds what was asked for.
        at: what was called, for messages.
        now: the present, aware.

    Raises:
        QuotaExhaustedError: the calls of the last 24 hours are used up.
        TransientError: Salesforce can't serve us now, and repeating won't help soon.
        RefusedError: Salesforce refuses the credentials or the request.
    """
    if 200 <= answer.status < 300:
        return answer if accept(answer.body) else Trouble(Fault.LOST_ANSWER, f"status {answer.status} without content")
    complaint = read_complaint(answer.body)
    what = f"status {answer.status}" + (f" ({complaint})" if str(complaint) else "")
    if complaint.code == REQUEST_LIMIT_EXCEEDED:
        return _over_limit(complaint, what)
    fault = fault_of_status(answer.status)
    if fault is not None:
        return Trouble(fault, what, asked_wait(answer.headers, now=now))
    if answer.status >= 500:
        raise TransientError(f"Salesforce answered {what} to {at}")
    raise RefusedError(_explain_refusal(answer.status, what, at), answer.status, complaint)


def calls_left(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Return how many of the allowed calls of 24 hours are left, and how many are allowed, if the answer says so."""
    found = _USAGE.search(headers.get("sforce-limit-info", ""))
    return (int(found["allowed"]) - int(found["used"]), int(found["allowed"])) if found else None


def word(value: Any) -> str:
    """Return a plain code or name; whatever else it is could be somebody's name or address."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _complaint(code: str, fields: Any, message: str) -> Complaint:
    trigger, column = _TRIGGER.match(message), _COLUMN.search(message)
    named = [*fields, *([column["name"]] if column else [])]
    return Complaint(
        code=code,
        fields=tuple(dict.fromkeys(filter(None, map(word, named)))),
        trigger=f"{trigger['name']} {trigger['event']}" if trigger else "",
        locked=code == _LOCKED or _LOCKED in message,
        concurrent=_CONCURRENT in message.lower(),
    )


def _over_limit(complaint: Complaint, what: str) -> Trouble:
    if complaint.concurrent:
        return Trouble(Fault.THROTTLED, f"{what}: too many long requests at once")
    raise QuotaExhaustedError(
        "Salesforce's API calls of the last 24 hours are used up: all integrations of the org share them, and they "
        "come back little by little as the window moves"
    )


def _explain_refusal(status: int, what: str, at: str) -> str:
    if status == 401:
        return (
            f"Salesforce rejects the session: {what}, also with a new one. Check that the app's policies and the "
            "integration user's profile allow API access"
        )
    if status == 403:
        return f"Salesforce forbids {at}: {what}. Give the integration user the permissions of docs/salesforce.md"
    return (
        f"Salesforce refuses {at}: {what}. Check ENRICHMENT_SALESFORCE_API_VERSION, ENRICHMENT_SALESFORCE_INSTANCE_URL "
        "and the mapped fields"
    )
