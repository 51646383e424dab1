"""What items and answers mean."""

from typing import Any

import pytest

from blocks.calls.messages import Answer
from blocks.providers.http.interpret import (
    item_meaning,
    item_replies,
    keepable,
    read_reply,
    refused_fields,
    settled_replies,
)
from blocks.providers.http.steps import Action, Step, next_step
from blocks.providers.spec.model import load_spec
from enrichment.records import CONCLUSIVE, Outcome
from enrichment.retry import Fault
from tests.unit.providers.samples import CARDFILE, ZOOMINFO, answer, item, request

NAME = "companyName"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("FULL_MATCH", Outcome.MATCHED),
        ("CONTACT_ONLY_MATCH", Outcome.PARTIAL),
        ("COMPANY_ONLY_MATCH", Outcome.PARTIAL),
        ("NO_MATCH", Outcome.UNMATCHED),
        ("NON_MATCH_BY_REQUIRED_FIELDS", Outcome.UNMATCHED),
        ("NON_MATCH_BY_LAST_UPDATED_DATE", Outcome.UNMATCHED),
        ("NON_MATCH_BY_VALID_DATE", Outcome.UNMATCHED),
        ("NON_MATCH_BY_CONTACT_ACCURACY_MIN", Outcome.UNMATCHED),
        ("OPT_OUT", Outcome.SUPPRESSED),
        ("CONTACT_OPTED_OUT", Outcome.SUPPRESSED),
        ("INVALID_INPUT", Outcome.INVALID_INPUT),
        ("INPUT_ERROR", Outcome.INVALID_INPUT),
        ("LIMIT_EXCEEDED", Outcome.QUOTA_EXHAUSTED),
        ("SOMETHING_NEW", Outcome.RETRYABLE),
        ("", Outcome.RETRYABLE),
    ],
)
def test_each_match_status_has_its_outcome(status: str, outcome: Outcome) -> None:
    """Every status of the vendor's enum is mapped, and an unknown one is not a match."""
    assert item_meaning(ZOOMINFO, item("a@x.example", status)).outcome is outcome


@pytest.mark.parametrize("spoilt", [{"type": "NoMatch"}, {"attributes": None}, {"attributes": {}}, {"type": None}])
def test_a_hit_without_a_contact_is_not_a_match(spoilt: dict[str, Any]) -> None:
    """A full match needs a contact with attributes, whatever its status says."""
    assert item_meaning(ZOOMINFO, {**item("a@x.example"), **spoilt}).outcome is Outcome.RETRYABLE


PLATFORM = {"title": "Bad Request", "errors": [{"code": "PFAPI0003", "title": "Validation", "detail": "wrong"}]}
QUOTA = {"errors": [{"code": "PFAPI0011", "title": "Credit limit"}]}
GATEWAY = {"error": {"code": "ZI0004", "message": "Too many", "status": 429, "retryable": True}}


