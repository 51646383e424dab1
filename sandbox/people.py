"""Who lives in the sandbox: companies, people, and the contacts that a CRM has of them."""

import itertools
import json
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

COMPANIES = 600
FREE_MAIL_DOMAINS = ("gmail.example", "yahoo.example", "outlook.example", "web-mail.test")
ROLES = ("info", "sales", "office", "support", "contact", "hello", "kontakt", "team")

_WORDS: dict[str, Any] = json.loads((Path(__file__).parent / "people.json").read_text("utf-8"))
#: Letters that Unicode doesn't decompose into a base and a mark.
_LETTERS = str.maketrans(
    {
        "ß": "ss",
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "ð": "d",
        "þ": "th",
        "Þ": "Th",
    }
    | {
        "æ": "ae",
        "Æ": "Ae",
        "\u0131": "i",
        "ä": "ae",
        "ö": "oe",
        "ü": "ue",
        "Ä": "Ae",
        "Ö": "Oe",
        "Ü": "Ue",
    }
)
_DEPARTMENTS = ("engineering", "sales", "marketing", "finance", "human_resources", "operations")
#: Of the countries where numbers are written without the country's code.
_AREA_CODES = {"United States": "415", "Canada": "416"}
#: What kinds of contacts there are, and how many in a hundred.
_KINDS = {
    "work": 70,
    "free": 16,
    "role": 5,
    "name_only": 2,
    "nothing": 2,
    "malformed": 2,
    "duplicate": 3,
}
#: Fields that people have filled in by hand, and how often.
_FILLED_SHARE = {
    "company": 0.3,
    "jobtitle": 0.35,
    "industry": 0.12,
    "hs_linkedin_url": 0.08,
    "city": 0.1,
}


@dataclass(frozen=True, slots=True)
class Company:
    """A company as a provider of data knows it."""

    id: int
    name: str
    domain: str
    employee_count: int
    industry: str
    revenue: int
    city: str
    state: str
    country: str

    @property
    def linkedin_handle(self) -> str:
        """Return the path of the company's page."""
        return f"company/{self.domain.partition('.')[0]}"

    @property
    def founded_year(self) -> int:
        """Return the year of its foundation."""
        return 1900 + int(chance(f"founded {self.domain}") * 125)


@dataclass(frozen=True, slots=True)
class Person:
    """A person as a provider of data knows it."""

    first_name: str
    last_name: str
    email: str
    company: Company
    job_title: str

    @property
    def linkedin_url(self) -> str:
        """Return the address of the person's profile."""
        return f"https://www.linkedin.com/in/{self.email.replace('@', '-').replace('.', '-')}"

    @property
    def level(self) -> int:
        """Return the level of the position, from 0 for the highest to 4."""
        return int(chance(f"level {self.email}") * 5)

    @property
    def department(self) -> str:
        """Return the code of the department."""
        return _DEPARTMENTS[int(chance(f"department {self.email}") * len(_DEPARTMENTS))]

    def phone(self, kind: str = "direct") -> str:
        """Return a number as people of the country write it; in North America that is without the country's code."""
        last = int(chance(f"{kind} {self.email}") * 100)
        code = _AREA_CODES.get(self.company.country)
        return f"({code}) 555-01{last:02}" if code else f"+44 20 7946 0{last:03}"


@dataclass(frozen=True, slots=True)
class Population:
    """The whole population: the people, and the properties of each contact in the order of creation."""

    companies: tuple[Company, ...]
    people: tuple[Person, ...]
    contacts: tuple[dict[str, str], ...]


class _Name(NamedTuple):
    native: str
    ascii: str


class _Culture(NamedTuple):
    given: list[_Name]
    family: list[_Name]
    places: list[list[str]]
    suffixes: list[str]


def technologies() -> list[list[str]]:
    """Return product, vendor, category and parent category of every known technology."""
    return list(_WORDS["technologies"])


def topics() -> list[str]:
    """Return the intent topics that companies may show."""
    return list(_WORDS["topics"])


def fold(text: str) -> str:
    """Return the text in plain ASCII letters, lower case, without spaces and marks."""
    plain = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    return "".join(c for c in plain if c.isascii() and c.isalnum()).lower()


def chance(text: str) -> float:
    """Return a number from 0 up to 1 that depends on the text alone."""
    return int.from_bytes(blake2b(text.encode(), digest_size=7).digest()) / (1 << 56)


def populate(contacts: int, seed: int) -> Population:
    """Make up all of them."""
    dice = random.Random(seed)
    cultures = [_culture(each) for each in _WORDS["cultures"]]
    weights = list(itertools.accumulate(each["weight"] for each in _WORDS["cultures"]))
    companies = tuple(_companies(dice, cultures, weights))
    crowd = _Crowd(dice, cultures, weights, companies)
    records = tuple(crowd.contact() for _ in range(contacts))
    return Population(companies, tuple(crowd.people), records)


