"""Refused output fields that no refusal names: found by few calls."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.providers.http.narrowing import refused_among

FIELDS = [f"field{number}" for number in range(28)]


def narrowed(refused: Sequence[str], fields: Sequence[str] = FIELDS) -> tuple[list[str], int]:
    """Return what is found, and by how many calls, where calls with refused fields don't pass."""
    calls = 0

    async def passes(asked: Sequence[str]) -> bool:
        nonlocal calls
        calls += 1
        return not set(asked) & set(refused)

    return asyncio.run(refused_among(fields, passes)), calls


@pytest.mark.parametrize(
    "refused", [FIELDS[:1], FIELDS[-1:], FIELDS[13:15], [FIELDS[0], FIELDS[20]], [FIELDS[0], FIELDS[-1]]]
)
def test_few_refused_fields_are_found_by_few_calls(refused: list[str]) -> None:
    """About twice as many as halving takes."""
    found, calls = narrowed(refused)
    assert found == refused
    assert calls <= 30


def test_it_may_be_the_form_that_is_refused() -> None:
    """If none of a few fields passes alone, nothing is narrowed down."""
    assert narrowed(FIELDS) == ([], 4)


def test_fields_that_pass_alone_may_not_pass_together() -> None:
    """Then dropping some doesn't help, and nothing is dropped."""

    async def passes(asked: Sequence[str]) -> bool:
        return len(asked) == 1

    assert asyncio.run(refused_among(FIELDS, passes)) == []


@given(st.sets(st.sampled_from(FIELDS[:8])))
def test_what_is_found_is_what_is_refused(refused: set[str]) -> None:
    """All of it, unless nothing is, or it can't be distinguished from another matter."""
    found, _ = narrowed(sorted(refused), FIELDS[:8])
    untold = {FIELDS[place] for place in (0, 2, 4, 7)} <= refused
    assert found == ([] if untold else sorted(refused))
