"""A person and a company as Clearbit writes them."""

from collections.abc import Mapping
from typing import Any

from sandbox.people import Company, Person, chance, technologies
from sandbox.zoominfo.directory import person_id

_RANGES = (
    (10, "1-10"),
    (50, "11-50"),
    (250, "51-250"),
    (1000, "251-1K"),
    (5000, "1K-5K"),
    (10_000, "5K-10K"),
    (50_000, "10K-50K"),
)
#: By level; not every person has one.
_SENIORITIES = ("executive", "executive", "director", "manager", None)


def person_json(person: Person, *, fuzzy: bool = False) -> dict[str, Any]:
    """Return a person."""
    company = person.company
    return {
        "id": f"p-{person_id(person.email)}",
        "name": {
            "fullName": f"{person.first_name} {person.last_name}",
            "givenName": person.first_name,
            "familyName": person.last_name,
        },
        "email": person.email,
        "geo": {"city": company.city, "state": company.state, "country": company.country},
        "employment": {
            "domain": company.domain,
            "name": company.name,
            "title": person.job_title,
            "role": person.department,
            "seniority": _SENIORITIES[person.level],
        },
        "linkedin": {"handle": person.linkedin_url.partition("linkedin.com/")[2]},
        "fuzzy": fuzzy,
    }


def company_json(company: Company) -> dict[str, Any]:
    """Return a company."""
    return {
        "id": f"c-{company.id}",
        "name": company.name,
        "domain": company.domain,
        "category": {"industry": company.industry},
        "geo": {"city": company.city, "state": company.state, "country": company.country},
        "linkedin": {"handle": company.linkedin_handle},
        "foundedYear": company.founded_year,
        "metrics": {
            "employees": company.employee_count,
            "employeesRange": employees_range(company),
            "annualRevenue": company.revenue,
        },
        "tech": tech_of(company),
    }


def tech_of(company: Company) -> list[str]:
    """Return the technologies that a company uses."""
    return [each[0] for each in technologies() if chance(f"tech {company.domain} {each[0]}") < 0.2]


def employees_range(company: Company) -> str:
    """Return the size of a company as a range."""
    return next((text for most, text in _RANGES if company.employee_count <= most), "100K+")


def error_json(kind: str, message: str) -> Mapping[str, Any]:
    """Return the body of an error."""
    return {"error": {"type": kind, "message": message}}
