"""Backfills as several real processes on PostgreSQL: shared, killed, capped and paused."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from blocks.warehouses.base import Warehouse
from sandbox.place import Place
from tests.e2e.conftest import enrich_here, new_world, on_postgres, warehouse_of

#: Contacts of the backfill that three workers share; 20000 takes some minutes.
CONTACTS = int(os.environ.get("BACKFILL_CONTACTS", "600"))
FAST = {"hubspot": {"per_ten_seconds": 100_000}}
SLOW = {"zoominfo": {"latency_ms": 150}, "hubspot": {"latency_ms": 100}}


@dataclass(frozen=True)
class Backfill:
    """A place whose warehouse is a PostgreSQL schema of its own."""

    place: Place
    warehouse: Warehouse

    def new_world(self, contacts: int, *, stage: bool = False, **settings: object) -> None:
        """Start over with so many contacts, set up and, if wanted, staged."""
        new_world(self.place, contacts, stage=stage, lane="backfill", **settings).close()

    def hold(self, service: str, path: str, *, seconds: float, after: int = 0) -> None:
        """Let one call take so long, so that the command is met at that very point."""
        fault = {"kind": "slow", "service": service, "path_contains": path, "seconds": seconds, "after": after}
        httpx.post(f"{self.place.sandbox_url}/control/faults", json=fault, timeout=60).raise_for_status()

    def rows(self, statement: str) -> list[dict[str, Any]]:
        with self.warehouse._reading() as session:
            return list(session._connection.execute(statement.encode()))

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) AS rows FROM {table}")[0]["rows"])

    def await_that(self, condition: Callable[[], bool], running: Any) -> None:
        """Wait until it holds, while the command is at work."""
        while not condition():
            assert running.poll() is None, "the command ended before that"
            time.sleep(0.02)

    def nothing_twice(self, contacts: int) -> None:
        """No contact was looked up, billed or written twice, and all have ended."""
        ledger = self.place.ledger()
        assert ledger["zoominfo"]["most_lookups_of_one_input"] == 1
        assert ledger["zoominfo"]["credits_used"] == ledger["zoominfo"]["records_billed"]
        assert ledger["hubspot"]["most_updates_of_one_contact"] == 1
        self.everybody_ended(contacts)

    def everybody_ended(self, contacts: int) -> None:
        assert self.count("enrichment_staging") == 0
        ended = self.rows("SELECT count(DISTINCT crm_id) AS contacts FROM record_ledger")
        assert ended == [{"contacts": contacts}]


@pytest.fixture
def backfill(place_without_server: Place, postgres_dsn: str) -> Iterator[Backfill]:
    """Give such a place; no Prefect server is needed."""
    place = on_postgres(place_without_server, postgres_dsn)
    warehouse = warehouse_of(place)
    yield with_settings(Backfill(place, warehouse), hubspot_requests_per_10_seconds="10000")
    warehouse.close()


def with_settings(backfill: Backfill, **settings: str) -> Backfill:
    changed = {f"ENRICHMENT_{name.upper()}": value for name, value in settings.items()}
    return replace(backfill, place=replace(backfill.place, environment=backfill.place.environment | changed))


def balanced(report: dict[str, Any]) -> bool:
    books = report["books"]
    return bool(books["claimed"] == sum(books["dispositions"].values()) + books["returned"])


@pytest.mark.timeout(240 + CONTACTS // 10)
def test_three_workers_share_one_backfill(backfill: Backfill) -> None:
    """The same command thrice at once: staged once, worked off together, no duplicate call and no duplicate write."""
    backfill = with_settings(backfill, chunk_size="100")
    backfill.new_world(CONTACTS, **FAST)
    began = time.monotonic()
    workers = [backfill.place.enrich("backfill", "--all") for _ in range(3)]
    reports = [backfill.place.finish(worker, "backfill") for worker in workers]
    seconds = time.monotonic() - began
    assert all(balanced(report) for report in reports)
    backfill.nothing_twice(CONTACTS)
    shares = [report["books"]["claimed"] for report in reports]
    ledger = backfill.place.ledger()
    print(  # noqa: T201 - figures for a run with many contacts
        json.dumps(
            {"contacts": CONTACTS, "seconds": round(seconds, 1), "claimed": shares, "zoominfo": ledger["zoominfo"]}
        )
    )


#: When the run is killed: some contacts are staged but not all; some updates are sent.
MOMENTS: dict[str, Callable[[Backfill], bool]] = {
    "while it stages": lambda one: one.count("enrichment_staging") >= 200,
    "while it writes back": lambda one: one.place.ledger()["hubspot"]["updates"] >= 1,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_backfill_is_finished_by_the_same_command(backfill: Backfill, moment: str) -> None:
    """SIGKILL: no contact is left out, only what was in flight is asked again, and nothing is written twice."""
    contacts = 900
    backfill = with_settings(backfill, chunk_size="150")
    backfill.new_world(contacts, **SLOW)
    if moment == "while it stages":
        backfill.hold("hubspot", "/search", seconds=25, after=2)
    dead = backfill.place.enrich("backfill", "--all")
    backfill.await_that(lambda: MOMENTS[moment](backfill), dead)
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    staged = backfill.count("enrichment_staging") + backfill.count("record_ledger")
    assert staged < contacts if moment == "while it stages" else staged == contacts
    kept, asked = backfill.count("provider_replies"), backfill.place.ledger()["zoominfo"]["lookups"]
    while backfill.count("record_ledger") < contacts:
        assert balanced(backfill.place.result("backfill", "--all"))
    backfill.everybody_ended(contacts)
    assert backfill.count("record_ledger") == contacts
    ledger = backfill.place.ledger()
    assert ledger["zoominfo"]["lookups"] - asked == backfill.count("provider_replies") - kept
    assert ledger["zoominfo"]["credits_used"] == ledger["zoominfo"]["records_billed"]
    assert ledger["hubspot"]["most_updates_of_one_contact"] == 1


def test_two_workers_never_exceed_a_cap_together(backfill: Backfill) -> None:
    """Both end well, and spend no more in a day than the cap, however they meet."""
    backfill = with_settings(backfill, credits_per_day="150", chunk_size="100")
    day = datetime.now(UTC).date()
    backfill.new_world(600, stage=True, **FAST)
    workers = [backfill.place.enrich("backfill") for _ in range(2)]
    reports = [backfill.place.finish(worker, "backfill") for worker in workers]
    assert all(balanced(report) for report in reports)
    assert "credit_cap_reached" in [(report["stop"] or {}).get("kind") for report in reports]
    used = backfill.place.ledger()["zoominfo"]["credits_used"]
    assert used == backfill.rows("SELECT sum(credits)::integer AS credits FROM provider_replies")[0]["credits"]
    assert used > 100
    if datetime.now(UTC).date() == day:
        assert used <= 150
    assert backfill.count("enrichment_staging") == 600 - backfill.count("record_ledger")
    assert httpx.get(f"{backfill.place.sandbox_url}/control/messages", timeout=60).json()["slack"] == []


def test_a_backfill_at_work_is_paused_and_resumed(backfill: Backfill) -> None:
    """What is in flight is finished, the rest waits; the command ends well, and the next one goes on."""
    backfill = with_settings(backfill, chunk_size="50", chunks_in_flight="1")
    backfill.new_world(500, **SLOW)
    backfill.hold("hubspot", "batch/update", seconds=5)
    running = backfill.place.enrich("backfill", "--all")
    backfill.await_that(lambda: backfill.count("provider_replies") > 0, running)
    enrich_here(backfill.place, "pause", "backfill")
    report = backfill.place.finish(running, "backfill")
    assert balanced(report)
    assert report["stop"]["kind"] == "paused"
    assert 0 < backfill.count("enrichment_staging") < 500
    assert backfill.rows("SELECT 1 FROM enrichment_staging WHERE claimed_by IS NOT NULL") == []
    assert backfill.place.result("backfill")["books"]["claimed"] == 0
    resumed = enrich_here(backfill.place, "resume", "backfill")
    assert resumed["waiting"] == backfill.count("enrichment_staging")
    assert backfill.place.result("backfill")["stop"] is None
    backfill.nothing_twice(500)
