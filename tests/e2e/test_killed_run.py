"""
A run that is killed between follow-ups is finished by the next one, and nothing is bought twice.

Runs that are killed at any other step are in tests/faults, and backfills in test_backfill.py.
"""

import signal
import time
from dataclasses import replace

from sandbox.place import Place
from tests.e2e.conftest import count, new_world
from tests.warehouses import broken_promises


def test_a_run_killed_between_follow_ups_pays_for_no_company_twice(place_without_server: Place) -> None:
    """SIGKILL while companies are asked about: the next run asks again only what was in flight."""
    options = {
        "ENRICHMENT_CHUNK_SIZE": "150",
        "ENRICHMENT_ZOOMINFO_TECH_STACK": "true",
        "ENRICHMENT_ZOOMINFO_CONCURRENCY": "4",
    }
    place = replace(place_without_server, environment=place_without_server.environment | options)
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
