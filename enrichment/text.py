"""
Text and JSON that every warehouse can store: the one gate for whatever comes from outside.

PostgreSQL refuses U+0000, no engine takes half of a surrogate pair, JSON has no NaN, and 64 bits are all that a number
gets everywhere. One such value would fail the whole group that it is stored with, so it is cleaned where it comes in.
"""

import base64
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

#: How deep JSON may be nested; what lies deeper is left out. SQLite and the clouds take no more than some hundreds.
MOST_LEVELS = 100

#: The longest JSON that is read, in bytes.
MOST_BYTES = 32 * 2**20

#: So many places of repairs are named.
MOST_PLACES = 10

_LEAST_WHOLE, _MOST_WHOLE = -(2**63), 2**63 - 1
#: Fewer digits than this always fit into 64 bits; Python refuses to read more than the other.
_USUAL_DIGITS = 18
_MOST_DIGITS = 4000
#: How such a character is escaped in JSON.
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_FIELD = re.compile(r"[A-Za-z0-9_.-]{1,40}|\[\]")
_Place = tuple[Any, ...]
#: A string, which may hold brackets of its own, or a bracket.
_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{\]}]', re.DOTALL)


class UnreadableError(ValueError):
    """It isn't JSON, or too long; the message is a short code and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """
    JSON that every engine can store.

    Args:
        value: the decoded JSON.
        repairs: what was left out and where, such as `half a character at matches.[].headline`; no content.
    """

    value: Any
    repairs: tuple[str, ...] = ()


def is_storable(text: str) -> bool:
    """Return whether a text holds neither U+0000 nor half of a surrogate pair."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def storable_text(text: str) -> str:
    """Return a text without what no engine can store: U+0000, and halves of surrogate pairs; halves that meet join."""
    if is_storable(text):
        return text
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return whole.replace("\0", "")


def storable(value: Any) -> Any:
    """Return decoded JSON as `repaired` does, without a word on what was left out."""
    return repaired(value).value


def repaired(value: Any) -> Parsed:
    """
    Return decoded JSON in a form that every engine can store.

    Texts lose what `storable_text` takes out. NaN and infinite numbers, and whatever is nested too deep, become null.
    Whole numbers beyond 64 bits become text, since they may be ids.
    """
    repairs: dict[str, None] = {}

    def note(what: str, place: _Place) -> None:
        if len(repairs) < MOST_PLACES:
            repairs[f"{what} at {_shown(place)}"] = None

    return Parsed(_cleaned(value, (), note), tuple(repairs))


def read_json(data: bytes | str, charset: str = "") -> Parsed:
    """
    Return the JSON of a body from outside.

    Duplicate names (the last one counts) and raw control characters in texts are tolerated.

    Args:
        data: the body.
        charset: as the sender declares it; empty for one of the Unicode ones, which is recognised.

    Raises:
        UnreadableError: the body isn't JSON (an HTML page, an empty or cut text, another charset), or is too long.
    """
    if len(data) > MOST_BYTES:
        raise UnreadableError("too_long")
    try:
        text = data if isinstance(data, str) else _decoded(data, charset)
        value, odd = _parsed(text)
    except (ValueError, LookupError):
        raise UnreadableError("not_json") from None
    # Nearly every body is clean, and to see that takes less time than to walk through it.
    return repaired(value) if odd or _ESCAPED.search(text) or not is_storable(text) else Parsed(value)


def escaped(value: Any) -> str:
    """Return JSON in letters and digits alone, which every engine stores whatever it holds: base64 of its text."""
    return base64.b64encode(json.dumps(value).encode()).decode()


def _decoded(data: bytes, charset: str) -> str:
    if charset and not charset.lower().startswith("utf"):
        return data.decode(charset)
    return data.decode(json.detect_encoding(data), "surrogatepass")


def _parsed(text: str) -> tuple[Any, bool]:
    """Return the JSON of a text, and whether it has odd numbers or is nested too deep."""
    odd: list[str] = []

    def whole(digits: str) -> int | str:
        if len(digits) > _USUAL_DIGITS:
            odd.append(digits)
        return int(digits) if len(digits) <= _MOST_DIGITS else digits

    def constant(name: str) -> float:
        odd.append(name)
        return math.nan

    def real(digits: str) -> float:
        number = float(digits)
        return constant(digits) if math.isinf(number) else number

    hooks: dict[str, Any] = {"parse_int": whole, "parse_float": real, "parse_constant": constant}
    try:
        value = json.loads(text, strict=False, **hooks)
    except RecursionError:
        value = json.loads("".join(_shallow(text)), strict=False, **hooks)
    return value, bool(odd) or _is_deep(value)


def _shallow(text: str) -> Iterator[str]:
    """Yield the parts of a JSON text, with null for what lies too deep by far."""
    level = kept_until = 0
    for found in _BRACKETS.finditer(text):
        if found[0] in "[{":
            level += 1
            if level == MOST_LEVELS + 2:
                yield text[kept_until : found.start()] + "null"
        elif found[0] in "]}":
            if level == MOST_LEVELS + 2:
                kept_until = found.end()
            level -= 1
    if level < MOST_LEVELS:
        yield text[kept_until:]


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MOST_LEVELS):
        parts = (part for one in level for part in (one.values() if isinstance(one, dict) else one))
        level = [part for part in parts if isinstance(part, dict | list)]
    return bool(level)


def _cleaned(value: Any, place: _Place, note: Callable[[str, _Place], None]) -> Any:
    if isinstance(value, str):
        if is_storable(value):
            return value
        note("a character that can't be stored", place)
        return storable_text(value)
    if isinstance(value, dict | list):
        if len(place) >= MOST_LEVELS:
            note("deep nesting", ())
            return None
        if isinstance(value, list):
            return [_cleaned(part, (*place, "[]"), note) for part in value]
        return {_name(key): _cleaned(part, (*place, key), note) for key, part in value.items()}
    if isinstance(value, int) and not _LEAST_WHOLE <= value <= _MOST_WHOLE:
        note("a number beyond 64 bits", place)
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        note("a number that is none", place)
        return None
    return value


def _name(key: Any) -> Any:
    return storable_text(key) if isinstance(key, str) else key


def _shown(place: _Place) -> str:
    """Return the path of a value; a name that doesn't look like a field's could be a person's."""
    return ".".join(str(one) if _FIELD.fullmatch(str(one)) else "?" for one in place) or "the top"
