"""What specs may do to values by name."""

from collections.abc import Callable
from typing import Any

import pytest

from blocks.providers.spec import transforms


@pytest.mark.parametrize(
    ("transform", "value", "expected"),
    [
        (transforms.linkedin_handle, "in/ada", "https://www.linkedin.com/in/ada"),
        (transforms.linkedin_handle, "ada-b%C3%BCrger", "https://www.linkedin.com/in/ada-b%C3%BCrger"),
        (transforms.linkedin_handle, "/company/acme/", "https://www.linkedin.com/company/acme"),
        (transforms.linkedin_handle, "https://uk.linkedin.com/in/ada", "https://www.linkedin.com/in/ada"),
        (transforms.linkedin_handle, " ", None),
        (transforms.linkedin_handle, "Ada Byron", None),
        (transforms.words, "human_resources", "Human Resources"),
        (transforms.words, "engineering", "Engineering"),
        (transforms.words, True, None),
        (transforms.first, ["a", "b"], "a"),
        (transforms.first, [], None),
        (transforms.first, "a", "a"),
    ],
)
def test_a_value_is_transformed(transform: Callable[[Any], Any], value: Any, expected: Any) -> None:
    """Each transform gives the value that the vocabulary reads, or None where there is none."""
    assert transform(value) == expected
