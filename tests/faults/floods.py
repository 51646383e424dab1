"""The receiver of HubSpot's events as a process that is killed and started again while events arrive."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from blocks.calls.tls import tls
from blocks.warehouses.base import Warehouse
from enrichment.records import Origin
from sandbox.place import process

HUBSPOT = Origin("hubspot")
SECRET = "sandbox-client-secret"
PATIENCE_SECONDS = 200
#: HubSpot repeats for a day, which here is a few minutes.
_PATIENT = {"webhook_retry_seconds": 0.3, "webhook_retries": 10_000}


def until(condition: Callable[[], object], what: str) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"it didn't happen: {what}"
        time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def receiving_site(warehouse: Warehouse, folder: Path) -> Iterator["Site"]:
    """Run HubSpot's stand-in, which delivers its events to the site's receiver."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--smtp-port", "0", "--contacts", "0"]
    with process(command, folder, "sandbox") as box:
        assert box.stdout
        site = Site(json.loads(box.stdout.readline())["url"], warehouse, folder)
        settings = {"webhook_url": site.environment["ENRICHMENT_HUBSPOT_TARGET_URL"], **_PATIENT}
        site.control("settings", {"hubspot": settings})
        yield site


@dataclass
class Site:
    """HubSpot's stand-in, and the receiver that it delivers to, which may be started several times."""

    sandbox: str
    warehouse: Warehouse
    folder: Path
    port: int = field(default_factory=_free_port)
    starts: int = 0

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "ENRICHMENT_WAREHOUSE": self.warehouse.name,
            "ENRICHMENT_START_RUNS_BY": "schedule",
            "ENRICHMENT_HUBSPOT_CLIENT_SECRET": SECRET,
            "ENRICHMENT_HUBSPOT_TARGET_URL": f"http://127.0.0.1:{self.port}/hubspot/webhook",
        }

    @contextmanager
    def receiver(self, what: str = "hubspot") -> "Iterator[subprocess.Popen[str]]":
        """Run the receiver, once it is ready."""
        self.starts += 1
        command = [sys.executable, "-m", "cli", "listen", what, "--port", str(self.port)]
        with process(command, self.folder, f"receiver-{self.starts}", self.environment) as running:
            until(lambda: self._ready(running), "the receiver is ready")
            yield running

    def _ready(self, running: "subprocess.Popen[str]") -> bool:
        assert running.poll() is None, self.log()
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/ready", timeout=30, verify=tls()).is_success
        except httpx.TransportError:
            return False

    def log(self) -> str:
        """Return what the latest receiver said."""
        return (self.folder / f"receiver-{self.starts}.log").read_text()

    def control(self, path: str, body: object) -> Any:
        answer = httpx.post(f"{self.sandbox}/control/{path}", json=body, timeout=60, verify=tls())
        answer.raise_for_status()
        return answer.json()

    def create(self, contacts: int) -> list[str]:
        """Create contacts in HubSpot, which delivers their events meanwhile."""
        return list(self.control("hubspot/contacts", [{"firstname": "Zoë"}] * contacts))

    def webhooks(self) -> dict[str, int]:
        return dict(httpx.get(f"{self.sandbox}/control/ledger", timeout=60, verify=tls()).json()["hubspot"]["webhooks"])

    def all_taken(self) -> bool:
        """Return whether HubSpot has nothing left to deliver."""
        return not self.webhooks()["pending"]

    def staged(self) -> list[str]:
        """Return the contacts that wait."""
        return [record.crm_id for record in self.warehouse.peek(origin=HUBSPOT, lane="live", limit=10**6)]

    def nothing_accepted_is_missing(self) -> bool:
        """Return whether every event that was answered with success is in the queue."""
        taken = self.webhooks()["taken_events"]
        return len(self.staged()) >= taken


def flood(warehouse: Warehouse, folder: Path, events: int, kills: int = 3) -> tuple[list[str], float]:
    """
    Let events arrive while the receiver is killed several times.

    Returns:
        what went wrong, in words; and the seconds from the last start until all had arrived.
    """
    created: list[str] = []
    wrongs: list[str] = []
    with receiving_site(warehouse, folder) as site:
        for _ in range(kills):
            with site.receiver() as running:
                some = site.webhooks()["taken_events"] + 300
                created += site.create(events // (kills + 1))
                until(lambda some=some: site.webhooks()["taken_events"] >= some, "some are taken")  # type: ignore[misc]
                running.send_signal(signal.SIGKILL)
                running.wait()
            if not site.nothing_accepted_is_missing():
                wrongs.append("events that were answered with success are not in the queue")
        began = time.monotonic()
        with site.receiver():
            created += site.create(events - len(created))
            until(site.all_taken, "all events arrive")
            seconds = time.monotonic() - began
        staged = site.staged()
        if sorted(staged) != sorted(created):
            wrongs.append(f"{len(created)} contacts were created, and {len(staged)} are in the queue")
        if "Traceback" in "".join(path.read_text() for path in folder.glob("receiver-*.log")):
            wrongs.append("a receiver has logged a traceback")
    return wrongs, seconds
