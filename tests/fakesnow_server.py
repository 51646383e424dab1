"""
Snowflake's stand-in for the tests: fakesnow as an HTTP server in an environment of its own.

The environment is built from the lock when it is absent, with the uv that scripts/bootstrap uses. What the stand-in
can't show (locks, roles, sign-in, cost) stands in docs/snowflake.md.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / ".cache" / "env-fakesnow"


def build() -> Path:
    """Return the Python of the server's environment, which is built if need be."""
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "bin" / "fakesnow").exists():
        uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
        settings = {
            "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT),
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
        }
        subprocess.run(
            [uv, "sync", "--locked", "--quiet", "--only-group", "fakesnow"],
            cwd=ROOT,
            env=os.environ | settings,
            check=True,
        )
    return python


@contextmanager
def serve(log: Path) -> Iterator[int]:
    """Run the server on a free port and give the port; what it says goes to the log."""
    command = [build(), Path(__file__).with_name("fakesnow_main.py")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr
    with process, log.open("w") as kept:
        try:
            port = None
            for line in process.stderr:
                kept.write(line)
                if found := re.search(r"running on http://[^:]+:(\d+)", line):
                    port = int(found[1])
                    break
            assert port, f"the stand-in of Snowflake doesn't start: see {log}"
            drain = threading.Thread(target=kept.writelines, args=[process.stderr])
            drain.start()
            yield port
        finally:
            process.terminate()
            process.wait()
        drain.join()
