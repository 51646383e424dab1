"""The benchmark measures what it says it measures."""

from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bench.arena import Arena
from bench.figures import Run, Runs, figures, steady_share
from bench.results import load, save
from bench.running import one_run
from bench.scenarios import PROGRAMS, SCENARIOS, Limit
from sandbox.place import Place

CONTACTS = 50
#: A limit that no program reaches with so few contacts, so that no run waits for it.
SCENARIO = replace(SCENARIOS[0], contacts=CONTACTS, limit=Limit("zoominfo", 1000))


@pytest.fixture
def arena(place: Place) -> Arena:
    """Give the place of these tests as one of the benchmark; what serves it is this process's."""
    return Arena(place, {"stand-ins": psutil.Process(), "prefect": psutil.Process()})


@pytest.mark.parametrize("name", ["pipeline", "httpx", "sequential"])
def test_each_program_enriches_the_contacts_and_is_measured(arena: Arena, name: str) -> None:
    """It writes to the CRM, and its run has a time, CPU seconds and a peak of memory."""
    run = one_run(arena, SCENARIO, PROGRAMS[name])
    assert CONTACTS / 2 < run.written <= CONTACTS
    assert run.seconds > 0
    assert run.cpu_seconds > 0
    assert 10 < run.peak_mb < 10_000
    assert bool(run.statements) is (name == "pipeline")
    start = replace(run, contacts=0, seconds=run.seconds / 2, cpu_seconds=run.cpu_seconds / 2)
    found = figures(Runs(SCENARIO.name, name, [start], [run]))
    assert found["net_cpu"].median == pytest.approx(1000 * run.cpu_seconds / 2 / CONTACTS)
    assert found["contacts_per_second"].median == pytest.approx(CONTACTS / (run.seconds / 2))


def test_the_share_of_a_limit_is_that_of_the_steady_part() -> None:
    """A slow start and a slow end don't count; ten requests a second use all of ten, and half of twenty."""
    moments = [0.0, *(1 + number / 10 for number in range(100)), 12.0]
    assert steady_share(moments, 10) == pytest.approx(1, abs=0.02)
    assert steady_share(moments, 20) == pytest.approx(0.5, abs=0.01)
    assert steady_share(moments[:3], 10) == 0
    bursts = [10 * window + number / 20 for window in range(5) for number in range(100)]
    assert steady_share(bursts, 10, window_seconds=10) == pytest.approx(1, abs=0.02)
    assert steady_share(moments, 10, window_seconds=60) == 0


def test_results_are_kept_beside_those_of_other_programs(tmp_path: Path) -> None:
    """What is measured again replaces what was known of the same program and scenario, and nothing else."""
    path, run = tmp_path / "results.json", Run(1, 2.0, 3.0, 4.0, 5.0, 6.0, 7, 8, 9, None)
    first, second = Runs("zero-latency", "httpx", [run], [run]), Runs("zero-latency", "dlt", [run], [run])
    again = replace(first, full=[replace(run, contacts=10)])
    save(path, [first, second])
    save(path, [again])
    _, known = load(path)
    assert known == [second, again]
