"""What makes a contact findable, and the keys under which it is remembered."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from enrichment.records import Contact, Origin

# Only what can't be an address for certain is refused: the provider's own check is stricter, and its miss is free.
_EMAIL = re.compile(r"[^@\s,;<>()\"]+@[^@\s,;<>()\"]+\.[^@\s.,;<>()\"]{2,}")


#: Identifiers that are a person's; a request that asks by others only is about a company.
_PERSONAL = frozenset({"email", "first_name", "last_name"})


def normalise_email(address: str | None) -> str | None:
    """Return the address trimmed and in lower case, or None if it isn't a valid address."""
    text = (address or "").strip().lower()
    return text if _EMAIL.fullmatch(text) else None


def identifiers(contact: Contact) -> dict[str, str]:
    """Return the contact's usable identifiers by name, normalised; an unusable one is left out."""
    given = {
        "email": normalise_email(contact.email),
        "first_name": (contact.first_name or "").strip(),
        "last_name": (contact.last_name or "").strip(),
        "company_name": (contact.company_name or "").strip(),
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
    return _digest([provider, _folded(lookup_input), sorted(output_fields)])


def follow_up_key(provider: str, step: str, lookup_input: Mapping[str, str], asked: Iterable[str]) -> str:
    """Return the journal's key of a follow-up: one for all contacts of whom it would be the same request."""
    return _digest([provider, step, _folded(lookup_input), sorted(set(asked))])


def is_about_person(lookup_input: Mapping[str, str]) -> bool:
    """Return whether what is asked with is a person's, so that the reply goes when the person is erased."""
    return not _PERSONAL.isdisjoint(lookup_input)


def suppression_keys(contact: Contact, origin: Origin) -> list[str]:
    """Return the hashed identifiers under which a suppression of this contact may be kept."""
    by_email = email_key(contact.email)
    return [_digest(["crm_id", origin.crm, origin.object_type, contact.crm_id]), *([by_email] if by_email else [])]


def email_key(address: str | None) -> str | None:
    """Return the hashed address under which a suppression may be kept, or None if it isn't a valid address."""
    email = normalise_email(address)
    return _digest(["email", email]) if email else None


def _folded(lookup_input: Mapping[str, str]) -> dict[str, str]:
    return {name: value.casefold() for name, value in lookup_input.items()}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
