"""The benchmark measures what it says it measures."""

from dataclasses import replace

import psutil
import pytest

from bench.arena import Arena
from bench.figures import Runs, figures
from bench.running import one_run
from bench.scenarios import PROGRAMS, SCENARIOS
from sandbox.place import Place

CONTACTS = 50
SCENARIO = replace(SCENARIOS[0], contacts=CONTACTS)


@pytest.fixture
def arena(place: Place) -> Arena:
    """Give the place of these tests as one of the benchmark; what serves it is this process's."""
    return Arena(place, {"stand-ins": psutil.Process(), "prefect": psutil.Process()})


@pytest.mark.parametrize("name", ["pipeline", "sequential"])
def test_each_program_enriches_the_contacts_and_is_measured(arena: Arena, name: str) -> None:
    """It writes to the CRM, and its run has a time, CPU seconds and a peak of memory."""
    run = one_run(arena, SCENARIO, PROGRAMS[name], CONTACTS)
    assert CONTACTS / 2 < run.written <= CONTACTS
    assert run.seconds > 0
    assert run.cpu_seconds > 0
    assert 10 < run.peak_mb < 10_000
    assert (run.statements > 0) is (name == "pipeline")
    start = replace(run, contacts=0, seconds=run.seconds / 2, cpu_seconds=run.cpu_seconds / 2)
    found = figures(Runs(SCENARIO.name, name, [start], [run]))
    assert found["net_cpu"].median == pytest.approx(1000 * run.cpu_seconds / 2 / CONTACTS)
    assert found["contacts_per_second"].median == pytest.approx(CONTACTS / (run.seconds / 2))