@pytest.mark.parametrize(
    "body", [None, "", "plain text", "<html></html>", [], {}, {"errors": None}, {"error": "text"}, 5]
)
@pytest.mark.parametrize(
    ("status", "action", "outcome"),
    [
        (400, Action.DOUBT, Outcome.REJECTED),
        (401, Action.SETTLE, Outcome.REJECTED),
        (403, Action.SETTLE, Outcome.REJECTED),
        (404, Action.SETTLE, Outcome.REJECTED),
        (406, Action.SETTLE, Outcome.REJECTED),
        (413, Action.SPLIT, Outcome.REJECTED),
        (302, Action.SETTLE, Outcome.REJECTED),
        (429, Action.REPEAT, Outcome.RETRYABLE),
        (500, Action.REPEAT, Outcome.RETRYABLE),
        (503, Action.REPEAT, Outcome.RETRYABLE),
        (504, Action.REPEAT, Outcome.RETRYABLE),
        (501, Action.SETTLE, Outcome.REJECTED),
        (522, Action.REPEAT, Outcome.RETRYABLE),
        (526, Action.REPEAT, Outcome.RETRYABLE),
    ],
)
def test_a_status_decides_whatever_its_body_is(body: Any, status: int, action: Action, outcome: Outcome) -> None:
    """A null, plain-text or odd body neither crashes a rule nor changes what the status means."""
    step = next_step(ZOOMINFO, answer(status, body), ZOOMINFO.output_fields.names)
    assert (step.action, step.meaning.outcome) == (action, outcome)
    assert step.meaning.reason


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, QUOTA, (Action.SETTLE, Outcome.QUOTA_EXHAUSTED, "PFAPI0011")),
        (400, {"error": {"code": "PFAPI0011"}}, (Action.SETTLE, Outcome.QUOTA_EXHAUSTED, "PFAPI0011")),
        (400, PLATFORM, (Action.DOUBT, Outcome.REJECTED, "PFAPI0003")),
        (404, {"error": {"code": "ZI9998"}}, (Action.SETTLE, Outcome.REJECTED, "ZI9998")),
        (401, {"error": {"code": "ZI0001"}}, (Action.SETTLE, Outcome.REJECTED, "ZI0001")),
        (429, GATEWAY, (Action.REPEAT, Outcome.RETRYABLE, "ZI0004")),
        (418, GATEWAY, (Action.REPEAT, Outcome.RETRYABLE, "ZI0004")),
        (500, {"errors": [{"code": "PFAPI0007"}]}, (Action.REPEAT, Outcome.RETRYABLE, "PFAPI0007")),
        (200, {"data": []}, (Action.READ, Outcome.RETRYABLE, "")),
    ],
)
def test_codes_refine_what_a_status_means(status: int, body: Any, expected: tuple[Action, Outcome, str]) -> None:
    """Both error envelopes are understood."""
    step = next_step(ZOOMINFO, answer(status, body), ())
    assert (step.action, step.meaning.outcome, step.meaning.reason) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, {"error": {"type": "unknown_person"}}, (Action.SETTLE, Outcome.UNMATCHED, "unknown_person")),
        (404, {"error": {"type": "unknown_route"}}, (Action.SETTLE, Outcome.REJECTED, "unknown_route")),
        (404, "not found", (Action.SETTLE, Outcome.REJECTED, "status_404")),
        (402, None, (Action.SETTLE, Outcome.QUOTA_EXHAUSTED, "no_credits")),
        (403, None, (Action.REPEAT, Outcome.RETRYABLE, "throttled")),
        (422, None, (Action.SETTLE, Outcome.INVALID_INPUT, "status_422")),
        (451, None, (Action.SETTLE, Outcome.SUPPRESSED, "barred")),
        (202, None, (Action.SETTLE, Outcome.PENDING, "queued")),
        (400, None, (Action.SETTLE, Outcome.REJECTED, "status_400")),
    ],
)
def test_another_provider_means_other_things(status: int, body: Any, expected: tuple[Action, Outcome, str]) -> None:
    """The same statuses mean what the made-up provider's spec says: 404 a miss, 403 a throttle, 402 no credits."""
    step = next_step(CARDFILE, answer(status, body), ())
    assert (step.action, step.meaning.outcome, step.meaning.reason) == expected


def test_a_throttle_by_another_status_is_a_throttle() -> None:
    """A status that a spec calls retryable holds all callers, as 429 does elsewhere."""
    assert next_step(CARDFILE, answer(403), ()).fault is Fault.THROTTLED


@pytest.mark.parametrize("status", [400, 402, 404, 422, 451])
def test_a_refusal_of_which_only_a_part_came_is_repeated(status: int) -> None:
    """A miss that is cut off could be read as a wrong address, and would stop the run."""
    step = next_step(CARDFILE, Answer(status, {}, '{"error": {"type": "unknown_re', readable=False, cut=True), ())
    assert (step.action, step.fault, step.meaning.reason) == (Action.REPEAT, Fault.UNAVAILABLE, "cut_answer")


