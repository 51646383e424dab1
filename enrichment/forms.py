"""The one form of each kind of canonical value, read from the many in which providers write it."""

import re
from collections.abc import Mapping
from typing import Any

from enrichment.places import country_code, state_code

_LINKEDIN = re.compile(r"(?:https?://)?(?:[a-z]{2,3}\.)?linkedin\.com/(?P<path>.+)", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?:https?://)?(?:www\.)?(?P<host>[^\s/?#:@.]+(?:\.[^\s/?#:@.]+)+)\.?(?::\d+)?(?:[/?#].*)?", re.IGNORECASE
)
_NUMBER = r"([0-9][0-9,]{0,12})\s*([kK]?)"
_BOTH_ENDS = re.compile(rf"{_NUMBER}\s*(?:[-–]|to)\s*{_NUMBER}")  # noqa: RUF001  providers write both dashes
_AND_MORE = re.compile(rf"{_NUMBER}\s*\+")
_OVER = re.compile(rf"(?:over|more than|>)\s*{_NUMBER}", re.IGNORECASE)
_YEAR = re.compile(r"([0-9]{4})(?:\D.*)?")

#: Countries whose numbers are written without the country's code, and are ten digits long with it being 1.
_NORTH_AMERICAN = frozenset({"US", "CA"})
_NATIONAL = re.compile(r"1?([2-9][0-9]{2}[2-9][0-9]{6})")
_INTERNATIONAL = re.compile(r"[1-9][0-9]{6,14}")
_PUNCTUATION = re.compile(r"[\s().\-/]")

#: The words of providers for each level; what isn't here can't be read for certain.
_SENIORITIES: Mapping[str, tuple[str, ...]] = {
    "owner": ("founder", "partner"),
    "c_level": ("c_suite", "cxo"),
    # Of a provider that doesn't tell the two levels apart.
    "executive": (),
    "vp": ("vp_level", "vice_president"),
    "director": ("head",),
    "manager": (),
    "senior": (),
    "entry": ("junior", "non_manager", "intern", "training"),
}
SENIORITIES = tuple(_SENIORITIES)
_LEVELS = {word: level for level, words in _SENIORITIES.items() for word in (level, *words)}


def linkedin_url(value: Any) -> str | None:
    """Return one spelling of a LinkedIn address, from a URL with or without scheme and country, or None."""
    found = _LINKEDIN.fullmatch(str(value).strip())
    path = found["path"].split("?")[0].split("#")[0].strip("/") if found else ""
    return f"https://www.linkedin.com/{path}" if path else None


def domain(value: Any) -> str | None:
    """Return the domain of a website, in lower case and without `www.`, from a URL or a bare domain, or None."""
    found = _DOMAIN.fullmatch(value.strip()) if isinstance(value, str) else None
    return found["host"].lower() if found else None


def size_range(value: Any) -> str | None:
    """Return a range of numbers as `11-50` or `10001+`, from `1K-5K`, `1,000 - 5,000` or `Over 10,000`, or None."""
    text = value.strip() if isinstance(value, str) else ""
    if found := _BOTH_ENDS.fullmatch(text):
        least, most = _number(*found.groups()[:2]), _number(*found.groups()[2:])
        return f"{least}-{most}" if least <= most else None
    if found := _AND_MORE.fullmatch(text):
        return f"{_number(*found.groups())}+"
    found = _OVER.fullmatch(text)
    return f"{_number(*found.groups()) + 1}+" if found else None


def phone(value: Any) -> str | None:
    """
    Return a telephone number as E.164, or None if it can't be read for certain.

    Args:
        value: the number, or a list of it and its owner's country; without that, only one with a plus sign is sure.
    """
    number, place = _with_country(value)
    digits = _PUNCTUATION.sub("", number)
    if digits.startswith("+"):
        # The zero of +44 (0)20 is dialled within the country only.
        return digits if "(0" not in number and _INTERNATIONAL.fullmatch(digits[1:]) else None
    found = _NATIONAL.fullmatch(digits) if place in _NORTH_AMERICAN else None
    return f"+1{found[1]}" if found else None


def country(value: Any) -> str | None:
    """Return the ISO 3166-1 alpha-2 code of a country, from a code or a name, or None."""
    return country_code(value) if isinstance(value, str) else None


def state(value: Any) -> str | None:
    """Return a state, by its code in the United States and Canada; the value is it, or a list of it and its country."""
    name, code = _with_country(value)
    return state_code(name, code) if name else None


def year(value: Any) -> int | None:
    """Return the year of a date that begins with it, or of a number."""
    found = _YEAR.fullmatch(str(value).strip())
    return int(found[1]) if found else None


def seniority(value: Any) -> str | None:
    """Return the highest of a person's levels, one of SENIORITIES, or None; the value is a word or a list of such."""
    words = [
        re.sub(r"[\s-]+", "_", str(one).strip().lower()) for one in (value if isinstance(value, list) else [value])
    ]
    levels = {_LEVELS[word] for word in words if word in _LEVELS}
    return next((level for level in SENIORITIES if level in levels), None)


def _number(digits: str, thousands: str) -> int:
    return int(digits.replace(",", "")) * (1000 if thousands else 1)


def _with_country(value: Any) -> tuple[str, str | None]:
    given, place = value if isinstance(value, list) and len(value) == 2 else (value, None)
    return given.strip() if isinstance(given, str) else "", country(place)
