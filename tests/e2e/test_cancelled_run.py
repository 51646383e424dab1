"""A deployed run that is cancelled ends in order; one that dies with its worker is ended by the next run."""

import time
from collections.abc import Callable
from dataclasses import replace

import psutil
import pytest

from sandbox.place import Place, process
from tests.e2e.conftest import WORKER, ask, count, new_world

CONTACTS = 600
PATIENCE_SECONDS = 200


def await_that(condition: Callable[[], bool], what: str) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"never seen: {what}"
        time.sleep(0.1)


def kill_with_children(pid: int) -> None:
    """Do what the end of a container does."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process_of_it in family:
        process_of_it.kill()
    psutil.wait_procs(family)


def start(place: Place) -> str:
    """Start a run of a deployment, and return its id."""
    deployment = ask(place, "GET", "deployments/name/enrich-contacts/backfill")["id"]
    path = f"deployments/{deployment}/create_flow_run"
    return str(ask(place, "POST", path, {"parameters": {"lane": "live"}})["id"])


def state_of(place: Place, run: str) -> str:
    """Return the kind of state that a run is in."""
    return str(ask(place, "GET", f"flow_runs/{run}")["state_type"])


@pytest.mark.timeout(400)
def test_a_cancelled_run_and_one_that_dies_pay_for_nothing_twice(deployed: Place, place: Place) -> None:
    """
    A cancelled run awaits its calls, saves what was paid, frees all contacts and closes its totals; no alert goes out.

    A run that is killed with its worker is ended by the next run on the machine, which waits for no lock.
    """
    settings = {"ENRICHMENT_CHUNK_SIZE": "100", "ENRICHMENT_ZOOMINFO_CONCURRENCY": "2"}
    place = replace(place, environment=place.environment | settings)
    warehouse = new_world(place, CONTACTS, zoominfo={"latency_ms": 300})

    def at_work() -> str:
        kept, run = count(warehouse, "provider_replies"), start(place)
        await_that(lambda: count(warehouse, "provider_replies") >= kept + 50, "replies")
        return run

    with process([*WORKER, "--name", "worker"], place.folder, "worker", place.environment) as worker:
        cancelled = at_work()
        ask(place, "POST", f"flow_runs/{cancelled}/set_state", {"state": {"type": "CANCELLING"}})
        await_that(lambda: state_of(place, cancelled) == "CANCELLED", "the run's end")
        paid = place.ledger()["zoominfo"]
        assert paid["lookups"] == count(warehouse, "provider_replies") < CONTACTS
        books = warehouse.read_run(cancelled)
        assert (books.state, books.claimed, books.alert_kind) == ("cancelled", CONTACTS, "")
        assert warehouse.read_locks() == []
        assert "Traceback" not in (place.folder / "worker.log").read_text()

        dead = at_work()
        kill_with_children(worker.pid)
    asked, kept = place.ledger()["zoominfo"]["lookups"], count(warehouse, "provider_replies")
    assert [one.run_id for one in warehouse.read_locks()] == [dead]
    place.result("run")
    assert warehouse.read_run(dead).state == "abandoned"
    ledger = place.ledger()
    assert (count(warehouse, "record_ledger"), count(warehouse, "enrichment_staging")) == (CONTACTS, 0)
    assert ledger["zoominfo"]["lookups"] - asked == count(warehouse, "provider_replies") - kept
    assert ledger["zoominfo"]["credits_used"] == ledger["zoominfo"]["records_billed"]
    assert ledger["slack"]["messages"] == 0
    warehouse.close()
