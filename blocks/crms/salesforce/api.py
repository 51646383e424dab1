"""Calls to Salesforce, and queries over all their pages."""

import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from blocks.calls.judging import Dialect
from blocks.calls.judging import judge as judge_answer
from blocks.calls.loop import Line, Purpose, make_call
from blocks.calls.messages import Answer, Call, word
from blocks.calls.pacing import pacer_for
from blocks.crms.outcomes import Ending, Input, at_fault, gone
from blocks.crms.salesforce.session import Session, SessionSource
from enrichment.errors import ContractError, QuotaExhaustedError
from enrichment.retry import Fault, RetryPolicy, Trouble, backoff
from enrichment.values import OUT_OF_RANGE
from enrichment.wire import NOT_AN_OPTION, TOO_LONG
from enrichment.write_policy import NO_SUCH_FIELD, READ_ONLY, Refusal

if TYPE_CHECKING:
    from blocks.crms.salesforce.transport import Transport

#: Both exhausted allowances have this code; only the message says which.
REQUEST_LIMIT_EXCEEDED = "REQUEST_LIMIT_EXCEEDED"
_CONCURRENT = "concurrent"

#: `CODE:message:fields--` of a bulk result, and the beginning of what a failing trigger says.
_BULK_ERROR = re.compile(r"(?P<code>[A-Z][A-Za-z0-9_]{1,99})\s*:.*:(?P<fields>[\w, ]*?)\s*--\s*", re.DOTALL)
_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,99}\b|[A-Z][A-Za-z0-9]{1,99}(?=\s*:)")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TRIGGER = re.compile(r"(?P<name>[A-Za-z]\w{0,79}): execution of (?P<event>\w{1,40})")
_COLUMN = re.compile(r"No such column '(?P<name>[A-Za-z]\w{0,79})'")
_LOCKED = "UNABLE_TO_LOCK_ROW"
_INTEGRITY = "FIELD_INTEGRITY_EXCEPTION"
_ADDRESS_PART = re.compile(r"\b(?P<name>state|country)\b", re.IGNORECASE)
_USAGE = re.compile(r"(?:^|[;\s])api-usage=(?P<used>\d+)/(?P<allowed>\d+)")

#: These pass by themselves, sooner in smaller batches.
_PASSING = frozenset(
    {
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "EXCEEDED_QUOTA",
        "INTERNAL_SERVER_ERROR",
        "OPERATION_TOO_LARGE",
        "QUERY_TIMEOUT",
        "REQUEST_LIMIT_EXCEEDED",
        "REQUEST_RUNNING_TOO_LONG",
        "ROW_LOCKED",
        "SERVER_UNAVAILABLE",
        "SERVICE_UNAVAILABLE",
        "TIMEOUT",
        "TOO_MANY_LOCK_FAILURE",
        "TXN_LIMIT_EXCEEDED",
        "UNABLE_TO_LOCK_ROW",
        "UNKNOWN_EXCEPTION",
    }
)
#: The same values would be refused again. So would those with a code that isn't listed, which the detail then says.
_PERMANENT = frozenset(
    {
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "DUPLICATES_DETECTED",
        "DUPLICATE_VALUE",
        "ENTITY_IS_LOCKED",
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "FIELD_FILTER_VALIDATION_EXCEPTION",
        "FIELD_INTEGRITY_EXCEPTION",
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
        "STORAGE_LIMIT_EXCEEDED",
        "STRING_TOO_LONG",
    }
)
INVALID_FIELD = "INVALID_FIELD"
#: A rule for duplicates stands against the update.
DUPLICATES = "DUPLICATES_DETECTED"
#: Our reasons by Salesforce's codes.
_REASONS: Mapping[str, str] = {
    INVALID_FIELD: NO_SUCH_FIELD,
    "INVALID_FIELD_FOR_INSERT_UPDATE": READ_ONLY,
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": NOT_AN_OPTION,
    "NUMBER_OUTSIDE_VALID_RANGE": OUT_OF_RANGE,
    "NUM_OUTSIDE_VALID_RANGE": OUT_OF_RANGE,
    "STRING_TOO_LONG": TOO_LONG,
}
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
    """Return what the errors of a body say: a list of errors, of which the first counts, or one error."""
    errors = [error for error in (body if isinstance(body, list) else [body]) if isinstance(error, Mapping)]
    return _read_error(errors[0]) if errors else Complaint()


def read_complaints(errors: Any) -> list[Complaint]:
    """Return what each error of a record says; there is at least one."""
    return [_read_error(each) for each in errors or () if isinstance(each, Mapping)] or [Complaint()]


