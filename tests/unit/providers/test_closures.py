"""What a compiled expression finds is what the library's own interpreter finds."""

import gc
import re
from typing import Any

import jmespath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathTypeError

from blocks.providers.spec.expressions import FUNCTIONS, Expression
from blocks.providers.spec.model import load_spec, spec_names

SPECS = [load_spec(name) for name in spec_names()]
EXPRESSIONS = sorted({one.text for one in gc.get_objects() if isinstance(one, Expression)})
NAMES = sorted({name for text in EXPRESSIONS for name in re.findall(r"[A-Za-z_]\w*", text)})
WORDS = sorted({word for text in EXPRESSIONS for word in re.findall(r"'([^']*)'", text)})
FURTHER = ["a[0].b", "a.b.c || d", "!a", "a && b == `1`", "a == `true`", "a > `1`", "a[?b].c", "a.[b, c]", "a | [0]"]

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
    except JMESPathTypeError:
        return None


def test_there_are_expressions_to_try() -> None:
    """The specs' own expressions are found."""
    assert len(EXPRESSIONS) > 100


@settings(max_examples=60, deadline=None)
@given(value=JSON)
def test_any_json_is_found_alike(value: Any) -> None:
    """Every expression of every spec finds the same in any JSON, in type too."""
    for text, expression in COMPILED.items():
        found, wanted = expression.find(value), interpreted(text, value)
        assert (found, type(found)) == (wanted, type(wanted)), text


@pytest.mark.parametrize("spec", SPECS, ids=[spec.id for spec in SPECS])
def test_recorded_answers_are_found_alike(spec: Any) -> None:
    """Every expression finds the same in an answer that a spec records, and in the items of its body."""
    for fixture in spec.fixtures:
        seen = {"status": fixture.status, "headers": dict(fixture.headers), "body": fixture.body}
        items = spec.items.find(fixture.body) if spec.items else [fixture.body]
        for value in (seen, *({"item": item} for item in items or ())):
            for expression in COMPILED.values():
                assert expression.find(value) == interpreted(expression.text, value), expression.text
