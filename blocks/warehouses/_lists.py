"""The verbs by which people list single contacts, and see where the queue and the runs stand."""

from collections.abc import Iterable
from typing import Any

from blocks.warehouses._rows import Row, row_of
from blocks.warehouses._session import Transactions
from enrichment.alerts import Cause
from enrichment.lists import FailedItem, ListFilter, QueuedItem, RefusedItem
from enrichment.records import Origin
from enrichment.status import LaneStatus, RunStatus
from enrichment.unmatched import UnmatchedItem


class ListVerbs(Transactions):
    """What people list, contact by contact."""

    def list_failed(self, wanted: ListFilter) -> list[FailedItem]:
        """Return the failed contacts that wait for a retry, the latest first."""
        # A sum is a decimal number at some engines.
        return [FailedItem(**row | {"attempts": int(row["attempts"])}) for row in self._list("list_failed", wanted)]

    def list_refused(self, wanted: ListFilter) -> list[RefusedItem]:
        """Return the fields that were not written and still aren't, the latest first."""
        return [RefusedItem(**row) for row in self._list("list_refused", wanted)]

    def list_unmatched(self, wanted: ListFilter) -> list[UnmatchedItem]:
        """Return the unmatched contacts that aren't reviewed yet, the latest first."""
        return [UnmatchedItem(**row) for row in self._list("list_unmatched", wanted)]

    def matched_domains(self) -> dict[str, int]:
        """Return how many contacts were found at each domain, of the 100,000 most frequent ones."""
        return domains_of(self._query("matched_domains"))

    def finished_last(self, origin: Origin, since: str, limit: int) -> list[tuple[str, str]]:
        """Return id and result of the contacts of a CRM that were finished last, since a moment (ISO-8601 UTC)."""
        rows = self._query("finished_last", **row_of(origin), since=since, limit=limit)
        return [(row["crm_id"], row["result"]) for row in rows]

    def list_queued(self, wanted: ListFilter) -> list[QueuedItem]:
        """Return the queued contacts in the order in which runs take them."""
        return [QueuedItem(**row) for row in self._list("list_queued", wanted)]

    def failed_causes(self, run_id: str) -> list[Cause]:
        """Return why contacts of a run failed, the most frequent cause first, with the first contacts of each."""
        found: dict[tuple[str, str], Cause] = {}
        for row in self._query("failed_causes", run_id=run_id):
            known = found.get((row["reason"], row["step"]))
            ids = (*known.contacts, row["crm_id"]) if known else (row["crm_id"],)
            found[row["reason"], row["step"]] = Cause(row["reason"], row["step"], row["contacts"], ids, row["first_at"])
        return list(found.values())

    def lane_status(self) -> list[LaneStatus]:
        """Return what each lane holds; one without contacts is left out."""
        return [LaneStatus(**row | {"locked": int(row["locked"])}) for row in self._query("status_lanes")]

    def runs_since(self, since: str, limit: int) -> list[RunStatus]:
        """Return the runs that began since a moment (ISO-8601 UTC text), the latest first."""
        return [RunStatus(**row) for row in self._query("status_runs", since=since, limit=limit)]

    def _list(self, query: str, wanted: ListFilter) -> list[dict[str, Any]]:
        names, values = self.sql.parameters(query), row_of(wanted)
        return self._query(query, **{name: value for name, value in values.items() if name in names})


def domains_of(rows: Iterable[Row]) -> dict[str, int]:
    """Return how many contacts were found at each domain."""
    return {row["email_domain"]: row["contacts"] for row in rows}
