"""Whatever JSON stands in a provider's answer, each spec reads it, into something or into nothing."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blocks.calls.messages import Answer
from blocks.providers.base import Request
from blocks.providers.http.interpret import item_replies, read_reply, split_items
from blocks.providers.spec.model import load_spec, spec_names
from enrichment.errors import ContractError
from enrichment.text import storable

SPECS = {name: load_spec(name) for name in spec_names()}

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["", "N/A", "1e30", "51_200", "10+", "²", "-", "https://", "linkedin.com/in/"]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
).map(storable)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path of everything in some JSON."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*path, key)
        yield from places(part, (*path, key))


def with_anything(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a body with something else in one place."""
    changed = copy.deepcopy(body)
    within = changed
    for key in path[:-1]:
        within = within[key]
    within[path[-1]] = value
    return changed


@pytest.mark.parametrize("name", SPECS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_anything_in_one_place_of_an_answer_is_read(name: str, data: st.DataObject) -> None:
    """Each contact gets one reply, and the journal's copy of each item can be read."""
    spec = SPECS[name]
    fixture = data.draw(st.sampled_from([one for one in spec.fixtures if one.status == 200 and list(places(one.body))]))
    body = with_anything(fixture.body, data.draw(st.sampled_from(list(places(fixture.body)))), data.draw(ANYTHING))
    requests = [Request(str(place), one) for place, one in enumerate(fixture.inputs)]
    answer = Answer(200, {}, body)
    replies = item_replies(spec, requests, answer)
    assert [one.key for one in replies] == [one.key for one in requests]
    try:
        items = split_items(spec, answer)
    except ContractError:
        items = []
    for item in items:
        read_reply(spec, item)
