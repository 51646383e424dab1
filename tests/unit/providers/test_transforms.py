"""Values become canonical, or are no value."""

from collections.abc import Callable
from typing import Any

import pytest

from blocks.providers.spec import transforms


@pytest.mark.parametrize(
    ("transform", "value", "expected"),
    [
        (transforms.linkedin_url, "https://uk.linkedin.com/in/ada/", "https://www.linkedin.com/in/ada"),
        (transforms.linkedin_url, "http://www.linkedin.com/in/ada?a=1#b", "https://www.linkedin.com/in/ada"),
        (transforms.linkedin_url, "LinkedIn.com/in/Ada", "https://www.linkedin.com/in/Ada"),
        (transforms.linkedin_url, "https://notlinkedin.com/in/ada", None),
        (transforms.linkedin_url, "https://www.linkedin.com/", None),
        (transforms.linkedin_url, ["x"], None),
        (transforms.linkedin_handle, "in/ada", "https://www.linkedin.com/in/ada"),
        (transforms.linkedin_handle, "ada-b%C3%BCrger", "https://www.linkedin.com/in/ada-b%C3%BCrger"),
        (transforms.linkedin_handle, "/company/acme/", "https://www.linkedin.com/company/acme"),
        (transforms.linkedin_handle, "https://uk.linkedin.com/in/ada", "https://www.linkedin.com/in/ada"),
        (transforms.linkedin_handle, " ", None),
        (transforms.linkedin_handle, "Ada Byron", None),
        (transforms.least_of_range, "11-50", 11),
        (transforms.least_of_range, "1K-5K", 1000),
        (transforms.least_of_range, "10,001+", 10_001),
        (transforms.least_of_range, " 1 \u2013 10", 1),
        (transforms.least_of_range, "250", 250),
        (transforms.least_of_range, 42, 42),
        (transforms.least_of_range, "2 or 3", None),
        (transforms.least_of_range, "unknown", None),
        (transforms.least_of_range, True, None),
        (transforms.website, "www.acme.example", "https://www.acme.example"),
        (transforms.website, "http://acme.example/", "http://acme.example"),
        (transforms.website, "not known", None),
        (transforms.website, " ", None),
        (transforms.first, ["a", "b"], "a"),
        (transforms.first, [], None),
        (transforms.first, "a", "a"),
        (transforms.text, " a ", "a"),
        (transforms.text, " ", None),
        (transforms.text, 5, "5"),
        (transforms.text, True, None),
        (transforms.text, ["a"], None),
        (transforms.number, "1.5", 1.5),
        (transforms.number, "nan", None),
        (transforms.number, "inf", None),
        (transforms.number, True, None),
        (transforms.number, None, None),
        (transforms.integer, "3508", 3508),
        (transforms.integer, 3508.0, 3508),
        (transforms.integer, 2**70, 2**70),
        (transforms.integer, "1.5", None),
        (transforms.integer, "1,000 - 5,000", None),
        (transforms.integer, False, None),
        (transforms.boolean, "false", False),
        (transforms.boolean, "Yes", True),
        (transforms.boolean, True, True),
        (transforms.boolean, "maybe", None),
        (transforms.text_list, ["a", " a", None, "", "b", {}], ["a", "b"]),
        (transforms.text_list, [], None),
        (transforms.text_list, "a", None),
    ],
)
def test_a_value_becomes_canonical(transform: Callable[[Any], Any], value: Any, expected: Any) -> None:
    """Each transform and type gives the canonical value, or None where there is none."""
    assert transform(value) == expected
