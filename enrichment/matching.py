"""
Whether an answer is about the person who was asked for.

Only what clearly contradicts the question counts: names are shortened, joined, transcribed and written in other
scripts, and a company has many names and domains. What can't be compared contradicts nothing.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any

from enrichment.addresses import AddressKind, is_free_mail, kinds_of
from enrichment.companies import alike, companies_alike, company_of_domain, words_alike_written, words_of
from enrichment.records import Contact

DOUBTFUL_NAME = "doubtful_name"
DOUBTFUL_COMPANY = "doubtful_company"

_PARTICLE_WORDS = """
    van von vom zu zur der den de di da del della dos das du la le el al bin ben ibn ter af av san st jr sr ii iii
    dr prof mr mrs ms
"""
_PARTICLES = frozenset(_PARTICLE_WORDS.split())
#: What an address says before its host, if it is a given and a family name.
_WHOLE_NAME = re.compile(r"([^\W\d_]{3,})[._-]([^\W\d_]{3,})\d*")
#: Names this short are transcribed in several ways that share little, such as Lee, Li and Rhee.
_SHORT = 3
#: How much such names share at least: Xu is also written Hsu.
_HARDLY_ALIKE = 0.4


def doubt(asked: Mapping[str, str], contact: Contact, fields: Mapping[str, Any], addresses: Collection[str]) -> str:
    """
    Return why an answer contradicts the question, or an empty text if it doesn't.

    Args:
        asked: the identifiers that were asked with, by name.
        contact: all that is known of the contact.
        fields: the canonical fields of the answer.
        addresses: that the answer gives the person, normalised.
    """
    if "email" not in asked:
        return _doubt_of_name(asked, fields)
    return "" if asked["email"] in addresses else _doubt_of_address(asked["email"], contact, fields, addresses)


def _doubt_of_name(asked: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    if _surnames_differ(asked, fields):
        return DOUBTFUL_NAME
    return DOUBTFUL_COMPANY if _is_another_company(fields, [asked.get("company_name")]) else ""


def _doubt_of_address(address: str, contact: Contact, fields: Mapping[str, Any], addresses: Collection[str]) -> str:
    names = {"first_name": contact.first_name, "last_name": contact.last_name}
    # Either name alone changes: by marriage, or by a nickname.
    if _surnames_differ(names, fields) and _given_names_differ(contact.first_name, fields):
        return DOUBTFUL_NAME
    if not contact.last_name and AddressKind.ROLE not in kinds_of(address) and _is_another_name(address, fields):
        return DOUBTFUL_NAME
    if is_free_mail(address):
        return ""  # its host says nothing of a company
    domain = _company_of(address)
    others = [_company_of(one) for one in addresses if not is_free_mail(one)]
    elsewhere = not any(companies_alike(domain, one) for one in others) if others else bool(contact.company_name)
    return DOUBTFUL_COMPANY if elsewhere and _is_another_company(fields, [domain, contact.company_name]) else ""


def _is_another_company(fields: Mapping[str, Any], known: Iterable[str | None]) -> bool:
    """Return whether the answer states a company, and neither its name nor its domain is like one that is known."""
    stated = [fields.get("company_name"), company_of_domain(fields.get("company_domain") or "")]
    pairs = [(one, other) for one in stated if one for other in known if other]
    return bool(pairs) and not any(companies_alike(*pair) for pair in pairs)


def _company_of(address: str) -> str:
    return company_of_domain(address.rpartition("@")[2])


def _surnames_differ(known: Mapping[str, str | None], fields: Mapping[str, Any]) -> bool:
    surname, given = fields.get("last_name") or "", fields.get("first_name") or ""
    words, stated = words_alike_written(known.get("last_name") or "", surname)
    if not words:
        return False
    wanted, others = _without_particles(words), _without_particles(stated)
    # In some cultures, and some columns, the order is another one.
    both = {*others, *words_alike_written(known["last_name"] or "", given)[1]}
    if not both.isdisjoint(wanted):
        return False
    if _names_alike("".join(wanted), "".join(others)):
        return False
    if (words == wanted) is not (stated == others) and alike("".join(words), "".join(stated)):
        return False  # one of them joins a particle with the name, as Alrasheed
    return not (_is_short_spelling("".join(wanted), "".join(others)) and _same_given_name(known, given))


def _is_short_spelling(one: str, other: str) -> bool:
    shared = SequenceMatcher(None, one, other).ratio()
    return min(len(one), len(other)) <= _SHORT and shared >= _HARDLY_ALIKE


def _same_given_name(known: Mapping[str, str | None], stated: str) -> bool:
    wanted, given = words_alike_written(known.get("first_name") or "", stated)
    return bool(wanted) and alike("".join(wanted), "".join(given))


def _is_another_name(address: str, fields: Mapping[str, Any]) -> bool:
    """Return whether an address such as `ada.byron@` says a whole name, and nothing of it is in the answer's."""
    said = _WHOLE_NAME.fullmatch(address.rpartition("@")[0])
    given, family = _name(fields.get("first_name")), _name(fields.get("last_name"))
    parts = words_of(" ".join(said.groups())) if said and given and family else []
    pairs = [(part, name) for part in parts for name in (*given, *family)]
    return bool(pairs) and not any(part[:2] == name[:2] or alike(part, name) for part, name in pairs)


def _names_alike(one: str, other: str) -> bool:
    return alike(one, other) or (min(len(one), len(other)) <= _SHORT and one[0] == other[0])


def _given_names_differ(known: str | None, fields: Mapping[str, Any]) -> bool:
    wanted, stated = map(_without_particles, words_alike_written(known or "", fields.get("first_name") or ""))
    return bool(wanted and stated) and wanted[0][0] != stated[0][0] and set(wanted).isdisjoint(stated)


def _name(text: str | None) -> list[str]:
    return _without_particles(words_of(text or ""))


def _without_particles(words: list[str]) -> list[str]:
    return [word for word in words if word not in _PARTICLES] or words
