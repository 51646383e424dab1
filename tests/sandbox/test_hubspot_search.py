"""HubSpot: search, its operators and its limits."""

from typing import Any

import pytest

from sandbox.server import Box
from tests.sandbox.conftest import HubSpotCaller


@pytest.fixture
def three(box: Box) -> list[str]:
    """Give three contacts in a world without others."""
    box.reset(contacts=0, hubspot={"search_per_second": 1000})
    return box.world.hubspot.create(
        [
            {"email": "anna@acme.example", "city": "Oslo", "annualrevenue": "5"},
            {"email": "bert@acme.example", "city": "Bergen", "company": "Acme Inc."},
            {"email": "carl@other.example", "company": "Other"},
        ]
    )


@pytest.mark.parametrize(
    ("name", "operator", "value", "found"),
    [
        ("city", "EQ", {"value": "oslo"}, [0]),
        ("city", "NEQ", {"value": "Oslo"}, [1, 2]),
        ("city", "LT", {"value": "M"}, [1]),
        ("city", "LTE", {"value": "Bergen"}, [1]),
        ("city", "GTE", {"value": "C"}, [0]),
        ("city", "BETWEEN", {"value": "A", "highValue": "C"}, [1]),
        ("city", "IN", {"values": ["oslo", "bergen"]}, [0, 1]),
        ("city", "NOT_IN", {"values": ["oslo"]}, [1, 2]),
        ("city", "HAS_PROPERTY", {}, [0, 1]),
        ("city", "NOT_HAS_PROPERTY", {}, [2]),
        ("company", "CONTAINS_TOKEN", {"value": "acm*"}, [1]),
        ("company", "NOT_CONTAINS_TOKEN", {"value": "acme"}, [0, 2]),
        ("email", "CONTAINS_TOKEN", {"value": "other"}, [2]),
        ("createdate", "GT", {"value": "2020-01-01"}, [0, 1, 2]),
        ("lastmodifieddate", "LT", {"value": "1577836800000"}, []),
    ],
)
def test_operators(
    hubspot: HubSpotCaller,
    three: list[str],
    name: str,
    operator: str,
    value: dict[str, Any],
    found: list[int],
) -> None:
    """Each operator finds whom it should."""
    answer = hubspot.search((name, operator, value))
    assert answer.status_code == 200, answer.text
    assert [each["id"] for each in answer.json()["results"]] == [three[place] for place in found]
    assert answer.json()["total"] == len(found)


def test_groups_are_alternatives(hubspot: HubSpotCaller, three: list[str]) -> None:
    """Filters of a group must all hold, one group is enough."""
    groups = [{"filters": [{"propertyName": "city", "operator": "EQ", "value": name}]} for name in ("Oslo", "Bergen")]
    both = {"filters": [*groups[0]["filters"], *groups[1]["filters"]]}
    assert hubspot.post("/search", {"filterGroups": groups}).json()["total"] == 2
    assert hubspot.post("/search", {"filterGroups": [both]}).json()["total"] == 0
    assert hubspot.post("/search", {"query": "acme BERT"}).json()["results"][0]["id"] == three[1]


def test_sort_and_page(hubspot: HubSpotCaller, three: list[str]) -> None:
    """Results come sorted, those without the value last, page by page."""
    sorts = [{"propertyName": "city", "direction": "DESCENDING"}]
    page = hubspot.search(sorts=sorts, limit=2).json()
    assert [each["id"] for each in page["results"]] == [three[0], three[1]]
    rest = hubspot.search(sorts=sorts, limit=2, after=page["paging"]["next"]["after"]).json()
    assert [each["id"] for each in rest["results"]] == [three[2]]
    assert "paging" not in rest


def test_paging_by_id(box: Box, hubspot: HubSpotCaller) -> None:
    """Asking for ids above the last one reaches everybody, however many there are."""
    found: list[str] = []
    sorts = [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]
    while True:
        above = {"value": found[-1] if found else "0"}
        filters = ("hs_object_id", "GT", above), ("createdate", "GTE", {"value": "0"})
        page = hubspot.search(*filters, sorts=sorts, limit=50).json()
        found += [each["id"] for each in page["results"]]
        if page["total"] <= 50:
            break
    assert found == list(box.world.hubspot.contacts)


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"after": "abc"},
        {"after": "9900", "limit": 200},
        {"query": "x" * 3000},
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [{"filters": [{"propertyName": "city", "operator": "HAS_PROPERTY"}] * 7}]},
        {"filterGroups": [{"filters": [{"propertyName": "city", "operator": "HAS_PROPERTY"}] * 5}] * 4},
        {"filterGroups": [{"filters": [{"propertyName": "city", "operator": "LIKE", "value": "x"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "nothing", "operator": "EQ", "value": "x"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "city", "operator": "EQ"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "createdate", "operator": "GT", "value": "x"}]}]},
        {"filterGroups": [{"filters": [{"propertyName": "num_notes", "operator": "GT", "value": "x"}]}]},
        {"filterGroups": ["x"]},
        {"sorts": [{"propertyName": "city"}, {"propertyName": "email"}]},
    ],
)
def test_limits_of_a_search(hubspot: HubSpotCaller, body: dict[str, Any]) -> None:
    """A search that asks for too much, or for what doesn't exist, is a 400."""
    answer = hubspot.post("/search", body)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_index_lag(box: Box, hubspot: HubSpotCaller) -> None:
    """A new contact is found only after the index has caught up."""
    box.configure(hubspot={"index_lag_seconds": 30})
    box.world.hubspot.create([{"email": "late@x.example"}])
    late = ("email", "EQ", {"value": "late@x.example"})
    assert hubspot.search(late).json()["total"] == 0
    box.world.clock.advance(31)
    assert hubspot.search(late).json()["total"] == 1


def test_searches_have_a_limit_of_their_own(box: Box, hubspot: HubSpotCaller) -> None:
    """A search too many in a second meets the secondly policy, and shows no rate headers."""
    box.configure(hubspot={"search_per_second": 0})
    answer = hubspot.search()
    assert (answer.status_code, answer.json()["policyName"]) == (429, "SECONDLY")
    assert not [name for name in answer.headers if "ratelimit" in name.lower()]
    box.configure(hubspot={"search_per_second": 5})
    assert not [name for name in hubspot.search().headers if "ratelimit" in name.lower()]
