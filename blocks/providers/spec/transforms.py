"""How a provider's values become canonical ones: types, and transforms by name."""

import re
from collections.abc import Callable, Mapping
from typing import Any

_LINKEDIN = re.compile(r"(?:https?://)?(?:[a-z]{2,3}\.)?linkedin\.com/(?P<path>.+)", re.IGNORECASE)

_RANGE = re.compile(r"(?P<least>\d[\d,]*)(?P<thousands>[kK]?)\s*(?:[-–+]|$)")  # noqa: RUF001  providers write both


def linkedin_url(value: Any) -> str | None:
    """Return one spelling of a LinkedIn address, from a URL with or without scheme and country, or None."""
    found = _LINKEDIN.fullmatch(str(value).strip())
    path = found["path"].split("?")[0].split("#")[0].strip("/") if found else ""
    return f"https://www.linkedin.com/{path}" if path else None


def linkedin_handle(value: Any) -> str | None:
    """Return the LinkedIn address of a handle: a path such as `in/ada` or `company/acme`, a person's slug, or a URL."""
    handle = str(value).strip().strip("/")
    if not handle or " " in handle:
        return None
    if "linkedin.com/" in handle.lower():
        return linkedin_url(handle)
    return linkedin_url(f"linkedin.com/{handle if '/' in handle else f'in/{handle}'}")


def website(value: Any) -> str | None:
    """Return a website as a URL with scheme; providers give bare domains too."""
    text = str(value).strip().rstrip("/")
    if not text or " " in text:
        return None
    return text if "://" in text else f"https://{text}"


def least_of_range(value: Any) -> int | None:
    """Return the least number of a range such as `11-50`, `1K-5K` or `10,001+`; a number stands for itself."""
    found = _RANGE.match(value.strip()) if isinstance(value, str) else None
    if found is None:
        return integer(value)
    return int(found["least"].replace(",", "")) * (1000 if found["thousands"] else 1)


def first(value: Any) -> Any:
    """Return the first of a list, or the value itself."""
    if isinstance(value, list):
        return value[0] if value else None
    return value


def text(value: Any) -> str | None:
    """Return a text without blanks around it; anything that is no text or number is no value."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return str(value).strip() or None


def number(value: Any) -> float | None:
    """Return a number, also from its text form."""
    if isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if abs(found) < float("inf") else None  # not for NaN either


def integer(value: Any) -> int | None:
    """Return a whole number, also from its text form."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = number(value)
    return int(found) if found is not None and found.is_integer() else None


def boolean(value: Any) -> bool | None:
    """Return a truth value, also from the words that providers write."""
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "false": False, "no": False}.get(str(value).strip().lower())


def text_list(value: Any) -> list[str] | None:
    """Return the texts of a list, each once."""
    found = [text(item) for item in value] if isinstance(value, list) else []
    return list(dict.fromkeys(item for item in found if item)) or None


TYPES: Mapping[str, Callable[[Any], Any]] = {
    "text": text,
    "integer": integer,
    "number": number,
    "boolean": boolean,
    "text_list": text_list,
}

TRANSFORMS: Mapping[str, Callable[[Any], Any]] = {
    "linkedin_url": linkedin_url,
    "linkedin_handle": linkedin_handle,
    "website": website,
    "least_of_range": least_of_range,
    "first": first,
}
