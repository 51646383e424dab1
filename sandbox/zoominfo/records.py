"""The output fields of a contact, and the JSON of one."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sandbox.people import Person, chance
from sandbox.zoominfo.directory import COMPANY_ONLY, CONTACT_ONLY, Finding, person_id

DO_NOT_CALL_SHARE = 0.1
_LEVELS = ("C-Level", "VP-Level", "Director", "Manager", "Non-Manager")
_Getter = Callable[[Person], Any]


def _accuracy(person: Person) -> str:
    return str(75 + int(chance(f"score {person.email}") * 25))


def _employee_range(person: Person) -> str:
    bounds = (1, 5, 10, 20, 50, 100, 250, 500, 1000, 5000, 10_000)
    floor = max(bound for bound in bounds if bound <= person.company.employee_count)
    above = [bound for bound in bounds if bound > floor]
    return f"{floor} - {above[0]}" if above else "Over 10,000"


_CONTACT_FIELDS: Mapping[str, _Getter] = {
    "firstName": lambda p: p.first_name,
    "lastName": lambda p: p.last_name,
    "email": lambda p: p.email,
    "jobTitle": lambda p: p.job_title,
    "managementLevel": lambda p: [_LEVELS[p.level]],
    "jobFunction": lambda p: {"name": p.department, "department": p.department.replace("_", " ").title()},
    "phone": lambda p: p.phone(),
    "directPhoneDoNotCall": lambda p: chance(f"do not call {p.email}") < DO_NOT_CALL_SHARE,
    "mobilePhone": lambda p: p.phone("mobile"),
    "mobilePhoneDoNotCall": lambda p: chance(f"do not call mobile {p.email}") < DO_NOT_CALL_SHARE,
    "contactAccuracyScore": _accuracy,
    "externalUrls": lambda p: [{"type": "linkedin.com", "url": p.linkedin_url}],
    "city": lambda p: p.company.city,
    "state": lambda p: p.company.state,
    "country": lambda p: p.company.country,
    "hasCanadianEmail": lambda p: p.email.endswith(".ca"),
}
_COMPANY_FIELDS: Mapping[str, _Getter] = {
    "companyId": lambda p: p.company.id,
    "companyName": lambda p: p.company.name,
    "companyWebsite": lambda p: f"www.{p.company.domain}",
    "companySocialMediaUrls": lambda p: [
        {"type": "TWITTER", "url": f"http://www.twitter.com/{p.company.domain.partition('.')[0]}"},
        {"type": "LINKED_IN", "url": f"http://www.linkedin.com/{p.company.linkedin_handle}"},
    ],
    "companyEmployeeCount": lambda p: p.company.employee_count,
    "companyEmployeeRange": _employee_range,
    "companyPrimaryIndustry": lambda p: [p.company.industry],
    "companyIndustries": lambda p: [p.company.industry],
    "companyRevenueNumeric": lambda p: p.company.revenue,
    "companyCity": lambda p: p.company.city,
    "companyState": lambda p: p.company.state,
    "companyCountry": lambda p: p.company.country,
}
#: The id stands beside the attributes, whether it is asked for or not.
OUTPUT_FIELDS = frozenset({"id", *_CONTACT_FIELDS, *_COMPANY_FIELDS})


def missing_fields(finding: Finding, required: Sequence[str]) -> list[str]:
    """Return those of the fields that the record doesn't have."""
    person_fields, company_fields = _split(tuple(required))
    lacking: list[str] = []
    if finding.status == COMPANY_ONLY:
        lacking += [name for name, _ in person_fields]
    if finding.status == CONTACT_ONLY:
        lacking += [name for name, _ in company_fields]
    return lacking


def contact_row(finding: Finding, person: Person, fields: tuple[str, ...], meta: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON of a record that was found."""
    person_fields, company_fields = _split(fields)
    attributes: dict[str, Any] = {}
    if finding.status != COMPANY_ONLY:
        attributes = {name: get(person) for name, get in person_fields}
    if company_fields and finding.status != CONTACT_ONLY:
        attributes["company"] = {name: get(person) for name, get in company_fields}
    return {
        "id": person_id(person.email),
        "type": "Contact",
        "attributes": attributes,
        "meta": meta,
    }


def reshaped(row: dict[str, Any], renames: Mapping[str, str], constants: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as it is since the vendor renamed attributes, and gave others a new value."""
    for old, new in renames.items():
        parent, name = _parent(row["attributes"], old)
        if name in parent:
            parent[new.rpartition(".")[2]] = parent.pop(name)
    for path, value in constants.items():
        parent, name = _parent(row["attributes"], path)
        if parent:
            parent[name] = value
    return row


def _parent(attributes: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    above, _, name = path.rpartition(".")
    return (attributes.get(above, {}) if above else attributes), name


def missed_row(meta: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON of an input for which there is no record."""
    return {"id": "0", "type": "NoMatch", "meta": meta}


@lru_cache
def _split(fields: tuple[str, ...]) -> tuple[list[tuple[str, _Getter]], list[tuple[str, _Getter]]]:
    """Return the getters of the contact's own fields and of the company's, by the names sent."""
    own = [(name, _CONTACT_FIELDS[name]) for name in fields if name in _CONTACT_FIELDS]
    company = [(_bare(name), _COMPANY_FIELDS[name]) for name in fields if name in _COMPANY_FIELDS]
    return own, company


def _bare(name: str) -> str:
    bare = name.removeprefix("company")
    return bare[0].lower() + bare[1:]
