"""Reading contacts from HubSpot: all of them, the new ones, and those that are asked for by id."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime
from typing import Any

from blocks.calls.messages import Call, is_object
from blocks.crms.base import CrmContact, FieldSet, NewContact
from blocks.crms.hubspot.api import OBJECT_NOT_FOUND, HubSpotApi, complaints, has_records, is_complete
from blocks.crms.ids import plain_id, wrong_id
from blocks.crms.outcomes import batches
from blocks.crms.updates import lost_fields
from enrichment.errors import ConfigurationError, RequestRefusedError, ServerFailedError, TransientError
from enrichment.moments import in_utc, read_moment
from enrichment.records import Contact
from enrichment.wire import FieldDescription, option_labels
from enrichment.write_policy import FieldRule, Rule

GROUP = "enrichment"
SCHEMA_READ_SCOPE = "crm.schemas.contacts.read"
SCHEMA_WRITE_SCOPE = "crm.schemas.contacts.write"
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


_MULTILINE = frozenset({"textarea", "html"})


class FieldCatalog:
    """Describes the contact's properties, and creates ours."""

    def __init__(self, api: HubSpotApi, rules: Sequence[FieldRule]) -> None:
        self._api = api
        self._ours = [r.field for r in rules if r.field in OUR_FIELDS and r.rule is not Rule.NEVER]
        self._known: Mapping[str, FieldDescription] | None = None

    def describe(self) -> Mapping[str, FieldDescription]:
        """Return HubSpot's own description of the contact's properties, as it was at the first call."""
        if self._known is None:
            listed = self._api.ask(Call("GET", self._api.properties("")), SCHEMA_READ_SCOPE, _lists_something).body
            self._known = {
                each["name"]: describe_property(each) for each in listed["results"] if not each.get("archived")
            }
            lost_fields(self._api.account_key).forget()
        return self._known

    def ensure(self) -> list[str]:
        """
        Create those of our properties that are missing, and return their names.

        Raises:
            ConfigurationError: a property of that name exists with another type.
            TransientError: HubSpot doesn't list what we had it create.
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
        # One that another process creates meanwhile may have failed the whole batch.
        for name in self._absent(self._describe_again()):
            self._post("", _definition(name))

    def _post(self, tail: str, body: Any) -> None:
        call = Call("POST", self._api.properties(tail), body=body, repeatable=False)
        try:
            self._api.ask(call, SCHEMA_WRITE_SCOPE, is_object)
        except RequestRefusedError as refusal:
            if refusal.status != CONFLICT:  # a conflict means that it exists
                raise


def _definition(name: str) -> dict[str, str]:
    label, kind, field_type = OUR_FIELDS[name]
    return {"name": name, "label": label, "type": kind, "fieldType": field_type, "groupName": GROUP}


def describe_property(listed: Mapping[str, Any]) -> FieldDescription:
    """Return what HubSpot's definition of a property means to the write policy."""
    kind = _TYPES.get(listed["type"])
    locked = bool((listed.get("modificationMetadata") or {}).get("readOnlyValue"))
    return FieldDescription(
        type=kind or "string",
        # Hidden options are out of sight for people only: HubSpot takes them.
        options=option_labels((each.get("value"), each.get("label")) for each in listed.get("options") or ()),
        several=listed.get("fieldType") == "checkbox",
        # Owners and the like are kept elsewhere: whether a value is one of them, HubSpot says.
        restricted=not listed.get("externalOptions"),
        read_only=locked or bool(listed.get("calculated")) or kind is None,
        max_length=LONGEST_TEXT if kind == "string" else None,
        single_line=kind == "string" and listed.get("fieldType") not in _MULTILINE,
        rich=listed.get("fieldType") == "html",
    )


def _lists_something(body: Any) -> bool:
    return isinstance(body, dict) and bool(body.get("results"))


