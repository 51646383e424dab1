"""What became of one record, by Salesforce's status codes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from blocks.crms.base import Update, UpdateResult
from blocks.crms.salesforce.answers import Complaint
from enrichment.errors import (
    ConfigurationError,
    EnrichmentError,
    PostponedError,
    QuotaExhaustedError,
    RunStoppedError,
)

CREDENTIALS_REJECTED = "credentials_rejected"
QUOTA_EXHAUSTED = "quota_exhausted"
NOT_FOUND = "not_found"
NOT_CONFIRMED = "not_confirmed"
POSTPONED = "postponed"
UNAVAILABLE = "unavailable"
UNPROCESSED = "unprocessed"

#: These heal by themselves, sooner in smaller batches.
PASSING = frozenset(
    {"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG", "UNKNOWN_EXCEPTION", "ROW_LOCKED"}
)
#: The same values would be refused again.
PERMANENT = frozenset(
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
class Input:
    """One record to write: all updates of one contact, later values over earlier ones."""

    crm_id: str
    fields: Mapping[str, str]
    answers: tuple[str, ...]

    def laid_over(self, later: "Input") -> "Input":
        """Return this with the values of a later update of the same contact over its own."""
        return replace(self, fields={**self.fields, **later.fields}, answers=(*self.answers, *later.answers))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one input; `passing` if it should be tried again at once."""

    input: Input
    reason: str = ""
    detail: str = ""
    permanent: bool = False
    gone: bool = False
    wait_seconds: float | None = None
    passing: bool = False

    def results(self) -> list[UpdateResult]:
        """Return the result of each update that went into the input."""
        return [
            UpdateResult(trace_id, self.reason, self.detail, self.permanent, self.gone, self.wait_seconds)
            for trace_id in self.input.answers
        ]


def input_of(update: Update) -> Input:
    """Return what is sent for an update."""
    return Input(update.crm_id, {change.field: change.after for change in update.changes}, (update.trace_id,))


def refused(each: Input, complaint: Complaint) -> Verdict:
    """Return the verdict on an input that Salesforce finds fault with."""
    code = complaint.code
    # If it names a field of ours, it is a value that refers to a record which isn't there.
    if code == _DELETED or (code == _NO_SUCH_RECORD and each.fields.keys().isdisjoint(complaint.fields)):
        return gone(each, str(complaint))
    passing = code in PASSING or complaint.locked
    permanent = not passing and (not code or code in PERMANENT)
    return Verdict(each, code.lower() or "refused", str(complaint), permanent=permanent, passing=passing)


def gone(each: Input, detail: str = "Salesforce has no such contact") -> Verdict:
    """Return the verdict on a contact that no longer exists."""
    return Verdict(each, NOT_FOUND, detail, permanent=True, gone=True)


def unconfirmed(each: Input, detail: str) -> Verdict:
    """Return the verdict on an input of which the answer says nothing; a repetition is harmless."""
    return Verdict(each, NOT_CONFIRMED, detail)


def failed(each: Input, error: EnrichmentError) -> Verdict:
    """Return the verdict on an input whose call failed."""
    wait = error.seconds if isinstance(error, PostponedError) else None
    return Verdict(each, _reason_of(error), str(error), wait_seconds=wait)


def typed(text: str, kind: str) -> Any:
    """Return a field's value as Salesforce's JSON wants it; what isn't of its type stays as it is, to be refused."""
    if kind == "bool":
        return {"true": True, "false": False}.get(text, text)
    if kind != "number":
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):  # JSON has no such numbers
        return text
    return int(number) if number.is_integer() else number


def _reason_of(error: EnrichmentError) -> str:
    match error:
        case QuotaExhaustedError():
            return QUOTA_EXHAUSTED
        case RunStoppedError() | ConfigurationError():
            return CREDENTIALS_REJECTED
        case PostponedError():
            return POSTPONED
        case _:
            return UNAVAILABLE
