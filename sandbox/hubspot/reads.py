"""The calls that read contacts: list, one, batch and search."""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.clock import Clock, iso_of
from sandbox.exchange import Reply, Request, json_reply
from sandbox.hubspot.catalog import PropertyCatalog
from sandbox.hubspot.errors import OBJECT_NOT_FOUND, invalid, not_found
from sandbox.hubspot.inputs import batch_inputs, json_object, numeric_id
from sandbox.hubspot.rendering import split_names, view_of
from sandbox.hubspot.search import read_search, run_search
from sandbox.hubspot.store import ContactStore, Record

LARGEST_PAGE = 100
LARGEST_PAGE_WITH_HISTORY = 50
USUAL_PAGE = 10


class ContactReads:
    """Answers the calls."""

    def __init__(self, store: ContactStore, catalog: PropertyCatalog, clock: Clock) -> None:
        self._store = store
        self._catalog = catalog
        self._clock = clock

    def page(self, request: Request) -> Reply:
        """List contacts in the order of their ids."""
        query = request.query()
        history = split_names(query.get("propertiesWithHistory", []))
        view = view_of(self._catalog.definitions, split_names(query.get("properties", [])), history)
        limit = _page_size(query, LARGEST_PAGE_WITH_HISTORY if history else LARGEST_PAGE)
        records, following = self._store.page(_after(query), limit, archived=_is_archived(query))
        body: dict[str, Any] = {"results": [view.render(record) for record in records]}
        if following:
            link = f"?after={following}&limit={limit}"
            body["paging"] = {"next": {"after": following, "link": link}}
        return json_reply(body, inputs=len(records))

    def one(self, request: Request, wanted: str) -> Reply:
        """Read a contact by its id, or by its e-mail."""
        query = request.query()
        by_email = query.get("idProperty") == ["email"]
        record = self._store.with_email(wanted) if by_email else self._store.surviving(wanted)
        if record is None or record.archived is not _is_archived(query):
            raise not_found(wanted)
        names = (split_names(query.get(each, [])) for each in ("properties", "propertiesWithHistory"))
        return json_reply(view_of(self._catalog.definitions, *names).render(record), inputs=1)

    def batch(self, request: Request, lag_seconds: float) -> Reply:
        """Read up to a hundred contacts, but for the newest; of a merged one comes the survivor, under its own id."""
        body = json_object(request)
        history = body.get("propertiesWithHistory") or ()
        inputs = batch_inputs(body, LARGEST_PAGE_WITH_HISTORY if history else LARGEST_PAGE)
        found = self._look_up([each.get("id") for each in inputs], str(body.get("idProperty") or ""))
        archived = _is_archived(request.query())
        newest_ms = self._clock.milliseconds() - int(lag_seconds * 1000)
        missing = [
            wanted
            for wanted, record in found.items()
            if record is None or record.archived is not archived or (lag_seconds and record.created_ms > newest_ms)
        ]
        records = {r.id: r for wanted, r in found.items() if r and wanted not in missing}
        view = view_of(self._catalog.definitions, body.get("properties") or (), history)
        results = [view.render(records[each]) for each in sorted(records, key=int)]
        return self._batch_reply(results, missing, len(inputs))

    def search(self, request: Request, lag_seconds: float) -> Reply:
        """Search contacts."""
        search = read_search(request.body, json_object(request), self._catalog.definitions)
        newest_ms = self._clock.milliseconds() - int(lag_seconds * 1000)
        found = run_search(self._store, search, newest_ms)
        view = view_of(self._catalog.definitions, search.properties)
        end = search.offset + search.limit
        body: dict[str, Any] = {
            "total": len(found),
            "results": [view.render(record) for record in found[search.offset : end]],
        }
        if end < len(found):
            body["paging"] = {"next": {"after": str(end)}}
        return json_reply(body, inputs=len(body["results"]))

    def _look_up(self, wanted: Sequence[Any], id_property: str) -> dict[str, Record | None]:
        if id_property not in ("", "email", "hs_object_id"):
            raise invalid(f"idProperty '{id_property}' is not a unique property")
        if id_property == "email":
            return {str(email): self._store.with_email(str(email)) for email in wanted}
        return {record_id: self._store.surviving(record_id) for record_id in map(numeric_id, wanted)}

    def _batch_reply(self, results: list[dict[str, Any]], missing: Sequence[str], inputs: int) -> Reply:
        now = iso_of(self._clock.milliseconds())
        body: dict[str, Any] = {
            "status": "COMPLETE",
            "results": results,
            "startedAt": now,
            "completedAt": now,
        }
        if missing:
            body |= {"numErrors": 1, "errors": [_missing_objects(missing)]}
        return json_reply(body, 207 if missing else 200, inputs=inputs)


def _missing_objects(missing: Sequence[str]) -> dict[str, Any]:
    return {
        "status": "error",
        "category": OBJECT_NOT_FOUND,
        "message": "Could not get some CONTACT objects, they may be deleted or not exist.",
        "context": {"ids": list(missing)},
    }


def _page_size(query: Mapping[str, Sequence[str]], largest: int) -> int:
    text = query.get("limit", [str(USUAL_PAGE)])[0]
    if not text.isdigit() or not 1 <= int(text) <= largest:
        raise invalid(f"limit must be between 1 and {largest}")
    return int(text)


def _after(query: Mapping[str, Sequence[str]]) -> int:
    text = query.get("after", ["0"])[0] or "0"
    if not text.isdigit():
        raise invalid("after is not a cursor")
    return int(text)


def _is_archived(query: Mapping[str, Sequence[str]]) -> bool:
    # Clients of HubSpot's own send False and True.
    return query.get("archived", ["false"])[0].lower() == "true"
