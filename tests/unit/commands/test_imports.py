"""What commands don't import, since that is what they would take most of their time for."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.place import ROOT

#: What takes a tenth of a second or more, by the part of a command that needs it.
OURS = ("prefect", "pydantic", "httpx", "yaml", "enrichment.causes", "blocks.base", "tasks", "flows")
SERVER = ("prefect.server", "prefect.workers", "prefect.runner", "fastapi", "sqlalchemy", "uvicorn")
OTHER_VENDORS = (
    *("requests", "simple_salesforce", "jwt", "psycopg", "snowflake.connector", "google.cloud.bigquery"),
    *("redshift_connector", "boto3", "botocore", "grpc", "dask", "distributed"),
)
FLOWS = ("prefect.main", "prefect.flows", "flows", "lookup")
HUBSPOT = ("hubspot", "urllib3.connectionpool")
LOOK = (*SERVER, *OTHER_VENDORS, *FLOWS, *HUBSPOT)

#: Commands in the order in which one process runs them, and what none of those up to it may have imported. HubSpot's
#: token and ZoomInfo's credentials are set once `stage` needs them: `doctor` would wait for systems that aren't there.
COMMANDS: dict[str, tuple[str, ...]] = {
    "--help": (*OURS, *LOOK),
    "failures": LOOK,
    "unmatched": LOOK,
    "queue": LOOK,
    "status": LOOK,
    "why 501": LOOK,
    "doctor": LOOK,
    "review": LOOK,
    "stage --ids 501": (*SERVER, *OTHER_VENDORS),
    "import flows.enrich_contacts": (*SERVER, *OTHER_VENDORS),  # `run` itself would wait for HubSpot
}

#: Runs commands one after the other, and prints what each left to be found in `sys.modules`.
SCRIPT = """
import json, os, sys
from typer.testing import CliRunner
import cli
found = {}
for command, unwanted in json.loads(sys.stdin.read()).items():
    if command.startswith("stage"):
        for name in ("HUBSPOT_ACCESS_TOKEN", "ZOOMINFO_CLIENT_ID", "ZOOMINFO_CLIENT_SECRET"):
            os.environ["ENRICHMENT_" + name] = "made-up"
    if command.startswith("import"):
        exec(command)
    else:
        done = CliRunner().invoke(cli.app, command.split())
    found[command] = [done.exit_code, done.output, [name for name in unwanted if name in sys.modules]]
print(json.dumps(found))
"""


#: Runs a command as a process of its own does; prints how often the collector ran meanwhile, whether it has nothing to
#: visit at the end, and whether the library was imported that shows Markdown.
COLLECTING = """
import atexit, gc, sys
import cli
def runs():
    return sum(each["collections"] for each in gc.get_stats())
before = runs()
def end():  # after what `main` leaves to the end
    print(runs() - before, gc.get_freeze_count() > 0, "markdown_it" in sys.modules)
atexit.register(end)
sys.argv = ["enrich", "why", "501"]
cli.main()
"""


@pytest.fixture(scope="module")
def enrich(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """Run a script in a process of its own, with an empty warehouse; return its last line."""
    from blocks.warehouses.sqlite import SqliteWarehouse  # noqa: PLC0415

    folder: Path = tmp_path_factory.mktemp("commands")
    warehouse = SqliteWarehouse(folder / "warehouse.db", 5)
    warehouse.migrate()
    warehouse.close()
    settings = {
        "ENRICHMENT_SQLITE_PATH": str(folder / "warehouse.db"),
        "ENRICHMENT_ENV_FILE": os.devnull,
        "ENRICHMENT_HUBSPOT_BASE_URL": "http://127.0.0.1:9",
        "ENRICHMENT_ZOOMINFO_BASE_URL": "http://127.0.0.1:9",
        "ENRICHMENT_SLACK_WEBHOOK_URL": "http://127.0.0.1:9",
        "PREFECT_HOME": str(folder / "prefect"),
        "PATH": os.environ["PATH"],
    }

    def run(script: str, given: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script],
            input=given,
            cwd=ROOT,
            env=settings,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.stdout, done.stderr
        return done.stdout.splitlines()[-1]

    return run


@pytest.fixture(scope="module")
def found(enrich: Callable[[str, str], str]) -> dict[str, tuple[int, str, list[str]]]:
    """Run all commands in a new process; return exit code, output and unwanted modules of each."""
    printed = json.loads(enrich(SCRIPT, json.dumps(COMMANDS)))
    return {command: tuple(one) for command, one in printed.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_what_it_needs(found: dict[str, tuple[int, str, list[str]]], command: str) -> None:
    """No flow for what only looks, no server without one, and no library of a vendor that isn't configured."""
    code, output, unwanted = found[command]
    assert unwanted == [], output
    assert code == {"why 501": 2, "doctor": 1}.get(command, 0), output  # no such contact, and no credentials


def test_a_short_command_leaves_out_the_collector_and_markdown(enrich: Callable[[str, str], str]) -> None:
    """The collector neither runs while everything is imported, nor visits everything at the end."""
    assert enrich(COLLECTING, "") == "0 True False"
