"""What the baselines share: whom they ask about, what they write, and where the systems are."""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

PER_LOOKUP = 25
PER_CRM_CALL = 100

#: As many as the pipeline asks for.
_OUTPUT_FIELDS = [
    "id",
    "firstName",
    "lastName",
    "email",
    "jobTitle",
    "managementLevel",
    "jobFunction",
    "phone",
    "directPhoneDoNotCall",
    "mobilePhone",
    "mobilePhoneDoNotCall",
    "city",
    "state",
    "country",
    "externalUrls",
    "contactAccuracyScore",
    "companyId",
    "companyName",
    "companyWebsite",
    "companySocialMediaUrls",
    "companyCity",
    "companyState",
    "companyCountry",
    "companyEmployeeCount",
    "companyEmployeeRange",
    "companyPrimaryIndustry",
    "companyIndustries",
    "companyRevenueNumeric",
]
#: HubSpot's property by what the provider calls it; written where the contact has none.
_IF_BLANK = {
    "company": "company_name",
    "jobtitle": "title",
    "industry": "industry",
    "hs_linkedin_url": "linkedin_url",
    "phone": "phone",
    "mobilephone": "mobile_phone",
    "city": "city",
    "state": "state",
}
_ALWAYS = {
    "enr_company_name": "company_name",
    "enr_employee_count": "employee_count",
    "enr_industry": "industry",
    "enr_linkedin_url": "linkedin_url",
    "enr_job_title": "title",
    "enr_confidence": "confidence",
}
READ = ("email", "firstname", "lastname", *_IF_BLANK)
_INPUTS = {"emailAddress": "email", "firstName": "firstname", "lastName": "lastname", "companyName": "company"}

HUBSPOT_CONTACTS = "/crm/v3/objects/contacts"
HUBSPOT_UPDATE = f"{HUBSPOT_CONTACTS}/batch/update"
ZOOMINFO_TOKEN = "/oauth/v1/token"  # noqa: S105 - a path
ZOOMINFO_ENRICH = "/data/v1/contacts/enrich"
JSON_API = {"Content-Type": "application/vnd.api+json", "Accept": "application/vnd.api+json"}

Contact = Mapping[str, Any]
Item = Mapping[str, Any]


def hubspot_url() -> str:
    """Return where HubSpot is."""
    return os.environ["ENRICHMENT_HUBSPOT_BASE_URL"]


def hubspot_headers() -> dict[str, str]:
    """Return what a call of HubSpot's needs."""
    return {"Authorization": f"Bearer {os.environ['ENRICHMENT_HUBSPOT_ACCESS_TOKEN']}"}


def zoominfo_url() -> str:
    """Return where ZoomInfo is."""
    return os.environ["ENRICHMENT_ZOOMINFO_BASE_URL"]


def token_request() -> dict[str, Any]:
    """Return what `requests` and httpx need to log in."""
    return {
        "data": {"grant_type": "client_credentials"},
        "auth": (os.environ["ENRICHMENT_ZOOMINFO_CLIENT_ID"], os.environ["ENRICHMENT_ZOOMINFO_CLIENT_SECRET"]),
        "headers": {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
    }


def allowed_rate(service: str) -> float:
    """Return how many calls a second the service allows, as its account says; 0 for any number."""
    return float(os.environ.get(f"BENCH_{service}_PER_SECOND", "0"))


def page_of_contacts(after: str | None) -> dict[str, str]:
    """Return the parameters of the call that lists contacts."""
    parameters = {"limit": str(PER_CRM_CALL), "properties": ",".join(READ)}
    return parameters | ({"after": after} if after else {})


def next_page(body: Mapping[str, Any]) -> str | None:
    """Return where the list goes on, or None at its end."""
    following: str | None = body.get("paging", {}).get("next", {}).get("after")
    return following


def question(contacts: list[Contact]) -> dict[str, Any]:
    """Return the body that asks for these contacts."""
    inputs = [lookup_of(contact) for contact in contacts]
    attributes = {"matchPersonInput": inputs, "outputFields": _OUTPUT_FIELDS}
    return {"data": {"type": "ContactEnrich", "attributes": attributes}}


def lookup_of(contact: Contact) -> dict[str, str]:
    """Return by what the provider finds a contact."""
    values = contact["properties"]
    return {theirs: values[ours] for theirs, ours in _INPUTS.items() if values.get(ours)}


def lookups_of(contacts: list[Contact]) -> Iterator[list[Contact]]:
    """Yield as many contacts as one call takes, of those that have something to be found by."""
    asked = [contact for contact in contacts if {"emailAddress", "companyName"} & lookup_of(contact).keys()]
    for start in range(0, len(asked), PER_LOOKUP):
        yield asked[start : start + PER_LOOKUP]


def matches(contacts: list[Contact], answer: Mapping[str, Any]) -> list[tuple[Contact, Item]]:
    """Return the contacts that the provider knows, each with its item, which echoes what it answers."""
    known = {_key(item["meta"]["input"]): item for item in answer["data"] if item.get("attributes")}
    found = [(contact, known.get(_key(lookup_of(contact)))) for contact in contacts]
    return [(contact, item) for contact, item in found if item]


def update_of(contact: Contact, item: Item) -> dict[str, Any]:
    """Return the input of a batch update: our own properties, and the standard ones that are blank."""
    values, held = _values(item), contact["properties"]
    changes = {ours: values[name] for ours, name in _ALWAYS.items() if values.get(name)}
    changes |= {ours: values[name] for ours, name in _IF_BLANK.items() if values.get(name) and not held.get(ours)}
    stamp = {"enr_provider": "zoominfo", "enr_enriched_at": datetime.now(UTC).isoformat(timespec="milliseconds")}
    return {"id": contact["id"], "properties": changes | stamp}


def _key(lookup: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(lookup.items()))


def _values(item: Item) -> dict[str, str]:
    about = item["attributes"]
    company = about.get("company") or {}
    urls = [each["url"] for each in about.get("externalUrls") or () if "linkedin.com" in (each.get("url") or "")]
    values = {
        "company_name": company.get("name"),
        "employee_count": company.get("employeeCount"),
        "industry": company.get("primaryIndustry"),
        "linkedin_url": urls[0] if urls else None,
        "title": about.get("jobTitle"),
        "phone": about.get("phone") if not about.get("directPhoneDoNotCall") else None,
        "mobile_phone": about.get("mobilePhone") if not about.get("mobilePhoneDoNotCall") else None,
        "city": about.get("city"),
        "state": about.get("state"),
        "confidence": about.get("contactAccuracyScore"),
    }
    return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value)
