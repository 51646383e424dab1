"""
A value as a CRM's field takes it and gives it back.

A value is sent in one form only, and compared with what the CRM holds by what it means: a CRM has its own form of
numbers, moments, lines and blanks, and none of them is a change.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from enrichment.moments import read_moment
from enrichment.values import OUT_OF_RANGE

#: Why a value doesn't fit; a CRM's adapter gives its own codes these names where they mean the same.
NOT_A_NUMBER = "not_a_number"
NOT_A_BOOLEAN = "not_a_boolean"
NOT_A_DATE = "not_a_date"
NOT_A_DATETIME = "not_a_datetime"
NOT_A_TEXT = "not_a_text"
NOT_AN_OPTION = "not_an_option"
SEVERAL_VALUES = "several_values"
TOO_LONG = "too_long"

SEPARATOR = ";"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
#: Beyond these powers of ten no CRM has numbers; written out, they would be texts of any length.
_LARGEST_POWER = 308
_LINE_END = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
_TAG = re.compile(r"<[^<>]*>")
_GAP = re.compile(r"[\s_,/-]+")
_MILLISECONDS = re.compile(r"-?\d+", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """
    What the CRM says of one of its fields.

    Args:
        type: `string`, `number`, `bool`, `date`, `datetime` or `enumeration`.
        options: an enumeration's values with their labels.
        several: whether an enumeration takes more than one of its values.
        restricted: whether an enumeration takes only its options.
        read_only: whether the CRM refuses every write.
        max_length: the longest text in UTF-16 units, or None.
        single_line: whether a text has no room for the end of a line.
        rich: whether a text is HTML.
        precision: how many digits a number may have, or None.
        scale: how many of them stand behind the point, or None.
        narrowed_by: the field whose value narrows a record's options; empty if all records have the same.
        narrowed: by that value, the options that are left.
    """

    type: str
    options: Mapping[str, str] = field(default_factory=dict)
    several: bool = False
    restricted: bool = True
    read_only: bool = False
    max_length: int | None = None
    single_line: bool = False
    rich: bool = False
    precision: int | None = None
    scale: int | None = None
    narrowed_by: str = ""
    narrowed: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def of_record(self, current: Mapping[str, str | None]) -> "FieldDescription":
        """Return the description as it holds for a record with these values."""
        left = self.narrowed.get(current.get(self.narrowed_by) or "")
        if left is None:
            return self
        return replace(self, options={value: label for value, label in self.options.items() if value in left})


class UnfitError(Exception):
    """
    The value doesn't fit the CRM's field; the message is the reason code.

    Args:
        reason: the code.
        value: what didn't fit, where people need to see it.
    """

    def __init__(self, reason: str, value: str = "") -> None:
        super().__init__(reason)
        self.value = value


def is_blank(value: Any) -> bool:
    """Return whether there is nothing in a value that could be written."""
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, list):
        return all(is_blank(item) for item in value)
    return value is None or value == {}


def to_wire(value: Any, description: FieldDescription) -> str:
    """
    Return the value as the text that the CRM's field takes.

    Raises:
        UnfitError: it doesn't fit the field.
    """
    match description.type:
        case "number":
            return digits(_number(value, description))
        case "bool":
            return _boolean(value)
        case "date" | "datetime":
            return _moment(value, description.type)
        case "enumeration":
            return _enumeration(value, description)
        case _:
            return _text(value, description)


def same(before: str, after: str, description: FieldDescription, *, listed: bool = False) -> bool:
    """
    Return whether two texts mean the same in a field.

    Args:
        before: as the CRM gives it.
        after: as `to_wire` writes it.
        description: of the field.
        listed: whether the text was made of a list, of which the order doesn't matter.
    """
    if before == after:
        return True
    try:
        return bool(_meaning(before, description, listed) == _meaning(after, description, listed))
    except (ValueError, OverflowError):
        return False


def holds(held: str | None, value: str, description: FieldDescription | None) -> bool:
    """Return whether a field that has this text, or is blank, has a value as it was sent; an empty one is blank."""
    return (held or "") == value or bool(held and value and description and same(held, value, description))


def read_number(value: Any) -> Decimal | None:
    """Return the number that a value or its text form stands for, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, int) and abs(value).bit_length() > _LARGEST_POWER * 4:
        return None  # Python refuses to write such numbers out
    text = str(value).strip()
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return number if abs(number.adjusted()) <= _LARGEST_POWER else None


