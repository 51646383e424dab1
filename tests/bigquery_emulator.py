"""
bqemulator standing in for BigQuery: REST on DuckDB, in an environment of its own, since it pins a DuckDB of its own.

The environment is built from the lock if it is absent. The emulator loads DuckDB's spatial extension at its start and
would download it; a wheel carries the file, which is put where DuckDB looks in a home directory of the emulator's own.
"""

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / ".cache" / "env-bqemulator"
#: How long a first start may take, in seconds.
PATIENCE = 120


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Start the emulator with nothing in it, and give its URL."""
    _build()
    home = _home(folder)
    rest, grpc = _free_port(), _free_port()
    command = [ENVIRONMENT / "bin" / "bqemulator", "start", "--ephemeral", "--log-level", "warning"]
    ports = ["--rest-port", str(rest), "--grpc-port", str(grpc)]
    with (folder / "bqemulator.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *ports], env={**os.environ, "HOME": str(home)}, cwd=home, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{rest}"
        _wait_until_it_answers(url, process, folder / "bqemulator.log")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _build() -> None:
    if (ENVIRONMENT / "bin" / "bqemulator").exists():
        return
    own = ROOT / ".tools" / "bin" / "uv"
    uv = shutil.which("uv") or (str(own) if own.exists() else None)
    if uv is None:
        raise RuntimeError("uv is needed to build the environment of bqemulator: run scripts/bootstrap")
    subprocess.run(
        [uv, "sync", "--quiet", "--locked", "--only-group", "bqemulator"],
        cwd=ROOT,
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT)},
        check=True,
    )


def _home(folder: Path) -> Path:
    """Make a home directory that holds the extension, by the path it has in the wheel."""
    carried = next(ENVIRONMENT.glob("lib/python*/site-packages/duckdb_extension_spatial/extensions"))
    version = next(carried.iterdir()).name
    ask = "import duckdb; print(duckdb.sql('PRAGMA platform').fetchone()[0])"
    python = ENVIRONMENT / "bin" / "python"
    platform = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    place = folder / ".duckdb" / "extensions" / version / platform
    place.mkdir(parents=True)
    (place / "spatial.duckdb_extension").symlink_to(carried / version / "spatial.duckdb_extension")
    return folder


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _wait_until_it_answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{url}/bigquery/v2/projects/test/datasets", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"bqemulator did not start:\n{log.read_text()[-2000:]}")
