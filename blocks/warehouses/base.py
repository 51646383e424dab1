"""
The seam to a warehouse: verbs that take and give values, each one transaction of named statements.

The statements stand in `sql/`, once for every engine or in the engine's own folder; an engine adds only how to connect
and to open a transaction, and its name for a placeholder. Rows travel as one JSON text per statement, since that is
what every engine can unpack. Timestamps are the engine's own clock, and cross the seam as ISO-8601 UTC text. Every
later update of a claimed record names the claim it relies on.
"""

import uuid
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from blocks.base import PipelineBlock, block_class, configure
from blocks.warehouses import _erasure
from blocks.warehouses._audit import AuditVerbs
from blocks.warehouses._books import BookVerbs, InsightVerbs
from blocks.warehouses._changes import ChangeVerbs
from blocks.warehouses._journal import JournalVerbs, ResultVerbs
from blocks.warehouses._lists import ListVerbs
from blocks.warehouses._queue import QueueVerbs
from blocks.warehouses._report import ReportVerbs
from blocks.warehouses._session import replayed
from blocks.warehouses._upkeep import UpkeepVerbs
from blocks.warehouses._values import (
    Erased,
    JournalLookup,
    KeptRun,
    MadeFor,
    NewPlan,
    NewRecord,
    PlannedWrite,
    QueueCount,
    Renewal,
    RunEnd,
    RunStart,
    SavedReply,
    Settled,
    Usage,
    WrittenField,
)
from enrichment.plan import Reference
from enrichment.records import Origin

__all__ = [
    "Erased",
    "JournalLookup",
    "KeptRun",
    "MadeFor",
    "NewPlan",
    "NewRecord",
    "PlannedWrite",
    "QueueCount",
    "Renewal",
    "RunEnd",
    "RunStart",
    "SavedReply",
    "Settled",
    "Usage",
    "Warehouse",
    "WarehouseBlock",
    "WrittenField",
    "load_warehouse",
    "open_warehouse",
]


class Warehouse(
    QueueVerbs,
    JournalVerbs,
    ResultVerbs,
    ChangeVerbs,
    BookVerbs,
    InsightVerbs,
    ListVerbs,
    ReportVerbs,
    UpkeepVerbs,
    AuditVerbs,
):
    """
    What the pipeline needs of a warehouse.

    Every verb raises ConfigurationError if the warehouse isn't set up or refuses us, and TransientError if it can't be
    reached now. A verb whose transaction gave way to another one (ConflictError) is repeated as a whole.
    """

    name: ClassVar[str]

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""

    def check(self) -> str:
        """Say in one line what answers and how many records wait."""
        waiting = sum(count.records for count in self.count_queue())
        paused = "".join(
            f"; the {lane} queue has been paused since {since}" for lane, since in self.paused_lanes().items()
        )
        return f"{self.name} answers; {waiting:,} contacts in the queue{paused}"

    @replayed
    def check_writes(self) -> None:
        """Raise if the warehouse refuses changes; nothing is changed."""
        with self._transaction() as session:
            session.run("forget_usage", run_id="")

    def free_bytes(self) -> int | None:
        """Return how much room is left, or None if the engine makes its own."""
        return None

    @replayed
    def erase(self, origin: Origin, crm_id: str, by: str = "") -> Erased:
        """
        Remove what is known of a contact, and remember by hashes never to look it up; safe to repeat.

        The contacts that were merged into it were the same person, and go with it.
        """
        with self._transaction() as session:
            ids = _erasure.with_merged(session, origin, crm_id)
            parts = [_erasure.erase(session, origin, one, uuid.uuid4().hex, by).rows for one in ids]
        return Erased({table: sum(rows[table] for rows in parts) for table in parts[0]})


class WarehouseBlock(PipelineBlock):
    """Configuration of a warehouse."""

    def get_warehouse(self) -> Warehouse:
        """Return the adapter."""
        raise NotImplementedError


def load_warehouse(reference: str) -> Warehouse:
    """Return the warehouse that a reference names."""
    parsed = Reference.parse(reference)
    return configure(block_class(__package__, parsed.name, WarehouseBlock), parsed.document).get_warehouse()


@contextmanager
def open_warehouse(reference: str) -> Iterator[Warehouse]:
    """Give the warehouse that a reference names, and close it."""
    warehouse = load_warehouse(reference)
    try:
        yield warehouse
    finally:
        warehouse.close()
