"""Calls to Salesforce, and queries over all their pages."""

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from blocks.calls.judging import Dialect
from blocks.calls.judging import judge as judge_answer
from blocks.calls.loop import Line, Purpose, make_call
from blocks.calls.messages import Answer, Call, word
from blocks.calls.pacing import pacer_for
from blocks.crms.salesforce.session import Session, SessionSource, Transport
from blocks.crms.updates import Ending, Input, gone
from enrichment.errors import ContractError, QuotaExhaustedError
from enrichment.retry import Fault, RetryPolicy, Trouble, backoff

#: Both exhausted allowances have this code; only the message says which.
REQUEST_LIMIT_EXCEEDED = "REQUEST_LIMIT_EXCEEDED"
_CONCURRENT = "concurrent"

#: `CODE:message:fields--` of a bulk result, and the beginning of what a failing trigger says.
_BULK_ERROR = re.compile(r"(?P<code>[A-Z][A-Z0-9_]{1,99}):.*:(?P<fields>[\w, ]*?)\s*--\s*", re.DOTALL)
_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,99}\b")
_TRIGGER = re.compile(r"(?P<name>[A-Za-z]\w{0,79}): execution of (?P<event>\w{1,40})")
_COLUMN = re.compile(r"No such column '(?P<name>[A-Za-z]\w{0,79})'")
_LOCKED = "UNABLE_TO_LOCK_ROW"
_USAGE = re.compile(r"(?:^|[;\s])api-usage=(?P<used>\d+)/(?P<allowed>\d+)")

#: These pass by themselves, sooner in smaller batches.
_PASSING = frozenset(
    {"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG", "UNKNOWN_EXCEPTION", "ROW_LOCKED"}
)
#: The same values would be refused again.
_PERMANENT = frozenset(
    {
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "DUPLICATES_DETECTED",
        "DUPLICATE_VALUE",
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "FIELD_FILTER_VALIDATION_EXCEPTION",
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        "INSUFFICIENT_ACCESS_OR_READONLY",
        "INVALID_CROSS_REFERENCE_KEY",
        "INVALID_EMAIL_ADDRESS",
        "INVALID_FIELD",
        "INVALID_FIELD_FOR_INSERT_UPDATE",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "INVALID_TYPE_ON_FIELD_IN_RECORD",
        "JSON_PARSER_ERROR",
        "MALFORMED_ID",
        "NUMBER_OUTSIDE_VALID_RANGE",
        "NUM_OUTSIDE_VALID_RANGE",
        "REQUIRED_FIELD_MISSING",
        "STRING_TOO_LONG",
    }
)
_DELETED = "ENTITY_IS_DELETED"
_NO_SUCH_RECORD = "INVALID_CROSS_REFERENCE_KEY"


@dataclass(frozen=True, slots=True)
class Complaint:
    """
    One error, free of personal data.

    Args:
        code: Salesforce's status code or error code.
        fields: that it names.
        trigger: of the customer, that failed.
        locked: whether another process was changing the record.
        concurrent: whether too many requests were under way.
    """

    code: str = ""
    fields: tuple[str, ...] = ()
    trigger: str = ""
    locked: bool = False
    concurrent: bool = False

    def __str__(self) -> str:
        return ": ".join(part for part in (self.code, ", ".join(self.fields), self.trigger) if part)


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


def judge(answer: Answer, accept: Callable[[Any], object], *, at: str, now: datetime) -> Answer | Trouble:
    """Return what Salesforce's answer means for the call; it raises as every judge does."""
    dialect = Dialect("Salesforce", read_complaint, _read_limit, partial(_explain, at))
    return judge_answer(answer, accept, dialect, at=at, now=now)


def refused(each: Input, complaint: Complaint) -> Ending:
    """Return the ending of an input that Salesforce finds fault with."""
    code = complaint.code
    # If it names a field of ours, it is a value that refers to a record which isn't there.
    if code == _DELETED or (code == _NO_SUCH_RECORD and each.fields.keys().isdisjoint(complaint.fields)):
        return gone(each, str(complaint))
    passing = code in _PASSING or complaint.locked
    permanent = not passing and (not code or code in _PERMANENT)
    return Ending(each, code.lower() or "refused", str(complaint), permanent=permanent, passing=passing)


def calls_left(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Return how many of the allowed calls of 24 hours are left, and how many are allowed, if the answer says so."""
    found = _USAGE.search(headers.get("sforce-limit-info", ""))
    return (int(found["allowed"]) - int(found["used"]), int(found["allowed"])) if found else None


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


def _read_limit(_answer: Answer, complaint: Complaint, what: str, _now: datetime) -> Trouble | None:
    if complaint.code != REQUEST_LIMIT_EXCEEDED:
        return None
    if complaint.concurrent:
        return Trouble(Fault.THROTTLED, f"{what}: too many long requests at once")
    raise QuotaExhaustedError(
        "Salesforce's API calls of the last 24 hours are used up: all integrations of the org share them, and they "
        "are available again gradually as the window moves"
    )


def _explain(at: str, status: int, _complaint: Complaint, what: str) -> str:
    if status == 401:
        return (
            f"Salesforce rejects the session: {what}, even with a new session. Check that the app's policies and the "
            "integration user's profile allow API access"
        )
    if status == 403:
        return f"Salesforce forbids {at}: {what}. Give the integration user the permissions of docs/salesforce.md"
    return (
        f"Salesforce refuses {at}: {what}. Check ENRICHMENT_SALESFORCE_API_VERSION, ENRICHMENT_SALESFORCE_INSTANCE_URL "
        "and the mapped fields"
    )


RETRY_POLICY = RetryPolicy(attempts_after_lost_answer=3)
COLLECTIONS = "composite/sobjects"


class SalesforceApi:
    """
    One Salesforce org as a place that answers calls; safe to share between threads.

    Args:
        sessions: hands out sessions.
        transport: sends single calls.
        credential: identifies the credential, for the pace.
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
            accept: returns whether the body of a success holds what was asked for.

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
    # Query locators are of no use to the reader of a message.
    return path.partition("/")[0] if path.startswith("query") else path


def _is_page(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("records"), list) and isinstance(body.get("done"), bool)
