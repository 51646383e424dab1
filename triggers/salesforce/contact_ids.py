"""Ids of Salesforce's contacts. Pure."""

import re

_CONTACT_ID = re.compile(r"003[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")
_SUFFIXES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_SHORT = 15


def contact_id(value: object) -> str | None:
    """
    Return a contact's id in its long form, by which the queue knows it; None if it is no contact's.

    The last three of 18 characters repeat the case of the others, so formulas and older programs often give 15.
    """
    if not isinstance(value, str) or not _CONTACT_ID.fullmatch(value):
        return None
    short = value[:_SHORT]
    return short + "".join(_suffix(short[start : start + 5]) for start in range(0, _SHORT, 5))


def _suffix(part: str) -> str:
    return _SUFFIXES[sum(1 << place for place, character in enumerate(part) if character.isupper())]
