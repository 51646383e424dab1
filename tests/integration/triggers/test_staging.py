"""The writer behind the receiver, on real warehouses."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.warehouses.base import NewRecord, Warehouse, load_warehouse
from enrichment.errors import EnrichmentError
from enrichment.records import Origin
from triggers.staging import Batch, StagingWriter


def batch(*crm_ids: str) -> Batch:
    return Batch(tuple(NewRecord("hubspot", crm_id, None, "webhook", "live") for crm_id in crm_ids))


def waiting(warehouse: Warehouse) -> set[str]:
    return {record.crm_id for record in warehouse.peek(origin=Origin("hubspot"), lane="live", limit=100)}


def test_one_that_can_t_be_committed_holds_no_other(
    make_warehouse: Callable[[str], Warehouse], caplog: pytest.LogCaptureFixture
) -> None:
    """Of three batches that would be committed together, the one that the engine refuses fails alone, unquoted."""
    warehouse = make_warehouse("postgres")
    with warehouse._transaction() as session:
        session._connection.execute("ALTER TABLE enrichment_staging ADD CHECK (crm_id <> 'm4rk3r')")
    shown: list[int] = []

    async def commit() -> list[object]:
        writer = StagingWriter(lambda: load_warehouse("postgres"), lambda: shown.append(1))
        writer.start()
        batches = [batch("1"), batch("m4rk3r"), batch("2")]
        ends = await asyncio.gather(*(writer.commit(each) for each in batches), return_exceptions=True)
        await writer.stop()
        return ends

    with caplog.at_level(logging.INFO):
        first, refused, second = asyncio.run(commit())
    assert (first, second) == (None, None)
    assert isinstance(refused, EnrichmentError)
    assert "m4rk3r" not in caplog.text + str(refused)
    assert waiting(warehouse) == {"1", "2"}
    assert len(shown) == 2


def test_who_stopped_waiting_is_left_out_and_the_end_waits_for_the_rest(
    make_warehouse: Callable[[str], Warehouse], tmp_path: Path
) -> None:
    """A batch whose sender was asked to retry isn't committed later; one that is waited for is, before the end."""
    warehouse = make_warehouse("sqlite")
    lock = sqlite3.connect(tmp_path / "warehouse.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")

    async def commit() -> None:
        writer = StagingWriter(lambda: load_warehouse("sqlite"), lambda: None)
        writer.start()
        first = asyncio.create_task(writer.commit(batch("first")))
        await asyncio.sleep(0)  # the first one's transaction waits for the lock from here on
        await asyncio.sleep(0)
        left, kept = (asyncio.create_task(writer.commit(batch(name))) for name in ("left", "kept"))
        await asyncio.sleep(0)
        left.cancel()
        lock.execute("COMMIT")
        await writer.stop()
        await asyncio.gather(first, kept)

    asyncio.run(commit())
    lock.close()
    assert waiting(warehouse) == {"first", "kept"}


def test_a_failing_starter_of_runs_fails_no_commit(
    make_warehouse: Callable[[str], Warehouse], caplog: pytest.LogCaptureFixture
) -> None:
    """The rows are safe, and the schedule takes them."""
    warehouse = make_warehouse("sqlite")

    def staged() -> None:
        raise RuntimeError("zoe@x.example")

    async def commit() -> None:
        writer = StagingWriter(lambda: load_warehouse("sqlite"), staged)
        writer.start()
        await writer.commit(batch("1"))
        await writer.commit(batch("2"))
        await writer.stop()

    asyncio.run(commit())
    assert waiting(warehouse) == {"1", "2"}
    assert "run_not_requested because=RuntimeError" in caplog.text
    assert "zoe@x.example" not in caplog.text
