"""The fields of Salesforce's Contact: what they take, and those of our own, which a person adds to the org."""

from collections.abc import Mapping, Sequence
from typing import Any

from blocks.calls.messages import Call
from blocks.crms.salesforce.api import SalesforceApi
from enrichment.errors import ConfigurationError
from enrichment.write_policy import FieldDescription, FieldRule, Rule

#: Our own fields without the prefix: the canonical field that fills each, and the type that it must have.
OUR_FIELDS: Mapping[str, tuple[str, str]] = {
    "Company_Name__c": ("company_name", "string"),
    "Employee_Count__c": ("employee_count", "number"),
    "Industry__c": ("industry", "string"),
    "Tech_Stack__c": ("tech_stack", "string"),
    "LinkedIn_URL__c": ("linkedin_url", "string"),
    "Intent_Keywords__c": ("intent_keywords", "string"),
    "Job_Title__c": ("title", "string"),
    "Provider__c": ("provider", "string"),
    "Confidence__c": ("confidence", "number"),
    "Enriched_At__c": ("received_at", "datetime"),
}
_STAMP = "Enriched_At__c"
DOCUMENTATION = "docs/salesforce.md"
#: Standard fields and what fills them. State and country aren't among them: an org with picklists for them takes codes
#: in other fields than one without.
_STANDARD: Mapping[str, str] = {
    "Title": "title",
    "Department": "department",
    "Phone": "phone",
    "MobilePhone": "mobile_phone",
    "MailingCity": "city",
}

_TEXTS = ("string", "textarea", "email", "phone", "url", "encryptedstring", "reference", "id", "combobox")
_NUMBERS = ("double", "int", "long", "currency", "percent")
_PICKLISTS = frozenset({"picklist", "multipicklist"})
#: Our types by Salesforce's; every other one, such as an address, can't be written as one value.
_TYPES: Mapping[str, str] = {
    **dict.fromkeys((*_TEXTS, *_PICKLISTS), "string"),
    **dict.fromkeys(_NUMBERS, "number"),
    "boolean": "bool",
    "date": "date",
    "datetime": "datetime",
}

#: The latest types by credential: updates need them, and a description is a long answer.
_types: dict[str, Mapping[str, str]] = {}


def default_rules(prefix: str) -> tuple[FieldRule, ...]:
    """Return how fields are filled where no mapping says otherwise."""
    own = (
        FieldRule(prefix + name, source, Rule.ALWAYS, stamp=name == _STAMP) for name, (source, _) in OUR_FIELDS.items()
    )
    return (*(FieldRule(name, source, Rule.FILL_BLANK) for name, source in _STANDARD.items()), *own)


class FieldCatalog:
    """Describes the contact's fields, and tells which of ours are missing."""

    def __init__(self, api: SalesforceApi, rules: Sequence[FieldRule], prefix: str) -> None:
        self._api = api
        wanted = {prefix + name: kind for name, (_, kind) in OUR_FIELDS.items()}
        self._ours = {r.field: wanted[r.field] for r in rules if r.field in wanted and r.rule is not Rule.NEVER}
        self._known: Mapping[str, FieldDescription] | None = None
        self._unfilterable: frozenset[str] = frozenset()

    def describe(self) -> Mapping[str, FieldDescription]:
        """Return Salesforce's own description of the fields, as it was at the first call."""
        if self._known is None:
            listed = self._api.ask(Call("GET", "sobjects/Contact/describe"), _lists_fields).body
            self._known = {each["name"]: _description(each) for each in listed["fields"]}
            self._unfilterable = frozenset(each["name"] for each in listed["fields"] if each.get("filterable") is False)
            _types[self._api.credential] = {name: known.type for name, known in self._known.items()}
        return self._known

    def unfilterable(self) -> frozenset[str]:
        """Return the fields that no condition of a query may name, such as long texts."""
        self.describe()
        return self._unfilterable

    def types(self) -> Mapping[str, str]:
        """Return the type of each field, as this process learnt it last."""
        if self._api.credential not in _types:
            self.describe()
        return _types[self._api.credential]

    def ensure(self) -> list[str]:
        """
        Return an empty list if all fields of ours can be written.

        They are metadata of the org: adding them takes permissions that an integration user shouldn't have.

        Raises:
            ConfigurationError: some are missing, of another type, or read-only.
        """
        self._known = None
        known = self.describe()
        flaws = [flaw for name, kind in self._ours.items() if (flaw := _flaw(name, kind, known.get(name)))]
        if flaws:
            raise ConfigurationError(
                f"Salesforce's Contact isn't ready: {'; '.join(flaws)}. Add these fields, let the integration user "
                f"edit them (field-level security hides what it may not see), as {DOCUMENTATION} says, and run again"
            )
        return []


def _flaw(name: str, wanted: str, known: FieldDescription | None) -> str:
    if known is None:
        return f"{name} is missing or hidden"
    if known.type != wanted:
        return f"{name} has the type {known.type}, but {wanted} is needed"
    return f"{name} is read-only" if known.read_only else ""


def _description(listed: Mapping[str, Any]) -> FieldDescription:
    kind = _TYPES.get(listed["type"])
    # An unrestricted picklist takes any text: its values are only suggestions.
    restricted = listed["type"] in _PICKLISTS and bool(listed.get("restrictedPicklist"))
    options = (each["value"] for each in listed.get("picklistValues") or () if each.get("active", True))
    return FieldDescription(
        type="enumeration" if restricted else kind or "string",
        options=frozenset(map(str, options)) if restricted else frozenset(),
        read_only=not listed.get("updateable") or kind is None,
        max_length=(listed.get("length") or None) if kind == "string" and not restricted else None,
    )


def _lists_fields(body: Any) -> bool:
    return isinstance(body, dict) and bool(body.get("fields"))