def test_a_body_that_is_not_json_is_a_lost_answer() -> None:
    """A success that can't be read may have been billed, like one that never came."""
    step = next_step(ZOOMINFO, Answer(200, {}, '{"data": [', readable=False), ())
    assert (step.action, step.fault, step.meaning.reason) == (Action.REPEAT, Fault.LOST_ANSWER, "unreadable_answer")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("You don't have access to 'companyWebsite'", ["companyWebsite"]),
        ('Field "city" is not permitted', ["city"]),
        ("fields `city`, `state` are not permitted", ["city", "state"]),
        ("'companywebsite' is not permitted", ["companyWebsite"]),
        ("'madeUp' is not permitted", []),
        ("city is not permitted", []),
        ("", []),
    ],
)
@pytest.mark.parametrize("code", ["PFAPI0001", "PFAPI0009"])
def test_a_refusal_names_the_field_that_the_account_lacks(text: str, named: list[str], code: str) -> None:
    """Only quoted names of fields that were asked for are dropped."""
    body = {"errors": [{"code": code, "detail": text}]}
    assert refused_fields(ZOOMINFO, answer(400, body), ZOOMINFO.output_fields.names) == named
    expected = Action.DROP_FIELDS if named else Action.DOUBT
    assert next_step(ZOOMINFO, answer(400, body), ZOOMINFO.output_fields.names).action is expected


def test_the_last_field_is_not_dropped() -> None:
    """A call must ask for something: if all is refused, the run stops."""
    body = {"errors": [{"code": "PFAPI0001", "detail": "'city'"}]}
    assert next_step(ZOOMINFO, answer(400, body), ["city"]) == Step(
        Action.DOUBT, next_step(ZOOMINFO, answer(400, body), ()).meaning, fields=("city",)
    )


@pytest.mark.parametrize(
    ("body", "dropped"),
    [
        ({"errors": [{"code": "PFAPI0009", "detail": "Invalid field 'COMPANYNAME' in outputFields"}]}, ["companyName"]),
        ({"errors": [{"code": "PFAPI0005", "detail": "Invalid field requested: companyName"}]}, ["companyName"]),
        ({"errors": [{"code": "PFAPI0005", "detail": "Invalid field requested by city"}]}, []),
        ({"errors": [{"code": "PFAPI0002", "detail": "'companyName'"}]}, []),
    ],
)
def test_which_fields_a_refusal_names(body: dict[str, Any], dropped: list[str]) -> None:
    """In quotes or as no text has them by chance, in any case; what it doesn't name is another step's business."""
    step = next_step(ZOOMINFO, answer(400, body), ["id", "companyName", "city"])
    assert list(step.fields if step.action is Action.DROP_FIELDS else ()) == dropped
    assert step.action is (Action.DROP_FIELDS if dropped else Action.DOUBT)


@pytest.mark.parametrize(
    ("status", "body", "action", "fields"),
    [
        (400, {"error": "OutputFields invalid", "invalidOutputFields": ["companyname"]}, Action.DROP_FIELDS, [NAME]),
        (403, {"message": "not allowed", "invalidOutputFields": ["company.name"]}, Action.DROP_FIELDS, [NAME]),
        (400, {"error": "OutputFields invalid", "invalidOutputFields": ["other"]}, Action.DOUBT, ["id", NAME]),
        (403, {"message": "You have requested fields that are not allowed"}, Action.DOUBT, ["id", NAME]),
        (403, {"error": "You do not have access to this endpoint"}, Action.SETTLE, []),
        (200, {"error": "OutputFields invalid"}, Action.READ, []),
    ],
)
def test_a_list_of_refused_fields_has_names_of_its_own(
    status: int, body: dict[str, Any], action: Action, fields: list[str]
) -> None:
    """Under either key, in whatever case; if none is recognised, the refusal is about fields all the same."""
    step = next_step(load_spec("zoominfo_legacy"), answer(status, body), ["id", NAME])
    assert (step.action, list(step.fields)) == (action, fields)


