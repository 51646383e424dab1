"""A place to run the pipeline as a user does: stand-ins, a Prefect server, and commands, each a separate process."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import httpx

from blocks.calls.tls import tls
from enrichment.errors import EnrichmentError
from sandbox import lifeline
from sandbox.accounts import ACCOUNTS, PROVIDERS, account_settings, notifier_settings
from sandbox.combination import Combination
from sandbox.environments import ROOT
from sandbox.warehouses.base import free_port, load_stand_in

_START_SECONDS = 300
#: What a demo leaves in its folder, by pattern; nothing else in it is touched.
_LEFT = (
    "warehouse.db*",
    "*.log",
    "*.csv",
    "report.md",
    "report.html",
    "prices.yaml",
    "prefect",
    "postgres",
    "bqemulator",
)


@dataclass(frozen=True)
class Place:
    """Where commands run: their files, their environment, and what they talk to."""

    folder: Path
    environment: dict[str, str]
    sandbox_url: str

    def enrich(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command of the command line; what it logs goes to a file of its name."""
        with (self.folder / f"{arguments[0]}.log").open("w") as log:
            return lifeline.start(
                [sys.executable, "-m", "cli", *arguments, "--json"],
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def result(self, *arguments: str) -> Any:
        """Run a command to its end and return what it printed."""
        return self.finish(self.enrich(*arguments), arguments[0])

    def finish(self, process: "subprocess.Popen[str]", command: str) -> Any:
        """Wait for a command and return what it printed; raise what it logged if it failed."""
        printed, _ = process.communicate()
        if process.returncode:
            log = (self.folder / f"{command}.log").read_text()
            raise EnrichmentError(f"`enrich {command}` failed with {process.returncode}:\n{log[-4000:]}")
        return json.loads(printed)

    def crm_contacts(self, crm: str = "hubspot") -> dict[str, dict[str, Any]]:
        """Return what a CRM's stand-in holds, by contact."""
        with httpx.stream("GET", f"{self.sandbox_url}/control/{crm}/contacts", timeout=60, verify=tls()) as answer:
            rows = [json.loads(line) for line in answer.iter_lines() if line]
        return {row["id"]: row["properties"] for row in rows}

    def ledger(self) -> dict[str, Any]:
        """Return what requests the stand-ins got, what they billed, and what was written to them."""
        return dict(httpx.get(f"{self.sandbox_url}/control/ledger", timeout=60, verify=tls()).json())


@contextmanager
def started(
    contacts: int,
    folder: Path,
    combination: Combination = Combination(),  # noqa: B008 - frozen
    *,
    events: bool = False,
    server: Mapping[str, str] | None = None,
) -> Iterator[Place]:
    """Start the stand-ins and a Prefect server with these further settings; the rest is as of `stand_ins`."""
    with (
        stand_ins(contacts, folder, combination, events=events) as place,
        prefect_server(folder, server) as settings,
    ):
        yield replace(place, environment=place.environment | settings)


@contextmanager
def stand_ins(
    contacts: int,
    folder: Path,
    combination: Combination = Combination(),  # noqa: B008 - frozen
    *,
    events: bool = False,
) -> Iterator[Place]:
    """
    Start the stand-ins, in an emptied folder; end them afterwards.

    Args:
        contacts: that the CRM has.
        folder: for the files of all.
        combination: of CRM, providers and warehouse.
        events: whether Salesforce's events are served too; their libraries are those of an extra.
    """
    _clear(folder)
    with ExitStack() as stack:
        warehouse = stack.enter_context(load_stand_in(combination.warehouse).serve(folder))
        options = [*_sandbox_options(contacts), *(["--events-folder", str(folder)] if events else [])]
        box = stack.enter_context(process([sys.executable, "-m", "sandbox", *options], folder, "sandbox"))
        assert box.stdout is not None  # noqa: S101 - asked for as a pipe
        address = json.loads(box.stdout.readline() or "null")
        if not address:
            raise EnrichmentError(f"the sandbox didn't start: see {folder / 'sandbox.log'}")
        environment = _environment(address, combination) | warehouse | _prices(folder) | _prefect_of_its_own(folder)
        yield Place(folder, environment, address["url"])


@contextmanager
def prefect_server(folder: Path, options: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """
    Run a Prefect server, and give the settings that lead there.

    Args:
        folder: for its files and its log.
        options: further settings of the server.
    """
    port = free_port()
    settings = {**_prefect_of_its_own(folder), "PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
    command = python("prefect", "server", "start", "--port", str(port), "--no-ui")
    with process(command, folder, "server", _inherited() | settings | dict(options or {})) as server:
        _await_server(f"{settings['PREFECT_API_URL']}/health", server, folder / "server.log")
        yield settings


def _prefect_of_its_own(folder: Path) -> dict[str, str]:
    """Return the settings by which Prefect keeps its files in a folder, and reports nothing to its makers."""
    return {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


@contextmanager
def receiving(place: Place) -> Iterator[None]:
    """Let HubSpot's stand-in deliver its webhooks to a receiver, which is a separate process."""
    port = free_port()
    target = f"http://127.0.0.1:{port}/hubspot/webhook"
    environment = place.environment | {
        "ENRICHMENT_HUBSPOT_CLIENT_SECRET": "sandbox-client-secret",
        "ENRICHMENT_HUBSPOT_TARGET_URL": target,
        "ENRICHMENT_HUBSPOT_APP_ID": "54321",
    }
    command = python("cli", "listen", "hubspot", "--port", str(port))
    listener = replace(place, environment=environment)
    with listening(command, listener, "receiver", f"http://127.0.0.1:{port}/ready"):
        settings = {"hubspot": {"webhook_url": target}}
        httpx.post(f"{place.sandbox_url}/control/settings", json=settings, timeout=60).raise_for_status()
        yield


@contextmanager
def subscribing(place: Place) -> Iterator[None]:
    """Run a subscriber to Salesforce's events, which is a separate process."""
    port = free_port()
    command = python("cli", "listen", "salesforce", "--health-port", str(port))
    with listening(command, place, "subscriber", f"http://127.0.0.1:{port}/health"):
        yield


@contextmanager
def listening(command: list[str], place: Place, name: str, url: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a listener from when it answers under a URL."""
    with process(command, place.folder, name, place.environment) as listener:
        _await_server(url, listener, place.folder / f"{name}.log")
        yield listener


def python(*command: str) -> list[str]:
    """Return the command line of a module with arguments."""
    return [sys.executable, "-m", *command]


def _clear(folder: Path) -> None:
    """Remove what an earlier demo left, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in (path for pattern in _LEFT for path in folder.glob(pattern)):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink()


def _sandbox_options(contacts: int) -> list[str]:
    return ["--port", "0", "--smtp-port", "0", "--contacts", str(contacts), "--seed", "7"]


def _prices(folder: Path) -> dict[str, str]:
    """Write a made-up price book, and give the setting that names it."""
    path = folder / "prices.yaml"
    path.write_text("".join(f"{name}: {{price: 0.25, currency: EUR}}\n" for name in PROVIDERS))
    return {"ENRICHMENT_PRICE_BOOK": str(path)}


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("ENRICHMENT_", "PREFECT_"))}


def _environment(address: dict[str, Any], combination: Combination) -> dict[str, str]:
    url = address["url"]
    environment = _inherited() | {
        "ENRICHMENT_ENV_FILE": os.devnull,
        "ENRICHMENT_CRM": combination.crm,
        "ENRICHMENT_PROVIDER": ",".join(combination.providers),
        "ENRICHMENT_WAREHOUSE": combination.warehouse,
    }
    if "events_endpoint" in address:
        environment |= {
            "ENRICHMENT_SALESFORCE_EVENTS_ENDPOINT": address["events_endpoint"],
            "ENRICHMENT_SALESFORCE_EVENTS_CA_FILE": address["events_ca_file"],
        }
    for name in ACCOUNTS:
        environment |= account_settings(name, url)
    return environment | notifier_settings(url, address["smtp_port"])


@contextmanager
def process(
    command: list[str], folder: Path, name: str, environment: dict[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Start a process whose log goes to the folder, and end it afterwards."""
    with (folder / f"{name}.log").open("w") as log:
        running = lifeline.start(
            command,
            cwd=ROOT,
            env=environment,
            stdout=_output(name, log),
            stderr=log,
            text=True,
            start_new_session=True,
        )
        try:
            yield running
        finally:
            lifeline.end(running)


def _output(name: str, log: IO[str]) -> Any:
    # Only the sandbox says something on its standard output that we wait for.
    return subprocess.PIPE if name == "sandbox" else log


def _await_server(url: str, server: "subprocess.Popen[str]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(url, timeout=2, verify=tls()).is_success:
                return
        time.sleep(0.3)
    raise EnrichmentError(f"the {log.stem} didn't start: see {log}")
