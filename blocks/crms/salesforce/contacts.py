"""Reading contacts from Salesforce: all of them, the new ones, and those that are asked for by id."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Any

from blocks.calls.messages import Call
from blocks.crms.base import CrmContact, FieldSet, NewContact
from blocks.crms.outcomes import batches
from blocks.crms.salesforce.api import COLLECTIONS, INVALID_FIELD, SalesforceApi
from blocks.crms.salesforce.ids import is_contact_id, short
from blocks.crms.salesforce.record_types import narrowed
from blocks.crms.updates import lost_fields
from enrichment.errors import ConfigurationError, RequestRefusedError
from enrichment.identifiers import normalise_email
from enrichment.moments import in_utc, read_moment
from enrichment.records import Contact
from enrichment.wire import FieldDescription, digits, option_labels, read_number
from enrichment.write_policy import NO_SUCH_FIELD, FieldRule, Refusal, Rule

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
    """Describes the contact's fields, and says which of ours are missing."""

    def __init__(self, api: SalesforceApi, rules: Sequence[FieldRule], prefix: str) -> None:
        self._api = api
        wanted = {prefix + name: kind for name, (_, kind) in OUR_FIELDS.items()}
        self._ours = {r.field: wanted[r.field] for r in rules if r.field in wanted and r.rule is not Rule.NEVER}
        self._written = [rule.field for rule in rules if rule.rule is not Rule.NEVER]
        self._known: Mapping[str, FieldDescription] | None = None
        self._unfilterable: frozenset[str] = frozenset()

    def describe(self) -> Mapping[str, FieldDescription]:
        """Return Salesforce's own description of the fields, as it was at the first call."""
        if self._known is None:
            listed = self._api.ask(Call("GET", "sobjects/Contact/describe"), _lists_fields).body
            known = {each["name"]: describe_field(each) for each in listed["fields"]}
            self._known = narrowed(self._api, listed, known, self._written)
            lost_fields(self._api.credential).forget()
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
    if known.type != wanted and (known.type != "enumeration" or known.restricted or wanted != "string"):
        return f"{name} has the type {known.type}, but {wanted} is needed"
    return f"{name} is read-only" if known.read_only else ""


def describe_field(listed: Mapping[str, Any]) -> FieldDescription:
    """Return what Salesforce's description of a field means to the write policy."""
    salesforces = listed["type"]
    kind = _TYPES.get(salesforces)
    picklist = salesforces in _PICKLISTS
    values = (each for each in listed.get("picklistValues") or () if picklist and each.get("active", True))
    return FieldDescription(
        type="enumeration" if picklist else kind or "string",
        options=option_labels((each.get("value"), each.get("label")) for each in values),
        several=salesforces == "multipicklist",
        # An unrestricted picklist takes any text: its values are only suggestions.
        restricted=not picklist or bool(listed.get("restrictedPicklist")),
        read_only=not listed.get("updateable") or kind is None,
        max_length=(listed.get("length") or None) if kind == "string" else None,
        single_line=kind == "string" and not picklist and salesforces != "textarea",
        rich=bool(listed.get("htmlFormatted")),
        precision=(listed.get("digits" if salesforces == "int" else "precision") or None) if kind == "number" else None,
        scale=_scale(listed, kind),
    )


def _scale(listed: Mapping[str, Any], kind: str | None) -> int | None:
    whole = listed["type"] in ("int", "long")
    return (0 if whole else listed.get("scale")) if kind == "number" else None


def _lists_fields(body: Any) -> bool:
    return isinstance(body, dict) and bool(body.get("fields"))


logger = logging.getLogger(__name__)

PAGE_SIZE = 2000
#: What one call reads by id.
BATCH_SIZE = 2000
#: Ids in a query: longer ones don't fit into an address.
QUERIED_IDS = 300

_IDENTIFIERS = ("Id", "Email", "FirstName", "LastName", "AccountId", "IsDeleted", "LastModifiedDate")


