"""What every CRM's rule for ids shares: what may be stripped from one, and what to say of what is none."""

import re

from enrichment.errors import ConfigurationError
from enrichment.forms import visible

_ROUNDED = re.compile(r"\d+(?:[.,]\d+)?[eE]\+?\d+")
_FRACTION = re.compile(r"\d+[.,]0+")
_GROUPED = re.compile(r"\d{1,3}(?:[.,'\u2019\u00a0\u202f ]\d{3})+")
#: Texts with a digit and nothing of an address are quoted in messages: a name or address may stand in the wrong column.
_QUOTABLE = re.compile(r"(?=.*[0-9])[0-9A-Za-z.,+'\u2019#_-]{1,40}")


def plain_id(text: str) -> str:
    """Return an id without blanks and invisible characters around it."""
    return visible(text).strip()


def wrong_id(text: str, what: str, rule: str) -> ConfigurationError:
    """
    Return the error that says why a text isn't an id.

    Args:
        text: as given.
        what: it should be, such as `a HubSpot contact id`.
        rule: that it breaks.
    """
    given = f"'{text}'" if _QUOTABLE.fullmatch(text) else "the text" if text else "an empty text"
    return ConfigurationError(f"{given} is not {what}: {_spoilt(text) or rule}")


def _spoilt(text: str) -> str:
    """Return what a spreadsheet has done to an id, if it looks like that."""
    if _ROUNDED.fullmatch(text):
        return "a spreadsheet has rounded it; export it again with the column formatted as text"
    if _FRACTION.fullmatch(text):
        return "a program has taken it for a number and added a fraction; export the column as text"
    if text.startswith(("'", "\u2019")):
        return "it begins with an apostrophe; export the column as text"
    if _GROUPED.fullmatch(text):
        return "it has separators between its digits; export the column as text"
    return ""
