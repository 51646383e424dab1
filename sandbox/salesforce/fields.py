"""The fields of Contact and Account, and which values they take."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
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
    "MailingState": ("string", 80),
    "MailingCountry": ("string", 80),
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
#: How many decimals the numbers have.
_SCALES: Mapping[str, int] = {"Enr_Confidence__c": 4}
MOST_DIGITS = 18
RECORD_TYPE = "RecordTypeId"
#: Longer texts can't be named in a condition.
LONGEST_FILTERABLE = 255
ACCOUNT_FIELDS = frozenset({"Id", "Name"})


def contact_fields(*, custom: bool) -> dict[str, dict[str, Any]]:
    """Return the definitions by name, with or without those that the pipeline's documentation asks for."""
    writable = {**_TEXTS, **(_CUSTOM if custom else {}), "HasOptedOutOfEmail": ("boolean", 0)}
    found = {name: definition(name, *each, updateable=True) for name, each in writable.items()}
    found |= {name: definition(name, *each, updateable=False) for name, each in _READ_ONLY.items()}
    found["Level__c"] = picklist("Level__c", {"Primary": "1st", "Secondary": "2nd", "Tertiary": "3rd"})
    found["LeadSource"] = picklist("LeadSource", {v: v for v in ("Web", "Phone Inquiry", "Other")}, restricted=False)
    return found


def check(name: str, value: Any, definition: Mapping[str, Any] | None) -> None:
    """
    Check a value that is to be written; None clears a field.

    Raises:
        RecordError: it isn't taken.
    """
    if definition is None:
        raise RecordError("INVALID_FIELD", no_such_column(name), [name])
    if not definition["updateable"]:
        message = f"Unable to create/update fields: {name}. Please check the security settings of this field"
        raise RecordError("INVALID_FIELD_FOR_INSERT_UPDATE", message, [name])
    if value in (None, ""):
        if name == "LastName":
            raise RecordError("REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", [name])
        return
    _CHECKS.get(definition["type"], _check_text)(name, value, definition)


def no_such_column(name: str) -> str:
    """Return what Salesforce says of a field that Contact doesn't have, or that the user may not see."""
    return f"No such column '{name}' on sobject of type Contact"


def stored(value: Any, definition: Mapping[str, Any]) -> Any:
    """Return a value as it is kept: blanks around it, decimals and fractions of a second that have no room are gone."""
    if value in (None, ""):
        return None
    match definition["type"]:
        case "double":
            with localcontext(prec=400, rounding=ROUND_HALF_UP):
                return float(Decimal(str(value)).quantize(Decimal(1).scaleb(-definition["scale"])))
        case "datetime":
            moment = datetime.fromisoformat(str(value))
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        case "date":
            return str(value)[:10]
        case "multipicklist":
            chosen = dict.fromkeys(part.strip() for part in str(value).split(";"))
            listed = [each["value"] for each in definition["picklistValues"] if each["value"] in chosen]
            return ";".join((*listed, *(part for part in chosen if part not in listed)))
        case "boolean":
            return value in (True, "true")
        case "textarea":
            return "\r\n".join(str(value).strip().splitlines())
    return str(value).strip()


def fits_json(value: Any, definition: Mapping[str, Any] | None) -> bool:
    """Return whether Salesforce's parser can read a value as the field's type at all."""
    if definition is None or definition["type"] != "double" or value is None:
        return True
    return _number(value) is not None


def definition(name: str, kind: str, length: int = 0, *, updateable: bool = True) -> dict[str, Any]:
    """Return the description of a field."""
    return {
        "name": name,
        "label": name.removesuffix("__c").replace("_", " "),
        "type": kind,
        "length": length,
        "custom": name.endswith("__c"),
        "updateable": updateable,
        "precision": MOST_DIGITS if kind == "double" else 0,
        "scale": _SCALES.get(name, 0) if kind == "double" else 0,
        "digits": 0,
        "htmlFormatted": False,
        "calculated": False,
        "filterable": not (kind == "textarea" and length > LONGEST_FILTERABLE),
        "restrictedPicklist": False,
        "picklistValues": [],
    }


def picklist(
    name: str, labels: Mapping[str, str], *, restricted: bool = True, kind: str = "picklist"
) -> dict[str, Any]:
    """Return the description of a field with values to choose from, by their labels; one more is no longer used."""
    listed = [{"active": True, "defaultValue": False, "label": labels[value], "value": value} for value in labels]
    retired = {"active": False, "defaultValue": False, "label": "Retired", "value": "Retired"}
    more = {"restrictedPicklist": restricted, "picklistValues": [*listed, retired]}
    return {**definition(name, kind, 255), **more}


def _check_text(name: str, value: Any, definition: Mapping[str, Any]) -> None:
    text = str(stored(value, definition) or "")
    if len(text.encode("utf-16-le", "surrogatepass")) // 2 > definition["length"]:
        message = f"{name}: data value too large: {text[:40]} (max length={definition['length']})"
        raise RecordError("STRING_TOO_LONG", message, [name])


def _check_email(name: str, value: Any, definition: Mapping[str, Any]) -> None:
    if not _EMAIL.fullmatch(str(value)):
        raise RecordError("INVALID_EMAIL_ADDRESS", f"{name}: invalid email address: {value}", [name])
    _check_text(name, value, definition)


def _check_choice(name: str, value: Any, definition: Mapping[str, Any]) -> None:
    known = {each["value"] for each in definition["picklistValues"] if each["active"]}
    parts = [part.strip() for part in str(value).split(";")] if definition["type"] == "multipicklist" else [value]
    if definition["restrictedPicklist"] and not known.issuperset(parts):
        raise bad_value(name, value)


def bad_value(name: str, value: Any) -> RecordError:
    """Return the error of a value that a restricted picklist, or the record's type, doesn't have."""
    message = f"{name}: bad value for restricted picklist field: {value}"
    return RecordError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, [name])


def _check_number(name: str, value: Any, definition: Mapping[str, Any]) -> None:
    number = _number(value)
    if number is None:
        raise RecordError("INVALID_TYPE_ON_FIELD_IN_RECORD", f"{name}: value not of required type: {value}", [name])
    if abs(number) >= 10 ** (definition["precision"] - definition["scale"]):
        raise RecordError("NUMBER_OUTSIDE_VALID_RANGE", f"{name}: value outside of valid range: {value}", [name])


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
    "multipicklist": _check_choice,
    "boolean": _check_flag,
    "double": _check_number,
    "date": _check_moment,
    "datetime": _check_moment,
}
