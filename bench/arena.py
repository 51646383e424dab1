"""Where the programs are compared: stand-ins in a process of their own, a Prefect server, and contacts in the queue."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psutil

from blocks.crms.base import load_crm
from blocks.settings import load_settings
from blocks.warehouses.base import open_warehouse
from sandbox.combination import Combination
from sandbox.place import Place, started
from tasks.intake import stage_everything
from tasks.queue import RUN_LIMITS

#: A seed for all, so that each program meets the same people.
SEED = 7


@dataclass(frozen=True)
class Arena:
    """
    A place, and the processes beside a measured one.

    Args:
        place: where commands run.
        beside: the stand-ins' process and Prefect's server, by name.
    """

    place: Place
    beside: Mapping[str, psutil.Process]

    def renew(self, contacts: int, services: Mapping[str, Any]) -> None:
        """Start over with so many contacts, none of which was ever asked about."""
        world = {"contacts": contacts, "seed": SEED, **services}
        httpx.post(f"{self.place.sandbox_url}/control/reset", json=world, timeout=600).raise_for_status()

    def set_up(self, changes: Mapping[str, str]) -> Place:
        """Give the place with an empty warehouse, and create our properties in the CRM."""
        place = replace(self.place, environment={**self.place.environment, **changes})
        for left in place.folder.glob("warehouse.db*"):
            left.unlink()
        with _environment(place.environment):
            chosen = load_settings()
            with open_warehouse(chosen.warehouse) as warehouse:
                warehouse.migrate()
            with closing(load_crm(chosen.crm)) as crm:
                crm.ensure_fields()
        return place


def stage(place: Place) -> int:
    """Put all contacts into the queue."""
    with _environment(place.environment):
        chosen = load_settings()
        return stage_everything.fn(chosen.crm, chosen.warehouse, "live")


@contextmanager
def arena(folder: Path, combination: Combination) -> Iterator[Arena]:
    """Start everything that serves, in an emptied folder."""
    with started(1, folder, combination) as place:
        for name in RUN_LIMITS:
            limit = {"name": name, "limit": 4}
            address = f"{place.environment['PREFECT_API_URL']}/v2/concurrency_limits/"
            httpx.post(address, json=limit, timeout=60).raise_for_status()
        yield Arena(place, {name: _child(words) for name, words in _SERVERS.items()})


_SERVERS = {"stand-ins": "-m sandbox", "prefect": "-m prefect server"}


def _child(words: str) -> psutil.Process:
    """Return our child whose command line has these words."""
    return next(one for one in psutil.Process().children() if words in " ".join(one.cmdline()))


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Let this process have these settings of the pipeline meanwhile."""
    before = dict(os.environ)
    os.environ.update({name: value for name, value in values.items() if name.startswith("ENRICHMENT_")})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
