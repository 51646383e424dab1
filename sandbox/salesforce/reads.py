"""The calls that read contacts and accounts: queries, and collections by id."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

from sandbox.exchange import Reply, Request, json_reply
from sandbox.salesforce.errors import malformed
from sandbox.salesforce.fields import ACCOUNT_FIELDS
from sandbox.salesforce.soql import COUNT, Query, read_query
from sandbox.salesforce.store import OrgStore, Record

MOST_IDS = 2000
MOST_QUERY_CHARACTERS = 16_000


class ContactReads:
    """Answers the calls."""

    def __init__(self, store: OrgStore, fields: Mapping[str, Any]) -> None:
        self._store = store
        self._fields = fields
        self._numbers = count(1)
        self._open: dict[str, list[dict[str, Any]]] = {}

    def query(self, request: Request, root: str, page_size: int, *, deleted: bool) -> Reply:
        """Answer a query with its first page."""
        (soql,) = request.query().get("q") or [""]
        if len(request.query_string) > MOST_QUERY_CHARACTERS:
            return Reply(414)
        query = read_query(soql, lambda campaign: self._store.campaigns.get(campaign[:15], frozenset()))
        counts = query.fields == (COUNT,)
        self._check_names((*(() if counts else query.fields), *query.order, *query.compared), self._fields)
        self._check_filterable(query.compared)
        if counts:
            found = self._matching(query, deleted=deleted)
            return json_reply({"totalSize": len(found), "done": True, "records": []}, inputs=1)
        rows = [_row(record, query.fields, root) for record in self._matching(query, deleted=deleted)]
        locator = f"01g5e{next(self._numbers):010d}AAA"
        self._open[locator] = rows
        return self._page(locator, 0, root, page_size)

    def more(self, tail: str, root: str, page_size: int) -> Reply:
        """Answer with a further page of a query."""
        locator, _, start = tail.rpartition("-")
        if locator not in self._open or not start.isdigit():
            raise malformed("INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(locator, int(start), root, page_size)

    def retrieve(self, kind: str, body: Any) -> Reply:
        """Answer with records by id, in the order of the ids; null for what isn't there."""
        ids, names = (body.get(part) for part in ("ids", "fields")) if isinstance(body, dict) else (None, None)
        if not isinstance(ids, list) or not isinstance(names, list):
            raise malformed("JSON_PARSER_ERROR", "ids and fields must be lists")
        if len(ids) > MOST_IDS:
            raise malformed("EXCEEDED_ID_LIMIT", f"record limit reached. cannot submit more than {MOST_IDS} records")
        known = self._fields if kind == "Contact" else ACCOUNT_FIELDS
        self._check_names(names, known)
        find = self._contact if kind == "Contact" else self._account
        return json_reply([find(_checked_id(each), names) for each in ids], inputs=len(ids))

    def _page(self, locator: str, start: int, root: str, page_size: int) -> Reply:
        rows = self._open[locator]
        end = start + page_size
        body: dict[str, Any] = {"totalSize": len(rows), "done": end >= len(rows), "records": rows[start:end]}
        if end < len(rows):
            body["nextRecordsUrl"] = f"{root}query/{locator}-{end}"
        return json_reply(body, inputs=len(body["records"]))

    def _matching(self, query: Query, *, deleted: bool) -> list[Record]:
        found = [record for record in self._store.records(deleted=deleted) if query.matches(record)]
        if query.order:
            found.sort(key=lambda record: [record.get(name) for name in query.order])
        return found[: query.limit]

    def _contact(self, wanted: str, names: Sequence[str]) -> dict[str, Any] | None:
        record = self._store.get(wanted)
        if record is None or record.deleted:
            return None
        return {"attributes": {"type": "Contact"}, "Id": record.id, **_values(record.get, names)}

    def _account(self, wanted: str, names: Sequence[str]) -> dict[str, Any] | None:
        if wanted not in self._store.accounts:
            return None
        values = {"Id": wanted, "Name": self._store.accounts[wanted]}
        return {"attributes": {"type": "Account"}, **_values(values.get, names)}

    def _check_filterable(self, names: Iterable[str]) -> None:
        hidden = [name for name in names if not self._fields[name]["filterable"]]
        if hidden:
            raise malformed("INVALID_FIELD", f"field '{hidden[0]}' can not be filtered in a query call")

    def _check_names(self, names: Iterable[str], known: Iterable[str]) -> None:
        missing = [name for name in names if name not in known]
        if missing:
            raise malformed("INVALID_FIELD", f"No such column '{missing[0]}' on entity 'Contact'")


def _checked_id(value: Any) -> str:
    if not isinstance(value, str) or len(value) not in (15, 18) or not value.isalnum():
        raise malformed("MALFORMED_ID", f"malformed id {value}")
    return value


def _row(record: Record, names: Sequence[str], root: str) -> dict[str, Any]:
    attributes = {"type": "Contact", "url": f"{root}sobjects/Contact/{record.id}"}
    return {"attributes": attributes, **_values(record.get, names)}


def _values(get: Callable[[str], Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: get(name) for name in names}
