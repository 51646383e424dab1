"""Sizes: one strict reading of counts and ranges; what can be read in two ways is none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.fields import FIELDS
from enrichment.forms import count, size_range
from enrichment.values import canonical

#: What a provider gives, and what it means: a number of people, or a range.
SIZES: tuple[tuple[Any, int | None, str | None], ...] = (
    (250, 250, None),
    (250.0, 250, None),
    ("250", 250, None),
    ("3,508", 3508, None),
    ("3'508", 3508, None),
    ("1,234,567", 1_234_567, None),
    ("3508.0", 3508, None),
    ("1.5K", 1500, None),
    ("50 employees", 50, None),
    ("25 to 50", None, "25-50"),
    ("11-50", None, "11-50"),
    ("11 \u2013 50", None, "11-50"),
    ("11\u201050", None, "11-50"),
    ("1,000-5,000 employees", None, "1000-5000"),
    ("1K-5K", None, "1000-5000"),
    ("251-1K", None, "251-1000"),
    ("100K+", None, "100000+"),
    ("10,001+", None, "10001+"),
    ("500 or more", None, "500+"),
    ("Over 10,000", None, "10001+"),
    ("at least 500", None, "500+"),
    ("<10", None, "1-9"),
    ("up to 10", None, "1-10"),
    ("51_200", None, None),
    ("1001_5000", None, None),
    (-1, None, None),
    ("-1", None, None),
    (0, None, None),
    ("0", None, None),
    ("0+", None, None),
    ("0-0", None, None),
    ("3.508", None, None),
    (3.508, None, None),
    ("1.000-5.000", None, None),
    ("1,00", None, None),
    ("10,00,000", None, None),
    ("1-5K", None, None),
    ("201 500", None, None),
    ("50-11", None, None),
    ("007", None, None),
    ("1e5", None, None),
    ("0x10", None, None),
    ("\u0661\u0662", None, None),
    ("Nov-50", None, None),
    ("2026-11-50", None, None),
    ("~50", None, None),
    ("about 50", None, None),
    ("N/A", None, None),
    (True, None, None),
    (7_900_000_000, None, None),
    ("99999999999", None, None),
    ("1-99999999999", None, None),
    (10**30, None, None),
    (float("inf"), None, None),
    (float("nan"), None, None),
    ([11, 50], None, None),
    ({"min": 11, "max": 50}, None, None),
)


@pytest.mark.parametrize(("value", "people", "span"), SIZES)
def test_a_size_is_read_for_certain_or_not_at_all(value: Any, people: int | None, span: str | None) -> None:
    """A number where it is one, a range where it is one, and nothing else."""
    assert canonical(FIELDS["employee_count"], value) == people
    assert canonical(FIELDS["employee_range"], value) == span


@given(st.text() | st.from_regex(r"[0-9kKmM,.+<> _-]{1,9}", fullmatch=True) | st.integers() | st.floats())
def test_a_size_that_was_read_stays_as_it_is(value: Any) -> None:
    """It is never a number and a range at once, never less than one person, and the same when read again."""
    people, span = count(value), size_range(value)
    assert people is None or span is None
    assert people is None or (people >= 1 and count(people) == count(str(people)) == people)
    assert span is None or size_range(span) == span