def digits(number: Decimal) -> str:
    """Return a number without exponent, and without zeros that mean nothing."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def written_moment(moment: datetime) -> str:
    """Return a moment in UTC, in whole seconds: not every CRM keeps parts of them."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def units(text: str) -> int:
    """Return a text's length as the CRMs count it: in UTF-16 units, the end of a line as two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2 + text.count("\n")


def _number(value: Any, description: FieldDescription) -> Decimal:
    number = read_number(value)
    if number is None:
        raise UnfitError(NOT_A_NUMBER)
    number = _rounded(number, description.scale)
    before_point = max(number.adjusted() + 1, 0) if number else 0
    if description.precision is not None and before_point > description.precision - (description.scale or 0):
        raise UnfitError(OUT_OF_RANGE)
    return number


def _rounded(number: Decimal, scale: int | None) -> Decimal:
    if scale is None:
        return number
    with localcontext(prec=3 * _LARGEST_POWER, rounding=ROUND_HALF_UP):
        return number.quantize(Decimal(1).scaleb(-scale))


def _boolean(value: Any) -> str:
    if not isinstance(value, bool):
        raise UnfitError(NOT_A_BOOLEAN)
    return _as_text(value)


def _moment(value: Any, kind: str) -> str:
    try:
        moment = read_moment(value.isoformat() if isinstance(value, date) else str(value))
        return moment.isoformat()[:10] if kind == "date" else written_moment(moment)
    except (ValueError, OverflowError):
        raise UnfitError(NOT_A_DATE if kind == "date" else NOT_A_DATETIME) from None


def _enumeration(value: Any, description: FieldDescription) -> str:
    listed = value.split(SEPARATOR) if description.several and isinstance(value, str) else value
    wanted = _items(listed, NOT_AN_OPTION)
    found = dict.fromkeys(_option(item, description) for item in wanted)
    if len(found) > 1 and not description.several:
        raise UnfitError(SEVERAL_VALUES, SEPARATOR.join(wanted))
    return SEPARATOR.join(found)


def _option(item: str, description: FieldDescription) -> str:
    """Return the option that an item is, by its value or its label, however these are spelled."""
    options = description.options
    if item in options:
        return item
    for form in (str, str.casefold, _loose):
        wanted = form(item)
        for names in ({value: value for value in options}, options):
            found = [value for value, name in names.items() if form(name.strip()) == wanted]
            if len(found) == 1:
                return found[0]
    # An option that a person adds to an open list is one; but a separator in it would make two.
    if description.restricted or (description.several and SEPARATOR in item):
        raise UnfitError(NOT_AN_OPTION, item)
    _check_length(item, description.max_length)
    return item


def _loose(text: str) -> str:
    return _GAP.sub(" ", text.casefold().replace("&", " and ")).strip()


def _text(value: Any, description: FieldDescription) -> str:
    lines = _LINE_END.split("; ".join(_items(value, NOT_A_TEXT)).strip())
    if description.single_line:
        text = " ".join(line.strip() for line in lines if line.strip())
    elif description.rich:
        text = "<br>".join(html.escape(line.rstrip(), quote=False) for line in lines)
    else:
        text = "\n".join(line.rstrip() for line in lines)
    _check_length(text, description.max_length)
    return text


def _check_length(text: str, max_length: int | None) -> None:
    # No character counts for more than two, so that most texts needn't be counted.
    if max_length is not None and 2 * len(text) > max_length and units(text) > max_length:
        raise UnfitError(TOO_LONG)


def _items(value: Any, reason: str) -> list[str]:
    """Return the texts of a value or of a list of values, blanks left out."""
    values = value if isinstance(value, list) else [value]
    filled = [item for item in values if not is_blank(item)]
    if any(isinstance(item, (dict, list)) for item in filled):
        raise UnfitError(reason)
    return [_as_text(item).strip() for item in filled]


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    number = read_number(value) if isinstance(value, float) else None
    return str(value) if number is None else digits(number)


def _meaning(text: str, description: FieldDescription, listed: bool) -> Any:
    """Return what two texts have in common that mean the same; raise ValueError if it means nothing."""
    match description.type:
        case "number":
            return _comparable_number(text, description.scale)
        case "bool":
            return text.strip().casefold()
        case "date":
            return _held_moment(text).date()
        case "datetime":
            return _held_moment(text).replace(microsecond=0)
        case "enumeration":
            return _parts(text) if description.several else text.strip()
        case _:
            flat = html.unescape(_TAG.sub(" ", text)) if description.rich else text
            flat = " ".join(unicodedata.normalize("NFC", flat).split())
            return _parts(flat) if listed else flat


def _comparable_number(text: str, scale: int | None) -> float:
    number = read_number(text)
    if number is None:
        raise ValueError
    # CRMs keep numbers as floating-point ones: the digits behind those are no difference.
    return float(_rounded(number, scale))


def _held_moment(text: str) -> datetime:
    if _MILLISECONDS.fullmatch(text):
        return _EPOCH + timedelta(milliseconds=int(text))
    return read_moment(text).astimezone(UTC)


def _parts(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(SEPARATOR) if part.strip())


def option_labels(pairs: Iterable[tuple[Any, Any]]) -> dict[str, str]:
    """Return options by their value, from pairs of value and label; a label may be missing."""
    return {str(value): str(label or value) for value, label in pairs if value is not None}
