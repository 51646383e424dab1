"""Runs every program of a scenario in turn, several times, and returns what was measured."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.arena import Arena, arena, stage
from bench.figures import Run, Runs
from bench.measure import measured
from bench.scenarios import Program, Scenario

#: Says what is going on.
Say = Callable[[str], None]


def run_scenario(scenario: Scenario, runs: int, folder: Path, say: Say) -> Iterator[Runs]:
    """
    Yield the runs of each program.

    The programs take turns, so that what else the machine does meets all of them. Of more than one run, another one
    goes before, which isn't counted: it fills the caches of the disk and compiles what has changed.

    Args:
        scenario: the conditions.
        runs: of each program, without contacts and with them.
        folder: for files; emptied.
        say: where to report progress.
    """
    with arena(folder, scenario.combination) as place:
        empty = _rounds(place, scenario, 0, runs, say)
        full = _rounds(place, scenario, scenario.contacts, runs, say)
    for program in scenario.programs:
        yield Runs(scenario.name, program.name, empty[program.name], full[program.name])


def _rounds(place: Arena, scenario: Scenario, contacts: int, runs: int, say: Say) -> dict[str, Sequence[Run]]:
    kept: dict[str, list[Run]] = {program.name: [] for program in scenario.programs}
    for number in range(0 if runs > 1 else 1, runs + 1):
        for program in scenario.programs:
            say(f"{scenario.name}, {contacts:,} contacts, {f'run {number}' if number else 'warm-up'}: {program.name}")
            run = one_run(place, scenario, program, contacts)
            if number:
                kept[program.name].append(run)
    return dict(kept)


def one_run(place: Arena, scenario: Scenario, program: Program, contacts: int) -> Run:
    """Let a program enrich contacts that were never enriched before."""
    place.renew(contacts, scenario.services)
    ready = place.set_up(program.settings)
    if program.is_pipeline:
        stage(ready)
    before = place.place.ledger()
    cost = measured(program.command, ready.environment, ready.folder, place.beside, count=program.is_pipeline)
    after = place.place.ledger()
    return Run(
        contacts=contacts,
        seconds=cost.seconds,
        cpu_seconds=cost.cpu_seconds,
        server_cpu_seconds=cost.beside["prefect"] if program.is_pipeline else 0.0,
        stand_ins_cpu_seconds=cost.beside["stand-ins"],
        peak_mb=cost.peak_mb,
        statements=sum(cost.statements.values()),
        written=after[scenario.combination.crm]["contacts_updated"],
        rejected={
            name: totals["rejected_429"] - before[name]["rejected_429"]
            for name, totals in after.items()
            if totals.get("rejected_429", 0) > before[name].get("rejected_429", 0)
        },
    )
