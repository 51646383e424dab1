"""The fields of Contact and Account, and which values they take."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sandbox.salesforce.errors import RecordError

_EMAIL = re.compile(r"[^@\s,;()<>]+@[^@\s,;()<>]+\.[^@\s.,;()<>]+")

_TEXTS: Mapping[str, tuple[str, int]] = {
    "FirstName": ("string", 40),
    "LastName": ("string", 80),
    "Title": ("string", 128),
    "Department": ("string", 80),
    "Phone": ("phone", 40),
    "MobilePhone": ("phone", 40),
    "Email": ("email", 80),
    "MailingCity": ("string", 40),
    "Description": ("textarea", 32_000),
    "AccountId": ("reference", 18),
    "OwnerId": ("reference", 18),
}
_READ_ONLY: Mapping[str, tuple[str, int]] = {
    "Id": ("id", 18),
    "Name": ("string", 121),
    "MasterRecordId": ("reference", 18),
    "CreatedDate": ("datetime", 0),
    "LastModifiedDate": ("datetime", 0),
    "SystemModstamp": ("datetime", 0),
    "IsDeleted": ("boolean", 0),
    "MailingAddress": ("address", 0),
}
_CUSTOM: Mapping[str, tuple[str, int]] = {
    "Enr_Company_Name__c": ("string", 255),
    "Enr_Employee_Count__c": ("double", 0),
    "Enr_Industry__c": ("string", 255),
    "Enr_Tech_Stack__c": ("textarea", 32_768),
    "Enr_LinkedIn_URL__c": ("url", 255),
    "Enr_Intent_Keywords__c": ("textarea", 32_768),
    "Enr_Job_Title__c": ("string", 255),
    "Enr_Provider__c": ("string", 80),
    "Enr_Confidence__c": ("double", 0),
    "Enr_Enriched_At__c": ("datetime", 0),
}
#: Longer texts can't be named in a condition.
LONGEST_FILTERABLE = 255
ACCOUNT_FIELDS = frozenset({"Id", "Name"})


def contact_fields(*, custom: bool) -> dict[str, dict[str, Any]]:
    """Return the definitions by name, with or without those that the pipeline's documentation asks for."""
    writable = {**_TEXTS, **(_CUSTOM if custom else {}), "HasOptedOutOfEmail": ("boolean", 0)}
    found = {name: _definition(name, *each, updateable=True) for name, each in writable.items()}
    found |= {name: _definition(name, *each, updateable=False) for name, each in _READ_ONLY.items()}
    found["Level__c"] = _picklist("Level__c", ("Primary", "Secondary", "Tertiary"), restricted=True)
    found["LeadSource"] = _picklist("LeadSource", ("Web", "Phone Inquiry", "Other"), restricted=False)
    return found


def check(name: str, value: Any, definition: Mapping[str, Any] | None) -> None:
    """
    Check a value that is to be written; None clears a field.

    Raises:
        RecordError: it isn't taken.
    """
    if definition is None:
        raise RecordError("INVALID_FIELD", f"No such column '{name}' on sobject of type Contact", [name])
    if not definition["updateable"]:
        message = f"Unable to create/update fields: {name}. Please check the security settings of this field"
        raise RecordError("INVALID_FIELD_FOR_INSERT_UPDATE", message, [name])
    if value in (None, ""):
        if name == "LastName":
            raise RecordError("REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", [name])
        return
    _CHECKS.get(definition["type"], _check_text)(name, value, definition)


def stored(value: Any, definition: Mapping[str, Any]) -> Any:
    """Return a value as it is kept."""
    if value in (None, ""):
        return None
    if definition["type"] == "double":
        return float(value)
    if definition["type"] == "datetime":
        # Salesforce keeps no fractions of a second.
        return datetime.fromisoformat(str(value)).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    return value


def fits_json(value: Any, definition: Mapping[str, Any] | None) -> bool:
    """Return whether Salesforce's parser can read a value as the field's type at all."""
    if definition is None or definition["type"] != "double" or value is None:
        return True
    return _number(value) is not None


def _definition(name: str, kind: str, length: int, *, updateable: bool) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.removesuffix("__c").replace("_", " "),
        "type": kind,
        "length": length,
        "custom": name.endswith("__c"),
        "updateable": updateable,
        "calculated": False,
        "filterable": not (kind == "textarea" and length > LONGEST_FILTERABLE),
        "restrictedPicklist": False,
        "picklistValues": [],
    }


def _picklist(name: str, values: tuple[str, ...], *, restricted: bool) -> dict[str, Any]:
    listed = [{"active": True, "defaultValue": False, "label": value, "value": value} for value in values]
    retired = {"active": False, "defaultValue": False, "label": "Retired", "value": "Retired"}
    more = {"restrictedPicklist": restricted, "picklistValues": [*listed, retired]}
    return {**_definition(name, "picklist", 255, updateable=True), **more}


def _check_text(name: str, value: Any, definition: Mapping[str, Any]) -> None:
    if len(str(value)) > definition["length"]:
        message = f"{name}: data value too large: {str(value)[:40]} (max length={definition['length']})"
        raise RecordError("STRING_TOO_LONG", message, [name])


def _check_email(name: str, value: Any, definition: Mapping[str, Any]) -> None:
    if not _EMAIL.fullmatch(str(value)):
        raise RecordError("INVALID_EMAIL_ADDRESS", f"{name}: invalid email address: {value}", [name])
    _check_text(name, value, definition)


def _check_choice(name: str, value: Any, definition: Mapping[str, Any]) -> None:
    known = {each["value"] for each in definition["picklistValues"] if each["active"]}
    if definition["restrictedPicklist"] and value not in known:
        message = f"{name}: bad value for restricted picklist field: {value}"
        raise RecordError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, [name])


def _check_number(name: str, value: Any, _: Mapping[str, Any]) -> None:
    if _number(value) is None:
        raise RecordError("INVALID_TYPE_ON_FIELD_IN_RECORD", f"{name}: value not of required type: {value}", [name])


def _check_flag(name: str, value: Any, _: Mapping[str, Any]) -> None:
    if not isinstance(value, bool) and value not in ("true", "false"):
        raise RecordError("INVALID_TYPE_ON_FIELD_IN_RECORD", f"{name}: value not of required type: {value}", [name])


def _check_moment(name: str, value: Any, _: Mapping[str, Any]) -> None:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        message = f"{name}: value not of required type: {value}"
        raise RecordError("INVALID_TYPE_ON_FIELD_IN_RECORD", message, [name]) from None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


_CHECKS: Mapping[str, Callable[[str, Any, Mapping[str, Any]], None]] = {
    "email": _check_email,
    "picklist": _check_choice,
    "boolean": _check_flag,
    "double": _check_number,
    "datetime": _check_moment,
}
