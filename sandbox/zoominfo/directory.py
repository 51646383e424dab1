"""Whom a seller of data knows, and how a lookup ends: by the input and the seller alone, so always the same way."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sandbox.people import FREE_MAIL_DOMAINS, ROLES, Company, Person, Population, chance, fold

FULL_MATCH = "FULL_MATCH"
COMPANY_ONLY = "COMPANY_ONLY_MATCH"
CONTACT_ONLY = "CONTACT_ONLY_MATCH"
NO_MATCH = "NO_MATCH"
OPT_OUT = "OPT_OUT"
INVALID_INPUT = "INVALID_INPUT"
HITS = (FULL_MATCH, COMPANY_ONLY, CONTACT_ONLY)

#: An e-mail that begins with one of these and a plus sign says itself how it ends.
_PREFIXES = {
    "hit": FULL_MATCH,
    "miss": NO_MATCH,
    "optout": OPT_OUT,
    "invalid": INVALID_INPUT,
    "companyonly": COMPANY_ONLY,
    "contactonly": CONTACT_ONLY,
    "stub": NO_MATCH,
    "other": FULL_MATCH,
}
#: Who is asked for so is taken for another person, of another name at another company; of the others, this share is.
_OTHER = "other+"
_SCRIPTED = ("id:", *(f"{prefix}+" for prefix in _PREFIXES))
OTHER_SHARE = 0.005
#: `fault+` fails the whole call with 500, `fault504+` with that status.
_FAULT = re.compile(r"fault(\d{3})?\+")
_EMAIL = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+")
#: Up to which chance a lookup ends so; the rest is not found.
_WORK_MAIL = ((0.74, FULL_MATCH), (0.80, COMPANY_ONLY), (0.82, CONTACT_ONLY), (0.84, OPT_OUT))
_FREE_MAIL = ((0.38, FULL_MATCH), (0.48, CONTACT_ONLY), (0.50, OPT_OUT))


@dataclass(frozen=True, slots=True)
class Finding:
    """How the lookup of one input ends, and whether another person was taken for the person."""

    status: str
    person: Person | None = None
    mistaken: bool = False

    @property
    def record_id(self) -> str:
        """Return the id of the record found."""
        return person_id(self.person.email) if self.person else "0"


def normalise(lookup: Mapping[str, Any]) -> str:
    """Return what identifies the input, however it is spelt; empty if it can't be looked up."""
    if lookup.get("personId"):
        return f"id:{lookup['personId']}"
    if lookup.get("emailAddress"):
        return str(lookup["emailAddress"]).strip().lower()
    parts = [str(lookup.get(key) or "").strip().casefold() for key in ("firstName", "lastName", "companyName")]
    return "|".join(parts) if all(parts) else ""


def fault_status(key: str) -> int | None:
    """Return the status with which this input makes the whole call fail."""
    found = _FAULT.match(key)
    return int(found[1] or 500) if found else None


@lru_cache(maxsize=200_000)
def person_id(email: str) -> str:
    """Return the id of the person with this e-mail."""
    return str(1_000_000_000 + int(chance(f"id {email}") * 8_000_000_000))


