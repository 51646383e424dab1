"""Several providers one after the other."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from enrichment.records import Enrichment
from enrichment.waterfall import complete, is_complete, lacking, merge, unite


def known(provider: str, received_at: str = "2026-11-01T00:00:00.000Z", **fields: object) -> Enrichment:
    return Enrichment(provider, f"{provider}-7", 90.0, fields, received_at)


@pytest.mark.parametrize(
    ("found", "required", "missing"),
    [
        ([], ("industry",), {"industry"}),
        ([known("a", industry="Software")], ("industry",), set()),
        ([known("a", industry="")], ("industry",), {"industry"}),
        ([known("a", tech_stack=[])], ("tech_stack", "industry"), {"tech_stack", "industry"}),
        ([known("a", industry="Software"), known("b", tech_stack=["x"])], ("tech_stack", "industry"), set()),
        ([known("a")], (), set()),
    ],
)
def test_a_field_is_lacking_until_some_provider_fills_it(
    found: list[Enrichment], required: tuple[str, ...], missing: set[str]
) -> None:
    """Blank values fill nothing."""
    assert lacking(found, required) == missing
    assert is_complete(found, required) == (bool(found) and not missing)


def test_of_one_provider_nothing_changes() -> None:
    """A single reply is stored as it is, without a list of sources."""
    only = known("a", industry="Software")
    assert merge([only]) is only


def test_the_first_provider_that_has_a_field_gives_it() -> None:
    """Later ones fill gaps, replace nothing, and every field says whose it is."""
    first = known("a", "2026-11-02T00:00:00.000Z", industry="Software", company_name="", tech_stack=None)
    second = known("b", "2026-11-03T00:00:00.000Z", industry="Media", company_name="Acme")
    merged = merge([first, second])
    assert merged.fields == {
        "industry": "Software",
        "company_name": "Acme",
        "sources": {"industry": "a", "company_name": "b"},
    }
    assert (merged.provider, merged.provider_record_id, merged.received_at) == ("a", "a-7", "2026-11-03T00:00:00.000Z")


def test_a_follow_up_fills_gaps_and_says_by_which_requests() -> None:
    """What the contact's own reply says stays; the time is the latest reply's; the keys lead to the journal."""
    first = known("a", "2026-11-02T00:00:00.000Z", industry="Software", tech_stack=[])
    added = {"tech_stack": ["x"], "industry": "Media", "revenue": None}
    after = complete(first, "tech", added, ["k1"], "2026-11-03T00:00:00.000Z")
    assert after.fields == {"industry": "Software", "tech_stack": ["x"], "follow_ups": {"a": {"tech": ["k1"]}}}
    assert (after.received_at, after.provider_record_id) == ("2026-11-03T00:00:00.000Z", "a-7")
    more = complete(after, "intent", {"intent_keywords": ["y"]}, ["k2", "k3"], "2026-11-01T00:00:00.000Z")
    assert more.fields["follow_ups"] == {"a": {"tech": ["k1"], "intent": ["k2", "k3"]}}
    assert more.received_at == "2026-11-03T00:00:00.000Z"


def test_a_follow_up_without_an_answer_changes_nothing() -> None:
    """Neither the time nor the fields."""
    first = known("a", industry="Software")
    assert complete(first, "tech", {}, [], "") is first


def test_follow_ups_of_several_providers_are_kept_together() -> None:
    """Each under its provider, and no field that needs a source."""
    first = complete(known("a", industry="Software"), "tech", {"tech_stack": ["x"]}, ["k1"], "")
    second = complete(known("b", title="CTO"), "tech", {"tech_stack": ["y"]}, ["k2"], "")
    merged = merge([first, second])
    assert merged.fields == {
        "industry": "Software",
        "tech_stack": ["x"],
        "title": "CTO",
        "follow_ups": {"a": {"tech": ["k1"]}, "b": {"tech": ["k2"]}},
        "sources": {"industry": "a", "tech_stack": "a", "title": "b"},
    }


@pytest.mark.parametrize(
    ("pages", "fields"),
    [
        ([], {}),
        ([{"a": ["x"]}], {"a": ["x"]}),
        ([{"a": ["x", "y"]}, {"a": ["y", "z"]}, {}], {"a": ["x", "y", "z"]}),
        ([{}, {"a": ["x"], "b": 1}, {"b": 2}], {"a": ["x"], "b": 1}),
    ],
)
def test_the_lists_of_several_pages_are_one(pages: list[Mapping[str, Any]], fields: dict[str, Any]) -> None:
    """Each value once, in the order of the pages; of other values the first counts."""
    assert unite(pages) == fields


def test_what_one_provider_could_not_say_another_one_may() -> None:
    """A value that was left out counts only if no provider has filled the field."""
    first = replace(known("a", title="CTO"), left_out={"industry": "placeholder", "employee_count": "unreadable"})
    assert merge([first, known("b", industry="Software")]).left_out == {"employee_count": "unreadable"}
