"""HubSpot's contact properties: what they take, and those of our own."""

from collections.abc import Mapping, Sequence
from typing import Any

from blocks.calls.messages import Call, is_object
from blocks.crms.hubspot.api import HubSpotApi
from enrichment.errors import ConfigurationError, RequestRefusedError, TransientError
from enrichment.write_policy import FieldDescription, FieldRule, Rule

GROUP = "enrichment"
READ_SCOPE = "crm.schemas.contacts.read"
WRITE_SCOPE = "crm.schemas.contacts.write"
#: HubSpot's limit for a text property.
LONGEST_TEXT = 65_536
CONFLICT = 409

#: Our own properties: label, type and field type by name.
OUR_FIELDS: Mapping[str, tuple[str, str, str]] = {
    "enr_company_name": ("Enriched company name", "string", "text"),
    "enr_employee_count": ("Enriched employee count", "number", "number"),
    "enr_industry": ("Enriched industry", "string", "text"),
    "enr_tech_stack": ("Enriched tech stack", "string", "textarea"),
    "enr_linkedin_url": ("Enriched LinkedIn URL", "string", "text"),
    "enr_intent_keywords": ("Enriched intent keywords", "string", "textarea"),
    "enr_job_title": ("Enriched job title", "string", "text"),
    "enr_provider": ("Enrichment provider", "string", "text"),
    "enr_confidence": ("Enrichment confidence", "number", "number"),
    "enr_enriched_at": ("Enriched at", "datetime", "date"),
}

DEFAULT_RULES: tuple[FieldRule, ...] = (
    FieldRule("company", "company_name", Rule.FILL_BLANK),
    FieldRule("jobtitle", "title", Rule.FILL_BLANK),
    FieldRule("industry", "industry", Rule.FILL_BLANK),
    FieldRule("hs_linkedin_url", "linkedin_url", Rule.FILL_BLANK),
    FieldRule("phone", "phone", Rule.FILL_BLANK),
    FieldRule("mobilephone", "mobile_phone", Rule.FILL_BLANK),
    FieldRule("city", "city", Rule.FILL_BLANK),
    FieldRule("state", "state", Rule.FILL_BLANK),
    # The property `country` holds names as people write them; this one holds codes.
    FieldRule("hs_country_region_code", "country", Rule.FILL_BLANK),
    FieldRule("enr_company_name", "company_name", Rule.ALWAYS),
    FieldRule("enr_employee_count", "employee_count", Rule.ALWAYS),
    FieldRule("enr_industry", "industry", Rule.ALWAYS),
    FieldRule("enr_tech_stack", "tech_stack", Rule.ALWAYS),
    FieldRule("enr_linkedin_url", "linkedin_url", Rule.ALWAYS),
    FieldRule("enr_intent_keywords", "intent_keywords", Rule.ALWAYS),
    FieldRule("enr_job_title", "title", Rule.ALWAYS),
    FieldRule("enr_provider", "provider", Rule.ALWAYS),
    FieldRule("enr_confidence", "confidence", Rule.ALWAYS),
    FieldRule("enr_enriched_at", "received_at", Rule.ALWAYS, stamp=True),
)

#: HubSpot's types by ours; every other type is written by HubSpot only.
_TYPES: Mapping[str, str] = {
    "string": "string",
    "phone_number": "string",
    "number": "number",
    "bool": "bool",
    "date": "date",
    "datetime": "datetime",
    "enumeration": "enumeration",
}


class FieldCatalog:
    """Describes the contact's properties, and creates ours."""

    def __init__(self, api: HubSpotApi, rules: Sequence[FieldRule]) -> None:
        self._api = api
        self._ours = [r.field for r in rules if r.field in OUR_FIELDS and r.rule is not Rule.NEVER]
        self._known: Mapping[str, FieldDescription] | None = None

    def describe(self) -> Mapping[str, FieldDescription]:
        """Return HubSpot's own description of the contact's properties, as it was at the first call."""
        if self._known is None:
            listed = self._api.ask(Call("GET", self._api.properties("")), READ_SCOPE, _lists_something).body
            self._known = {each["name"]: _description(each) for each in listed["results"]}
        return self._known

    def ensure(self) -> list[str]:
        """
        Create those of our properties that are missing, and return their names.

        Raises:
            ConfigurationError: a property of that name exists with another type.
            TransientError: HubSpot doesn't list what it was told to create.
        """
        absent = self._absent(self._describe_again())
        if not absent:
            return []
        self._create(absent)
        # Whatever the answers were (created, there already, in part): what counts is what is there now.
        still_absent = self._absent(self._describe_again())
        if still_absent:
            names = ", ".join(still_absent)
            raise TransientError(
                f"HubSpot doesn't list {names}: restore them there if they are archived, then run again"
            )
        return absent

    def _describe_again(self) -> Mapping[str, FieldDescription]:
        self._known = None
        return self.describe()

    def _absent(self, known: Mapping[str, FieldDescription]) -> list[str]:
        for name in self._ours:
            wanted = OUR_FIELDS[name][1]
            if name in known and known[name].type != wanted:
                raise ConfigurationError(
                    f"HubSpot's contact property '{name}' has the type {known[name].type}, but {wanted} is needed: "
                    "delete it there, or map another field"
                )
        return [name for name in self._ours if name not in known]

    def _create(self, names: Sequence[str]) -> None:
        self._post("/groups", {"name": GROUP, "label": "Enrichment", "displayOrder": -1})
        self._post("/batch/create", {"inputs": [_definition(name) for name in names]})
        # One that somebody else creates meanwhile may have failed the whole batch.
        for name in self._absent(self._describe_again()):
            self._post("", _definition(name))

    def _post(self, tail: str, body: Any) -> None:
        call = Call("POST", self._api.properties(tail), body=body, repeatable=False)
        try:
            self._api.ask(call, WRITE_SCOPE, is_object)
        except RequestRefusedError as refusal:
            if refusal.status != CONFLICT:  # a conflict means that it exists
                raise


def _definition(name: str) -> dict[str, str]:
    label, kind, field_type = OUR_FIELDS[name]
    return {"name": name, "label": label, "type": kind, "fieldType": field_type, "groupName": GROUP}


def _description(listed: Mapping[str, Any]) -> FieldDescription:
    kind = _TYPES.get(listed["type"])
    locked = bool((listed.get("modificationMetadata") or {}).get("readOnlyValue"))
    return FieldDescription(
        type=kind or "string",
        options=frozenset(str(option["value"]) for option in listed.get("options") or ()),
        read_only=locked or bool(listed.get("calculated")) or kind is None,
        max_length=LONGEST_TEXT if kind == "string" else None,
    )


def _lists_something(body: Any) -> bool:
    return isinstance(body, dict) and bool(body.get("results"))
