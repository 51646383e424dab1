"""A run that is killed is finished by the next one, and nothing is bought or written twice."""

import signal
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from sandbox.place import Place
from tests.e2e.conftest import count, new_world
from tests.warehouses import broken_promises

CONTACTS = 600
SLOW = {"zoominfo": {"latency_ms": 150}, "hubspot": {"latency_ms": 60}}

#: When the run is killed: some replies are journalled but not all, or some updates are sent but not all.
MOMENTS: dict[str, Callable[[int, int], bool]] = {
    "while it looks up": lambda replies, _: replies >= 50,
    "while it writes back": lambda _, writes: writes >= 1,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_is_finished_by_the_next(place: Place, moment: str) -> None:
    """SIGKILL: the next run ends every contact once, asks again only what was in flight, and writes nothing twice."""
    place = replace(place, environment=place.environment | {"ENRICHMENT_CHUNK_SIZE": "150"})
    warehouse = new_world(place, CONTACTS, **SLOW)
    dead = place.enrich("run")
    while not MOMENTS[moment](count(warehouse, "provider_replies"), place.ledger()["hubspot"]["updates"]):
        assert dead.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    dead.send_signal(signal.SIGKILL)
    dead.wait()

    kept, asked = count(warehouse, "provider_replies"), place.ledger()["zoominfo"]["lookups"]
    assert 0 < count(warehouse, "enrichment_staging") <= CONTACTS
    while count(warehouse, "enrichment_staging"):
        report = place.result("run")
        assert report["books"]["claimed"] == sum(report["books"]["dispositions"].values()) + report["books"]["returned"]

    assert count(warehouse, "record_ledger") == CONTACTS
    ledger = place.ledger()
    assert ledger["zoominfo"]["lookups"] - asked == count(warehouse, "provider_replies") - kept
    assert ledger["zoominfo"]["credits_used"] == ledger["zoominfo"]["records_billed"]
    assert ledger["hubspot"]["most_updates_of_one_contact"] == 1
    with warehouse._reading() as session:
        rows = session._connection.execute("SELECT crm_id, field, after FROM crm_writes WHERE written_at IS NOT NULL")
        written = {(row["crm_id"], row["field"]): row["after"] for row in rows}
    held = place.crm_contacts()
    assert {key: held[key[0]].get(key[1]) for key in written} == written
    ended = {crm_id for crm_id, _ in written}
    assert len(ended) == ledger["hubspot"]["contacts_updated"]
    assert broken_promises(warehouse) == {}
    warehouse.close()


def test_a_run_killed_between_follow_ups_pays_for_no_company_twice(place: Place) -> None:
    """SIGKILL while companies are asked about: the next run asks again only what was in flight."""
    options = {
        "ENRICHMENT_CHUNK_SIZE": "150",
        "ENRICHMENT_ZOOMINFO_TECH_STACK": "true",
        "ENRICHMENT_ZOOMINFO_CONCURRENCY": "4",
    }
    place = replace(place, environment=place.environment | options)
    warehouse = new_world(place, 150, zoominfo={"latency_ms": 100})
    dead = place.enrich("run")
    while place.ledger()["zoominfo"]["company_lookups"] < 10:
        assert dead.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)
    dead.send_signal(signal.SIGKILL)
    dead.wait()

    asked, kept = place.ledger()["zoominfo"], count(warehouse, "provider_replies")
    while count(warehouse, "enrichment_staging"):
        place.result("run")
    ledger = place.ledger()["zoominfo"]
    questions = sum(ledger[kind] - asked[kind] for kind in ("lookups", "company_lookups"))
    assert questions == count(warehouse, "provider_replies") - kept
    assert ledger["credits_used"] == ledger["records_billed"]
    assert ledger["most_lookups_of_one_company"] <= 2  # two for those that were in flight
    assert count(warehouse, "record_ledger") == 150
    with warehouse._reading() as session:
        bare = session._connection.execute(
            "SELECT count(*) FROM enriched_contacts WHERE tech_stack IS NULL AND company_name IS NOT NULL"
        ).fetchone()[0]
    assert bare == 0
    assert broken_promises(warehouse) == {}
    warehouse.close()