def _read_error(error: Mapping[str, Any]) -> Complaint:
    code = error.get("errorCode") or error.get("statusCode") or error.get("error")
    fields = error.get("fields")
    return _complaint(word(code), fields if isinstance(fields, list) else [], str(error.get("message") or ""))


def read_bulk_error(text: str) -> Complaint:
    """Return what the column `sf__Error` of a failed row says."""
    found, code = _BULK_ERROR.fullmatch(text), _CODE.match(text)
    fields = found["fields"].replace(",", " ").split() if found else []
    # The job's own codes are written as TooManyLockFailure.
    return _complaint(_HUMP.sub("_", code[0]).upper() if code else "", fields, text)


def judge(answer: Answer, accept: Callable[[Any], object], *, at: str, now: datetime) -> Answer | Trouble:
    """Return what Salesforce's answer means for the call; it raises as every judge does."""
    dialect = Dialect("Salesforce", read_complaint, _read_limit, partial(_explain, at))
    return judge_answer(answer, accept, dialect, at=at, now=now)


def refused(each: Input, complaint: Complaint) -> Ending:
    """Return the ending of an input that Salesforce finds fault with."""
    code, named = complaint.code, faults(each, complaint)
    # If it names a field of ours, it is a value that refers to a record which isn't there.
    if code == _DELETED or (code == _NO_SUCH_RECORD and not named):
        return gone(each, str(complaint))
    if code in _PASSING or complaint.locked:
        return Ending(each, code.lower() or "refused", str(complaint), passing=True)
    unknown = "" if not code or code in _PERMANENT else "; Salesforce's code isn't known here, so no retry follows"
    return Ending(each, code.lower() or "refused", f"{complaint}{unknown}", permanent=True, faults=named)


def refused_record(each: Input, complaints: Sequence[Complaint]) -> Ending:
    """Return the ending of an input by all errors of its record: what names no field of ours weighs most."""
    endings = [refused(each, complaint) for complaint in complaints]
    first = next((ending for ending in endings if not ending.faults), endings[0])
    named = {fault.field: fault for ending in endings for fault in ending.faults}
    return replace(first, faults=tuple(named.values()) if first.faults else ())


def faults(each: Input, complaint: Complaint) -> tuple[Refusal, ...]:
    """Return the fields of an input that a complaint names."""
    integrity = complaint.code == _INTEGRITY
    named = [own for name in complaint.fields for own in _own_names(name, each.fields, part_of_address=integrity)]
    return at_fault(each, [(name, complaint.code) for name in named], _REASONS)


def _own_names(name: str, fields: Iterable[str], *, part_of_address: bool) -> list[str]:
    """Return which fields of ours are meant: of an address Salesforce may name a part, or the code beside a name."""
    wanted = name.casefold()
    if not part_of_address:
        return [field for field in fields if field.casefold() == wanted]
    part = wanted.removesuffix("code")
    return [field for field in fields if part and field.casefold().removesuffix("code").endswith(part)]


def calls_left(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Return how many of the allowed calls of 24 hours are left, and how many are allowed, if the answer says so."""
    found = _USAGE.search(headers.get("sforce-limit-info", ""))
    return (int(found["allowed"]) - int(found["used"]), int(found["allowed"])) if found else None


def _complaint(code: str, fields: Any, message: str) -> Complaint:
    trigger, column = _TRIGGER.match(message), _COLUMN.search(message)
    given = list(filter(None, map(word, fields)))
    part = _ADDRESS_PART.search(message) if code == _INTEGRITY and not given else None
    named = [*given, *(found["name"] for found in (column, part) if found)]
    return Complaint(
        code=code,
        fields=tuple(dict.fromkeys(named)),
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
        transport: "Transport",
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
        self.version = api_version
        self._root = f"/services/data/v{api_version}/"
        self._instance_url = instance_url

    def ask(
        self, call: Call, accept: Callable[[Any], object], *, before_repeat: Callable[[], None] | None = None
    ) -> Answer:
        """
        Make a call, and repeat it where that may help.

        Args:
            call: the call.
            accept: returns whether the body of a success holds what was asked for.
            before_repeat: called before each repetition; it may raise to end the call.

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
            Purpose(at, call.repeatable, before_repeat=before_repeat),
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

    def count(self, soql: str) -> int:
        """Return what a query for COUNT() finds; it raises as `ask` does."""
        return int(self.ask(Call("GET", "query/", {"q": soql}), _is_page).body["totalSize"])

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
