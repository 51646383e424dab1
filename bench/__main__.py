"""
The benchmark as a command: measures, prints a table for each scenario, and keeps every run as JSON.

Example: `python -m bench --only zero-latency --contacts 2000 --runs 1` while you work on the pipeline.
"""

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench.figures import Runs
from bench.results import save
from bench.running import run_all
from bench.scenarios import PROGRAMS, SCENARIOS, Scenario
from bench.table import table
from sandbox.environments import ROOT

#: Room for a table where the output isn't a terminal.
_LEAST_WIDTH = 170


def main() -> int:
    """Measure what the options choose."""
    options = _options()
    console = Console()
    console.width = max(console.width, _LEAST_WIDTH)
    logging.disable(logging.INFO)  # what it takes to prepare a run isn't of interest here
    results: list[Runs] = []
    with console.status("starting") as status:
        for scenario, runs in run_all(_chosen(options), options.runs, options.folder, status.update):
            console.print(table(scenario, runs))
            results += runs
            if options.save:
                save(options.save, results)
    return 0


def _chosen(options: argparse.Namespace) -> list[Scenario]:
    chosen = [
        each
        for each in SCENARIOS
        if (each.name in options.only if options.only else options.large or not each.is_large)
    ]
    return [
        replace(
            each,
            contacts=options.contacts or each.contacts,
            programs=tuple(one for one in each.programs if not options.program or one.name in options.program),
        )
        for each in chosen
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [each.name for each in SCENARIOS]
    parser.add_argument("--only", action="append", choices=names, help="a scenario; repeatable; default: all")
    parser.add_argument("--large", action="store_true", help="also the scenarios that take twenty minutes")
    parser.add_argument("--program", action="append", choices=list(PROGRAMS), help="repeatable; default: all")
    parser.add_argument("--contacts", type=int, help="instead of each scenario's own number")
    parser.add_argument("--runs", type=int, default=5, help="of each program; more than one have a warm-up before them")
    parser.add_argument("--save", type=Path, help="JSON file of every run; others of this machine stay in it")
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "bench", help="for files; it is emptied")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