class Directory:
    """
    Every person in the world, and each that must exist because a test queries them.

    Args:
        population: the people of the world.
        seller: who keeps it; each of them knows other people. Empty for ZoomInfo.
    """

    def __init__(self, population: Population, seller: str = "") -> None:
        self._seller = seller
        self._companies = population.companies
        self._company_by_domain = {each.domain: each for each in population.companies}
        self._company_by_id = {each.id: each for each in population.companies}
        self._crowd = _strangers(population)
        self._by_email = {each.email: each for each in population.people}
        self._by_name = {_name_key(each): each for each in population.people}
        self._by_id: dict[str, Person] | None = None

    def find(self, key: str) -> Finding:
        """Look up a normalised input."""
        finding = self._find(key)
        if finding.status == FULL_MATCH and finding.person and self._is_mistaken(key):
            return Finding(FULL_MATCH, self._stranger(key, finding.person), mistaken=True)
        return finding

    def _is_mistaken(self, key: str) -> bool:
        if key.startswith(_OTHER):
            return True
        return not key.startswith(_SCRIPTED) and chance(f"other {self._seller} {key}") < OTHER_SHARE

    def _stranger(self, key: str, wanted: Person) -> Person:
        """Return a person of another name at another company, for the same input always the same."""
        crowd = self._crowd
        start = int(chance(f"stranger {key}") * len(crowd))
        others = (crowd[(start + step) % len(crowd)] for step in range(len(crowd)))
        taken = {fold(wanted.last_name), fold(wanted.first_name)}
        return next(one for one in others if one.company.id != wanted.company.id and fold(one.last_name) not in taken)

    def _find(self, key: str) -> Finding:
        if key.startswith("id:"):
            person = self._person_by_id(key.removeprefix("id:"))
            return Finding(FULL_MATCH, person) if person else Finding(NO_MATCH)
        if "|" in key:
            return self._find_by_name(key)
        return self._find_by_email(key) if _EMAIL.fullmatch(key) else Finding(INVALID_INPUT)

    def guess(self, key: str) -> Company:
        """Return a company that has nothing to do with the input."""
        return self._companies[int(chance(f"guess {key}") * len(self._companies))]

    def company(self, company_id: int) -> Company | None:
        """Return the company with this id."""
        return self._company_by_id.get(company_id)

    def _find_by_email(self, email: str) -> Finding:
        local, domain = email.split("@")
        prefix, plus, rest = local.partition("+")
        forced = _PREFIXES.get(prefix) if plus else None
        if forced is None and local in ROLES:
            return Finding(NO_MATCH)
        status = forced or self._draw(email, _FREE_MAIL if domain in FREE_MAIL_DOMAINS else _WORK_MAIL)
        if status not in HITS:
            return Finding(status)
        return Finding(status, self._by_email.get(email) or self._invent(email, rest or local))

    def _find_by_name(self, key: str) -> Finding:
        person = self._by_name.get(key)
        status = self._draw(key, _WORK_MAIL) if person else NO_MATCH
        return Finding(status, person if status in HITS else None)

    def _draw(self, text: str, shares: tuple[tuple[float, str], ...]) -> str:
        drawn = chance(f"{self._seller} {text}" if self._seller else text)
        return next((status for share, status in shares if drawn < share), NO_MATCH)

    def _person_by_id(self, wanted: str) -> Person | None:
        if self._by_id is None:
            self._by_id = {person_id(email): person for email, person in self._by_email.items()}
        return self._by_id.get(wanted)

    def _invent(self, email: str, name: str) -> Person:
        """Make up the person behind an e-mail that no person in the world has."""
        given, *others = [part.capitalize() for part in re.split(r"[._-]+", name) if part] or ["Robin"]
        company = self._company_of(email.partition("@")[2])
        person = Person(given, " ".join(others) or "Doe", email, company, "Operations Manager")
        self._by_email[email] = person
        if self._by_id is not None:
            self._by_id[person_id(email)] = person
        return person

    def _company_of(self, domain: str) -> Company:
        known = self._company_by_domain.get(domain)
        if known:
            return known
        model = self._companies[int(chance(domain) * len(self._companies))]
        name = domain.partition(".")[0].replace("-", " ").title()
        company = replace(
            model,
            id=900_000_000 + int(chance(f"id {domain}") * 90_000_000),
            name=name,
            domain=domain,
        )
        self._company_by_domain[domain] = company
        self._company_by_id[company.id] = company
        return company


def _strangers(population: Population) -> list[Person]:
    """Return one person for each of some companies, none of them a contact of the world."""
    names = ("Grace Hopper", "Alan Turing", "Edsger Dijkstra", "Barbara Liskov", "Niklaus Wirth")
    people = []
    for number, company in enumerate(population.companies[:50]):
        given, family = names[number % len(names)].split()
        email = f"{given}.{family}@{company.domain}".lower()
        people.append(Person(given, family, email, company, "Managing Director"))
    return people


def _name_key(person: Person) -> str:
    return f"{person.first_name}|{person.last_name}|{person.company.name}".casefold()
