"""What tests and the demo start ends with them, also when they are killed."""

import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from sandbox.place import ROOT
from sandbox.warehouses.base import stand_in_names

#: Runs the stand-in of a warehouse until it is killed.
SERVE = """
import sys
from pathlib import Path
from sandbox.warehouses.base import load_stand_in

with load_stand_in(sys.argv[2]).serve(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""

#: Runs a process as a worker does: with a child in a session of its own, as Prefect starts its flow runs.
WORK = """
import sys
from pathlib import Path

import psutil
from sandbox.place import process

child = "import subprocess, sys; subprocess.run(['sleep', '1000'], start_new_session=True)"
with process([sys.executable, "-c", f"print('started', flush=True); {child}"], Path(sys.argv[1]), "sandbox") as worker:
    worker.stdout.readline()
    while not psutil.Process(worker.pid).children():
        pass
    print("ready", flush=True)
    sys.stdin.read()
"""


def started_by(program: str, *arguments: str | Path) -> tuple["subprocess.Popen[str]", set[psutil.Process]]:
    """Start a program, and return it with what runs since then because of it."""
    before = set(psutil.process_iter())
    command = [sys.executable, "-c", program, *map(str, arguments)]
    program_itself = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert program_itself.stdout
    assert program_itself.stdout.readline() == "ready\n"
    family = set(psutil.Process(program_itself.pid).children(recursive=True))
    databases = {one for one in set(psutil.process_iter()) - before if str(arguments[0]) in " ".join(_words(one))}
    return program_itself, family | databases


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended, or is another user's
        return []


def kill(program: "subprocess.Popen[str]") -> None:
    program.kill()
    program.communicate()


@pytest.mark.parametrize("vendor", [name for name in stand_in_names() if name != "sqlite"])
def test_no_stand_in_outlives_a_killed_process(vendor: str) -> None:
    """Database servers and emulators end, those too that a library started as daemons."""
    # Not below pytest's own folder, which is closed to the user that a server started by root runs as.
    with tempfile.TemporaryDirectory(prefix=f"enrichment-{vendor}-", ignore_cleanup_errors=True) as folder:
        program, started = started_by(SERVE, folder, vendor)
        kill(program)
        assert len(started) > 1  # the watch is one of them
        assert psutil.wait_procs(started, timeout=60)[1] == []


def test_what_a_process_of_ours_started_ends_too(tmp_path: Path) -> None:
    """A worker's own children end, even in a session of their own."""
    program, started = started_by(WORK, tmp_path)
    kill(program)
    assert len(started) > 1
    assert psutil.wait_procs(started, timeout=60)[1] == []


def test_the_watch_ends_with_a_process_that_ends_well(tmp_path: Path) -> None:
    """Nothing is left behind by a process that isn't killed either."""
    program, started = started_by(WORK, tmp_path)
    program.communicate("")
    assert program.returncode == 0
    assert psutil.wait_procs(started, timeout=60)[1] == []
