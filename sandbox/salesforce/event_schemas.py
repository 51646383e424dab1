"""Avro schemas of events: change events of contacts, and a platform event that a flow publishes for each new one."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

CHANGES = "/data/ContactChangeEvent"
CREATED = "/event/Contact_Created__e"
TOPICS = (CHANGES, CREATED)

#: Contact's fields whose place is inside of a compound field.
NESTED = {"FirstName": "Name", "LastName": "Name", "MailingCity": "MailingAddress"}

_KINDS = (
    "CREATE",
    "UPDATE",
    "DELETE",
    "UNDELETE",
    "GAP_CREATE",
    "GAP_UPDATE",
    "GAP_DELETE",
    "GAP_UNDELETE",
    "GAP_OVERFLOW",
    "SNAPSHOT",
)
_TEXTS = ("Title", "Department", "Phone", "Email", "Description", "AccountId", "LeadSource", "Level__c")
_CUSTOM_TEXTS = (
    "Enr_Company_Name__c",
    "Enr_Industry__c",
    "Enr_Tech_Stack__c",
    "Enr_LinkedIn_URL__c",
    "Enr_Intent_Keywords__c",
    "Enr_Job_Title__c",
    "Enr_Provider__c",
    "Enr_Enriched_At__c",
)


@dataclass(frozen=True)
class EventSchema:
    """A schema as JSON, and its id."""

    id: str
    text: str

    @property
    def fields(self) -> list[str]:
        """The names of its fields, in order."""
        return [field["name"] for field in json.loads(self.text)["fields"]]


def schema_of(topic: str, version: int) -> EventSchema | None:
    """Return the schema of a topic; change events get a further field with every version."""
    if topic not in TOPICS:
        return None
    fields = _change_fields(version) if topic == CHANGES else _created_fields()
    name = topic.rpartition("/")[2]
    text = json.dumps({"type": "record", "name": name, "namespace": "com.sforce.eventbus", "fields": fields})
    return EventSchema(hashlib.sha256(text.encode()).hexdigest()[:22], text)


def _change_fields(version: int) -> list[dict[str, Any]]:
    # A new field may come before others, whose places in the bitmaps of changed fields are then others.
    new = [_nullable(f"New_{number}__c", "string") for number in range(2, version + 1)]
    name = {"type": "record", "name": "Switchable_PersonName", "fields": _texts("Salutation", "FirstName", "LastName")}
    address = {"type": "record", "name": "Address", "fields": _texts("Street", "City", "Country")}
    return [
        {"name": "ChangeEventHeader", "type": _header()},
        _nullable("Name", name),
        *new,
        *_texts(*_TEXTS),
        _nullable("MailingAddress", address),
        _nullable("HasOptedOutOfEmail", "boolean"),
        *_texts(*_CUSTOM_TEXTS),
        _nullable("Enr_Employee_Count__c", "double"),
        _nullable("Enr_Confidence__c", "double"),
        _nullable("CreatedDate", "long"),
        _nullable("LastModifiedDate", "long"),
    ]


def _created_fields() -> list[dict[str, Any]]:
    return [
        {"name": "CreatedDate", "type": "long"},
        {"name": "CreatedById", "type": "string"},
        *_texts("Contact_Id__c", "Email__c", "Source__c"),
    ]


def _header() -> dict[str, Any]:
    texts = ("changeOrigin", "transactionKey", "commitUser")
    lists = ("recordIds", "nulledFields", "diffFields", "changedFields")
    numbers = (("sequenceNumber", "int"), ("commitTimestamp", "long"), ("commitNumber", "long"))
    return {
        "type": "record",
        "name": "ChangeEventHeader",
        "fields": [
            {"name": "entityName", "type": "string"},
            {"name": "changeType", "type": {"type": "enum", "name": "ChangeType", "symbols": list(_KINDS)}},
            *({"name": name, "type": "string"} for name in texts),
            *({"name": name, "type": kind} for name, kind in numbers),
            *({"name": name, "type": {"type": "array", "items": "string"}} for name in lists),
        ],
    }


def _texts(*names: str) -> list[dict[str, Any]]:
    return [_nullable(name, "string") for name in names]


def _nullable(name: str, kind: Any) -> dict[str, Any]:
    return {"name": name, "type": ["null", kind], "default": None}
