"""A contact appears in the CRM and is enriched: every part is a process of its own, deployed as prefect.yaml says."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from sandbox.arrivals import SOURCES, resident, waits
from sandbox.place import Place, process
from tests.e2e.conftest import WORKER, count, new_world

WAVES, WAVE = 2, 5


@contextmanager
def by_worker(place: Place) -> Iterator[None]:
    """Let a worker start a process for each run that an event leads to."""
    with process(WORKER, place.folder, "worker", place.environment):
        yield


@contextmanager
def by_resident(place: Place) -> Iterator[None]:
    """Let one process stay, without a worker; it ends in peace at a SIGTERM."""
    place.environment["ENRICHMENT_START_RUNS_BY"] = "resident"
    with resident(place) as staying:
        yield
    assert staying.returncode == 0


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("crm", "running"),
    [("hubspot", by_worker), ("hubspot", by_resident), ("salesforce", by_resident)],
    ids=["hubspot-worker", "hubspot-resident", "salesforce-resident"],
)
def test_a_new_contact_is_enriched_by_itself(
    crm: str,
    running: Callable[[Place], AbstractContextManager[None]],
    deployed: Place,
    place: Place,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Event, staging, start of a run, lookup and write-back follow each other, once: our own changes queue nothing."""
    place.environment["ENRICHMENT_CRM"] = crm
    warehouse = new_world(place, 0)
    with running(place), SOURCES[crm].listening(place):
        seconds = waits(place, crm, WAVES, WAVE)
        while place.ledger()["hubspot"]["webhooks"]["pending"]:  # the pipeline's own changes are announced, too
            time.sleep(0.05)
    assert count(warehouse, "record_ledger") == WAVES * WAVE
    assert count(warehouse, "enrichment_staging") == 0
    ledger = place.ledger()
    assert ledger["zoominfo"]["most_lookups_of_one_input"] == 1
    assert ledger[crm]["contacts_updated"] == WAVES * WAVE
    with capsys.disabled():
        median, p95 = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
        sys.stdout.write(f"\n{crm}: created to written back in {median:.1f} s (median), {p95:.1f} s (p95)\n")
    warehouse.close()
