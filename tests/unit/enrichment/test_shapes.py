"""What documents are made of, and since when."""

import pytest

from enrichment.shapes import MOST_FEATURES, ReadPaths, Shapes


def shapes(*documents: tuple[str, object]) -> Shapes:
    found = Shapes()
    for day, document in documents:
        found.add(document, day)
    return found


def test_lists_are_transparent_and_blank_values_are_none() -> None:
    """A path goes through lists; null, an empty text and an empty object are no values."""
    found = shapes(("1", {"a": [{"b": [1]}, {"b": ["x"]}], "c": None, "d": "", "e": {}, "f": [[True]]}))
    assert found.paths == [("a", "b"), ("f",)]
    assert found.kinds(("a", "b")) == {"list of number", "list of text"}
    assert found.kinds(("f",)) == {"list of list of true or false"}
    assert found.kinds(("a",)) == {"list of object"}
    assert found.expression(("a", "b")) == "a[].b"
    assert found.expression(("a", "b"), ("a",)) == "b"


def test_keys_that_are_no_names_are_not_kept() -> None:
    """Addresses and ids as keys say something of people."""
    found = shapes(("1", {"ada@firm.example": {"x": 1}, "501": {"x": 2}}))
    assert found.paths == [("*", "x")]


def test_what_is_too_much_is_cut() -> None:
    """Documents with ever new names take no more memory."""
    found = Shapes()
    for number in range(2):
        found.add({f"k{number}_{one}": 1 for one in range(MOST_FEATURES)}, "1")
    assert found.cut
    assert len(found.paths) == MOST_FEATURES
    assert found.total == 2


@pytest.mark.parametrize(
    ("before", "since", "new"), [(12, 12, True), (2, 2, False), (0, 24, False), (400, 1, True), (1, 400, False)]
)
def test_new_is_what_chance_does_not_explain(before: int, since: int, new: bool) -> None:
    """Some documents without it, and then all with it."""
    found = shapes(*[("1", {"a": 1})] * before, *[("2", {"a": 1, "b": 1})] * since)
    trace = found.trace(("b",))
    assert trace
    assert trace.is_new is new
    assert (trace.count, trace.first, trace.before, trace.since) == (since, "2", before, since)
    assert not trace.is_gone


def test_a_rare_path_is_neither_new_nor_gone() -> None:
    """One document in twenty has it, so that its absence on a day says nothing."""
    rare = [("2", {"a": 1, "b": 1})] + [("2", {"a": 1})] * 19
    trace = shapes(*[("1", {"a": 1})] * 20, *rare, *[("3", {"a": 1})] * 20).trace(("b",))
    assert trace
    assert not trace.is_new
    assert not trace.is_gone


def test_gone_is_what_was_there_until_a_day() -> None:
    """All had it, and then none, in whatever order they come."""
    found = shapes(*[("2", {"a": 1})] * 12, *[("1", {"a": 1, "b": "x"})] * 12)
    trace = found.trace(("b",))
    assert trace
    assert trace.is_gone
    assert trace == found.trace(("b",), "text")
    assert found.trace(("b",), "number") is None
    assert found.trace(("z",)) is None


def test_rules_cover_what_they_look_at_and_what_they_take_whole() -> None:
    """Objects on the way, the value, and all of an object that is taken; any name matches a star."""
    read = ReadPaths(
        {"tech_stack": frozenset({("company", "tech")})}, frozenset({("company", "tech"), ("all", "*", "x")})
    )
    for path in (("company",), ("company", "tech"), ("company", "tech", "name"), ("all", "k", "x")):
        assert read.covers(path)
    for path in (("company", "size"), ("all", "k", "y"), ("tech",)):
        assert not read.covers(path)
