"""One measured run: a command in a child process, and what it and the servers beside it cost."""

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from sandbox import lifeline
from sandbox.environments import ROOT


@dataclass(frozen=True)
class Cost:
    """
    What a command took.

    Args:
        seconds: by the clock on the wall.
        cpu_seconds: of its process, and of those that it started.
        beside: CPU seconds of each process that served it meanwhile, by name.
        peak_mb: the most memory of its process.
        statements: of the warehouse, by name; empty unless they were counted.
    """

    seconds: float
    cpu_seconds: float
    beside: dict[str, float]
    peak_mb: float
    statements: dict[str, int]


class CommandFailedError(Exception):
    """A measured command failed; the message ends with what it logged."""


def measured(
    python: Path,
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    beside: Mapping[str, psutil.Process],
    *,
    count: bool = False,
) -> Cost:
    """
    Run a module of ours to its end.

    Args:
        python: that runs it.
        command: module and arguments.
        environment: of the process.
        folder: for its log.
        beside: processes whose CPU is read before and after, by name.
        count: count the warehouse's statements, which takes time.

    Raises:
        CommandFailedError: it failed.
    """
    notes, log = folder / "notes.json", folder / f"{command[0]}.log"
    probe = [str(python), "-m", "bench.probe", str(notes), *(["--count"] if count else []), *command]
    before = {name: _cpu_of(process) for name, process in beside.items()}
    with log.open("w") as output:
        began = time.perf_counter()
        child = lifeline.start(probe, cwd=ROOT, env=dict(environment), stdout=output, stderr=subprocess.STDOUT)
        # The kernel counts what the child's own children took, once they have ended.
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise CommandFailedError(f"`{' '.join(command)}` failed with {child.returncode}:\n{log.read_text()[-4000:]}")
    found = json.loads(notes.read_text())
    return Cost(
        seconds,
        usage.ru_utime + usage.ru_stime,
        {name: _cpu_of(process) - before[name] for name, process in beside.items()},
        found["peak_mb"],
        found["statements"],
    )


def _cpu_of(process: psutil.Process) -> float:
    """Return what a process and its children took; of those that have ended, it keeps the sum."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # by now it has ended
            total += sum(each.cpu_times()[:4])
    return total
