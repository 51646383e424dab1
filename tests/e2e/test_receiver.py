"""The receiver as a process: killed and ended in the middle of a flood of events, which all arrive once."""

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from blocks.warehouses.base import Warehouse
from enrichment.records import Origin
from tests.faults.floods import PATIENCE_SECONDS, SECRET, Site, receiving_site, until
from triggers.signatures import CONTACTS_SCHEME, Stamp

EVENTS = 4_000


@contextmanager
def sqlite_locked(warehouse: Warehouse) -> Iterator[None]:
    """Keep everybody else from committing."""
    lock = sqlite3.connect(os.environ["ENRICHMENT_SQLITE_PATH"], isolation_level=None, timeout=60)
    lock.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        lock.execute("COMMIT")
        lock.close()


@contextmanager
def postgres_locked(warehouse: Warehouse) -> Iterator[None]:
    """Keep everybody else from changing the queue."""
    with psycopg.connect(os.environ["ENRICHMENT_POSTGRES_DSN"]) as lock:
        schema = os.environ["ENRICHMENT_POSTGRES_PIPELINE_SCHEMA"]
        lock.execute(f"LOCK TABLE {schema}.enrichment_staging IN EXCLUSIVE MODE")
        yield


LOCKS: dict[str, Callable[[Warehouse], AbstractContextManager[None]]] = {
    "sqlite": sqlite_locked,
    "postgres": postgres_locked,
}


@pytest.fixture(params=LOCKS)
def site(request: pytest.FixtureRequest, make_warehouse: Callable[[str], Warehouse], tmp_path: Path) -> Iterator[Site]:
    warehouse = make_warehouse(request.param)
    with receiving_site(warehouse, tmp_path) as site:
        yield site


@pytest.mark.timeout(600)
def test_every_event_of_a_flood_arrives_once_though_the_receiver_is_killed_and_ended(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    4,000 events in deliveries of a hundred over ten connections: SIGKILL while it works, SIGKILL while ten deliveries
    wait for their commit, SIGTERM while ten wait. What was answered with success is in the queue at every moment, and
    in the end each contact is there once.
    """
    locked = LOCKS[site.warehouse.name]
    created: list[str] = []
    with site.receiver() as first:
        created += site.create(1500)
        until(lambda: site.webhooks()["taken_events"] >= 200, "some deliveries are taken")
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert site.nothing_accepted_is_missing()
    with site.receiver() as second:
        until(site.all_taken, "all that was refused is taken")
        assert len(site.staged()) == 1500
        with locked(site.warehouse):
            created += site.create(1000)
            until(lambda: site.webhooks()["under_way"] == 10, "ten deliveries are under way")
            second.send_signal(signal.SIGKILL)
            second.wait()
    assert site.nothing_accepted_is_missing()
    with site.receiver() as third:
        until(site.all_taken, "all that was refused is taken")
        with locked(site.warehouse):
            created += site.create(1000)
            until(lambda: site.webhooks()["under_way"] == 10, "ten deliveries are under way")
            third.send_signal(signal.SIGTERM)
        assert third.wait(PATIENCE_SECONDS) == 0
        assert "receiver_stopped" in site.log()
    assert site.nothing_accepted_is_missing()
    with site.receiver():
        until(site.all_taken, "all that was refused is taken")
        _measure(site, created, capsys)
    assert len(created) == EVENTS
    assert sorted(site.staged()) == sorted(created)
    assert site.webhooks()["given_up"] == 0
    log = "".join((site.folder / f"receiver-{number}.log").read_text() for number in range(1, site.starts + 1))
    assert SECRET not in log
    assert "Traceback" not in log


@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
def test_contacts_alone_can_be_taken(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without HubSpot only signed contacts are let in; Ctrl-C ends it well."""
    monkeypatch.setenv("ENRICHMENT_RECEIVER_SHARED_SECRET", "shared-s3cr3t")
    body, timestamp = b'{"crm_id": "003D000000QV9n2", "crm": "salesforce"}', str(int(time.time()))
    signature = CONTACTS_SCHEME.sign("shared-s3cr3t", body, Stamp("", timestamp))
    headers = {"X-Enrichment-Timestamp": timestamp, "X-Enrichment-Signature": signature}
    with site.receiver("contacts") as running:
        url = f"http://127.0.0.1:{site.port}"
        assert httpx.post(f"{url}/contacts", content=body, headers=headers).status_code == 202
        assert httpx.post(f"{url}/hubspot/webhook", content=b"[]").status_code == 404
        running.send_signal(signal.SIGINT)
        assert running.wait(PATIENCE_SECONDS) == 0
    assert [record.crm_id for record in site.warehouse.peek(origin=Origin("salesforce"), lane="live", limit=9)] == [
        "003D000000QV9n2IAD"
    ]


def _measure(site: Site, created: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Print how quickly the last events arrive when nothing is in the way."""
    before, began = site.webhooks()["taken"], time.monotonic()
    created += site.create(500)
    until(lambda: site.webhooks()["taken_events"] >= len(created) and site.all_taken(), "the last ones are taken")
    seconds = time.monotonic() - began
    deliveries = site.webhooks()["taken"] - before
    with capsys.disabled():
        sys.stdout.write(f"\n{site.warehouse.name}: {deliveries / seconds:.0f} deliveries of 100 events a second\n")
