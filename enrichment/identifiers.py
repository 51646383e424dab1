"""What makes a contact findable, and the keys under which it is remembered."""

import functools
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from enrichment.fields import FIELDS
from enrichment.forms import JOINERS, ascii_host, unescaped, visible
from enrichment.records import Contact, Origin
from enrichment.values import canonical

#: Identifiers that are a person's; a request that asks by others only is about a company.
_PERSONAL = frozenset({"email", "first_name", "last_name"})
#: Identifiers that are texts, so that case doesn't matter; a provider's own ids and page marks are taken as they are.
_TEXTS = _PERSONAL | {"company_name", "domain"}

#: What people and programs write, and the character that an address has in its place.
_TYPED = str.maketrans({0xFF01 + place: 0x21 + place for place in range(94)} | dict.fromkeys("\u2018\u2019\u02bc", "'"))
_LINK = re.compile(r"mailto:(?://)?([^\s?<>\"]+)(?:\?[^\s<>\"]*)?", re.IGNORECASE)
#: A display name, which may itself look like an address; the address is what follows in angle brackets.
_DISPLAY_NAME = re.compile(r"(?:\"[^\"]*\"\s*|[^,;<>\"\n]*)<(?=[^<>]*@)")
#: What ends an address on either side. Never the other side's `@`, so that `a@b@c.example` isn't read as one of two.
_ENDS = r"\s,;:<>()\[\]{}|\\\"\u00ab\u00bb\u3001\u201c-\u201f\u2039\u203a\x00-\x1f\x7f\ud800-\udfff"
_ADDRESS = re.compile(
    rf"(?<![^{_ENDS}/])(?:\"(?P<quoted>[^{_ENDS}@]+)\"|(?P<local>[^{_ENDS}@]++))@(?P<host>[^{_ENDS}@/?!*'`]++)(?!@)"
)
#: A word and a blank before an address are a name without brackets, or an address with a blank in it: it isn't sure.
_WORD_BEFORE = re.compile(r"\w[^\S\n]+\Z")
_TORN = re.compile(r"\.[^\S\n]+\w|\s+\.\w")
_LONGEST_LOCAL = 64
#: What stands behind so many characters is no address field's: a whole page in a cell must not take minutes.
_LONGEST_TEXT = 2000


def normalise_email(text: str | None) -> str | None:
    """Return the first valid address in a text in its one form, or None if there is none."""
    return next(iter(valid_addresses(text)), None)


@functools.lru_cache(maxsize=5_000)  # screening, choosing an input, keys and comparisons all need it of a contact
def valid_addresses(text: str | None) -> tuple[str, ...]:
    """
    Return the valid addresses in a text, in order, each once and in its one form.

    That form goes into keys, onto the wire and into comparisons: without display name, quotes, `mailto:` and what is
    invisible, in lower case and Unicode's form C, with the domain in ASCII by IDNA 2008. Letters are never folded:
    `straße` and `strasse` are two people.
    """
    plain = _DISPLAY_NAME.sub("<", _plain((text or "")[:_LONGEST_TEXT]))
    found, end = [], 0
    for each in _ADDRESS.finditer(plain):
        torn = _TORN.match(plain, each.end() - each[0].endswith("."))
        if not torn and not _WORD_BEFORE.search(plain[end : each.start()]):
            found.append(_address(each["quoted"] or each["local"], each["host"]))
        end = each.end()
    return tuple(dict.fromkeys(address for address in found if address))


def _plain(text: str) -> str:
    typed = unescaped(unicodedata.normalize("NFC", text)).translate(_TYPED)
    return visible(_LINK.sub(lambda found: unquote(found[1]), typed), keep=JOINERS)


def _address(local: str, host: str) -> str | None:
    """Return an address of these parts in its one form, or None if it can't be one."""
    name = unicodedata.normalize("NFC", visible(local).strip("'`/").lower())
    domain = ascii_host(host)
    return f"{name}@{domain}" if domain and 0 < len(name) <= _LONGEST_LOCAL else None


def identifiers(contact: Contact) -> dict[str, str]:
    """Return the contact's usable identifiers by name, normalised; an unusable one is left out."""
    given = {
        "email": normalise_email(contact.email),
        "first_name": canonical(FIELDS["first_name"], contact.first_name),
        "last_name": canonical(FIELDS["last_name"], contact.last_name),
        "company_name": canonical(FIELDS["company_name"], contact.company_name),
    }
    return {name: value for name, value in given.items() if value}


def choose_input(contact: Contact, alternatives: Iterable[Iterable[str]]) -> dict[str, str] | None:
    """
    Return the first set of identifiers that the contact has whole.

    Args:
        contact: the contact to be looked up.
        alternatives: sets of identifier names that a provider accepts, the most certain first.
    """
    known = identifiers(contact)
    for names in alternatives:
        wanted = list(names)
        if all(name in known for name in wanted):
            return {name: known[name] for name in wanted}
    return None


def why_invalid(contact: Contact) -> str:
    """Return the reason code for a contact that no lookup can use."""
    if contact.email and normalise_email(contact.email) is None:
        return "email_malformed"
    return "no_usable_identifier"


def request_key(provider: str, lookup_input: Mapping[str, str], output_fields: Iterable[str]) -> str:
    """Return the journal's key: equal for requests that a provider would answer, and bill, alike."""
    return _request_key(provider, tuple(lookup_input.items()), tuple(output_fields))


@functools.lru_cache(maxsize=5_000)  # screening needs it of a contact, and so does the lookup
def _request_key(provider: str, lookup_input: tuple[tuple[str, str], ...], output_fields: tuple[str, ...]) -> str:
    return _digest([provider, _folded(dict(lookup_input)), sorted(output_fields)])


def follow_up_key(provider: str, step: str, lookup_input: Mapping[str, str], asked: Iterable[str]) -> str:
    """Return the journal's key of a follow-up: one for all contacts of whom it would be the same request."""
    return _digest([provider, step, _folded(lookup_input), sorted(set(asked))])


def is_about_person(lookup_input: Mapping[str, str]) -> bool:
    """Return whether what is asked with is a person's, so that the reply goes when the person is erased."""
    return not _PERSONAL.isdisjoint(lookup_input)


def suppression_keys(contact: Contact, origin: Origin) -> list[str]:
    """Return the hashed identifiers under which a suppression of this contact may be kept."""
    by_id = _digest(["crm_id", origin.crm, origin.object_type, contact.crm_id])
    return [by_id, *(_digest(["email", address]) for address in valid_addresses(contact.email))]


def email_key(address: str | None) -> str | None:
    """Return the hashed address under which a suppression may be kept, or None if it isn't a valid address."""
    email = normalise_email(address)
    return _digest(["email", email]) if email else None


def _folded(lookup_input: Mapping[str, str]) -> dict[str, str]:
    return {name: same_text(value) if name in _TEXTS else value for name, value in lookup_input.items()}


def same_text(text: str) -> str:
    """Return what is equal for texts that differ by case, blanks and Unicode's form only; no letter becomes another."""
    return unicodedata.normalize("NFC", " ".join(unicodedata.normalize("NFC", text).lower().split()))


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
