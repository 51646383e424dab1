"""JMESPath as our specs use it."""

from typing import Any

import pytest

from blocks.providers.spec.expressions import Expression


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a[", r"bad JMESPath 'a\['"),
        ("", "bad JMESPath ''"),
        ("startswith(a, 'b')", r"unknown JMESPath function startswith\(\); known functions: abs, "),
        ("starts_with(a)", r"starts_with\(\) takes 2 arguments, not 1"),
        ("length(a, b)", r"length\(\) takes 1 arguments, not 2"),
        ("a == null", "write the literal as `null`"),
        ("a[?b == true]", "write the literal as `true`"),
    ],
)
def test_what_could_only_fail_is_refused_at_once(text: str, complaint: str) -> None:
    """An expression that can't work is found when the spec is loaded, not in the middle of a run."""
    with pytest.raises(ValueError, match=complaint):
        Expression(text)


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (None, False),
        (False, False),
        ("", False),
        ([], False),
        ({}, False),
        (0, True),
        (0.0, True),
        (True, True),
        ("no", True),
        ([None], True),
        ({"a": None}, True),
    ],
)
def test_truth_is_that_of_jmespath(value: Any, *, holds: bool) -> None:
    """Zero is true, and all that is empty is not."""
    assert Expression("a").holds({"a": value}) is holds


@pytest.mark.parametrize("subject", [None, "text", 5, [], {"body": None}, {"body": "text"}, {"body": [1, None]}])
def test_another_type_than_expected_is_not_an_error(subject: Any) -> None:
    """A null or plain-text body makes a rule false, not a crash."""
    assert not Expression("starts_with(body.code, 'A')").holds(subject)
    assert not Expression("contains(body.errors[].code, 'A')").holds(subject)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a.b.c", {"a"}),
        ("a[?b == c].d | [0]", {"a"}),
        ("a && !b || c == `1`", {"a", "b", "c"}),
        ("contains([a.x, b[].y][], 'z')", {"a", "b"}),
        ("sort_by(a, &b)", {"a"}),
        ("@", set()),
        ("`[]`", set()),
    ],
)
def test_the_names_that_an_expression_looks_up_are_known(text: str, names: set[str]) -> None:
    """Only names in the value that it is given count, not those relative to what it found there."""
    assert Expression(text).names == names


@pytest.mark.parametrize(
    ("text", "projects"), [("a", False), ("a.b[0]", False), ("a[]", True), ("a[*].b", True), ("a[?b]", True)]
)
def test_projections_are_recognised(text: str, *, projects: bool) -> None:
    """A projection drops nulls, so it must not select the list of items."""
    assert Expression(text).projects is projects
