"""
bqemulator standing in for BigQuery: REST on DuckDB, in a separate environment, since it pins another DuckDB.

The emulator loads DuckDB's spatial extension at its start and would download it; a wheel carries the file, which is put
where DuckDB looks in a home directory of the emulator's own.
"""

import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enrichment.errors import EnrichmentError
from sandbox import lifeline
from sandbox.environments import ROOT, isolated
from sandbox.warehouses.base import free_port

#: How long a start may take, in seconds.
_PATIENCE = 120


@contextmanager
def serve(folder: Path) -> Iterator[dict[str, str]]:
    """Run the emulator with nothing in it."""
    environment = isolated("bqemulator")
    home = _home(environment, folder)
    port = free_port()
    python = str(environment / "bin" / "python")
    command = [python, "-m", "sandbox.warehouses._bqemulator_main", "start", "--ephemeral", "--log-level", "warning"]
    ports = ["--rest-port", str(port), "--grpc-port", str(free_port())]
    with (folder / "bqemulator.log").open("wb") as log:
        process = lifeline.start(
            [*command, *ports], env={**os.environ, "HOME": str(home)}, cwd=ROOT, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(url, process, folder / "bqemulator.log")
        yield {"ENRICHMENT_BIGQUERY_PROJECT": "test", "ENRICHMENT_BIGQUERY_API_ENDPOINT": url}
    finally:
        lifeline.end(process)


def apart(settings: dict[str, str], name: str) -> dict[str, str]:
    """Return the settings of another dataset."""
    return {**settings, "ENRICHMENT_BIGQUERY_DATASET": name.upper()}


def _home(environment: Path, folder: Path) -> Path:
    """Make a home directory that holds the extension, by the path it has in the wheel."""
    carried = next(environment.glob("lib/python*/site-packages/duckdb_extension_spatial/extensions"))
    version = next(carried.iterdir()).name
    ask = "import duckdb; print(duckdb.sql('PRAGMA platform').fetchone()[0])"
    python = environment / "bin" / "python"
    platform = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip()
    home = folder / "bqemulator"
    place = home / ".duckdb" / "extensions" / version / platform
    place.mkdir(parents=True, exist_ok=True)
    extension = place / "spatial.duckdb_extension"
    extension.unlink(missing_ok=True)
    extension.symlink_to(carried / version / "spatial.duckdb_extension")
    return home


def _wait_until_it_answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{url}/bigquery/v2/projects/test/datasets", timeout=5):  # noqa: S310 - loopback
                return
        except OSError:
            time.sleep(0.1)
    raise EnrichmentError(f"the stand-in of BigQuery doesn't start: see {log}")
