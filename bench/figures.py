"""What the runs show: medians and ranges of what people compare, computed from the runs as they were measured."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """
    One measured run.

    Args:
        contacts: that it was to enrich.
        seconds: by the clock on the wall, from the start of the command to its end.
        cpu_seconds: of its process, and of those that it started.
        server_cpu_seconds: of the servers that it needs meanwhile: Prefect's, and a warehouse's.
        stand_ins_cpu_seconds: of the stand-ins' process meanwhile.
        peak_mb: the most memory of its largest process.
        statements: of the warehouse; None if they weren't counted.
        written: contacts that something was written to.
        rejected: answers with status 429.
        share: of the binding limit in the steady part; None if there is no limit.
    """

    contacts: int
    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    stand_ins_cpu_seconds: float
    peak_mb: float
    statements: int | None
    written: int
    rejected: int
    share: float | None


@dataclass(frozen=True)
class Runs:
    """
    All runs of one program under one scenario.

    Args:
        scenario: by name.
        program: by name.
        empty: runs without a contact: what starting costs; none where that is all that is measured.
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
    Return what is shown of a program, by name; without those that weren't measured.

    `net` is what the contacts cost beyond a start: the run's figure less the median of the runs without a contact. So
    whatever a program does only once there is a contact counts as net, such as to import a client or to log in.
    """
    start = {name: statistics.median(map(get, runs.empty)) if runs.empty else 0.0 for name, get in _MEASURED.items()}
    return {
        **_figures(runs.empty, {"start_seconds": _MEASURED["seconds"], "start_cpu": _all_cpu}),
        **_figures(
            runs.full,
            {
                "seconds": lambda run: run.seconds,
                "cpu": _all_cpu,
                "contacts_per_second": lambda run: run.contacts / (run.seconds - start["seconds"]),
                "net_cpu": lambda run: _per_thousand(run, run.cpu_seconds - start["cpu"]),
                "net_server_cpu": lambda run: _per_thousand(run, run.server_cpu_seconds - start["server"]),
                "all_cpu": lambda run: _per_thousand(run, _all_cpu(run)),
                "stand_ins_cpu": lambda run: _per_thousand(run, run.stand_ins_cpu_seconds),
                "peak_mb": lambda run: run.peak_mb,
                "rejected": lambda run: run.rejected,
                "written": lambda run: run.written,
            },
        ),
        **_figures(
            [run for run in runs.full if run.statements is not None],
            {"statements": lambda run: _per_thousand(run, (run.statements or 0) - start["statements"])},
        ),
        **_figures([run for run in runs.full if run.share is not None], {"share": lambda run: 100 * (run.share or 0)}),
    }


def steady_share(moments: Sequence[float], per_second: float, window_seconds: float = 1.0) -> float:
    """
    Return which part of a limit was used in the steady part: without the first and the last tenth of the time.

    Args:
        moments: of the requests that counted and were answered, in seconds, ascending.
        per_second: requests that the limit allows.
        window_seconds: in which it counts them; of the steady part, as many whole ones count as there are.
    """
    if len(moments) < _FEWEST_REQUESTS:
        return 0.0
    edge = _EDGE * (moments[-1] - moments[0])
    begin = moments[0] + edge
    seconds = (moments[-1] - edge - begin) // window_seconds * window_seconds
    counted = sum(begin <= moment < begin + seconds for moment in moments)
    return counted / (seconds * per_second) if seconds else 0.0


_EDGE = 0.1
_FEWEST_REQUESTS = 10
_Get = Callable[[Run], float]
_MEASURED: dict[str, _Get] = {
    "seconds": lambda run: run.seconds,
    "cpu": lambda run: run.cpu_seconds,
    "server": lambda run: run.server_cpu_seconds,
    "statements": lambda run: run.statements or 0,
}


def _all_cpu(run: Run) -> float:
    return run.cpu_seconds + run.server_cpu_seconds


def _per_thousand(run: Run, value: float) -> float:
    return 1000 * value / run.contacts


def _figures(runs: Sequence[Run], wanted: dict[str, _Get]) -> dict[str, Figure]:
    values = {name: [get(run) for run in runs] for name, get in wanted.items()}
    return {name: Figure(statistics.median(each), min(each), max(each)) for name, each in values.items() if each}
