"""Several providers one after the other."""

import pytest

from enrichment.records import Enrichment
from enrichment.waterfall import is_complete, lacking, merge


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
