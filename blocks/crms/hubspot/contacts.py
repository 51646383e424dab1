"""Reading contacts from HubSpot: all of them, the new ones, and those that are asked for by id."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime
from typing import Any

from blocks.calls.messages import Call
from blocks.crms.base import CrmContact, FieldSet, NewContact
from blocks.crms.hubspot.answers import OBJECT_NOT_FOUND, complaints, has_records, is_complete
from blocks.crms.hubspot.api import HubSpotApi
from blocks.crms.updates import batches
from enrichment.errors import TransientError
from enrichment.records import Contact

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
        last = 0
        while True:
            filters = [_filter("createdate", "GTE", int(since.timestamp() * 1000)), _filter("hs_object_id", "GT", last)]
            page = self.search([filters])
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
        body = self._api.ask(self._batch_read(ids, wanted), READ_SCOPE, _accounts_for_something).body
        found = _place(ids, body["results"], wanted)
        missing = {i for c in complaints(body) if c.category == OBJECT_NOT_FOUND for i in c.ids}
        open_ids = [i for i in ids if i not in found and i not in missing]
        if open_ids and len(ids) == 1:
            raise TransientError("HubSpot neither returned the contact nor reported it as missing")
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
            # The page before promised more: an empty one is asked for again, lest a glitch ends the list early.
            page = self._api.ask(call, READ_SCOPE).body
        return page

    def _batch_read(self, ids: Iterable[str], wanted: FieldSet) -> Call:
        query = {
            "inputs": [{"id": crm_id} for crm_id in ids],
            "properties": list(dict.fromkeys((*_IDENTIFIERS, _MERGED_IDS, *wanted.fields))),
            "propertiesWithHistory": list(wanted.history),
        }
        return Call("POST", self._api.contacts("/batch/read"), body=query)


def is_record_id(crm_id: str) -> bool:
    """Tell whether this could be the id of a record."""
    return crm_id.isascii() and crm_id.isdigit()


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
        field: max(datetime.fromisoformat(version["timestamp"]) for version in history[field])
        for field in fields
        if history.get(field)
    }


def _filter(field: str, operator: str, value: int) -> dict[str, str]:
    return {"propertyName": field, "operator": operator, "value": str(value)}


def _is_search_page(body: Any) -> bool:
    return has_records(body) and (bool(body["results"]) or not body.get("total"))


def _accounts_for_something(body: Any) -> bool:
    return is_complete(body) and bool(body["results"] or body.get("errors"))