def test_canonical_fields_are_read_with_their_types() -> None:
    """A hit's fields have canonical names and types; what is null or of a wrong type is left out."""
    company = {"name": " Acme ", "employeeCount": "3508", "primaryIndustry": [], "industries": ["Tools"], "website": ""}
    links = [{"type": "x"}, {"url": None}, {"type": "LINKED_IN", "url": "linkedin.com/in/ada/?trk=1"}]
    hit = item("a@x.example", company=company, externalUrls=links, contactAccuracyScore="95", city=None, state=5)
    reading = read_reply(ZOOMINFO, hit)
    assert reading.fields == {
        "company_name": "Acme",
        "employee_count": 3508,
        "industry": "Tools",
        "linkedin_url": "https://www.linkedin.com/in/ada",
        "title": "Clerk",
    }
    assert (reading.confidence, reading.provider_record_id) == (95.0, "id-a@x.example")


@pytest.mark.parametrize("status", ["NO_MATCH", "OPT_OUT", "INVALID_INPUT", "SOMETHING_NEW"])
def test_only_an_enriched_contact_has_fields(status: str) -> None:
    """Nothing is read of an item that is not a hit, even if it holds something; the id 0 of a miss is not an id."""
    reading = read_reply(ZOOMINFO, {**item("a@x.example", status), "attributes": {"jobTitle": "Clerk"}})
    assert (reading.fields, reading.provider_record_id, reading.confidence) == ({}, None, None)


@pytest.mark.parametrize("odd", [None, 5, "text", [], {}, {"http_status": 200}, {"meta": None}, [1, 2]])
def test_an_odd_reply_in_the_journal_is_not_an_error(odd: Any) -> None:
    """Whatever the journal holds, reading it says that it means nothing."""
    assert read_reply(ZOOMINFO, odd).outcome is Outcome.RETRYABLE


@pytest.mark.parametrize("status", [404, 422, 451])
def test_a_miss_without_an_item_is_read_again_by_its_status(status: int) -> None:
    """A reply that is an HTTP status is journalled with it, so that it means the same tomorrow."""
    missed = answer(status, {"error": {"type": "unknown_person"}})
    meaning = next_step(CARDFILE, missed, ()).meaning
    reply = settled_replies(CARDFILE, [request("a@x.example")], missed, meaning)[0]
    assert reply.outcome in CONCLUSIVE
    assert (read_reply(CARDFILE, reply.body).outcome, reply.credits) == (reply.outcome, 0.0)


def test_a_poisoned_contact_is_read_again_as_such() -> None:
    """A refusal that was blamed on one contact keeps that meaning in the journal."""
    reading = read_reply(ZOOMINFO, keepable(answer(400), PLATFORM))
    assert (reading.outcome, reading.reason) == (Outcome.INVALID_INPUT, "PFAPI0003")


def test_a_reply_carries_what_support_asks_for() -> None:
    """The version is that of the answer or else of the path, and the request id is the answer's."""
    hit = answer(200, {"data": [item("a@x.example")]}, x_request_id="r-1")
    reply = item_replies(ZOOMINFO, [request("a@x.example")], hit)[0]
    assert (reply.api_version, reply.request_id, reply.credits) == ("v1", "r-1", 1.0)
    single = answer(200, {"person": {}, "employer": {}}, x_trace="t-1", x_cardfile_version="2026-01-01")
    reply = item_replies(CARDFILE, [request("a@x.example")], single)[0]
    assert (reply.api_version, reply.request_id) == ("2026-01-01", "t-1")


@pytest.mark.parametrize("text", ["Mail ada@x.example is bad", "two words", "x" * 65, "", None, {"a": 1}])
def test_free_text_is_not_a_reason(text: Any) -> None:
    """A reason is a short code: free text might quote a person's data."""
    body = {"errors": [{"code": text}]}
    assert next_step(ZOOMINFO, answer(400, body), ()).meaning.reason == "status_400"
