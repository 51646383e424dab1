"""Salesforce's ids: 15 characters of which the case counts, or 18, whose last three say which of them are capitals."""

import re

from blocks.crms.ids import plain_id, wrong_id
from enrichment.errors import ConfigurationError

_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_SUFFIXES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_SHORT = 15
_CONTACT = "003"


def record_id(text: str, what: str = "record") -> str:
    """
    Return the id of any record in its long form.

    Args:
        text: the short or the long form; a long one whose case was lost as a whole is put right.
        what: it is the id of, for messages.

    Raises:
        ConfigurationError: it isn't one, or its last three characters contradict the others.
    """
    given = plain_id(text)
    if not _ID.fullmatch(given):
        raise wrong_id(given, f"a Salesforce {what} id", "it has 15 or 18 letters and digits")
    if len(given) == _SHORT:
        return _long(given)
    repaired = _long(_with_case(given) if given in {given.lower(), given.upper()} else given)
    if repaired.upper() != given.upper():
        raise wrong_id(given, f"a Salesforce {what} id", "its last three characters don't fit the others")
    return repaired


def contact_id(text: str) -> str:
    """Return the id of a contact in its long form; raise ConfigurationError if it isn't one."""
    found = record_id(text, "contact")
    if not found.startswith(_CONTACT):
        raise wrong_id(found, "a Salesforce contact id", f"those begin with {_CONTACT}")
    return found


def is_contact_id(crm_id: str) -> bool:
    """Return whether this could be the id of a contact, short or long."""
    return _ID.fullmatch(crm_id) is not None and crm_id.startswith(_CONTACT)


def contact_id_of(value: object) -> str | None:
    """Return the id of a contact that an event names, in its long form, or None if it isn't a valid one."""
    try:
        return contact_id(value) if isinstance(value, str) else None
    except ConfigurationError:
        return None


def short(crm_id: str) -> str:
    """Return what the short and the long form of an id have in common."""
    return crm_id[:_SHORT]


def _long(short_form: str) -> str:
    parts = [short_form[start : start + 5] for start in range(0, _SHORT, 5)]
    return short_form[:_SHORT] + "".join(_SUFFIXES[_capitals(part)] for part in parts)


def _capitals(part: str) -> int:
    return sum(1 << place for place, character in enumerate(part) if character.isupper())


def _with_case(long_form: str) -> str:
    """Return the 15 characters with the case that the last three demand; what isn't a suffix demands none."""
    demanded = [_SUFFIXES.find(character) for character in long_form[_SHORT:].upper()]
    pairs = enumerate(long_form[:_SHORT].lower())
    return "".join(c.upper() if max(0, demanded[place // 5]) >> place % 5 & 1 else c for place, c in pairs)
