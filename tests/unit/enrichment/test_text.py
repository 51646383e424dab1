"""What every warehouse can store, whatever comes from outside."""

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.text import MOST_BYTES, MOST_LEVELS, UnreadableError, read_json, repaired, storable, storable_text

CHARACTERS = st.characters(exclude_categories=()) | st.sampled_from(["\0", "\ud83d", "\ude00", "😀"])
TEXTS = st.text(CHARACTERS, max_size=8)
NUMBERS = st.integers() | st.floats() | st.integers(2**63 - 2, 2**65)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("Growth \ud83d", "Growth "),
        ("\ude00Ada", "Ada"),
        ("\ud83d\ude00 joined", "😀 joined"),
        ("Acme\0 Ltd", "Acme Ltd"),
        ("\0", ""),
        ("plain, 😀 and �", "plain, 😀 and �"),
    ],
)
def test_a_text_loses_only_what_no_engine_stores(text: str, stored: str) -> None:
    """NUL and half emojis go; halves that stand side by side are one character."""
    assert storable_text(text) == stored


@pytest.mark.parametrize(
    ("body", "value", "repairs"),
    [
        (
            rb'{"a": {"b": ["Growth \ud83d"]}}',
            {"a": {"b": ["Growth "]}},
            ["a character that can't be stored at a.b.[]"],
        ),
        (rb'{"a\u0000": "\u0000"}', {"a": ""}, ["a character that can't be stored at ?"]),
        (b'{"a": "x\ty\0"}', {"a": "x\ty"}, ["a character that can't be stored at a"]),
        (b'{"a": "\xed\xa0\xbd", "b": 1}', {"a": "", "b": 1}, ["a character that can't be stored at a"]),
        (b"[NaN, Infinity, -Infinity, 1e400, 1]", [None] * 4 + [1], ["a number that is none at []"]),
        (b'{"n": 9223372036854775808}', {"n": "9223372036854775808"}, ["a number beyond 64 bits at n"]),
        (b'{"n": 9223372036854775807}', {"n": 9223372036854775807}, []),
        (b"1" + b"0" * 30, "1" + "0" * 30, ["a number beyond 64 bits at the top"]),
        (b'{"n": ' + b"7" * 5000 + b"}", {"n": "7" * 5000}, []),
        (b'{"a": 1, "a": 2}', {"a": 2}, []),
        ('{"a": "Zoë 😀"}'.encode("utf-16"), {"a": "Zoë 😀"}, []),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}, []),
        (b"null", None, []),
    ],
)
def test_json_is_read_as_it_can_be_stored(body: bytes, value: Any, repairs: list[str]) -> None:
    """Odd characters and numbers cost one value, and what was left out is said by place, not by content."""
    parsed = read_json(body)
    assert parsed.value == value
    assert list(parsed.repairs) == repairs


def test_a_declared_charset_counts_and_an_undeclared_one_is_not_guessed() -> None:
    """Latin-1 is read where the sender declares it."""
    body = '{"a": "Müller"}'.encode("latin-1")
    assert read_json(body, "iso-8859-1").value == {"a": "Müller"}
    for charset in ("", "utf-8", "no-such-charset"):
        with pytest.raises(UnreadableError, match="not_json"):
            read_json(body, charset)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": "b', b'{"a": "\xff"}', b"[" * 5000, b"[" * 50, b"\xff\xfe\0"])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    """A cut text, a page, other bytes and endless brackets are all refused alike."""
    with pytest.raises(UnreadableError, match="not_json"):
        read_json(body)


def test_a_body_that_is_too_long_is_refused() -> None:
    """It isn't even decoded."""
    with pytest.raises(UnreadableError, match="too_long"):
        read_json(b" " * (MOST_BYTES + 1))


@pytest.mark.parametrize("levels", [MOST_LEVELS + 1, MOST_LEVELS + 2, 5000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"x]":', "}")])
def test_deep_nesting_costs_only_what_lies_too_deep(levels: int, opening: str, closing: str) -> None:
    """A neighbour of the nest is read, and the nest keeps its upper levels."""
    nest = opening * levels + "1" + closing * levels
    parsed = read_json(f'{{"a": "[", "deep": {nest}, "b": [2]}}')
    assert (parsed.value["a"], parsed.value["b"]) == ("[", [2])
    assert parsed.repairs == ("deep nesting at the top",)
    assert storable(parsed.value) == parsed.value
    shallow = opening * (MOST_LEVELS - 1) + "1" + closing * (MOST_LEVELS - 1)
    assert read_json(f"[{shallow}]").repairs == ()


def test_only_the_first_places_are_named() -> None:
    """A body full of them doesn't fill the log."""
    assert len(repaired({f"f{place}": "\0" for place in range(50)}).repairs) == 10


@given(VALUES)
def test_what_is_storable_stays_as_it_is_and_every_engine_takes_its_json(value: Any) -> None:
    """Cleaning is idempotent, leaves strict JSON in UTF-8 without NUL, and numbers of 64 bits."""
    clean = storable(value)
    assert storable(clean) == clean
    assert repaired(clean).repairs == ()
    text = json.dumps(clean, ensure_ascii=False, allow_nan=False)
    assert "\\u0000" not in text.replace("\\\\", "")
    assert read_json(text.encode()).value == clean


@given(VALUES)
def test_json_with_anything_in_it_is_read(value: Any) -> None:
    """Whatever Python's lenient writer makes is read, as the cleaning of the value itself gives it."""
    read = read_json(json.dumps(value))
    assert read.value == storable(json.loads(json.dumps(value)))


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing else is raised."""
    with contextlib.suppress(UnreadableError):
        assert storable(read_json(body).value) == read_json(body).value


def test_other_values_pass() -> None:
    """What isn't JSON is left alone, keys included."""
    assert storable({1: (1, math.pi)}) == {1: (1, math.pi)}
