"""
From a contact's creation in the CRM to its write-back, with all parts as processes of their own.

Example: `python -m bench.live --way resident --save bench/live.json`.
"""

import argparse
import json
import logging
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.machine import machine
from sandbox.arrivals import SOURCES, resident, waits
from sandbox.combination import Combination
from sandbox.environments import ROOT
from sandbox.lifeline import start
from sandbox.place import Place, process, python, started

_WORKER = python("prefect", "worker", "start", "--pool", "enrichment")


@contextmanager
def _worker(place: Place) -> Iterator[None]:
    _deploy(place)
    with process(_WORKER, place.folder, "worker", place.environment):
        yield


@contextmanager
def _resident(place: Place) -> Iterator[None]:
    with resident(place):
        yield


@dataclass(frozen=True)
class _Way:
    """How runs start, and what of the settings says so."""

    title: str
    running: Callable[[Place], AbstractContextManager[None]]
    settings: dict[str, str]


#: By name.
WAYS = {
    "resident": _Way("`enrich listen queue`", _resident, {"ENRICHMENT_START_RUNS_BY": "resident"}),
    "worker": _Way("a worker's process for each run", _worker, {}),
    "quick-worker": _Way("the same, polling every 2 s", _worker, {"PREFECT_WORKER_QUERY_SECONDS": "2"}),
}


def measure(crm: str, way: str, waves: int, wave: int, folder: Path) -> dict[str, float]:
    """
    Return the 50th and the 95th percentile of the seconds from creation to write-back.

    Args:
        crm: `hubspot` or `salesforce`.
        way: in which runs are started, a name of `WAYS`.
        waves: how often contacts are created.
        wave: contacts of each time.
        folder: for files; emptied.
    """
    chosen = WAYS[way]
    with started(0, folder, Combination(crm=crm), events=crm == "salesforce") as place:
        settings = {"ENRICHMENT_SQLITE_PATH": str(folder / "warehouse.db")} | chosen.settings
        ready = replace(place, environment=place.environment | settings)
        ready.result("setup")
        with chosen.running(ready), SOURCES[crm].listening(ready):
            seconds = waits(ready, crm, waves, wave)
    return {"p50": statistics.median(seconds), "p95": statistics.quantiles(seconds, n=20)[-1]}


def main() -> int:
    """Measure what the options choose, and print a line for each way."""
    options = _options()
    logging.disable(logging.INFO)
    found: list[dict[str, object]] = []
    for way in options.way or WAYS:
        with tempfile.TemporaryDirectory(prefix="live-") as folder:
            figures = measure(options.crm, way, options.waves, options.wave, Path(folder))
        found.append({"crm": options.crm, "way": way} | figures)
        line = f"{options.crm}, {WAYS[way].title}: {figures['p50']:.1f} s (p50), {figures['p95']:.1f} s (p95)"
        sys.stdout.write(line + "\n")
    if options.save:
        options.save.write_text(json.dumps({"machine": machine(), "runs": found}, indent=1) + "\n", encoding="utf-8")
    return 0


def _deploy(place: Place) -> None:
    command = python("prefect", "--no-prompt", "deploy", "--name", "live")
    with (place.folder / "deploy.log").open("w") as log:
        if start(command, cwd=ROOT, env=place.environment, stdout=log, stderr=log).wait():
            raise SystemExit(f"`prefect deploy` failed: see {place.folder / 'deploy.log'}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--crm", choices=list(SOURCES), default="hubspot")
    parser.add_argument("--way", action="append", choices=list(WAYS), help="repeatable; default: all")
    parser.add_argument("--waves", type=int, default=4, help="how often contacts are created")
    parser.add_argument("--wave", type=int, default=5, help="contacts of each time")
    parser.add_argument("--save", type=Path, help="JSON file of the figures")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
