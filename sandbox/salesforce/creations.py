"""The calls below `sobjects` that create one record: a contact, or a platform event."""

from collections.abc import Mapping
from typing import Any

from sandbox.exchange import Reply, Request, json_reply
from sandbox.salesforce.errors import RecordError, malformed, unknown_path
from sandbox.salesforce.event_feed import EventFeed
from sandbox.salesforce.event_schemas import CREATED
from sandbox.salesforce.fields import check, stored
from sandbox.salesforce.store import OrgStore

_EVENT = CREATED.rpartition("/")[2]


class ContactCreations:
    """Answers the calls."""

    def __init__(self, store: OrgStore, fields: Mapping[str, Mapping[str, Any]], feed: EventFeed) -> None:
        self._store = store
        self._fields = fields
        self._feed = feed

    def answer(self, request: Request, kind: str) -> Reply:
        """Create what is asked for; unlike in a collection, an error has an HTTP status."""
        if request.method != "POST" or kind not in ("Contact", _EVENT):
            raise unknown_path()
        try:
            values = request.json()
        except ValueError:
            raise malformed("JSON_PARSER_ERROR", "Unexpected character") from None
        try:
            new_id = self._contact(values) if kind == "Contact" else self._feed.publish_creation(values)
        except RecordError as error:
            raise malformed(error.code, str(error)) from None
        return json_reply({"id": new_id, "success": True, "errors": []}, 201)

    def _contact(self, values: Mapping[str, Any]) -> str:
        if not values.get("LastName"):
            raise RecordError("REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", ["LastName"])
        for name, value in values.items():
            check(name, value, self._fields.get(name))
        kept = {name: stored(value, self._fields[name]) for name, value in values.items()}
        return self._store.create({name: value for name, value in kept.items() if value is not None}).id