PAGE_SIZE = 100
SEARCH_PAGE_SIZE = 200
BATCH_SIZE = 100
#: HubSpot answers 400 to a larger batch that asks for history.
BATCH_SIZE_WITH_HISTORY = 50
READ_SCOPE = "crm.objects.contacts.read"

_INTAKE_FIELDS = ("email", "createdate")
_IDENTIFIERS = ("email", "firstname", "lastname", "company")
_MERGED_IDS = "hs_merged_object_ids"


class ContactReader:
    """Reads contacts; batches run concurrently."""

    def __init__(self, api: HubSpotApi, pool: Executor) -> None:
        self._api = api
        self._pool = pool

    def everything(self) -> Iterator[list[NewContact]]:
        """Yield every contact in the order of the ids, page by page."""
        after = ""
        while True:
            page = self._page(after)
            if page["results"]:
                yield [self.new_contact(record) for record in page["results"]]
            after = str(((page.get("paging") or {}).get("next") or {}).get("after") or "")
            if not after:
                return

    def created_since(self, since: datetime) -> Iterator[list[NewContact]]:
        """
        Yield the contacts created at or after a moment, page by page.

        Each page asks for ids above the last one, instead of for the next page: paging ends at 10,000 results, and
        shifts when contacts are created meanwhile.
        """
        last, created = 0, _filter("createdate", "GTE", int(in_utc(since).timestamp() * 1000))
        while True:
            page = self.search([[created, _filter("hs_object_id", "GT", last)]])
            results = page["results"]
            if results:
                yield [self.new_contact(record) for record in results]
                last = max(int(record["id"]) for record in results)
            if len(results) >= int(page.get("total", 0)):
                return

    def read(self, crm_ids: Sequence[str], wanted: FieldSet) -> dict[str, CrmContact]:
        """Return the contacts by the id that was asked for; those that no longer exist are left out."""
        # HubSpot rejects a whole batch for an id that isn't a number, and no contact has one.
        ids = [crm_id for crm_id in dict.fromkeys(crm_ids) if is_record_id(crm_id)]
        size = BATCH_SIZE_WITH_HISTORY if wanted.history else BATCH_SIZE
        parts = self._pool.map(lambda batch: self.read_batch(batch, wanted), batches(ids, size))
        return {crm_id: contact for part in parts for crm_id, contact in part.items()}

    def read_batch(self, ids: Sequence[str], wanted: FieldSet) -> dict[str, CrmContact]:
        """Read one batch; every id ends as found or as named missing, else it is asked for alone."""
        answers: list[Any] = []

        def accounts(body: Any) -> bool:
            answers.append(body)
            return _accounts_for_something(body)

        try:
            body = self._api.ask(self._batch_read(ids, wanted), READ_SCOPE, accounts).body
        except TransientError:
            # About a single contact, HubSpot may have nothing to say for good: then only this one fails.
            if len(ids) > 1 or not answers or not is_complete(answers[-1]):
                raise
            body = answers[-1]
        found = _place(ids, body["results"], wanted)
        missing = {i for c in complaints(body) if c.category == OBJECT_NOT_FOUND for i in c.ids}
        open_ids = [i for i in ids if i not in found and i not in missing]
        if open_ids and len(ids) == 1:
            raise ServerFailedError("HubSpot neither returned the contact nor reported it as missing")
        for crm_id in open_ids:
            found.update(self.read_batch([crm_id], wanted))
        return found

    def search(self, groups: Sequence[Sequence[Mapping[str, str]]], fields: Sequence[str] = ()) -> dict[str, Any]:
        """Return the first page of the contacts that pass all filters of one of the groups, in the order of the ids."""
        query = {
            "filterGroups": [{"filters": list(filters)} for filters in groups],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": list(dict.fromkeys((*_INTAKE_FIELDS, *fields))),
            "limit": SEARCH_PAGE_SIZE,
        }
        path = self._api.contacts("/search")
        page: dict[str, Any] = self._api.ask(
            Call("POST", path, body=query), READ_SCOPE, _is_search_page, searches=True
        ).body
        return page

    @staticmethod
    def new_contact(record: Mapping[str, Any]) -> NewContact:
        """Return what intake needs of a record."""
        values = _properties(record)
        return NewContact(str(record["id"]), values.get("email"), values.get("createdate") or record.get("createdAt"))

    def _page(self, after: str) -> dict[str, Any]:
        query = {"limit": str(PAGE_SIZE), "properties": ",".join(_INTAKE_FIELDS), "archived": "false"}
        call = Call("GET", self._api.contacts(""), query | ({"after": after} if after else {}))
        page: dict[str, Any] = self._api.ask(call, READ_SCOPE).body
        if after and not page["results"]:
            # The page before promised more: an empty one is read again, so that a glitch doesn't end the list early.
            page = self._api.ask(call, READ_SCOPE).body
        return page

    def _batch_read(self, ids: Iterable[str], wanted: FieldSet) -> Call:
        query = {
            "inputs": [{"id": crm_id} for crm_id in ids],
            "properties": list(dict.fromkeys((*_IDENTIFIERS, _MERGED_IDS, *wanted.fields))),
            "propertiesWithHistory": list(wanted.history),
        }
        return Call("POST", self._api.contacts("/batch/read"), body=query)


