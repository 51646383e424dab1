"""One run, carried by several processes of a Dask cluster, on PostgreSQL."""

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from blocks.warehouses.base import Warehouse
from enrichment.records import Origin
from sandbox.place import Place, process
from tests.e2e.conftest import count, lookup_rate, new_world

CONTACTS = 600
#: So low that two processes on a busy machine could exceed it, if each took it for its own.
CALLS_PER_SECOND = 4
CONTACTS_PER_CALL = 25
DASK = {
    "ENRICHMENT_TASK_RUNNER": "dask",
    "ENRICHMENT_DASK_WORKERS": "2",
    "ENRICHMENT_CHUNK_SIZE": "100",
    "ENRICHMENT_CHUNKS_IN_FLIGHT": "4",
    "ENRICHMENT_ZOOMINFO_REQUESTS_PER_SECOND": str(CALLS_PER_SECOND),
    "ENRICHMENT_NOTIFIERS": "",
}

pytestmark = pytest.mark.timeout(600)  # five processes import Prefect


def check(place: Place, warehouse: Warehouse, report: dict[str, Any]) -> None:
    """Everything ended once, in balanced books, and the CRM holds what the warehouse says."""
    books = report["books"]
    assert books["claimed"] == sum(books["dispositions"].values()) + books["returned"]
    assert (count(warehouse, "record_ledger"), count(warehouse, "enrichment_staging")) == (CONTACTS, 0)
    ledger, held = place.ledger(), place.crm_contacts()
    assert ledger["hubspot"]["most_updates_of_one_contact"] == 1
    assert ledger["zoominfo"]["credits_used"] == ledger["zoominfo"]["records_billed"]
    written = warehouse.read_written(report["run_id"], Origin("hubspot"))
    assert {one.crm_id for one in written if held[one.crm_id][one.field] == one.after} == {
        one.crm_id for one in written
    }
    assert len({one.crm_id for one in written}) == ledger["hubspot"]["contacts_updated"]


@contextmanager
def cluster(place: Place) -> Iterator[str]:
    """Run a scheduler and two workers, each a process of its own, as on three machines; give the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    dask = [sys.executable, "-m", "dask"]
    with ExitStack() as stack:
        options = ["--host", address, "--no-dashboard"]
        stack.enter_context(process([*dask, "scheduler", *options], place.folder, "scheduler", place.environment))
        for name in ("worker-1", "worker-2"):
            command = [*dask, "worker", address, "--nthreads", "2", "--no-dashboard", "--name", name]
            stack.enter_context(process(command, place.folder, name, place.environment))
        yield address


def test_two_workers_of_a_cluster_share_one_run_and_its_rate(place_on_postgres: Place) -> None:
    """No contact is looked up or written twice, the processes together keep the rate, and Prefect keeps no result."""
    place = replace(place_on_postgres, environment=place_on_postgres.environment | DASK)
    warehouse = new_world(place, CONTACTS)
    with cluster(place) as address:
        place.environment["ENRICHMENT_DASK_ADDRESS"] = address
        report = place.result("run")
    check(place, warehouse, report)
    ledger = place.ledger()
    assert ledger["zoominfo"]["most_lookups_of_one_input"] == 1
    assert ledger["zoominfo"]["tokens_issued"] == 2  # each process logs in once: both have worked
    assert lookup_rate(warehouse) < 1.25 * CALLS_PER_SECOND * CONTACTS_PER_CALL
    assert not list(Path(place.environment["PREFECT_HOME"]).glob("storage/*"))
    warehouse.close()


def test_a_run_outlives_the_workers_of_its_own_cluster(place_on_postgres: Place) -> None:
    """SIGKILL to every worker: new ones carry the chunks again, and nothing is lost, written twice or counted twice."""
    place = replace(place_on_postgres, environment=place_on_postgres.environment | DASK)
    warehouse = new_world(place, CONTACTS, zoominfo={"latency_ms": 150})
    run = place.enrich("run")
    while not count(warehouse, "crm_writes"):
        assert run.poll() is None, "the run ended before its workers could be killed"
        time.sleep(0.05)
    workers = [child for child in psutil.Process(run.pid).children() if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2
    for worker in workers:
        worker.send_signal(signal.SIGKILL)
    assert count(warehouse, "enrichment_staging") > 0
    check(place, warehouse, place.finish(run, "run"))
    assert place.ledger()["zoominfo"]["most_lookups_of_one_input"] <= 2  # once more, if its answer was under way
    warehouse.close()
