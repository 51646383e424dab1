"""Which values HubSpot takes for a property of each type."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sandbox.clock import iso_of

LONGEST_TEXT = 65_536
Flaw = tuple[str, str, str]

_NUMBER = re.compile(r"-?\d+(\.\d+)?|-?\.\d+")
_EMAIL = re.compile(r"[^@\s,;()<>]+@[^@\s,;()<>]+\.[^@\s.,;()<>]+")
_WHOLE = re.compile(r"-?\d+")
_DAY_MS = 86_400_000


def flaw_of(name: str, value: str, definition: Mapping[str, Any] | None) -> Flaw | None:
    """Return what is wrong with a value: property, code and message; None if nothing is."""
    if definition is None:
        return name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'
    if definition["modificationMetadata"]["readOnlyValue"] or definition["calculated"]:
        return (
            name,
            "READ_ONLY_VALUE",
            f'"{name}" is a read only property; its value cannot be set.',
        )
    if value == "":
        return None
    if name == "email" and not _EMAIL.fullmatch(value):
        return name, "INVALID_EMAIL", f"Email address {value} is invalid"
    found = _CHECKS[definition["type"]](value, definition)
    return (name, *found) if found else None


def moment_of(value: str) -> int | None:
    """Return the milliseconds since the epoch that a text means; None if it means none."""
    if _WHOLE.fullmatch(value):
        return int(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def stored(value: str, definition: Mapping[str, Any]) -> str:
    """Return a value as it is kept: moments as ISO texts, options in their order, no blanks around texts."""
    if not value:
        return value
    match definition["type"]:
        case "date":
            return iso_of(moment_of(value) or 0)[:10]
        case "datetime":
            return iso_of(moment_of(value) or 0).replace(".000Z", "Z")
        case "number":
            text = f"{Decimal(value):f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
        case "enumeration" if definition["fieldType"] == "checkbox":
            chosen = value.removeprefix(";").split(";")
            return ";".join(each["value"] for each in definition["options"] if each["value"] in chosen)
        case "string":
            return value.strip()
    return value


def _check_text(value: str, _: Mapping[str, Any]) -> tuple[str, str] | None:
    if len(value.encode("utf-16-le", "surrogatepass")) // 2 > LONGEST_TEXT:
        return "VALUE_TOO_LONG", f"A value may have {LONGEST_TEXT} characters"
    return None


def _check_number(value: str, _: Mapping[str, Any]) -> tuple[str, str] | None:
    return None if _NUMBER.fullmatch(value) else ("INVALID_LONG", f"{value} was not a valid number.")


def _check_bool(value: str, _: Mapping[str, Any]) -> tuple[str, str] | None:
    return None if value in ("true", "false") else ("INVALID_OPTION", f"{value} was not one of true, false")


def _check_choice(value: str, definition: Mapping[str, Any]) -> tuple[str, str] | None:
    if definition["externalOptions"]:
        return None if _WHOLE.fullmatch(value) else ("INVALID_OWNER_ID", f"{value} is not an owner")
    allowed = {option["value"] for option in definition["options"]}
    parts = value.removeprefix(";").split(";") if definition["fieldType"] == "checkbox" else [value]
    wrong = [part for part in parts if part not in allowed]
    named = ", ".join(option["value"] for option in definition["options"])
    return ("INVALID_OPTION", f"{wrong[0]} was not one of the allowed options: [{named}]") if wrong else None


def _check_date(value: str, _: Mapping[str, Any]) -> tuple[str, str] | None:
    moment = moment_of(value)
    if moment is not None and moment % _DAY_MS == 0:
        return None
    return "INVALID_DATE", f"{value} is not a date at midnight in UTC"


def _check_moment(value: str, _: Mapping[str, Any]) -> tuple[str, str] | None:
    return ("INVALID_DATE", f"{value} was not a valid date.") if moment_of(value) is None else None


_CHECKS: Mapping[str, Callable[[str, Mapping[str, Any]], tuple[str, str] | None]] = {
    "string": _check_text,
    "number": _check_number,
    "bool": _check_bool,
    "enumeration": _check_choice,
    "date": _check_date,
    "datetime": _check_moment,
}
