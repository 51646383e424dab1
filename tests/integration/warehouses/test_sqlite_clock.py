"""SQLite's locks end by a clock that no change of the machine's date moves."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.warehouses.base import NewRecord, RunStart, Warehouse
from blocks.warehouses.sqlite import SqliteWarehouse
from enrichment.records import Claim, Origin, Returned
from enrichment.status import between

HUBSPOT = Origin("hubspot")
LEASE = 600
HOUR = 3600.0


@pytest.fixture(params=[HOUR, -HOUR], ids=["an hour forward", "an hour back"])
def jumped(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    """Give a warehouse whose machine's date has jumped since the first process wrote down when it was started."""
    path = tmp_path / "warehouse.db"
    first = SqliteWarehouse(path, 10)
    first.migrate()
    first.close()
    reopened = SqliteWarehouse(path, 10)
    reopened.now()  # writes it down
    with reopened._transaction() as session:
        changed = session.execute(
            f"UPDATE event_cursors SET cursor = cursor - {request.param} WHERE name LIKE 'start:%'"
        )
    assert changed.rowcount == 1
    reopened.close()
    return SqliteWarehouse(path, 10)


def claim(warehouse: Warehouse, run_id: str) -> Claim:
    return warehouse.claim(
        run_id, origin=HUBSPOT, lane="", limit=9, lease_seconds=LEASE, make_token=lambda: uuid.uuid4().hex
    )


def test_a_jump_of_the_date_ends_no_lock_and_makes_none_last(jumped: Warehouse) -> None:
    """Two runs never own one contact, none is dead for the other, and what went back is free when it should be."""
    for run_id in ("run-1", "run-2"):
        jumped.open_run(RunStart(run_id, "a run", "zoominfo", "hubspot", ""), lease_seconds=LEASE)
    jumped.stage([NewRecord("hubspot", "1", None, "manual", "live")])
    assert jumped.next_due(origin=HUBSPOT, lane="") == 0.0
    mine = claim(jumped, "run-1")
    assert len(mine.records) == 1
    assert claim(jumped, "run-2").records == ()
    days = {"reply_days": 30, "miss_days": 30}
    reserve = {"run_id": "run-1", "token": mine.token, "lease_seconds": LEASE}
    assert jumped.open_requests("zoominfo", ["k"], **reserve, **days).granted == {"k"}
    assert jumped.open_requests("zoominfo", ["k"], token="b", lease_seconds=LEASE, **days).granted == set()
    jumped.open_run(RunStart("run-3", "a run", "zoominfo", "hubspot", ""), lease_seconds=LEASE)  # abandons the dead
    assert jumped.renew_run("run-1", lease_seconds=LEASE)
    renewal = jumped.renew(mine, [mine.records[0].record_id], provider="zoominfo", crm="hubspot", lease_seconds=LEASE)
    assert dict(renewal.at_provider) == {"": 1}
    [locked] = jumped.read_locks()
    assert locked.seen_at <= locked.read_at < locked.free_at
    assert abs(between(jumped.now(), locked.read_at).total_seconds()) > HOUR - 60  # not by the date
    assert LEASE - 60 < jumped.next_due(origin=HUBSPOT, lane="") <= LEASE  # type: ignore[operator]
    jumped.settle(mine, HUBSPOT, [Returned(mine.records[0].record_id, "again", 0.0)], [])
    assert jumped.next_due(origin=HUBSPOT, lane="") == 0.0
    assert len(claim(jumped, "run-2").records) == 1
    jumped.close()


def test_the_clock_goes_on_within_a_connection(tmp_path: Path) -> None:
    """A statement that is used again sees the time of its own moment."""
    warehouse = SqliteWarehouse(tmp_path / "warehouse.db", 10)
    warehouse.migrate()
    read: Callable[[], str] = lambda: str(warehouse._connect().execute("SELECT steady(0)").fetchone()[0])  # noqa: E731
    first = read()
    deadline = time.monotonic() + 10
    while read() == first:
        assert time.monotonic() < deadline
    warehouse.close()
