"""Knobs of the spec that one provider or another needs, each by itself."""

import json
from typing import Any

import pytest

from blocks.providers.base import Request
from blocks.providers.http.interpret import item_replies, miscounted, request_id
from blocks.providers.http.request import build_call
from blocks.providers.spec.auth import password
from blocks.providers.spec.expressions import Expression
from blocks.providers.spec.model import ProviderSpec, load_spec, parse_spec
from enrichment.errors import ConfigurationError
from enrichment.records import Outcome
from tests.unit.providers.samples import answer

PDL, APOLLO = load_spec("peopledatalabs"), load_spec("apollo")


def spec_with(**changes: Any) -> ProviderSpec:
    """Return People Data Labs' spec with other top-level keys."""
    value = {
        "id": "made",
        "title": "Made",
        "description": "Made up.",
        "documentation_url": "https://made.example",
        "base_url": "https://made.example",
        "auth": {"kind": "bearer"},
        "request": {"method": "GET", "path": "x", "inputs": {"email": "mail"}, "query": "$input"},
        "min_input": [["email"]],
        "outcomes": {"item": [{"when": "item", "outcome": "matched"}]},
        "rate": {"windows": [{"limit": 1, "per_seconds": 1}]},
        "fields": {},
    }
    return parse_spec(json.dumps({**value, **changes}), "made.yaml")


def test_identifiers_stand_among_constants_and_carry_a_reference() -> None:
    """Each contact of a batch has its own reference, and the options beside its identifiers."""
    call = build_call(PDL, [{"email": "a@x.example"}, {"email": "b@x.example"}], [])
    assert json.loads(call.content or b"")["requests"] == [
        {"metadata": {"reference": "0"}, "params": {"titlecase": True, "email": "a@x.example"}},
        {"metadata": {"reference": "1"}, "params": {"titlecase": True, "email": "b@x.example"}},
    ]


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        (["0", "1", "2"], ["0", "1", "2"]),
        (["2", "0", "1"], ["0", "1", "2"]),
        ([2, 1, 0], [0, 1, 2]),
        (["1", "0"], ["0", "1", None]),
        (["0", None, "2"], ["0", None, "2"]),
        ([None, None, None], [None, None, None]),
        (["0", "0", "7"], ["0", None, None]),
    ],
)
def test_a_reference_says_whose_an_item_is(references: list[Any], expected: list[Any]) -> None:
    """In whatever order; the place counts only where nothing stands at a wrong one, and strangers are no contact's."""
    requests = [Request(str(place), {"email": f"p{place}@x.example"}) for place in range(3)]
    items = [{"status": 200, "data": {"id": 1}, "metadata": {"reference": one}} for one in references]
    replies = item_replies(PDL, requests, answer(200, items))
    found = [one.body["metadata"]["reference"] if one.outcome is Outcome.MATCHED else None for one in replies]
    assert found == expected


@pytest.mark.parametrize(
    ("value", "found"), [("No Credits", True), ("no credits", True), ("other", False), (None, False), (5, False)]
)
def test_a_text_is_found_in_any_case(value: Any, found: bool) -> None:
    """`lower` takes null too, and what is not text is not found."""
    assert Expression("contains(lower(body.message), 'no credits')").holds({"body": {"message": value}}) is found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"matches": [1, 2]}, False),
        ({"matches": [1]}, True),
        ({"matches": [1, 2, 3]}, True),
        ({}, False),
        (None, False),
    ],
)
def test_places_are_worthless_if_the_count_differs(body: Any, expected: bool) -> None:
    """Only a list of another length than what was sent says so."""
    assert miscounted(APOLLO, answer(200, body), 2) is expected


@pytest.mark.parametrize(
    ("body", "expected"), [({"request_id": -4611686018427387904}, "-4611686018427387904"), ({}, ""), ("text", "")]
)
def test_a_request_id_may_stand_in_the_body(body: Any, expected: str) -> None:
    """A negative number is one too."""
    assert request_id(APOLLO, answer(200, body)) == expected


def test_a_password_goes_under_its_own_names() -> None:
    """The credentials are the body, and no header."""
    form = password({"username": "u", "password": "p"})
    assert (form.body, form.headers) == ({"username": "u", "password": "p"}, {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"correlate": {"by": "reference"}}, "by: reference needs the key echo"),
        ({"request": {"method": "GET", "path": "x", "inputs": {"email": "m"}, "item": {"$all": None}}}, "key \\$all"),
        ({"request": {"method": "GET", "path": "x", "inputs": {"email": "m"}, "body": "$reference"}}, "\\$reference"),
        ({"request_id_path": "item.id"}, "sees only body, headers, status"),
        ({"output_fields": {"refused": "item.x"}}, "sees only body, headers, status"),
        ({"addresses": "body.email"}, "sees only item"),
        ({"confidence": None, "min_confidence": 50}, "min_confidence needs the key confidence"),
        ({"min_confidence": 101}, "less than or equal to 100"),
        (
            {
                "auth": {
                    "kind": "login",
                    "path": "a",
                    "token": "t",
                    "lifetime_seconds": 1,
                    "ways": [{"plugin": "magic", "credentials": ["a"]}],
                }
            },
            "choose one of password, zoominfo_pki",
        ),
    ],
)
def test_a_wrong_knob_is_refused_when_it_is_read(changes: dict[str, Any], message: str) -> None:
    """Nothing is called before the spec is right."""
    with pytest.raises(ConfigurationError, match=message):
        spec_with(**changes)