_RECORD_ID = re.compile(r"[1-9][0-9]{0,18}")


def is_record_id(crm_id: str) -> bool:
    """Return whether this could be the id of a record."""
    return _RECORD_ID.fullmatch(crm_id) is not None


def record_id(text: str, what: str = "contact") -> str:
    """
    Return the id of a record.

    Args:
        text: the id, perhaps with blanks around it.
        what: it is the id of, for messages.

    Raises:
        ConfigurationError: it isn't one.
    """
    given = plain_id(text)
    if not is_record_id(given):
        raise wrong_id(given, f"a HubSpot {what} id", "it is a number of at most 19 digits that doesn't begin with 0")
    return given


def _place(ids: Sequence[str], records: Sequence[Mapping[str, Any]], wanted: FieldSet) -> dict[str, CrmContact]:
    """Return the contacts by the id that was asked for, which a merge may have given to another record."""
    if len(ids) == 1 and records:
        return {ids[0]: _crm_contact(records[0], wanted)}
    asked = set(ids)
    return {
        crm_id: _crm_contact(record, wanted)
        for record in records
        for crm_id in asked & {str(record["id"]), *_merged_ids(record)}
    }


def _merged_ids(record: Mapping[str, Any]) -> list[str]:
    return [part.strip() for part in (_properties(record).get(_MERGED_IDS) or "").split(";")]


def _crm_contact(record: Mapping[str, Any], wanted: FieldSet) -> CrmContact:
    values = _properties(record)
    email, first_name, last_name, company = (values.get(name) for name in _IDENTIFIERS)
    return CrmContact(
        Contact(str(record["id"]), email, first_name, last_name, company),
        {field: values.get(field) for field in wanted.fields},
        _changed_at(record, wanted.history),
    )


def _properties(record: Mapping[str, Any]) -> dict[str, str | None]:
    found = record.get("properties") or {}
    return {name: None if value in (None, "") else str(value) for name, value in found.items()}


def _changed_at(record: Mapping[str, Any], fields: Sequence[str]) -> dict[str, datetime]:
    history = record.get("propertiesWithHistory") or {}
    return {
        field: max(read_moment(version["timestamp"]) for version in history[field])
        for field in fields
        if history.get(field)
    }


def _filter(field: str, operator: str, value: int) -> dict[str, str]:
    return {"propertyName": field, "operator": operator, "value": str(value)}


def _is_search_page(body: Any) -> bool:
    return has_records(body) and (bool(body["results"]) or not body.get("total"))


def _accounts_for_something(body: Any) -> bool:
    return is_complete(body) and bool(body["results"] or body.get("errors"))