class _Crowd:
    """Makes up contacts one by one, each with a distinct e-mail."""

    def __init__(
        self,
        dice: random.Random,
        cultures: list[_Culture],
        weights: list[int],
        companies: tuple[Company, ...],
    ) -> None:
        self._dice = dice
        self._cultures = cultures
        self._weights = weights
        self._companies = companies
        self._taken: set[str] = set()
        self._kinds = list(_KINDS)
        self._shares = list(itertools.accumulate(_KINDS.values()))
        self.people: list[Person] = []

    def contact(self) -> dict[str, str]:
        """Return the properties of one more contact."""
        kind = self._dice.choices(self._kinds, cum_weights=self._shares)[0]
        if kind == "duplicate" and self.people:
            return self._duplicate()
        person = self._person(free=kind == "free")
        self.people.append(person)
        values = {
            "firstname": person.first_name,
            "lastname": person.last_name,
            **self._filled(person),
        }
        if kind in ("name_only", "nothing"):
            return self._without_email(person, values, named=kind == "name_only")
        return {"email": self._address(kind, person), **values}

    def _person(self, *, free: bool) -> Person:
        given, family = self._name()
        company = self._dice.choice(self._companies)
        domain = self._dice.choice(FREE_MAIL_DOMAINS) if free else company.domain
        email = self._unique(self._dice.choice(_local_parts(given.ascii, family.ascii)), domain)
        return Person(given.native, family.native, email, company, self._dice.choice(_WORDS["job_titles"]))

    def _name(self) -> tuple[_Name, _Name]:
        culture = self._dice.choices(self._cultures, cum_weights=self._weights)[0]
        return self._dice.choice(culture.given), self._dice.choice(culture.family)

    def _unique(self, local: str, domain: str) -> str:
        email = f"{local}@{domain}"
        number = 2
        while email in self._taken:
            email = f"{local}{number}@{domain}"
            # Popular names at popular domains would otherwise be counted up one by one.
            number += self._dice.randint(1, 1 + number)
        self._taken.add(email)
        return email

    def _filled(self, person: Person) -> dict[str, str]:
        known = {
            "company": person.company.name,
            "jobtitle": person.job_title,
            "industry": person.company.industry,
            "hs_linkedin_url": person.linkedin_url,
            "city": person.company.city,
        }
        return {name: known[name] for name, share in _FILLED_SHARE.items() if self._dice.random() < share}

    def _without_email(self, person: Person, values: dict[str, str], *, named: bool) -> dict[str, str]:
        if named:
            return {**values, "company": person.company.name}
        return {"firstname": person.first_name} if self._dice.random() < 0.5 else {"phone": "+1 202 555 0143"}

    def _address(self, kind: str, person: Person) -> str:
        if kind == "role":
            return self._unique(self._dice.choice(ROLES), person.company.domain)
        if kind == "malformed":
            spoilt = ("{0}(at){1}", "{0}@", "{0}@@{1}", "{0}@{1},", "{0} {1}")
            return self._dice.choice(spoilt).format(*person.email.split("@"))
        return person.email

    def _duplicate(self) -> dict[str, str]:
        """Return the same person once more, as a careless import would write it."""
        person = self._dice.choice(self.people)
        email = self._dice.choice((person.email.upper(), f" {person.email}", f"{person.email} ", person.email.title()))
        return {"email": email, "firstname": person.first_name, "lastname": person.last_name}


def _local_parts(given: str, family: str) -> tuple[str, ...]:
    return (
        f"{given}.{family}",
        f"{given}.{family}",
        f"{given[0]}{family}",
        f"{given}_{family}",
        given,
    )


def _culture(words: dict[str, Any]) -> _Culture:
    given, family = ([_name(each) for each in words[part]] for part in ("given", "family"))
    return _Culture(given, family, words["places"], words["suffixes"])


def _name(text: str) -> _Name:
    native, _, transcribed = text.partition("|")
    return _Name(native, transcribed or fold(native))


def _companies(dice: random.Random, cultures: list[_Culture], weights: list[int]) -> Iterator[Company]:
    kinds = [(kind, industry) for industry, names in _WORDS["industries"].items() for kind in names]
    pairs = list(itertools.product(_WORDS["company_words"], kinds))
    for number, (word, (kind, industry)) in enumerate(dice.sample(pairs, COMPANIES)):
        culture = dice.choices(cultures, cum_weights=weights)[0]
        city, state, country = dice.choice(culture.places)
        # Many small companies, few large ones.
        employees = int(10 ** dice.uniform(0.7, 4.7))
        yield Company(
            id=340_000_000 + number * 17,
            name=f"{word} {kind} {dice.choice(culture.suffixes)}",
            domain=f"{fold(word)}-{fold(kind)}.{dice.choice(('example', 'test'))}",
            employee_count=employees,
            industry=industry,
            revenue=employees * dice.randint(60, 400) * 1000,
            city=city,
            state=state,
            country=country,
        )