class ContactReader:
    """Reads contacts; batches run concurrently."""

    def __init__(self, api: SalesforceApi, pool: Executor) -> None:
        self._api = api
        self._pool = pool
        self._accounts: dict[str, str] = {}
        self._lost = lost_fields(api.credential)

    def created_since(self, since: datetime | None = None) -> Iterator[list[NewContact]]:
        """
        Yield the contacts created at or after a moment, or all, page by page.

        Each page asks for what comes after the last contact, instead of for the next page of one query: the locator of
        a query ends after a while, and a long intake would break with it.
        """
        condition = f"CreatedDate >= {literal(since)}" if since else ""
        while True:
            rows = list(self._api.rows(_page_query(condition)))
            if rows:
                yield [new_contact(row) for row in rows]
            if len(rows) < PAGE_SIZE:
                return
            moment, last = literal(_moment(rows[-1]["CreatedDate"])), rows[-1]["Id"]
            condition = f"(CreatedDate > {moment} OR (CreatedDate = {moment} AND Id > '{last}'))"

    def read(self, crm_ids: Sequence[str], wanted: FieldSet) -> dict[str, CrmContact]:
        """Return the contacts by the id that was asked for; a merged one has the surviving id in its contact."""
        # One id that isn't valid would fail its whole batch.
        ids = [crm_id for crm_id in dict.fromkeys(crm_ids) if is_contact_id(crm_id)]
        found = self._read_all(ids, wanted)
        survivors = self._survivors([crm_id for crm_id in ids if crm_id not in found])
        moved = self._read_all(list(dict.fromkeys(survivors.values())), wanted) if survivors else {}
        return found | {old: moved[new] for old, new in survivors.items() if new in moved}

    def account_of(self, crm_id: str) -> str:
        """Return the account of a contact that was read; empty if it has none, or wasn't."""
        return self._accounts.get(short(crm_id), "")

    def _read_all(self, ids: Sequence[str], wanted: FieldSet) -> dict[str, CrmContact]:
        parts = self._pool.map(lambda batch: self.read_batch(batch, wanted), batches(ids, BATCH_SIZE))
        return {crm_id: contact for part in parts for crm_id, contact in part.items()}

    def read_batch(self, ids: Sequence[str], wanted: FieldSet) -> dict[str, CrmContact]:
        """Read one batch by ids that are valid; those that no longer exist, or were merged, are left out."""
        records = self._retrieve_known(ids, wanted.fields)
        there = {i: r for i, r in zip(ids, records, strict=True) if r and not r.get("IsDeleted")}
        self._accounts.update({short(i): str(r.get("AccountId") or "") for i, r in there.items()})
        companies = self._companies(there.values())
        return {i: _crm_contact(r, wanted, companies.get(r.get("AccountId") or "")) for i, r in there.items()}

    def _companies(self, records: Iterable[Mapping[str, Any]]) -> dict[str, str | None]:
        """Return the names of the accounts that a lookup may need: an address serves better."""
        needed = {r["AccountId"]: None for r in records if r.get("AccountId") and not normalise_email(r.get("Email"))}
        try:
            parts = [(ids, self._retrieve("Account", ids, ("Id", "Name"))) for ids in batches(list(needed), BATCH_SIZE)]
        except RequestRefusedError as refusal:
            # The integration user needn't be allowed to see accounts.
            logger.warning("salesforce_accounts_hidden status=%s", refusal.status)
            return {}
        return {i: as_text(r["Name"]) for ids, found in parts for i, r in zip(ids, found, strict=True) if r}

    def _retrieve_known(self, ids: Sequence[str], fields: Sequence[str]) -> list[Mapping[str, Any] | None]:
        """Return contacts with those of our fields that the org still has: a lost one would fail the whole call."""
        lost = {refusal.field for refusal in self._lost.among(fields)}
        kept = [field for field in fields if field not in lost]
        try:
            return self._retrieve("Contact", ids, (*_IDENTIFIERS, *kept))
        except RequestRefusedError as refusal:
            named = {name.casefold() for name in refusal.complaint.fields}
            missing = [Refusal(field, NO_SUCH_FIELD) for field in kept if field.casefold() in named]
            if refusal.complaint.code != INVALID_FIELD or not missing:
                raise
        self._lost.note(missing)
        logger.warning("salesforce_fields_lost fields=%s", ",".join(each.field for each in missing))
        return self._retrieve_known(ids, kept)

    def _retrieve(self, kind: str, ids: Sequence[str], fields: Iterable[str]) -> list[Mapping[str, Any] | None]:
        """Return the records in the order of the ids; None for those that don't exist or are hidden."""
        query = {"ids": list(ids), "fields": list(dict.fromkeys(fields))}
        answer = self._api.ask(Call("POST", f"{COLLECTIONS}/{kind}", body=query), _is_list_of(len(ids)))
        return list(answer.body)

    def _survivors(self, missing: Sequence[str]) -> dict[str, str]:
        """Return into which contacts the missing ones were merged in the end, one after the other if need be."""
        masters: dict[str, str] = {}
        unknown: list[str] = list(missing)
        while unknown:
            further = self._masters(unknown)
            masters |= further
            unknown = [one for one in dict.fromkeys(further.values()) if short(one) not in masters]
        return {crm_id: _last(masters, crm_id) for crm_id in missing if short(crm_id) in masters}

    def _masters(self, ids_merged: Sequence[str]) -> dict[str, str]:
        """Return into which contacts these were merged, by their short ids."""
        masters: dict[str, str] = {}
        for ids in batches(ids_merged, QUERIED_IDS):
            listed = ", ".join(f"'{crm_id}'" for crm_id in ids)
            soql = f"SELECT Id, MasterRecordId FROM Contact WHERE Id IN ({listed}) AND MasterRecordId != null"  # noqa: S608
            rows = self._api.rows(soql, deleted=True)
            masters |= {short(row["Id"]): str(row["MasterRecordId"]) for row in rows}
        return masters


