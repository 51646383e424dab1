"""Several workers on one pool, each running a run of its own, share one queue in PostgreSQL and one provider."""

import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from blocks.warehouses.base import Warehouse
from sandbox.place import Place, process
from tests.e2e.conftest import WORKER, ask, count, lookup_rate, new_world

CONTACTS, RUNS, WORKERS = 900, 2, 2
CALLS_PER_SECOND = 6
CONTACTS_PER_CALL = 25
PATIENCE_SECONDS = 400

pytestmark = pytest.mark.timeout(600)  # four processes import Prefect


def books(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Return what each run claimed, returned and ended, by the tables."""
    with warehouse._reading() as session:
        rows = session._connection.execute(
            "SELECT r.run_id, r.claimed, r.returned, count(l.record_id) AS ended FROM enrichment_runs r"
            " LEFT JOIN record_ledger l ON l.run_id = r.run_id GROUP BY r.run_id, r.claimed, r.returned"
        )
        return [dict(row) for row in rows]


def waiting(session: Any) -> int:
    """Return how many connections wait for the queue, which this session has locked."""
    statement = "SELECT count(*) AS rows FROM pg_locks WHERE NOT granted AND relation = 'enrichment_staging'::regclass"
    return int(session._connection.execute(statement).fetchone()["rows"])


def start_runs(place: Place) -> list[str]:
    """Start runs of the deployment, and return their ids."""
    deployment = ask(place, "GET", "deployments/name/enrich-contacts/backfill")["id"]
    asked = [{"parameters": {"lane": "live"}, "idempotency_key": uuid.uuid4().hex} for _ in range(RUNS)]
    return [ask(place, "POST", f"deployments/{deployment}/create_flow_run", one)["id"] for one in asked]


def run_ids(warehouse: Warehouse) -> set[str]:
    """Return every run that opened books here."""
    return {one["run_id"] for one in books(warehouse)}


def states(place: Place, ids: Iterable[str]) -> set[str]:
    """Return the kinds of states that the runs are in."""
    return {ask(place, "GET", f"flow_runs/{one}")["state_type"] for one in ids}


def await_that(condition: Callable[[], bool], what: str) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never seen: {what}"
        time.sleep(0.3)


def test_workers_on_one_pool_share_queue_and_rate(deployed: Place, place_on_postgres: Place) -> None:
    """No contact is looked up or written twice, every run's books balance, and together they keep the rate."""
    settings = {
        "ENRICHMENT_CHUNK_SIZE": "50",
        "ENRICHMENT_CHUNKS_IN_FLIGHT": "2",
        "ENRICHMENT_ZOOMINFO_REQUESTS_PER_SECOND": str(CALLS_PER_SECOND),
        "ENRICHMENT_NOTIFIERS": "",
    }
    place = replace(place_on_postgres, environment=place_on_postgres.environment | settings)
    warehouse = new_world(place, CONTACTS)
    with ExitStack() as stack:
        runs = start_runs(place)
        worker = [*WORKER, "--limit", "1"]
        names = [f"worker-{number}" for number in range(WORKERS)]
        with warehouse._transaction() as session:
            # No run gets at the queue before all runs stand before it: the first one could work off all of it.
            session._connection.execute("LOCK TABLE enrichment_staging IN ACCESS EXCLUSIVE MODE")
            for name in names:
                stack.enter_context(process([*worker, "--name", name], place.folder, name, place.environment))
            await_that(lambda: waiting(session) >= RUNS, "the runs at the queue")
        ended = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        # The deployment's schedule may have added runs of its own.
        await_that(lambda: states(place, {*runs, *run_ids(warehouse)}) <= ended, "the runs' ends")
        assert states(place, runs) == {"COMPLETED"}
    found, ledger = books(warehouse), place.ledger()
    assert [one for one in found if one["claimed"] != one["returned"] + one["ended"]] == []
    assert len([one for one in found if one["claimed"]]) > 1
    assert (count(warehouse, "record_ledger"), count(warehouse, "enrichment_staging")) == (CONTACTS, 0)
    assert ledger["zoominfo"]["most_lookups_of_one_input"] == 1
    assert ledger["hubspot"]["most_updates_of_one_contact"] == 1
    # A run that has just begun isn't counted yet by the others.
    assert lookup_rate(warehouse) < 1.5 * CALLS_PER_SECOND * CONTACTS_PER_CALL
    assert all("flow run" in (place.folder / f"{name}.log").read_text() for name in names)
    warehouse.close()
