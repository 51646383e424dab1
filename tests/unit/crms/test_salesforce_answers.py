"""What is taken from Salesforce's answers, and what stays behind."""

from datetime import UTC, datetime

import pytest

from blocks.calls.messages import Answer
from blocks.crms.outcomes import Input
from blocks.crms.salesforce.api import calls_left, judge, read_bulk_error, read_complaints, refused, refused_record
from blocks.crms.salesforce.updates import typed
from enrichment.errors import CredentialsRejectedError, QuotaExhaustedError, RequestRefusedError, TransientError
from enrichment.retry import Fault, Trouble

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
INPUT = Input("0035e00000000000AA", {"Title": "CTO", "AccountId": "001"}, ("t-1",), {})


def judged(status: int, body: object = None, **headers: str) -> Answer | Trouble:
    return judge(Answer(status, headers, body), lambda found: found == "good", at="GET limits/", now=NOW)


@pytest.mark.parametrize(
    ("text", "code", "fields"),
    [
        ("STRING_TOO_LONG:Title: data value too large: x:Title --", "STRING_TOO_LONG", ("Title",)),
        ("REQUIRED_FIELD_MISSING:Missing: [LastName, Title]:LastName, Title --", "REQUIRED_FIELD_MISSING", None),
        ("UNABLE_TO_LOCK_ROW:unable to obtain access:--", "UNABLE_TO_LOCK_ROW", ()),
        ("DUPLICATES_DETECTED:Use one of these records?\nada@example.com:--", "DUPLICATES_DETECTED", ()),
        ("ENTITY_IS_DELETED", "ENTITY_IS_DELETED", ()),
        ("ada@example.com", "", ()),
        ("Ada Lovelace", "", ()),
        ("", "", ()),
    ],
)
def test_the_error_of_a_bulk_row_is_taken_apart(text: str, code: str, fields: tuple[str, ...] | None) -> None:
    """Code and fields, never the words between them."""
    found = read_bulk_error(text)
    assert found.code == code
    assert found.fields == (("LastName", "Title") if fields is None else fields)


@pytest.mark.parametrize(
    ("status", "fault"), [(500, Fault.SERVER_ERROR), (503, Fault.UNAVAILABLE), (429, Fault.THROTTLED)]
)
def test_what_may_heal_is_trouble(status: int, fault: Fault) -> None:
    """With the pause that was asked for, if one was."""
    found = judged(status, "<html>", **{"retry-after": "7"})
    assert isinstance(found, Trouble)
    assert (found.fault, found.wait_seconds) == (fault, 7.0)


def test_a_success_without_what_was_asked_is_a_lost_answer() -> None:
    """A gateway may answer 200 with a page of its own."""
    found = judged(200, "<html>")
    assert isinstance(found, Trouble)
    assert found.fault is Fault.LOST_ANSWER
    assert isinstance(judged(200, "good"), Answer)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("TotalRequests Limit exceeded.", QuotaExhaustedError),
        ("something new", QuotaExhaustedError),
        ("ConcurrentRequests (Concurrent API Requests) Limit exceeded.", None),
        ("ConcurrentPerOrgLongTxn Limit exceeded.", None),
    ],
)
def test_the_message_distinguishes_the_limits(message: str, expected: type[Exception] | None) -> None:
    """The one ends with the window, the other with the next request that ends."""
    body = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": message}]
    if expected:
        with pytest.raises(expected):
            judged(403, body)
        return
    found = judged(403, body)
    assert isinstance(found, Trouble)
    assert found.fault is Fault.THROTTLED


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, [{"errorCode": "MALFORMED_QUERY", "message": "ada@example.com"}], RequestRefusedError),
        (401, {"error": "ada@example.com"}, CredentialsRejectedError),
        (403, [], RequestRefusedError),
        (404, "<html>ada@example.com", RequestRefusedError),
        (302, None, RequestRefusedError),
        (525, None, TransientError),
    ],
)
def test_a_refusal_says_what_to_do_without_personal_data(status: int, body: object, error: type[Exception]) -> None:
    """Whatever the form of the body."""
    with pytest.raises(error) as caught:
        judged(status, body)
    assert "ada" not in str(caught.value)
    assert str(status) in str(caught.value)


@pytest.mark.parametrize(
    ("header", "left"),
    [
        ("api-usage=18/5000", (4982, 5000)),
        ("api-usage=25/5000; per-app-api-usage=17/250(appName=x)", (4975, 5000)),
        ("per-app-api-usage=17/250(appName=x)", None),
        ("", None),
    ],
)
def test_the_calls_left_are_those_of_the_org(header: str, left: tuple[int, int] | None) -> None:
    """Not those of one app."""
    assert calls_left({"sforce-limit-info": header}) == left


