"""A selection of HubSpot's contacts: by search, by a list's members, or of contacts that are known by id."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime
from typing import Any

from blocks.calls.messages import Call
from blocks.crms.base import ContactPage, CrmContact, FieldSet, NewContact
from blocks.crms.hubspot.api import HubSpotApi
from blocks.crms.hubspot.contacts import BATCH_SIZE, ContactReader, is_record_id, record_id
from blocks.crms.outcomes import batches
from blocks.crms.selection import is_created_within, lacks_one
from enrichment.errors import ConfigurationError, RequestRefusedError
from enrichment.intake import Selection
from enrichment.moments import read_moment

LISTS_SCOPE = "crm.lists.read"
CONTACTS = "0-1"
NOT_FOUND = 404
#: HubSpot refuses a search with more groups of filters, or more filters in all.
MOST_GROUPS, MOST_FILTERS = 5, 18

_CREATED, _OWNER, _ID = "createdate", "hubspot_owner_id", "hs_object_id"


class SelectionReader:
    """
    Reads a selection's contacts page by page.

    Args:
        api: answers the calls.
        reader: of contacts.
        pool: runs batches concurrently.
    """

    def __init__(self, api: HubSpotApi, reader: ContactReader, pool: Executor) -> None:
        self._api = api
        self._reader = reader
        self._pool = pool

    def search(self, selection: Selection, missing: Sequence[str], after: str) -> Iterator[ContactPage]:
        """
        Yield the contacts that are found, in the order of the ids.

        Each page asks for ids above the last one: paging ends at 10,000 results, and shifts when contacts change.
        """
        last = int(after or 0)
        while True:
            page = self._reader.search(_filter_groups(selection, missing, last), missing)
            results = page["results"]
            if results:
                last = max(int(record["id"]) for record in results)
                kept = [record for record in results if lacks_one(record["properties"], missing)]
                yield ContactPage(tuple(self._reader.new_contact(record) for record in kept), str(last))
            if len(results) >= int(page.get("total", 0)):
                return

    def count(self, selection: Selection) -> int:
        """Return how many contacts are found."""
        return int(self._reader.search(_filter_groups(selection, (), 0)).get("total", 0))

    def members(self, selection: Selection, missing: Sequence[str], after: str) -> Iterator[ContactPage]:
        """
        Yield those members of the list that fulfil the other conditions, in the order of their ids.

        Raises:
            ConfigurationError: there is no such list of contacts.
        """
        self._check_list(selection.list_id)
        while True:
            page = self._memberships(selection.list_id, after)
            after = str(((page.get("paging") or {}).get("next") or {}).get("after") or "")
            ids = [str(member["recordId"]) for member in page["results"]]
            yield ContactPage(tuple(self._fulfilling(selection, missing, ids)), after)
            if not after:
                return

    def among(self, selection: Selection, missing: Sequence[str], crm_ids: Sequence[str]) -> Iterator[ContactPage]:
        """Yield those of the contacts that fulfil the conditions, as one page; a list's members are looked up first."""
        ids = [crm_id for crm_id in dict.fromkeys(crm_ids) if is_record_id(crm_id)]
        if selection.list_id:
            self._check_list(selection.list_id)
            members = set(self._all_members(selection.list_id))
            ids = [crm_id for crm_id in ids if crm_id in members]
        yield ContactPage(tuple(self._fulfilling(selection, missing, ids)), "")

    def _fulfilling(self, selection: Selection, missing: Sequence[str], ids: Sequence[str]) -> list[NewContact]:
        wanted = FieldSet((_CREATED, _OWNER, *missing))
        parts = self._pool.map(lambda batch: self._reader.read_batch(batch, wanted), batches(ids, BATCH_SIZE))
        found = {crm_id: contact for part in parts for crm_id, contact in part.items()}
        return [
            NewContact(crm_id, found[crm_id].contact.email, found[crm_id].values[_CREATED])
            for crm_id in ids
            if crm_id in found and _fulfils(selection, missing, found[crm_id])
        ]

    def _check_list(self, list_id: str) -> None:
        wanted = self._api.lists(f"/{list_id}") if is_record_id(list_id) else ""
        try:
            answer = self._api.ask(Call("GET", wanted), LISTS_SCOPE, _is_list) if wanted else None
        except RequestRefusedError as refusal:
            if refusal.status != NOT_FOUND:
                raise
            answer = None
        if answer is None:
            raise ConfigurationError(f"HubSpot has no list or segment '{list_id}': its id is the number in its address")
        if answer.body["list"].get("objectTypeId", CONTACTS) != CONTACTS:
            raise ConfigurationError(f"HubSpot's list {list_id} doesn't hold contacts: choose one that does")

    def _all_members(self, list_id: str) -> Iterator[str]:
        after = ""
        while True:
            page = self._memberships(list_id, after)
            yield from (str(member["recordId"]) for member in page["results"])
            after = str(((page.get("paging") or {}).get("next") or {}).get("after") or "")
            if not after:
                return

    def _memberships(self, list_id: str, after: str) -> Mapping[str, Any]:
        query = {"limit": str(BATCH_SIZE)} | ({"after": after} if after else {})
        path = self._api.lists(f"/{list_id}/memberships")
        body: Mapping[str, Any] = self._api.ask(Call("GET", path, query), LISTS_SCOPE, _lists_members).body
        return body


def _filter_groups(selection: Selection, missing: Sequence[str], last: int) -> list[list[dict[str, str]]]:
    """Return the groups of a search, any of which suffices; what is too much for one is left to us to judge."""
    every = [_filter(_ID, "GT", str(last))]
    if selection.created_from:
        every.append(_filter(_CREATED, "GTE", _milliseconds(selection.created_from)))
    if selection.created_until:
        every.append(_filter(_CREATED, "LT", _milliseconds(selection.created_until)))
    if selection.owner:
        every.append(_filter(_OWNER, "EQ", record_id(selection.owner, "owner")))
    if not missing or len(missing) > MOST_GROUPS or len(missing) * (len(every) + 1) > MOST_FILTERS:
        return [every]
    return [[*every, {"propertyName": field, "operator": "NOT_HAS_PROPERTY"}] for field in missing]


def _filter(field: str, operator: str, value: str) -> dict[str, str]:
    return {"propertyName": field, "operator": operator, "value": value}


def _milliseconds(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def _fulfils(selection: Selection, missing: Sequence[str], contact: CrmContact) -> bool:
    created = contact.values[_CREATED]
    return (
        is_created_within(selection, read_moment(created) if created else None)
        and (not selection.owner or contact.values[_OWNER] == record_id(selection.owner, "owner"))
        and lacks_one(contact.values, missing)
    )


def _is_list(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("list"), dict)


def _lists_members(body: Any) -> bool:
    results = body.get("results") if isinstance(body, dict) else None
    return isinstance(results, list) and all(isinstance(each, dict) and "recordId" in each for each in results)
