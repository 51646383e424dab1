"""Runs the programs of the scenarios in turn, several times, and returns what was measured."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.arena import Arena, arena, stage
from bench.figures import Run, Runs, steady_share
from bench.measure import measured
from bench.scenarios import CONTACT_ID, Limit, Program, Scenario
from sandbox.environments import isolated

#: Says what is going on.
Say = Callable[[str], None]
#: Of a run that isn't counted: it compiles what has changed, and fills the caches of the disk.
_WARM_UP_CONTACTS = 200


def run_all(scenarios: Sequence[Scenario], runs: int, folder: Path, say: Say) -> Iterator[tuple[Scenario, list[Runs]]]:
    """
    Yield the runs of each scenario.

    The programs take turns, so that what else the machine does meets all of them. Before the first of several runs,
    each has a short one that isn't counted.

    Args:
        scenarios: the conditions.
        runs: of each program, without contacts and with them.
        folder: for files; emptied.
        say: where to report progress.
    """
    for combination, group in groupby(scenarios, key=lambda one: one.combination):
        alike = list(group)
        everyone = tuple(
            {program.name: program for one in alike if not one.is_start for program in one.programs}.values()
        )
        free = Scenario("start", "Start", "", 0, everyone, combination=combination)
        with arena(folder, combination) as place:
            if runs > 1:
                _rounds(place, replace(free, name="warm-up", contacts=_WARM_UP_CONTACTS), 1, say)
            empty = _rounds(place, free, runs, say)
            for scenario in alike:
                full = _rounds(place, scenario, runs, say)
                yield scenario, [Runs(scenario.name, name, empty.get(name, ()), full[name]) for name in full]


def _rounds(place: Arena, scenario: Scenario, runs: int, say: Say) -> dict[str, list[Run]]:
    kept: dict[str, list[Run]] = {program.name: [] for program in scenario.programs}
    for number in range(1, runs + 1):
        for program in scenario.programs:
            say(f"{scenario.name}, {scenario.contacts:,} contacts, run {number} of {runs}: {program.name}")
            kept[program.name].append(one_run(place, scenario, program))
    return kept


def one_run(place: Arena, scenario: Scenario, program: Program) -> Run:
    """Let a program enrich contacts that were never enriched before."""
    place.renew(scenario.contacts)
    limit, command, settings = scenario.limit, program.command, {**program.settings, **scenario.settings}
    if limit:
        settings[f"BENCH_{limit.service.upper()}_PER_SECOND"] = str(limit.per_second)
    if scenario.queued:
        command = (*command, "--limit", str(scenario.contacts))
    ready = place.set_up(settings)
    if program.is_pipeline:
        stage(ready, scenario.queued)
    if CONTACT_ID in command:
        (first, *_) = ready.crm_contacts()
        command = tuple(word.replace(CONTACT_ID, first) for word in command)
    place.impose(scenario.services)
    before = len(place.requests(limit.service)) if limit else 0
    python = isolated(program.group) / "bin" / "python" if program.group else Path(sys.executable)
    cost = measured(python, command, ready.environment, ready.folder, place.beside, count=program.is_pipeline)
    ledger = ready.ledger()
    return Run(
        contacts=scenario.contacts,
        seconds=cost.seconds,
        cpu_seconds=cost.cpu_seconds,
        server_cpu_seconds=sum(cost.beside.get(name, 0.0) for name in program.servers),
        stand_ins_cpu_seconds=cost.beside["stand-ins"],
        peak_mb=cost.peak_mb,
        # Those of other processes aren't known here.
        statements=sum(cost.statements.values()) if program.is_pipeline and program.processes == 1 else None,
        written=ledger[scenario.combination.crm]["contacts_updated"],
        rejected=sum(totals.get("rejected_429", 0) for totals in ledger.values()),
        share=_share(limit, place.requests(limit.service)[before:]) if limit else None,
    )


def _share(limit: Limit, requests: Sequence[Mapping[str, Any]]) -> float:
    moments = [one["at"] for one in requests if one["inputs"] and 200 <= one["status"] < 300]
    return steady_share(moments, limit.per_second, limit.window_seconds)