@pytest.mark.parametrize(
    ("text", "reason", "permanent", "gone", "passing"),
    [
        ("ENTITY_IS_DELETED:x:--", "not_found", True, True, False),
        ("INVALID_CROSS_REFERENCE_KEY:x:--", "not_found", True, True, False),
        ("INVALID_CROSS_REFERENCE_KEY:x:Id --", "not_found", True, True, False),
        ("INVALID_CROSS_REFERENCE_KEY:x:AccountId --", "invalid_cross_reference_key", True, False, False),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION:x:--", "field_custom_validation_exception", True, False, False),
        ("REQUEST_RUNNING_TOO_LONG:x:--", "request_running_too_long", False, False, True),
        ("TooManyLockFailure:x:--", "too_many_lock_failure", False, False, True),
        ("SOMETHING_NEW:x:--", "something_new", True, False, False),
        ("", "refused", True, False, False),
    ],
)
def test_each_code_has_its_ending(text: str, reason: str, permanent: bool, gone: bool, passing: bool) -> None:
    """Only what is known to pass is tried again."""
    found = refused(INPUT, read_bulk_error(text))
    assert (found.reason, found.permanent, found.gone, found.passing) == (reason, permanent, gone, passing)


def test_a_code_that_is_not_known_is_said_to_be() -> None:
    """The failed contact says why no retry follows."""
    detail = refused(INPUT, read_bulk_error("SOMETHING_NEW:ada@example.com:--")).detail
    assert detail == "SOMETHING_NEW; Salesforce's code isn't known here, so no retry follows"


@pytest.mark.parametrize(
    ("errors", "refusals"),
    [
        ([("STRING_TOO_LONG", ["Title"])], [("Title", "too_long", "")]),
        ([("STRING_TOO_LONG", ["title"])], [("Title", "too_long", "")]),
        (
            [("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ["Title"]), ("STRING_TOO_LONG", ["Title", "AccountId"])],
            [("Title", "too_long", ""), ("AccountId", "too_long", "")],
        ),
        ([("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ["Title"])], [("Title", "not_an_option", "CTO")]),
        ([("FIELD_CUSTOM_VALIDATION_EXCEPTION", ["Title"])], [("Title", "field_custom_validation_exception", "")]),
        ([("FIELD_CUSTOM_VALIDATION_EXCEPTION", ["Elsewhere__c"])], []),
        ([("SOMETHING_NEW", ["Title"])], [("Title", "something_new", "")]),
        ([("STRING_TOO_LONG", ["Title"]), ("REQUIRED_FIELD_MISSING", ["LastName"])], []),
        ([("FIELD_INTEGRITY_EXCEPTION", ["MailingState"])], [("MailingStateCode", "field_integrity_exception", "")]),
        ([("FIELD_INTEGRITY_EXCEPTION", ["State"])], [("MailingStateCode", "field_integrity_exception", "")]),
        ([("FIELD_INTEGRITY_EXCEPTION", [])], [("MailingStateCode", "field_integrity_exception", "")]),
        ([], []),
    ],
)
def test_the_fields_at_fault_are_found_in_a_records_errors(
    errors: list[tuple[str, list[str]]], refusals: list[tuple[str, str, str]]
) -> None:
    """By name, whatever its case; none where an error is about something that isn't ours."""
    fields = {"Title": "CTO", "AccountId": "001", "MailingStateCode": "XX"}
    body = [{"statusCode": code, "fields": names, "message": "a problem with this state"} for code, names in errors]
    ending = refused_record(Input("0035e00000000000AA", fields, ("t-1",), {}), read_complaints(body))
    assert ending.permanent
    assert [(each.field, each.reason, each.value) for each in ending.faults] == refusals


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("42", "number", 42),
        ("0.5", "number", 0.5),
        ("0.00001", "number", 0.00001),
        ("1" + "0" * 22, "number", 10**22),
        ("many", "number", "many"),
        ("inf", "number", "inf"),
        ("true", "bool", True),
        ("yes", "bool", "yes"),
        ("42", "string", "42"),
        ("x", "", "x"),
    ],
)
def test_a_value_is_given_the_type_of_its_field(text: str, kind: str, value: object) -> None:
    """What doesn't fit stays text, which Salesforce then refuses."""
    assert typed(text, kind) == value
