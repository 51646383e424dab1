"""
Processes that end with the one that started them, however that ends.

Beside it runs a watch: it reads the ids of what was started from a pipe, which closes when the process that holds the
other end is gone, be it by SIGKILL. Then the watch ends what still runs, and everything that descends from it.
"""

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

#: How long what is left may take to end by itself, in seconds.
_GRACE_SECONDS = 10


def start(command: Sequence[str | Path], **options: Any) -> "subprocess.Popen[Any]":
    """
    Start a process that ends with ours at the latest.

    Args:
        command: the program and its arguments.
        options: those of `subprocess.Popen`.
    """
    process = subprocess.Popen(command, **options)
    tie(process.pid)
    return process


def tie(pid: int) -> None:
    """Let a process that runs already, such as a library's, end with ours at the latest."""
    pipe = _pipe(os.getpid())
    pipe.write(f"{pid}\n")
    pipe.flush()


def end(process: "subprocess.Popen[Any]") -> None:
    """End a process that we started, by force if that takes too long, and what it leaves behind."""
    start_of = {pid: start for pid, (_, start) in _running().items() if pid == process.pid}
    family = _family(start_of)
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _end_all(family)


@functools.cache
def _pipe(_owner: int) -> IO[str]:
    """Start the watch of this process, once."""
    watch = subprocess.Popen(
        # -I and -S: it is up within milliseconds, and no module of this folder hides one of the standard library.
        [sys.executable, "-I", "-S", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # it must outlive what ends our group, such as Ctrl-C
    )
    assert watch.stdin is not None  # noqa: S101 - asked for as a pipe
    return watch.stdin


def _watch(lines: Iterable[str]) -> None:
    """Note what is named, and end what is left of it when nothing more can be named."""
    tied: dict[int, str] = {}
    for pid in map(int, lines):
        if found := _running().get(pid):
            tied[pid] = found[1]
    _end_all(_family(tied))


def _end_all(left: dict[int, str]) -> None:
    _signal(left, signal.SIGTERM)
    until = time.monotonic() + _GRACE_SECONDS
    while _still(left) and time.monotonic() < until:
        time.sleep(0.05)
    _signal(left, signal.SIGKILL)


def _family(tied: dict[int, str]) -> dict[int, str]:
    """Return what still runs of these, and their descendants, by id and start."""
    running, family = _running(), dict(_still(tied))
    while more := {pid: start for pid, (parent, start) in running.items() if parent in family and pid not in family}:
        family |= more
    return family


def _still(processes: dict[int, str]) -> list[tuple[int, str]]:
    """Return what still runs of these; an id may belong to another process by now, which started later."""
    running = _running()
    return [(pid, start) for pid, start in processes.items() if running.get(pid, (0, ""))[1] == start]


def _signal(family: dict[int, str], number: signal.Signals) -> None:
    for pid, _ in _still(family):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _running() -> dict[int, tuple[int, str]]:
    """Return the parent and the start of every process; one that only waits to be buried has ended."""
    rows = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, *more = path.read_text().rpartition(")")[2].split()
            rows.append([path.parent.name, parent, state, more[17]])
    if not rows:  # as on macOS
        table = subprocess.run(["/bin/ps", "-Ao", "pid=,ppid=,stat=,lstart="], stdout=subprocess.PIPE, check=True)
        rows = [line.split(None, 3) for line in table.stdout.decode().splitlines()]
    return {int(pid): (int(parent), start) for pid, parent, state, start in rows if state[0] != "Z"}


if __name__ == "__main__":
    _watch(sys.stdin)
