"""PostgreSQL alone: two transactions that meet on one contact's reply, whichever comes first."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from blocks.providers.base import Reply
from blocks.warehouses import _erasure
from blocks.warehouses._journal import end_reservations
from blocks.warehouses._rows import reply_row
from blocks.warehouses.base import MadeFor, NewRecord, Warehouse, load_warehouse
from enrichment.records import Origin, Outcome

HUBSPOT = Origin("hubspot")

PATIENCE_SECONDS = 60
REPLY = Reply("key", Outcome.MATCHED, {"name": "Zoë"}, credits=1.0)


@pytest.fixture(params=["run-1", "run-2"])
def postgres(make_warehouse: Callable[[str], Warehouse], request: pytest.FixtureRequest) -> Warehouse:
    """Give a warehouse with one contact in a claim, whose request is reserved, or was taken over by another run."""
    warehouse = make_warehouse("postgres")
    warehouse.stage([NewRecord("hubspot", "1", None, "manual", "live")])
    claim = warehouse.claim("run-1", origin=HUBSPOT, lane="", limit=9, lease_seconds=600, make_token=lambda: "token")
    made_for = [MadeFor(claim.records[0].record_id, "key")]
    ask = {"token": "token", "lease_seconds": 600, "reply_days": 30, "miss_days": 30, "run_id": request.param}
    assert warehouse.open_requests("zoominfo", ["key"], made_for=made_for, **ask).granted == {"key"}
    return warehouse


@pytest.fixture
def other(postgres: Warehouse) -> Iterator[Warehouse]:
    """Give a second connection to the same warehouse."""
    warehouse = load_warehouse("postgres")
    yield warehouse
    warehouse.close()


@pytest.fixture
def watcher(postgres: Warehouse) -> Iterator[Warehouse]:
    """Give a third one, which looks on."""
    warehouse = load_warehouse("postgres")
    yield warehouse
    warehouse.close()


def await_lock(warehouse: Warehouse, job: Future[object]) -> None:
    """Wait until another connection waits for a lock, or has done its work without."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    waiting = (
        "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    while not job.done():
        with warehouse._reading() as session:
            if session._connection.execute(waiting).fetchone()["n"]:
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kept(warehouse: Warehouse) -> list[tuple[str, object]]:
    with warehouse._reading() as session:
        rows = session._connection.execute("SELECT outcome, reply FROM provider_replies").fetchall()
    return [(row["outcome"], row["reply"]) for row in rows]


def test_an_erasure_waits_for_a_reply_that_is_being_kept(
    postgres: Warehouse, other: Warehouse, watcher: Warehouse
) -> None:
    """The reply is committed first, and the erasure finds it."""
    with ThreadPoolExecutor(1) as beside, postgres._transaction() as session:
        session.run("keep_replies", provider="zoominfo", run_id="run-1", rows=[reply_row(REPLY)])
        end_reservations(session, "zoominfo", "run-1", ["key"])
        job = beside.submit(other.erase, HUBSPOT, "1")
        await_lock(watcher, job)
        assert not job.done()
    assert kept(postgres) == [("erased", None)]


def test_a_reply_waits_for_an_erasure_under_way(postgres: Warehouse, other: Warehouse, watcher: Warehouse) -> None:
    """The erasure is committed first, and of the reply only its cost is kept."""
    with ThreadPoolExecutor(1) as beside, postgres._transaction() as session:
        _erasure.erase(session, HUBSPOT, "1", "erasing")
        job = beside.submit(other.keep_replies, "zoominfo", "run-1", [REPLY])
        await_lock(watcher, job)
        assert not job.done()
    assert kept(postgres) == [("erased", None)]
    assert postgres.count_usage("run-1")[0].credits == 1.0
