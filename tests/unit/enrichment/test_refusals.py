"""What is kept of refused values, and what people read of them."""

import pytest

from enrichment.fields import SOURCES
from enrichment.records import Enrichment
from enrichment.refusals import (
    RefusedField,
    kept,
    left_out,
    refusals_by_field,
    refused_fields,
    refused_line,
)
from enrichment.write_policy import FieldRule, Refusal, Rule

RULES = [FieldRule(name, name, Rule.ALWAYS) for name in SOURCES]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        *((name, True) for name in ("industry", "company_name", "tech_stack", "employee_range", "confidence")),
        *((name, True) for name in ("seniority", "department", "country", "state")),
        *((name, False) for name in ("first_name", "last_name", "title", "phone", "mobile_phone", "linkedin_url")),
        ("city", False),
        ("a field that no rule maps", False),
    ],
)
def test_no_personal_value_is_kept(source: str, shown: bool) -> None:
    """Words about the company, or that many people share, may stand in figures; others are left out."""
    assert kept([Refusal(source, "too_long", "words")], RULES) == (Refusal(source, "too_long", "words" * shown),)


def test_a_refusal_by_the_users_own_rule_is_not_a_problem() -> None:
    """It is neither kept nor counted, and a long value is cut."""
    policy = [Refusal("industry", reason) for reason in ("never", "fill_blank", "if_newer", "protected")]
    long = Refusal("company_name", "too_long", "x" * 1_000)
    assert kept([*policy, long], RULES) == (Refusal("company_name", "too_long", "x" * 200),)


def test_rows_become_figures() -> None:
    """One for each field and reason, in the rows' order; a value that isn't kept has no name."""
    rows = [
        ("industry", "not_an_option", "Mining", 3, 5),
        ("industry", "not_an_option", "Farming", 2, 5),
        ("phone", "too_long", None, 4, 4),
        ("industry", "too_long", None, 1, 1),
    ]
    assert refused_fields(rows) == [
        RefusedField("industry", "not_an_option", 5, (("Mining", 3), ("Farming", 2))),
        RefusedField("phone", "too_long", 4),
        RefusedField("industry", "too_long", 1),
    ]


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (
            RefusedField("industry", "not_an_option", 1_412, (("Mining", 1_000), ("Farming", 412)), 2_000),
            "industry: 1,412 of 2,000 values not in hubspot's list; the most frequent: Mining (1,000), Farming (412)",
        ),
        (
            RefusedField("industry", "not_an_option", 3, (("Mining", 3),), 3),
            "industry: 3 values not in hubspot's list; the value: Mining (3)",
        ),
        (RefusedField("phone", "too_long", 4), "phone: 4 values longer than hubspot's field allows"),
        (
            RefusedField("enr_x", "no_such_field", 400, (), 400),
            "enr_x: hubspot has no such field; 400 values were not written",
        ),
        (RefusedField("phone", "too_long", 1, (), 1), "phone: 1 value longer than hubspot's field allows"),
        (
            RefusedField("enr_x", "read_only", 1),
            "enr_x: hubspot doesn't let this field be written; 1 value was not written",
        ),
        (RefusedField("State", "field_odd", 2), "State: 2 values refused by hubspot (field_odd)"),
    ],
)
def test_a_line_says_field_count_reason_and_values(one: RefusedField, line: str) -> None:
    """What holds for the whole field is said once, without its values."""
    assert refused_line(one, "hubspot") == line


def test_the_reasons_of_a_field_stand_together() -> None:
    """A field has one line in a table."""
    found = refusals_by_field([RefusedField("a", "too_long", 2), RefusedField("a", "read_only", 1)], "hubspot")
    assert list(found) == ["a"]
    assert found["a"].count("; ") == 2


def test_the_share_is_of_the_values_that_were_to_be_written() -> None:
    """Without a known number of them, all were refused."""
    assert RefusedField("a", "too_long", 1, planned=4).share == 0.25
    assert RefusedField("a", "too_long", 1).share == 1.0


def test_a_figure_that_was_left_out_is_a_refusal_of_its_fields() -> None:
    """Unless another provider has the figure, or the field is never written."""
    out = dict.fromkeys(("employee_count", "founded_year", "annual_revenue"), "out_of_range") | {"title": "placeholder"}
    found = Enrichment("apollo", None, None, {"founded_year": 1999}, "2026-01-01T00:00:00Z", out)
    rules = [*RULES, FieldRule("never", "employee_count", Rule.NEVER)]
    refused = [Refusal("annual_revenue", "out_of_range"), Refusal("employee_count", "out_of_range")]
    assert sorted(left_out(rules, found), key=lambda one: one.field) == refused
