"""Where the programs are compared: stand-ins in a process of their own, a Prefect server, and contacts in the queue."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psutil

from bench.scenarios import NO_LIMITS, Services
from blocks.crms.base import load_crm
from blocks.settings import load_settings
from blocks.warehouses.base import NewRecord, open_warehouse
from sandbox.combination import Combination
from sandbox.place import Place, started
from tasks.intake import stage_everything
from tasks.queue import RUN_LIMITS

#: A seed for all, so that each program meets the same people.
SEED = 7
_STAGED_AT_ONCE = 10_000
#: What the command lines of our children have in them.
_COMMANDS = {"stand-ins": "-m sandbox", "prefect": "-m prefect server"}


@dataclass(frozen=True)
class Arena:
    """
    A place, and the processes beside a measured one.

    Args:
        place: where commands run.
        beside: the processes that serve the measured one, by name.
    """

    place: Place
    beside: Mapping[str, psutil.Process]

    def renew(self, contacts: int) -> None:
        """Start over with so many contacts, none of which was ever asked about; nothing is limited or takes time."""
        self._control("reset", {"contacts": contacts, "seed": SEED, **NO_LIMITS})

    def impose(self, services: Services) -> None:
        """Let the services behave so from now on; what preparing took of their limits is forgotten."""
        self._control("settings", services)
        self._control("clock", {"seconds": 60})

    def requests(self, service: str) -> list[dict[str, Any]]:
        """Return the requests that a service got since its world began, oldest first."""
        address = f"{self.place.sandbox_url}/control/requests"
        answer = httpx.get(address, params={"service": service}, timeout=60)
        return list(answer.raise_for_status().json())

    def set_up(self, changes: Mapping[str, str]) -> Place:
        """Give the place with an empty warehouse, and create our properties in the CRM."""
        name = f"run_{uuid.uuid4().hex[:12]}"
        folder = self.place.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        own = {
            "ENRICHMENT_SQLITE_PATH": str(folder / "warehouse.db"),
            "ENRICHMENT_POSTGRES_PIPELINE_SCHEMA": name,
            "BENCH_FOLDER": str(folder),
        }
        place = replace(self.place, folder=folder, environment={**self.place.environment, **own, **changes})
        with environment(place.environment):
            chosen = load_settings()
            with open_warehouse(chosen.warehouse) as warehouse:
                warehouse.migrate()
            with closing(load_crm(chosen.crm)) as crm:
                crm.ensure_fields()
        return place

    def _control(self, what: str, body: Any) -> None:
        address = f"{self.place.sandbox_url}/control/{what}"
        httpx.post(address, json=body, timeout=600).raise_for_status()


def stage(place: Place, queued: int) -> None:
    """Put all contacts of the CRM into the queue, and behind them more, until it holds as many as asked for."""
    with environment(place.environment):
        chosen = load_settings()
        staged = stage_everything.fn(chosen.crm, chosen.warehouse, "live")
        with open_warehouse(chosen.warehouse) as warehouse:
            for start in range(staged, queued, _STAGED_AT_ONCE):
                numbers = range(start, min(start + _STAGED_AT_ONCE, queued))
                warehouse.stage([NewRecord(chosen.crm, f"9{one:09}", None, "backfill", "live") for one in numbers])


@contextmanager
def arena(folder: Path, combination: Combination) -> Iterator[Arena]:
    """Start everything that serves, in an emptied folder."""
    with started(1, folder, combination) as place:
        for name in RUN_LIMITS:
            limit = {"name": name, "limit": 4}
            address = f"{place.environment['PREFECT_API_URL']}/v2/concurrency_limits/"
            httpx.post(address, json=limit, timeout=60).raise_for_status()
        yield Arena(place, _servers(folder))


def _servers(folder: Path) -> dict[str, psutil.Process]:
    """Return the processes that serve, by name; not every warehouse has one."""
    words = {name: (os.getpid(), command) for name, command in _COMMANDS.items()}
    words["warehouse"] = (1, str(folder / "postgres"))  # it has left the process that started it
    found = {
        name: process
        for process in psutil.process_iter(["cmdline", "ppid"])
        for name, (parent, command) in words.items()
        if process.info["ppid"] == parent and command in " ".join(process.info["cmdline"] or ())
    }
    return {name: found[name] for name in words if name in found}


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Let this process have these settings of the pipeline meanwhile."""
    before = dict(os.environ)
    os.environ.update({name: value for name, value in values.items() if name.startswith("ENRICHMENT_")})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
