"""What the runs show: medians and ranges of what people compare, computed from the runs as they were measured."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Run:
    """
    One measured run.

    Args:
        contacts: that the CRM had.
        seconds: by the clock on the wall, from the start of the command to its end.
        cpu_seconds: of its process, and of those that it started.
        server_cpu_seconds: of Prefect's server meanwhile.
        stand_ins_cpu_seconds: of the stand-ins' process meanwhile.
        peak_mb: the most memory of its process.
        statements: of the warehouse.
        written: contacts that the CRM was given something for.
        rejected: answers with 429, by service.
    """

    contacts: int
    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    stand_ins_cpu_seconds: float
    peak_mb: float
    statements: int
    written: int
    rejected: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Runs:
    """
    All runs of one program under one scenario.

    Args:
        scenario: by name.
        program: by name.
        empty: runs without a contact: what starting costs.
        full: runs with all contacts.
    """

    scenario: str
    program: str
    empty: Sequence[Run]
    full: Sequence[Run]


@dataclass(frozen=True)
class Figure:
    """A median, and the least and the most of all runs."""

    median: float
    least: float
    most: float


def figures(runs: Runs) -> dict[str, Figure]:
    """
    Return what is shown of a program, by name.

    `net` is what the contacts cost beyond a start: the run's figure less the median of the runs without a contact. So
    whatever a program does only once there is a contact counts as net, such as to import a client or to log in.
    """
    start_seconds = _middle(run.seconds for run in runs.empty)
    start_cpu = _middle(run.cpu_seconds for run in runs.empty)
    start_server = _middle(run.server_cpu_seconds for run in runs.empty)
    start_statements = _middle(run.statements for run in runs.empty)
    per_run: dict[str, Callable[[Run], float]] = {
        "contacts_per_second": lambda run: run.contacts / (run.seconds - start_seconds),
        "net_cpu": lambda run: _per_thousand(run, run.cpu_seconds - start_cpu),
        "net_server_cpu": lambda run: _per_thousand(run, run.server_cpu_seconds - start_server),
        "tree_cpu": lambda run: _per_thousand(run, run.cpu_seconds + run.server_cpu_seconds),
        "stand_ins_cpu": lambda run: _per_thousand(run, run.stand_ins_cpu_seconds),
        "peak_mb": lambda run: run.peak_mb,
        "statements": lambda run: _per_thousand(run, run.statements - start_statements),
        "rejected": lambda run: sum(run.rejected.values()),
        "written": lambda run: run.written,
    }
    started: dict[str, Callable[[Run], float]] = {
        "start_seconds": lambda run: run.seconds,
        "start_cpu": lambda run: run.cpu_seconds + run.server_cpu_seconds,
    }
    return {name: _figure(map(get, runs.full)) for name, get in per_run.items()} | {
        name: _figure(map(get, runs.empty)) for name, get in started.items()
    }


def _per_thousand(run: Run, value: float) -> float:
    return 1000 * value / run.contacts


def _figure(values: Iterable[float]) -> Figure:
    known = list(values)
    return Figure(statistics.median(known), min(known), max(known))


def _middle(values: Iterable[float]) -> float:
    return statistics.median(values)
