"""The contact properties that every HubSpot account has and that matter here."""

from typing import Any

_TEXTS = {
    "email": "Email",
    "firstname": "First Name",
    "lastname": "Last Name",
    "company": "Company Name",
    "jobtitle": "Job Title",
    "industry": "Industry",
    "hs_linkedin_url": "LinkedIn URL",
    "website": "Website URL",
    "city": "City",
    "state": "State/Region",
    "country": "Country/Region",
    "hs_country_region_code": "Country/Region Code",
    "zip": "Postal Code",
    "address": "Street Address",
    "annualrevenue": "Annual Revenue",
}
_ENUMERATIONS = {
    "numemployees": (
        "Number of Employees",
        ("1-5", "5-25", "25-50", "50-100", "100-500", "500-1000", "1000+"),
    ),
    "lifecyclestage": (
        "Lifecycle Stage",
        (
            "subscriber",
            "lead",
            "marketingqualifiedlead",
            "salesqualifiedlead",
            "opportunity",
            "customer",
            "evangelist",
            "other",
        ),
    ),
    "hs_analytics_source": (
        "Original Traffic Source",
        ("ORGANIC_SEARCH", "PAID_SEARCH", "EMAIL_MARKETING", "REFERRALS", "DIRECT_TRAFFIC", "OFFLINE"),
    ),
    "hs_lead_status": (
        "Lead Status",
        ("NEW", "OPEN", "IN_PROGRESS", "UNQUALIFIED", "CONNECTED", "BAD_TIMING"),
    ),
}
_READ_ONLY = {
    "createdate": ("Create Date", "datetime", "date"),
    "lastmodifieddate": ("Last Modified Date", "datetime", "date"),
    "hs_object_id": ("Record ID", "number", "number"),
    "hs_merged_object_ids": ("Merged record IDs", "enumeration", "checkbox"),
    "hs_email_domain": ("Email Domain", "string", "text"),
    "num_notes": ("Number of Sales Activities", "number", "number"),
}


def standard_properties() -> list[dict[str, Any]]:
    """Return the definitions."""
    texts = [_definition(name, label, "string", "text") for name, label in _TEXTS.items()]
    phones = [
        _definition(name, label, "string", "phonenumber")
        for name, label in {"phone": "Phone Number", "mobilephone": "Mobile Phone Number"}.items()
    ]
    choices = [
        {
            **_definition(name, label, "enumeration", "select"),
            "options": [_option(n, v) for n, v in enumerate(values)],
        }
        for name, (label, values) in _ENUMERATIONS.items()
    ]
    others = [
        _definition("hs_email_optout", "Unsubscribed from all email", "bool", "booleancheckbox"),
        _definition("date_of_birth", "Date of birth", "string", "text"),
        _definition("closedate", "Close Date", "datetime", "date"),
        _definition("hubspot_owner_id", "Contact owner", "enumeration", "select")
        | {"options": [], "externalOptions": True, "referencedObjectType": "OWNER"},
        _definition("hs_buying_role", "Buying Role", "enumeration", "checkbox")
        | {"options": [_option(n, v) for n, v in enumerate(("BUDGET_HOLDER", "CHAMPION", "DECISION_MAKER"))]},
    ]
    locked = [_definition(name, *each, read_only=True) for name, each in _READ_ONLY.items()]
    return texts + phones + choices + others + locked


def _definition(name: str, label: str, kind: str, field_type: str, *, read_only: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": kind,
        "fieldType": field_type,
        "groupName": "contactinformation",
        "hubspotDefined": True,
        "calculated": name == "hs_email_domain",
        "modificationMetadata": {
            "archivable": False,
            "readOnlyDefinition": True,
            "readOnlyValue": read_only,
        },
    }


def _option(number: int, value: str) -> dict[str, Any]:
    return {"label": value, "value": value, "displayOrder": number, "hidden": False}
