"""A contact appears in the CRM and is enriched: every part is a process of its own, deployed as prefect.yaml says."""

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import httpx
import pytest

from sandbox.place import Place, process
from sandbox.warehouses.base import free_port
from tests.e2e.conftest import WORKER, count, new_world

WAVES, WAVE = 4, 5
PATIENCE_SECONDS = 240


@dataclass
class Source:
    """A CRM whose new contacts are listened to."""

    name: str
    place: Place
    field: str
    listener: AbstractContextManager["Popen[str]"]

    def create(self, number: int) -> list[str]:
        """Create a contact that the provider knows, as a person does it."""
        email = f"hit+{self.name}{number}@northwind.example"
        contact = {"hubspot": {"email": email}, "salesforce": {"Email": email, "LastName": f"Person {number}"}}
        answer = httpx.post(
            f"{self.place.sandbox_url}/control/{self.name}/contacts", json=[contact[self.name]], timeout=60
        )
        return list(answer.raise_for_status().json())

    def enriched(self) -> set[str]:
        """Return the contacts that have the company's name by now."""
        return {crm_id for crm_id, values in self.place.crm_contacts(self.name).items() if values.get(self.field)}


def hubspot(place: Place, folder: Path) -> Source:
    port = free_port()
    target = {"ENRICHMENT_HUBSPOT_TARGET_URL": f"http://127.0.0.1:{port}/hubspot/webhook"}
    secret = {"ENRICHMENT_HUBSPOT_CLIENT_SECRET": "sandbox-client-secret"}
    settings = {"hubspot": {"webhook_url": target["ENRICHMENT_HUBSPOT_TARGET_URL"]}}
    httpx.post(f"{place.sandbox_url}/control/settings", json=settings, timeout=60).raise_for_status()
    listener = listen(place, folder, {**target, **secret}, "--port", str(port), health=f"http://127.0.0.1:{port}/ready")
    return Source("hubspot", place, "enr_company_name", listener)


def salesforce(place: Place, folder: Path) -> Source:
    port = free_port()
    listener = listen(place, folder, {}, "--health-port", str(port), health=f"http://127.0.0.1:{port}/health")
    return Source("salesforce", place, "Enr_Company_Name__c", listener)


SOURCES: dict[str, Callable[[Place, Path], Source]] = {"hubspot": hubspot, "salesforce": salesforce}


class listen:  # noqa: N801 - used as a function
    """Run a listener, once it is ready."""

    def __init__(self, place: Place, folder: Path, settings: dict[str, str], *options: str, health: str) -> None:
        command = [sys.executable, "-m", "cli", "listen", place.environment["ENRICHMENT_CRM"], *options]
        self._process = process(command, folder, "listener", place.environment | settings)
        self._health = health
        self._log = folder / "listener.log"

    def __enter__(self) -> "Popen[str]":
        running = self._process.__enter__()
        until(lambda: self._ready(running), "the listener is ready")
        return running

    def __exit__(self, *error: object) -> None:
        self._process.__exit__(*error)

    def _ready(self, running: "Popen[str]") -> bool:
        assert running.poll() is None, self._log.read_text()
        try:
            return httpx.get(self._health, timeout=30).is_success
        except httpx.TransportError:
            return False


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"it didn't happen: {what}"
        time.sleep(0.05)


@pytest.fixture(params=SOURCES)
def crm_place(request: pytest.FixtureRequest, deployed: Place, place: Place) -> Place:
    """Give a place that serves one CRM, and deployed flows that a worker runs with its settings."""
    place.environment["ENRICHMENT_CRM"] = request.param
    return place


@pytest.mark.timeout(600)
def test_a_new_contact_is_enriched_by_itself(
    crm_place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Event, staging, start of a run, lookup and write-back follow each other, once for each contact."""
    warehouse = new_world(crm_place, 0)
    source = SOURCES[crm_place.environment["ENRICHMENT_CRM"]](crm_place, tmp_path)
    seconds: list[float] = []
    with process(WORKER, tmp_path, "worker", crm_place.environment), source.listener:
        for wave in range(WAVES):
            began = {crm_id: time.monotonic() for n in range(WAVE) for crm_id in source.create(wave * WAVE + n)}
            seconds += _await_all(source, began)
    assert count(warehouse, "record_ledger") == WAVES * WAVE
    assert count(warehouse, "enrichment_staging") == 0
    ledger = crm_place.ledger()
    assert ledger["zoominfo"]["most_lookups_of_one_input"] == 1
    assert ledger[source.name]["contacts_updated"] == WAVES * WAVE
    with capsys.disabled():
        median, p95 = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
        sys.stdout.write(f"\n{source.name}: created to written back in {median:.1f} s (median), {p95:.1f} s (p95)\n")
    warehouse.close()


def _await_all(source: Source, began: dict[str, float]) -> list[float]:
    """Return for each contact how long it took to be enriched."""
    ended: dict[str, float] = {}

    def look() -> bool:
        ended.update({crm_id: time.monotonic() for crm_id in source.enriched() & began.keys() - ended.keys()})
        return ended.keys() == began.keys()

    until(look, "every contact of the wave is enriched")
    return [ended[crm_id] - began[crm_id] for crm_id in began]
