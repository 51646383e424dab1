"""A contact appears in the CRM and is enriched: every part is a process of its own, deployed as prefect.yaml says."""

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from sandbox.place import Place, process, receiving, subscribing
from tests.e2e.conftest import WORKER, count, new_world

WAVES, WAVE = 4, 5
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Source:
    """A CRM whose new contacts are listened to: how, what a contact is there, and where its company's name goes."""

    listening: Callable[[Place], AbstractContextManager[None]]
    email: str
    contact: dict[str, str]
    company: str


SOURCES = {
    "hubspot": Source(receiving, "email", {}, "enr_company_name"),
    "salesforce": Source(subscribing, "Email", {"LastName": "Nobody"}, "Enr_Company_Name__c"),
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("crm", SOURCES)
def test_a_new_contact_is_enriched_by_itself(
    crm: str, deployed: Place, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Event, staging, start of a run, lookup and write-back follow each other, once for each contact."""
    place.environment["ENRICHMENT_CRM"] = crm
    warehouse, source = new_world(place, 0), SOURCES[crm]
    seconds: list[float] = []
    with process(WORKER, tmp_path, "worker", place.environment), source.listening(place):
        for wave in range(WAVES):
            began = [(_create(place, crm, f"{wave}{number}"), time.monotonic()) for number in range(WAVE)]
            seconds += _await_all(place, crm, dict(began))
    assert count(warehouse, "record_ledger") == WAVES * WAVE
    assert count(warehouse, "enrichment_staging") == 0
    ledger = place.ledger()
    assert ledger["zoominfo"]["most_lookups_of_one_input"] == 1
    assert ledger[crm]["contacts_updated"] == WAVES * WAVE
    with capsys.disabled():
        median, p95 = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
        sys.stdout.write(f"\n{crm}: created to written back in {median:.1f} s (median), {p95:.1f} s (p95)\n")
    warehouse.close()


def _create(place: Place, crm: str, name: str) -> str:
    """Create a contact that the provider knows, as a person does it, and return its id."""
    source = SOURCES[crm]
    contact = {**source.contact, source.email: f"hit+{crm}{name}@northwind.example"}
    answer = httpx.post(f"{place.sandbox_url}/control/{crm}/contacts", json=[contact], timeout=60)
    (crm_id,) = answer.raise_for_status().json()
    return str(crm_id)


def _await_all(place: Place, crm: str, began: dict[str, float]) -> list[float]:
    """Return for each contact how long it took until the CRM had its company's name."""
    ended: dict[str, float] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while ended.keys() != began.keys():
        assert time.monotonic() < deadline, f"{len(began) - len(ended)} contacts were not enriched"
        held = place.crm_contacts(crm)
        here = {crm_id for crm_id in began.keys() - ended.keys() if held[crm_id].get(SOURCES[crm].company)}
        ended.update(dict.fromkeys(here, time.monotonic()))
        time.sleep(0.05)
    return [ended[crm_id] - began[crm_id] for crm_id in began]
