"""What a compiled expression finds is what the library's own interpreter finds."""

import gc
import re
from collections.abc import Iterable
from typing import Any

import jmespath
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathTypeError

from blocks.providers.spec.expressions import FUNCTIONS, Expression
from blocks.providers.spec.model import load_spec, spec_names

SPECS = [load_spec(name) for name in spec_names()]
EXPRESSIONS = sorted({one.text for one in gc.get_objects() if isinstance(one, Expression)})
FURTHER = [
    *("a[0].b", "a.b.c || d", "!a", "a && b == `1`", "a == `true`", "a > `1`", "a[?b].c", "a.[b, c]", "a | [0]"),
    *("sum(a)", "sort(a)", "contains(a, 'b')", "join(b, a)", "a[?starts_with(b, c)]", "[a, b][?sum(a) > `1`]"),
    *("max_by(a, &b)", "sort_by(a, &b)[0]", "map(&b, a)", "to_number(a)", "ceil(a)", "reverse(a)", "keys(a)", "min(a)"),
]
NAMES = sorted({name for text in [*EXPRESSIONS, *FURTHER] for name in re.findall(r"[A-Za-z_]\w*", text)})
WORDS = sorted({word for text in EXPRESSIONS for word in re.findall(r"'([^']*)'", text)})

COMPILED = {text: Expression(text) for text in [*EXPRESSIONS, *FURTHER]}

LEAVES = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | st.sampled_from(["", *WORDS])
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=30,
)


def interpreted(text: str, value: Any) -> Any:
    """Return what the library finds."""
    try:
        return jmespath.compile(text).search(value, options=jmespath.Options(custom_functions=FUNCTIONS))
    except (JMESPathTypeError, TypeError, OverflowError):
        return None


def test_there_are_expressions_to_try() -> None:
    """The specs' own expressions are found."""
    assert len(EXPRESSIONS) > 100


def check(texts: Iterable[str], value: Any) -> None:
    for text in texts:
        found, wanted = COMPILED[text].find(value), interpreted(text, value)
        assert (found, type(found)) == (wanted, type(wanted)), text


@settings(max_examples=60, deadline=None)
@given(value=JSON)
def test_any_json_is_found_alike(value: Any) -> None:
    """Every expression of every spec finds the same in any JSON, in type too."""
    check(COMPILED, value)


@settings(max_examples=500, deadline=None)
@example(value={"a": float("inf"), "b": [], "c": []})
@given(value=st.fixed_dictionaries({name: JSON | st.lists(LEAVES, max_size=3) for name in "abc"}))
def test_every_kind_of_node_finds_alike(value: Any) -> None:
    """So do expressions of every kind, functions included, whatever types their arguments had before."""
    check(FURTHER, value)


@pytest.mark.parametrize("spec", SPECS, ids=[spec.id for spec in SPECS])
def test_recorded_answers_are_found_alike(spec: Any) -> None:
    """Every expression finds the same in an answer that a spec records, and in the items of its body."""
    for fixture in spec.fixtures:
        seen = {"status": fixture.status, "headers": dict(fixture.headers), "body": fixture.body}
        items = spec.items.find(fixture.body) if spec.items else [fixture.body]
        for value in (seen, *({"item": item} for item in items or ())):
            for expression in COMPILED.values():
                assert expression.find(value) == interpreted(expression.text, value), expression.text
