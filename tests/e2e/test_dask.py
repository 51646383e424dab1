"""One run, carried by two processes of a Dask cluster of its own, on PostgreSQL."""

import signal
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from enrichment.records import Origin
from sandbox.place import Place
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


def test_a_run_shares_its_rate_among_the_workers_of_its_cluster_and_outlives_one(place_on_postgres: Place) -> None:
    """The processes together keep the rate; after SIGKILL another one carries the batches, and nothing is lost."""
    place = replace(place_on_postgres, environment=place_on_postgres.environment | DASK)
    warehouse = new_world(place, CONTACTS, zoominfo={"latency_ms": 150})
    run = place.enrich("run")
    # Each process logs in once: both have worked. Some replies are needed to compute a rate from.
    while place.ledger()["zoominfo"]["tokens_issued"] < 2 or count(warehouse, "provider_replies") < CONTACTS / 3:
        assert run.poll() is None, "the run ended before a worker could be killed"
        time.sleep(0.05)
    assert lookup_rate(warehouse) < 1.25 * CALLS_PER_SECOND * CONTACTS_PER_CALL
    worker = next(one for one in psutil.Process(run.pid).children() if "spawn_main" in " ".join(one.cmdline()))
    if psutil.LINUX:  # what takes a worker seconds of CPU, and no batch needs
        assert not [one.path for one in worker.memory_maps() if "/snowflake/" in one.path]
    worker.send_signal(signal.SIGKILL)
    assert count(warehouse, "enrichment_staging") > 0
    report = place.finish(run, "run")
    books = report["books"]
    assert books["claimed"] == sum(books["dispositions"].values()) + books["returned"]
    assert (count(warehouse, "record_ledger"), count(warehouse, "enrichment_staging")) == (CONTACTS, 0)
    ledger, held = place.ledger(), place.crm_contacts()
    assert ledger["hubspot"]["most_updates_of_one_contact"] == 1
    assert ledger["zoominfo"]["credits_used"] == ledger["zoominfo"]["records_billed"]
    assert ledger["zoominfo"]["most_lookups_of_one_input"] <= 2  # once more, if its answer was under way
    written = warehouse.read_written(report["run_id"], Origin("hubspot"))
    assert {one.crm_id for one in written if held[one.crm_id][one.field] == one.after} == {
        one.crm_id for one in written
    }
    assert len({one.crm_id for one in written}) == ledger["hubspot"]["contacts_updated"]
    assert not list(Path(place.environment["PREFECT_HOME"]).glob("storage/*"))
    warehouse.close()
