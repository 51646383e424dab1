"""A live contact overtakes a backfill: two runs, each a process of its own, at one slow provider."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace

import httpx

from blocks.warehouses.base import NewRecord, Warehouse
from enrichment.records import Origin
from sandbox.place import Place
from tests.e2e.conftest import count, new_world

CONTACTS = 2000
#: At so many contacts a call and one call per second, the backfill needs minutes.
SETTINGS = {"ENRICHMENT_CHUNK_SIZE": "500", "ENRICHMENT_ZOOMINFO_BATCH_SIZE": "10"}
SLOW, FAST = {"zoominfo": {"per_second": 1}}, {"zoominfo": {"per_second": 500}}


def control(place: Place, path: str, body: object) -> httpx.Response:
    return httpx.post(f"{place.sandbox_url}/control/{path}", json=body, timeout=60).raise_for_status()


def ended(warehouse: Warehouse, crm_id: str) -> list[str]:
    return [one.disposition for one in warehouse.read_story(Origin(""), crm_id).ledger]


def wait_for(condition: Callable[[], bool], running: "subprocess.Popen[str]") -> None:
    """Wait while a process is at work."""
    while not condition():
        assert running.poll() is None, "the run ended too early"
        time.sleep(0.05)


def test_a_live_contact_is_written_long_before_a_backfill_ends(place_without_server: Place) -> None:
    """The live run gets its turn at the provider at once; then the backfill has all of it, and everything ends once."""
    place = replace(place_without_server, environment=place_without_server.environment | SETTINGS)
    warehouse = new_world(place, CONTACTS, lane="backfill", **SLOW)  # a backfill that waits, and a slow provider
    backfill = place.enrich("run", "--lane", "backfill")
    wait_for(lambda: count(warehouse, "provider_replies") > 0, backfill)

    (crm_id,) = control(place, "hubspot/contacts", [{"email": "hit+live@acme.example"}]).json()
    warehouse.stage([NewRecord("hubspot", crm_id, None, "manual", "live")])
    live = replace(place, folder=place.folder / "live")
    live.folder.mkdir()
    report = live.result("run", "--lane", "live")
    assert report["books"]["dispositions"] == {"written": 1}
    assert ended(warehouse, crm_id) == ["written"]
    assert backfill.poll() is None
    assert count(warehouse, "record_ledger") < CONTACTS / 2

    control(place, "settings", FAST)
    books = place.finish(backfill, "run")["books"]
    assert books["claimed"] == sum(books["dispositions"].values()) + books["returned"]
    assert place.ledger()["zoominfo"]["most_lookups_of_one_input"] == 1
    warehouse.close()
