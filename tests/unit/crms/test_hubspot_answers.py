"""What is taken from HubSpot's answers, and what never is."""

from datetime import UTC, datetime

import pytest

from blocks.calls.messages import Answer, parse_json
from blocks.crms.hubspot.api import (
    Flaw,
    has_records,
    is_complete,
    judge,
    read_complaint,
)
from enrichment.errors import (
    CredentialsRejectedError,
    QuotaExhaustedError,
    RequestRefusedError,
    RunStoppedError,
    TransientError,
)
from enrichment.retry import Fault, Trouble

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BAD_VALUE = {
    "status": "error",
    "category": "VALIDATION_ERROR",
    "correlationId": "c-1",
    "message": (
        'Property values were not valid: [{"isValid":false,"message":"ada@example.com was not a valid number",'
        '"error":"INVALID_INTEGER","name":"enr_employee_count","localizedErrorMessage":"ada@example.com"}]'
    ),
}


def _judge(status: int, body: object = None, **headers: str) -> Answer | Trouble:
    answer = Answer(status, headers, body)
    return judge(answer, has_records, at="POST /batch/update", scope="crm.objects.contacts.write", now=NOW)


def test_a_complaint_names_property_and_code_but_no_value() -> None:
    """The message's embedded list is read, and its values stay where they are."""
    complaint = read_complaint(BAD_VALUE)
    assert complaint.flaws == (Flaw("enr_employee_count", "INVALID_INTEGER"),)
    assert str(complaint) == "VALIDATION_ERROR: enr_employee_count INVALID_INTEGER: correlation id c-1"
    assert "ada" not in repr(complaint)


@pytest.mark.parametrize(
    "error",
    [
        None,
        "text",
        {"category": "ada@example.com", "message": 'broken [{"name": "ada@example.com"'},
        {"category": 7, "errors": ["ada@example.com"], "context": "ada@example.com"},
        {"message": '[{"name": "ada@example.com", "error": "Ada Lovelace is no number"}]'},
    ],
)
def test_what_is_not_a_plain_code_is_dropped(error: object) -> None:
    """Whatever HubSpot puts in the place of a code, no address or name passes."""
    assert "ada" not in repr(read_complaint(error)).lower()


def test_the_ids_of_a_complaint_are_record_ids_and_trace_ids() -> None:
    """Both are looked at when the inputs are accounted for."""
    context = {"ids": ["501", 502], "objectWriteTraceId": ["t-1"]}
    assert read_complaint({"context": context}).ids == {"501", "502", "t-1"}


def test_details_beside_the_message_count_too() -> None:
    """Some endpoints name the property in the error's context."""
    details = [{"code": "INVALID_OPTION", "context": {"propertyName": ["industry"]}}]
    assert read_complaint({"errors": details}).flaws == (Flaw("industry", "INVALID_OPTION"),)


@pytest.mark.parametrize("message", ['Property "industry" does not exist', "x; Property 'industry' doesn't exist."])
def test_a_property_that_is_gone_is_named_in_words_too(message: str) -> None:
    """Else the batch would be divided to the end, and every contact would fail."""
    assert read_complaint({"message": message}).flaws == (Flaw("industry", "PROPERTY_DOESNT_EXIST"),)


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (429, {"policyName": "TEN_SECONDLY_ROLLING"}, {}, (Fault.THROTTLED, 10.0)),
        (
            429,
            {"policyName": "TEN_SECONDLY_ROLLING"},
            {"x-hubspot-ratelimit-interval-milliseconds": "4000"},
            (Fault.THROTTLED, 4.0),
        ),
        (429, {"policyName": "TEN_SECONDLY_ROLLING"}, {"retry-after": "3"}, (Fault.THROTTLED, 3.0)),
        (429, {"policyName": "SECONDLY"}, {}, (Fault.THROTTLED, 1.0)),
        (429, None, {}, (Fault.THROTTLED, None)),
        (423, None, {}, (Fault.THROTTLED, 2.0)),
        (423, None, {"retry-after": "1"}, (Fault.THROTTLED, 2.0)),
        (423, None, {"retry-after": "7"}, (Fault.THROTTLED, 7.0)),
        (477, None, {"retry-after": "86400"}, (Fault.UNAVAILABLE, 86400.0)),
        (500, None, {}, (Fault.SERVER_ERROR, None)),
        (502, None, {}, (Fault.UNAVAILABLE, None)),
        (521, None, {}, (Fault.UNAVAILABLE, None)),
        (524, None, {}, (Fault.UNAVAILABLE, None)),
        (200, None, {}, (Fault.LOST_ANSWER, None)),
        (200, {"results": None}, {}, (Fault.LOST_ANSWER, None)),
    ],
)
def test_what_may_be_repeated_and_when(
    status: int, body: object, headers: dict[str, str], expected: tuple[Fault, float | None]
) -> None:
    """The wait comes from Retry-After, else from the policy that was broken."""
    trouble = _judge(status, body, **headers)
    assert isinstance(trouble, Trouble)
    assert (trouble.fault, trouble.wait_seconds) == expected


def test_a_used_up_day_is_not_waited_for() -> None:
    """A daily limit ends the run instead of blocking it until midnight."""
    with pytest.raises(QuotaExhaustedError, match="midnight"):
        _judge(429, {"policyName": "DAILY"})


def test_a_broken_certificate_over_there_is_not_repeated() -> None:
    """525 and its kin don't heal within a call, yet the records keep their chance."""
    with pytest.raises(TransientError, match="525"):
        _judge(525)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, None, "ENRICHMENT_HUBSPOT_ACCESS_TOKEN"),
        (403, None, "crm.objects.contacts.write"),
        (403, {"errors": [{"context": {"requiredGranularScopes": ["crm.schemas.x"]}}]}, "crm.schemas.x"),
        (404, None, "ENRICHMENT_HUBSPOT_API_VERSION"),
        (400, BAD_VALUE, "enr_employee_count INVALID_INTEGER"),
    ],
)
def test_a_refusal_says_what_fixes_it(status: int, body: object, words: str) -> None:
    """Each message ends in something that a person can do, and quotes no value."""
    with pytest.raises(RunStoppedError) as caught:
        _judge(status, body)
    assert words in str(caught.value)
    assert "ada" not in str(caught.value)
    assert isinstance(caught.value, CredentialsRejectedError if status == 401 else RequestRefusedError)
    assert getattr(caught.value, "status", 401) == status


@pytest.mark.parametrize("data", [None, b"", b"<html>", b'{"a', "nonsense", b"\xff\xfe"])
def test_what_is_not_json_is_nothing(data: bytes | str | None) -> None:
    """Proxies answer HTML; a model of Nones must not come of it."""
    assert parse_json(data) is None


@pytest.mark.parametrize(
    ("body", "complete"),
    [
        ({"status": "COMPLETE", "results": []}, True),
        ({"status": "PENDING", "results": []}, False),
        ({"status": "COMPLETE", "results": None}, False),
        ({"results": []}, False),
        (None, False),
    ],
)
def test_only_a_complete_batch_with_results_counts(body: object, complete: bool) -> None:
    """Any other state means that nothing can be said of its records."""
    assert is_complete(body) is complete