def _last(masters: Mapping[str, str], crm_id: str) -> str:
    seen: set[str] = set()
    while (key := short(crm_id)) in masters and key not in seen:
        seen.add(key)
        crm_id = masters[key]
    return crm_id


def _page_query(condition: str) -> str:
    where = f" WHERE {condition}" if condition else ""
    return f"SELECT Id, Email, CreatedDate FROM Contact{where} ORDER BY CreatedDate, Id LIMIT {PAGE_SIZE}"  # noqa: S608


def literal(moment: datetime) -> str:
    """Return a moment as a query has it."""
    return in_utc(moment).astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _moment(text: str) -> datetime:
    return read_moment(text).astimezone(UTC)


def new_contact(row: Mapping[str, Any]) -> NewContact:
    """Return what intake needs of a row."""
    return NewContact(str(row["Id"]), as_text(row.get("Email")), _moment(row["CreatedDate"]).isoformat())


def _crm_contact(record: Mapping[str, Any], wanted: FieldSet, company: str | None) -> CrmContact:
    email, first_name, last_name = (as_text(record.get(name)) for name in ("Email", "FirstName", "LastName"))
    values = {field: as_text(record.get(field)) for field in wanted.fields}
    # Salesforce says only when the record was changed: the latest that any of its fields can have been.
    changed = _moment(record["LastModifiedDate"]) if wanted.history else None
    return CrmContact(
        Contact(str(record["Id"]), email, first_name, last_name, company),
        values,
        {field: changed for field in wanted.history if changed},
    )


def as_text(value: Any) -> str | None:
    """Return a value of Salesforce's JSON as text, written as the write policy writes it."""
    match value:
        case None | "":
            return None
        case bool():
            return "true" if value else "false"
        case int() | float():
            number = read_number(value)
            return digits(number) if number is not None else str(value)
    return str(value)


def _is_list_of(number: int) -> Callable[[Any], bool]:
    def accept(body: Any) -> bool:
        return isinstance(body, list) and len(body) == number

    return accept
