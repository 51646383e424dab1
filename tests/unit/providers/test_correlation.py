"""Each item reaches the contact that it is about, or none."""

import random
from typing import Any

import pytest

from blocks.providers.base import Request
from blocks.providers.http.interpret import item_replies
from enrichment.records import Outcome
from tests.unit.providers.samples import CARDFILE, ZOOMINFO, answer, item, request

EMAILS = [f"p{number}@x.example" for number in range(25)]


def ask(emails: list[str], items: list[Any]) -> dict[str, tuple[Outcome, str, Any]]:
    replies = item_replies(ZOOMINFO, [request(email) for email in emails], answer(200, {"data": items}))
    assert [reply.key for reply in replies] == emails
    return {reply.key: (reply.outcome, reply.reason, reply.body) for reply in replies}


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_items_find_their_contacts(seed: int) -> None:
    """In whatever order items come, each goes to the contact whose input it echoes."""
    items = [item(email) for email in EMAILS]
    random.Random(seed).shuffle(items)
    found = ask(EMAILS, items)
    assert all(body["meta"]["input"]["emailAddress"] == email for email, (_, _, body) in found.items())


def test_case_and_blanks_of_an_echo_do_not_count() -> None:
    """An echo in another case, with other key case, or with nulls beside it, is the same input."""
    echo = {"EMAILADDRESS": " P1@X.Example", "firstName": None, "phone": ""}
    odd = {**item(None), "meta": {"matchStatus": "FULL_MATCH", "input": echo}}
    assert ask(["p0@x.example", "p1@x.example"], [odd, item("p0@x.example")])["p1@x.example"][2] == odd


def test_the_whole_echo_counts() -> None:
    """Namesakes at different companies are distinguished."""
    names = {"first_name": "Ada", "last_name": "Byron"}
    requests = [Request(company, {**names, "company_name": company}) for company in ("One", "Two")]
    items = [
        {**item(None), "id": company, "meta": {"matchStatus": "FULL_MATCH", "input": echo}}
        for company in ("Two", "One")
        for echo in [{"firstName": "ADA", "lastName": "Byron", "companyName": company}]
    ]
    replies = item_replies(ZOOMINFO, requests, answer(200, {"data": items}))
    assert [reply.body["id"] for reply in replies] == ["One", "Two"]


def test_a_missing_item_is_asked_for_again() -> None:
    """A contact without an item is reported so; the others keep theirs."""
    found = ask(EMAILS[:3], [item(EMAILS[2]), item(EMAILS[0])])
    assert found[EMAILS[1]] == (Outcome.RETRYABLE, "missing_in_answer", None)
    assert found[EMAILS[0]][0] is found[EMAILS[2]][0] is Outcome.MATCHED


def test_a_stranger_is_given_to_no_contact_but_kept() -> None:
    """An item that echoes an input never sent is journalled raw with the contact that lacks one, and not believed."""
    stranger = item("stranger@x.example")
    found = ask(EMAILS[:2], [stranger, item(EMAILS[0])])
    outcome, reason, body = found[EMAILS[1]]
    assert (outcome, reason) == (Outcome.RETRYABLE, "unreadable_answer")
    assert body == {"http_status": 200, "body": [stranger]}


def test_a_doubled_item_counts_once() -> None:
    """The first of two items with the same echo is taken; the second goes to no other."""
    first, second = item(EMAILS[0], title="first"), item(EMAILS[0], title="second")
    found = ask(EMAILS[:2], [first, second])
    assert found[EMAILS[0]][2] == first
    assert found[EMAILS[1]][:2] == (Outcome.RETRYABLE, "unreadable_answer")


def test_without_echoes_the_place_decides() -> None:
    """If the provider leaves all echoes out, as many items as contacts stand in the order of sending."""
    items = [item(None, title=str(place)) for place in range(3)]
    assert [body for _, _, body in ask(EMAILS[:3], items).values()] == items


def test_one_missing_echo_in_an_ordered_answer_is_filled_in() -> None:
    """Where all other items stand at their places, the one without an echo does too."""
    items = [item(EMAILS[0]), item(None), item(EMAILS[2])]
    assert ask(EMAILS[:3], items)[EMAILS[1]][2] == items[1]


def test_one_missing_echo_in_a_shuffled_answer_goes_to_no_contact() -> None:
    """Where another item stands at a wrong place, the place proves nothing."""
    items = [item(EMAILS[2]), item(EMAILS[1]), item(None)]
    assert ask(EMAILS[:3], items)[EMAILS[0]][:2] == (Outcome.RETRYABLE, "unreadable_answer")


def test_fewer_items_without_echoes_go_to_no_contact() -> None:
    """The place proves nothing if the counts differ."""
    found = ask(EMAILS[:3], [item(None), item(None)])
    assert {outcome for outcome, _, _ in found.values()} == {Outcome.RETRYABLE}


@pytest.mark.parametrize("body", [None, "text", [], {"data": None}, {"data": {}}, {"data": "x"}, {"rows": []}, 5])
def test_an_answer_without_a_list_is_kept_whole(body: Any) -> None:
    """What can't be split is journalled raw under each contact."""
    replies = item_replies(ZOOMINFO, [request(email) for email in EMAILS[:2]], answer(200, body))
    assert [reply.reason for reply in replies] == ["unreadable_answer"] * 2
    assert all(reply.body == {"http_status": 200, "body": body} for reply in replies)


@pytest.mark.parametrize("odd", [None, 5, "text", [], {}, {"meta": None}, {"meta": {"input": "text"}}, {"meta": []}])
def test_an_odd_item_spoils_no_other(odd: Any) -> None:
    """Whatever stands in the list, the good items are read."""
    found = ask(EMAILS[:2], [item(EMAILS[1]), odd])
    assert found[EMAILS[1]][0] is Outcome.MATCHED
    assert found[EMAILS[0]][0] is Outcome.RETRYABLE


def test_a_whole_body_is_the_item_of_a_single_contact() -> None:
    """A provider of single contacts has no list: its body is the item."""
    body = {"person": {"id": 7}, "employer": {"x": 1}}
    replies = item_replies(CARDFILE, [request("a@x.example")], answer(200, body))
    assert [(reply.outcome, reply.body, reply.credits) for reply in replies] == [(Outcome.MATCHED, body, 2.0)]
