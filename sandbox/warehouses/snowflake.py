"""
fakesnow standing in for Snowflake: HTTP on DuckDB, in a separate environment, since it pins another DuckDB.

What it can't show (locks, roles, sign-in, cost) stands in docs/snowflake.md.
"""

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from enrichment.errors import EnrichmentError
from sandbox import lifeline
from sandbox.environments import ROOT, isolated

_ADDRESS = re.compile(r"running on http://[^:]+:(\d+)")


@contextmanager
def serve(folder: Path) -> Iterator[dict[str, str]]:
    """Run the server on a free port, with nothing in it."""
    log = folder / "fakesnow.log"
    command = [str(isolated("fakesnow") / "bin" / "python"), "-m", "sandbox.warehouses._fakesnow_main"]
    process = lifeline.start(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    with process, log.open("w") as kept:
        drain = threading.Thread(target=kept.writelines, args=[process.stderr])
        try:
            port = _port(process, log, kept.write)
            drain.start()
            yield {
                "ENRICHMENT_SNOWFLAKE_ACCOUNT": "test",
                "ENRICHMENT_SNOWFLAKE_USER": "enrichment",
                "ENRICHMENT_SNOWFLAKE_PASSWORD": "made-up",
                "ENRICHMENT_SNOWFLAKE_WAREHOUSE": "TEST_WH",
                "ENRICHMENT_SNOWFLAKE_DATABASE": "CRM",
                "ENRICHMENT_SNOWFLAKE_HOST": "127.0.0.1",
                "ENRICHMENT_SNOWFLAKE_PORT": port,
                "ENRICHMENT_SNOWFLAKE_PROTOCOL": "http",
                # The stand-in answers a conflict with HTTP 500, which the connector repeats for this time.
                "ENRICHMENT_SNOWFLAKE_NETWORK_TIMEOUT_SECONDS": "1",
            }
        finally:
            lifeline.end(process)
            if drain.ident:
                drain.join()


def apart(settings: dict[str, str], name: str) -> dict[str, str]:
    """Return the settings of another schema."""
    return {**settings, "ENRICHMENT_SNOWFLAKE_PIPELINE_SCHEMA": name.upper()}


def _port(process: "subprocess.Popen[str]", log: Path, keep: Callable[[str], object]) -> str:
    """Read what the server says until it names its port."""
    for line in process.stderr or ():
        keep(line)
        if found := _ADDRESS.search(line):
            return found[1]
    raise EnrichmentError(f"the stand-in of Snowflake doesn't start: see {log}")
