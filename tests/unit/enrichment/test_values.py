"""What becomes of a value that a provider gives: one of the field's, or none, and why."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.fields import CONVERSIONS, SOURCES, Field
from enrichment.values import OUT_OF_RANGE, PLACEHOLDER, UNREADABLE, canonical, why_left_out


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("annual_revenue", 1_214_300_000, "", 1_214_300_000),
        ("annual_revenue", 1_214_300_000.0, "usd", 1_214_300_000),
        ("annual_revenue", 1_214_300, "thousand_usd", 1_214_300_000),
        ("annual_revenue", "1214.3", "million_usd", 1_214_300_000),
        ("annual_revenue", 0.1 + 0.2, "million_usd", 300_000),
        ("annual_revenue", 12.5, "usd", 12),
        ("annual_revenue", "$1.2 Billion", "usd", None),
        ("annual_revenue", -1, "usd", None),
        ("annual_revenue", 1e300, "million_usd", None),
        ("annual_revenue", 1e308, "million_usd", None),
        ("annual_revenue", None, "usd", None),
        ("confidence", "95", "percent", 95.0),
        ("confidence", 8, "tenth", 80.0),
        ("confidence", 0.07, "fraction", 7.0),
        ("confidence", 11, "tenth", None),
        ("confidence", True, "percent", None),
        ("employee_count", "3508", "", 3508),
        ("employee_count", "1,00,000", "", None),
        ("company_domain", "https://de.linkedin.com/company/acme", "", None),
        ("company_domain", "m.facebook.com/acme", "", None),
        ("company_domain", "https://shop.acme.example/home", "", "shop.acme.example"),
        ("employee_count", "51_200", "", None),
        ("employee_count", "11-50", "", None),
        ("employee_count", -5, "", None),
        ("employee_count", 2**70, "", None),
        ("founded_year", "1987-05-01", "", 1987),
        ("founded_year", 20, "", None),
        ("founded_year", 9999, "", None),
        ("seniority", "Director", "", "director"),
        ("seniority", "Wizard", "", None),
        ("company_name", " Acme ", "", "Acme"),
        ("company_name", 5, "", "5"),
        ("company_name", " ", "", None),
        ("company_name", True, "", None),
        ("company_name", ["a"], "", "a"),
        ("country", "Germany", "", "DE"),
        ("country", None, "", None),
        ("tech_stack", ["a", " a", None, "", "b", {}], "", ["a", "b"]),
        ("tech_stack", [], "", None),
        ("tech_stack", "a", "", ["a"]),
    ],
)
def test_a_value_becomes_canonical(name: str, value: Any, unit: str, expected: Any) -> None:
    """Form, unit, type and range are the field's; what doesn't fit is not a value."""
    found = canonical(SOURCES[name], value, unit)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1.5", 1.5), ("nan", None), ("inf", None), (True, None), (None, None), (10**400, None), ("1_0", None)],
)
def test_a_number_is_a_number(value: Any, expected: float | None) -> None:
    """Neither what Python alone reads as a number nor what no table can keep is one."""
    assert canonical(Field("x", "number", "x", "result"), value) == expected


@pytest.mark.parametrize(("value", "expected"), [("false", False), ("Yes", True), (True, True), ("maybe", None)])
def test_a_truth_value_is_read_from_words(value: Any, expected: bool | None) -> None:
    """Providers write them in several ways."""
    assert canonical(Field("x", "boolean", "x", "person"), value) is expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
)
TYPES = {"text": str, "integer": int, "number": float, "boolean": bool, "text_list": list, "datetime": str}


@given(JSON, st.sampled_from(list(SOURCES.values())))
def test_any_value_is_canonical_or_none(value: Any, field: Field) -> None:
    """Whatever a provider sends, one bad value costs one field; what is kept stays as it is when read again."""
    for unit in ("", *CONVERSIONS.get(field.unit, ())):
        found = canonical(field, value, unit)
        assert found is None or type(found) is TYPES[field.type]
        assert found is None or canonical(field, found) == found


@pytest.mark.parametrize(("name", "field"), SOURCES.items())
def test_no_contact_gets_a_list_of_another(name: str, field: Field) -> None:
    """What is remembered of a value can't be changed by who got it."""
    first, second = canonical(field, "7"), canonical(field, "7")
    assert first == second
    assert first is not second or not isinstance(first, list)


def test_a_value_that_is_none_of_the_options_is_none() -> None:
    """A field of few values takes no other."""
    field = Field("x", "text", "x", "company", options=("public", "private"))
    assert [canonical(field, value) for value in ("public", "secret")] == ["public", None]


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("employee_count", 7_900_000_000, OUT_OF_RANGE),
        ("employee_count", "1e30", OUT_OF_RANGE),
        ("employee_count", "51_200", OUT_OF_RANGE),
        ("employee_count", -1, OUT_OF_RANGE),
        ("employee_range", "51_200", OUT_OF_RANGE),
        ("confidence", 1000, OUT_OF_RANGE),
        ("title", {"not": "a text"}, UNREADABLE),
        ("phone", ["ext. 12", "US"], UNREADABLE),
        ("phone", [None, "US"], ""),
        ("phone", [False, "US"], ""),
        ("phone", ["N/A", "US"], PLACEHOLDER),
        ("employee_count", "N/A", PLACEHOLDER),
        ("employee_count", None, ""),
        ("employee_count", "", ""),
        ("employee_count", [], ""),
        ("employee_count", True, ""),
    ],
)
def test_a_value_that_is_left_out_has_a_reason(name: str, value: Any, reason: str) -> None:
    """Unless there is none: what the plan hides is true, and of a pair the one before its country counts."""
    assert why_left_out(SOURCES[name], value) == reason
