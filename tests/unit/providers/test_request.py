"""Calls as they go over the wire."""

import json

import pytest

from blocks.providers.http.request import build_call, provider_input
from blocks.providers.spec.model import load_spec, parse_spec
from tests.unit.providers.samples import CARDFILE, ZOOMINFO


def test_a_batch_is_built_from_the_template() -> None:
    """ZoomInfo gets one list of inputs, under its own names, and the output fields."""
    inputs = [
        provider_input(ZOOMINFO, {"email": "a@x.example"}),
        provider_input(ZOOMINFO, {"first_name": "Ada", "last_name": "Byron", "company_name": "Engines"}),
    ]
    call = build_call(ZOOMINFO, inputs, ["id", "city"])
    assert (call.method, call.path, call.query) == ("POST", "data/v1/contacts/enrich", {})
    assert call.headers == {"Accept": "application/vnd.api+json", "Content-Type": "application/vnd.api+json"}
    people = [{"emailAddress": "a@x.example"}, {"firstName": "Ada", "lastName": "Byron", "companyName": "Engines"}]
    assert json.loads(call.content or b"") == {
        "data": {"type": "ContactEnrich", "attributes": {"matchPersonInput": people, "outputFields": ["id", "city"]}}
    }


def test_empty_values_are_left_out() -> None:
    """Neither an empty identifier nor an empty part of the template is sent."""
    assert provider_input(ZOOMINFO, {"email": "a@x.example", "first_name": "", "shoe_size": "9"}) == {
        "emailAddress": "a@x.example"
    }
    call = build_call(ZOOMINFO, [{"emailAddress": "a@x.example"}], [])
    assert "outputFields" not in json.loads(call.content or b"")["data"]["attributes"]


def test_letters_beyond_ascii_arrive() -> None:
    """Names are sent as UTF-8."""
    call = build_call(ZOOMINFO, [{"firstName": "Žofie"}], ["id"])
    assert "Žofie" in (call.content or b"").decode()


def test_a_single_contact_goes_into_the_query() -> None:
    """A GET has no body and no content type."""
    call = build_call(CARDFILE, [{"mail": "a+b@x.example"}], ["id"])
    assert (call.method, call.query, call.content) == ("GET", {"mail": "a+b@x.example"}, None)
    assert call.headers == {"Accept": "application/json", "API-Version": "2026-01-01"}


def test_wrapped_items_and_fields_in_the_query() -> None:
    """Each contact may be wrapped, and a list in the query is joined by commas."""
    spec = parse_spec(
        """
id: bulk
title: Bulk
description: Made up.
documentation_url: https://bulk.example
base_url: https://bulk.example
auth: {kind: bearer}
request:
  method: POST
  path: bulk
  inputs: {email: email}
  item: {params: $input}
  body: {requests: $items}
  query: {include: $output_fields, pretty: 0}
batch: {max: 50}
min_input: [[email]]
items: "@"
outcomes: {item: [{when: item, outcome: matched}]}
rate: {windows: [{limit: 1, per_seconds: 1}]}
fields: {}
""",
        "bulk.yaml",
    )
    call = build_call(spec, [{"email": "a"}, {"email": "b"}], ["x", "y"])
    assert call.query == {"include": "x,y", "pretty": "0"}
    assert json.loads(call.content or b"") == {"requests": [{"params": {"email": "a"}}, {"params": {"email": "b"}}]}


@pytest.mark.parametrize(("limit", "sent"), [(0, None), (1, 1), (50, 5), (51, 6), (100, 10)])
def test_the_least_confidence_is_sent_on_the_provider_s_own_scale(limit: float, sent: int | None) -> None:
    """In whole numbers, never fewer than the limit; without one, or without a scale, nothing is sent."""
    pdl = load_spec("peopledatalabs")
    call = build_call(pdl, [{"email": "a@x.example"}], [], limit)
    params = json.loads(call.content or b"")["requests"][0]["params"]
    assert params.get("min_likelihood") == sent
    bare = pdl.model_copy(update={"confidence": None})
    params = json.loads(build_call(bare, [{"email": "a@x.example"}], [], limit).content or b"")["requests"][0]["params"]
    assert "min_likelihood" not in params
