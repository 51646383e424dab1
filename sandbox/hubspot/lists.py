"""Lists of contacts, which HubSpot also calls segments: what one is, and its members."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from sandbox.exchange import Reply, Request, json_reply
from sandbox.hubspot.errors import HubSpotError, invalid, unknown_path

LARGEST_PAGE = 250
USUAL_PAGE = 100
_ADDED = "2026-01-01T00:00:00Z"


class ContactLists:
    """Answers the calls that read lists; members come in the order of their ids."""

    def __init__(self) -> None:
        self._lists: dict[str, tuple[str, list[int]]] = {}

    def make(self, list_id: str, contact_ids: Sequence[str], object_type: str) -> None:
        """Make a list."""
        self._lists[list_id] = (object_type, sorted(map(int, contact_ids)))

    def answer(self, request: Request) -> Reply:
        """Answer a call below the lists."""
        list_id, _, rest = request.path.removeprefix("/").partition("/")
        if request.method != "GET" or rest not in ("", "memberships"):
            raise unknown_path()
        if list_id not in self._lists:
            raise HubSpotError(404, "OBJECT_NOT_FOUND", f"List does not exist with ID {list_id}.")
        object_type, members = self._lists[list_id]
        if not rest:
            return json_reply({"list": {"listId": list_id, "objectTypeId": object_type, "processingType": "MANUAL"}})
        return self._page(request, members)

    def _page(self, request: Request, members: Sequence[int]) -> Reply:
        query = request.query()
        limit, after = (query.get(name, [usual])[0] for name, usual in (("limit", str(USUAL_PAGE)), ("after", "0")))
        if not limit.isdigit() or not 1 <= int(limit) <= LARGEST_PAGE or not after.isdigit():
            raise invalid(f"limit must be between 1 and {LARGEST_PAGE}, and after a cursor")
        start = bisect_right(members, int(after))
        page = members[start : start + int(limit)]
        body: dict[str, Any] = {
            "results": [{"recordId": str(member), "membershipTimestamp": _ADDED} for member in page],
            "total": len(members),
        }
        if start + len(page) < len(members):
            body["paging"] = {"next": {"after": str(page[-1]), "link": ""}}
        return json_reply(body, inputs=len(page))
