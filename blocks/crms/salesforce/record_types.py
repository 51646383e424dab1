"""
Which options of a picklist a contact's record type permits.

A record type narrows the picklists of its contacts, and Salesforce refuses any other value of a restricted one. Only
the User Interface API lists what is left; an org or user without it does without, and refusals come with the answer.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from blocks.calls.messages import Call, is_object
from blocks.crms.salesforce.api import SalesforceApi
from enrichment.errors import RequestRefusedError
from enrichment.wire import FieldDescription

logger = logging.getLogger(__name__)

RECORD_TYPE = "RecordTypeId"
#: An org with more would cost a call for each.
MOST_RECORD_TYPES = 50


def narrowed(
    api: SalesforceApi, listed: Mapping[str, Any], known: Mapping[str, FieldDescription], fields: Collection[str]
) -> dict[str, FieldDescription]:
    """
    Return descriptions with the options that each record type permits.

    Args:
        api: answers the calls, one for each record type.
        listed: Salesforce's description of Contact.
        known: what it means.
        fields: those that are written; if none is a restricted picklist, nothing is asked.
    """
    types = [each["recordTypeId"] for each in listed.get("recordTypeInfos") or () if _counts(each)]
    concerned = [name for name in fields if name in known and known[name].type == "enumeration"]
    concerned = [name for name in concerned if known[name].restricted]
    if not concerned or RECORD_TYPE not in known or not 0 < len(types) <= MOST_RECORD_TYPES:
        return dict(known)
    try:
        permitted = {record_type: dict(_permitted(api, record_type)) for record_type in types}
    except RequestRefusedError as refusal:
        logger.warning("salesforce_record_types_hidden status=%s", refusal.status)
        return dict(known)
    return {**known, **{name: _narrowed(name, known[name], permitted) for name in concerned}}


def _counts(record_type: Mapping[str, Any]) -> bool:
    return bool(record_type.get("active", True)) and not record_type.get("master")


def _permitted(api: SalesforceApi, record_type: str) -> Iterator[tuple[str, frozenset[str]]]:
    call = Call("GET", f"ui-api/object-info/Contact/picklist-values/{record_type}")
    fields = api.ask(call, is_object).body.get("picklistFieldValues") or {}
    for name, field in fields.items():
        yield name, frozenset(str(each["value"]) for each in field.get("values") or ())


def _narrowed(
    name: str, known: FieldDescription, permitted: Mapping[str, Mapping[str, frozenset[str]]]
) -> FieldDescription:
    by_type = {record_type: fields[name] for record_type, fields in permitted.items() if name in fields}
    return replace(known, narrowed_by=RECORD_TYPE, narrowed=by_type)
