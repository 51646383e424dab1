"""The made-up people: repeatable, varied, and at addresses that don't exist."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta

from sandbox.people import FREE_MAIL_DOMAINS, ROLES, Population, populate
from sandbox.settings import Settings
from sandbox.world import World

CROWD = populate(3000, 7)


def test_seed_repeats() -> None:
    """The same seed gives the same people, another seed others."""
    assert populate(50, 7) == populate(50, 7)
    assert populate(50, 7).contacts != populate(50, 8).contacts


def test_addresses_are_reserved() -> None:
    """No e-mail and no domain can belong to anybody."""
    domains = {company.domain for company in CROWD.companies} | set(FREE_MAIL_DOMAINS)
    domains |= {person.email.partition("@")[2] for person in CROWD.people}
    assert len({company.domain for company in CROWD.companies}) == len(CROWD.companies) >= 300
    assert all(domain.endswith((".example", ".test")) and domain.isascii() for domain in domains)


def test_names_come_in_many_scripts() -> None:
    """Names are written in several scripts, e-mails in ASCII."""
    letters = "".join(person.first_name for person in CROWD.people)
    scripts = {unicodedata.name(letter).split()[0] for letter in letters if letter.isalpha()}
    assert {"LATIN", "CYRILLIC", "GREEK", "CJK", "HIRAGANA", "HANGUL", "ARABIC"} <= scripts
    assert all(re.fullmatch(r"[a-z0-9._]+@[a-z0-9.-]+", person.email) for person in CROWD.people)


def test_kinds_of_contacts() -> None:
    """There are work, free-mail, role, missing and malformed e-mails, and duplicate spellings."""
    emails = [contact.get("email") for contact in CROWD.contacts]
    known = [email for email in emails if email]
    exact = {email for email in known if email == email.strip().lower()}
    assert len(known) - len(set(known)) < len(known) / 50
    assert 20 < sum(email is None for email in emails) < 300
    assert 20 < sum(email.count("@") != 1 for email in known) < 300
    assert any(email.partition("@")[0] in ROLES for email in known)
    assert any(email.endswith("@gmail.example") for email in known)
    assert sum(email.strip().lower() in exact for email in known if email not in exact) > 20


def test_contacts_without_email() -> None:
    """Some contacts without an e-mail can be looked up by name and company, others can't."""
    nameless = [contact for contact in CROWD.contacts if "email" not in contact]
    usable = [contact for contact in nameless if {"firstname", "lastname", "company"} <= contact.keys()]
    assert 0 < len(usable) < len(nameless)


def test_people_have_filled_in_fields() -> None:
    """Some standard fields were filled in by hand before."""
    for name in ("company", "jobtitle", "industry", "hs_linkedin_url"):
        assert 50 < sum(name in contact for contact in CROWD.contacts) < 2000, name


def test_contacts_are_created_over_ninety_days() -> None:
    """Ids ascend with the time of creation, over the 90 days before the present of the world."""
    now = datetime(2026, 3, 1, tzinfo=UTC)
    contacts = World(Settings(contacts=200, now=now)).hubspot.contacts
    created = [datetime.fromisoformat(values["createdate"]) for values in contacts.values()]
    assert [int(contact_id) for contact_id in contacts] == sorted(int(contact_id) for contact_id in contacts)
    assert created == sorted(created)
    assert now - timedelta(days=91) < created[0] < now - timedelta(days=85)
    assert now - timedelta(days=2) < created[-1] <= now


def test_many_contacts() -> None:
    """A population of another size is made without clashes of e-mails."""
    people: Population = populate(5000, 1)
    assert len({person.email for person in people.people}) == len(people.people)
    assert len(people.contacts) == 5000
