"""Contacts of a Salesforce org reach the queue through a listener that is a process, and may be killed."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from blocks.warehouses.sqlite import SqliteWarehouse
from sandbox.place import process

CONTACTS = 2000
DEADLINE_SECONDS = 120
#: So many events a message and such pauses make the stream last for some seconds.
SLOW = {"events_at_once": 10, "events_pause_seconds": 0.02, "events_idle_seconds": 0.2}


@dataclass
class Org:
    """An org in a process of its own, and where the listener keeps what it learns."""

    folder: Path
    url: str
    environment: dict[str, str]

    def listener(self, name: str) -> AbstractContextManager["subprocess.Popen[str]"]:
        """Start a listener."""
        command = [sys.executable, "-m", "cli", "listen", "salesforce", "--health-port", "0"]
        return process(command, self.folder, name, self.environment)

    def create(self, number: int) -> list[str]:
        """Create contacts."""
        contacts = [{"LastName": f"L{n}", "Email": f"person{n}@example.com"} for n in range(number)]
        answer = httpx.post(f"{self.url}/control/salesforce/contacts", json=contacts, timeout=60, trust_env=False)
        return list(answer.raise_for_status().json())

    def read(self, statement: str) -> list[tuple[object, ...]]:
        """Return what a statement finds in the warehouse."""
        connection = sqlite3.connect(self.folder / "warehouse.db", timeout=60)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()

    def staged(self) -> int:
        """Return how many contacts wait."""
        return int(str(self.read("SELECT count(*) FROM enrichment_staging")[0][0]))


@pytest.fixture
def org(tmp_path: Path) -> Iterator[Org]:
    """Start the stand-in with its events, and prepare a warehouse."""
    command = [sys.executable, "-m", "sandbox", "--contacts", "0", "--events-folder", str(tmp_path)]
    with process(command, tmp_path, "sandbox") as box:
        assert box.stdout
        address = json.loads(box.stdout.readline())
        settings = {"salesforce": SLOW}
        httpx.post(f"{address['url']}/control/settings", json=settings, trust_env=False).raise_for_status()
        warehouse = SqliteWarehouse(tmp_path / "warehouse.db", 60)
        warehouse.migrate()
        warehouse.close()
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("ENRICHMENT_", "PREFECT_"))
        }
        environment = inherited | {
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "ENRICHMENT_ENV_FILE": os.devnull,
            "ENRICHMENT_SQLITE_PATH": str(tmp_path / "warehouse.db"),
            "ENRICHMENT_CRM": "salesforce",
            "ENRICHMENT_START_RUNS_BY": "schedule",
            "ENRICHMENT_SALESFORCE_LOGIN_URL": f"{address['url']}/salesforce",
            "ENRICHMENT_SALESFORCE_CONSUMER_KEY": "sandbox-consumer",
            "ENRICHMENT_SALESFORCE_CONSUMER_SECRET": "sandbox-secret",
            "ENRICHMENT_SALESFORCE_EVENTS_ENDPOINT": address["events_endpoint"],
            "ENRICHMENT_SALESFORCE_EVENTS_CA_FILE": address["events_ca_file"],
        }
        yield Org(tmp_path, address["url"], environment)


def wait(condition: Callable[[], bool], running: "subprocess.Popen[str]") -> None:
    """Wait until something is true while a process runs."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert running.poll() is None, "the listener has ended"
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_a_killed_listener_loses_nothing(org: Org) -> None:
    """SIGKILL in the midst of a stream: the next one goes on there, and every contact waits once."""
    with org.listener("first") as first:
        # The first listener of all also queries for what is there already; it is to have done so.
        wait(lambda: "salesforce_contacts_queried" in (org.folder / "first.log").read_text(), first)
        ids = org.create(CONTACTS)
        wait(lambda: org.staged() >= CONTACTS // 10, first)
        first.send_signal(signal.SIGKILL)
        first.wait()
    staged = org.staged()
    assert staged < CONTACTS, "it was killed too late to prove anything"

    with org.listener("second") as second:
        wait(lambda: org.staged() >= CONTACTS, second)
        second.send_signal(signal.SIGTERM)
        assert second.wait(DEADLINE_SECONDS) == 0
    rows = org.read("SELECT crm_id, source, lane FROM enrichment_staging")
    assert sorted(str(row[0]) for row in rows) == sorted(ids)
    assert {row[1:] for row in rows} == {("platform_event", "live")}
    logs = (org.folder / "first.log").read_text() + (org.folder / "second.log").read_text()
    assert "replay=custom" in logs
    assert "@example.com" not in logs
