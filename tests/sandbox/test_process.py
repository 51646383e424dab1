"""The sandbox as a process of its own."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command(number: signal.Signals) -> None:
    """The command prints its address when it is ready, and ends well when it is asked to."""
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "--contacts",
        "20",
        "--seed",
        "3",
        "--tier",
        "starter",
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        address = json.loads(process.stdout.readline())
        totals = httpx.get(f"{address['url']}/control/ledger").json()
        process.send_signal(number)
        assert process.wait(timeout=20) == 0
    assert address["pid"] == process.pid
    assert address["smtp_port"] > 0
    assert totals["hubspot"]["contacts"] == 20
