"""One place for the session: stand-ins, a real Prefect server, and commands as processes of their own."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

import cli
from blocks.crms.base import load_crm
from blocks.settings import load_settings
from blocks.warehouses.base import Warehouse
from blocks.warehouses.postgres import PostgresWarehouse
from blocks.warehouses.sqlite import SqliteWarehouse
from sandbox.place import ROOT, Place, stand_ins, started
from tasks.intake import stage_everything
from tasks.queue import RUN_LIMITS
from tests.prefect_api import ask_prefect
from tests.prefect_process import without

WORKER = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "enrichment"]


@pytest.fixture(scope="session")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Start the stand-ins and the server once."""
    with started(10, tmp_path_factory.mktemp("place"), events=True, server=without()) as place:
        for name in RUN_LIMITS:  # runs that tests kill keep their slots for a minute
            ask(place, "POST", "v2/concurrency_limits/", {"name": name, "limit": 100})
        yield place


def ask(place: Place, method: str, path: str, body: Any = None) -> Any:
    """Ask the place's Prefect server."""
    return ask_prefect(place.environment["PREFECT_API_URL"], method, path, body)


@pytest.fixture(scope="session")
def shared_stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Start the stand-ins once, without Prefect's server: a command runs its flows itself, in half of the time."""
    with stand_ins(10, tmp_path_factory.mktemp("stand-ins")) as place:
        yield place


@pytest.fixture
def place(shared_place: Place, tmp_path: Path) -> Place:
    """Give a place with a warehouse and a folder of its own; the world is new."""
    return with_own_files(shared_place, tmp_path)


@pytest.fixture
def place_without_server(shared_stand_ins: Place, tmp_path: Path) -> Place:
    """Give such a place without Prefect's server."""
    return with_own_files(shared_stand_ins, tmp_path)


def with_own_files(place: Place, folder: Path) -> Place:
    """Return the place with a warehouse and a folder of its own."""
    environment = place.environment | {"ENRICHMENT_SQLITE_PATH": str(folder / "warehouse.db")}
    return replace(place, folder=folder, environment=environment)


@pytest.fixture
def place_on_postgres(place: Place, postgres_dsn: str) -> Place:
    """Give a place whose warehouse is a schema of its own in PostgreSQL."""
    return on_postgres(place, postgres_dsn)


def on_postgres(place: Place, dsn: str) -> Place:
    """Return the place with a schema of its own in PostgreSQL as its warehouse."""
    chosen = {
        "ENRICHMENT_WAREHOUSE": "postgres",
        "ENRICHMENT_POSTGRES_DSN": dsn,
        "ENRICHMENT_POSTGRES_PIPELINE_SCHEMA": f"test_{uuid.uuid4().hex[:12]}",
    }
    return replace(place, environment=place.environment | chosen)


def new_world(place: Place, contacts: int, *, stage: bool = True, lane: str = "live", **settings: object) -> Warehouse:
    """
    Start over with other contacts, set up and staged, and return the warehouse.

    It is done in this process, by what the commands call: as commands, `setup` and `stage` would take most of a test's
    time, and other tests are about them.

    Args:
        place: where.
        contacts: how many the CRM has.
        stage: put all of them into the queue.
        lane: of the queue.
        settings: of the stand-ins, by service.
    """
    answer = httpx.post(
        f"{place.sandbox_url}/control/reset", json={"contacts": contacts, "seed": 7, **settings}, timeout=60
    )
    answer.raise_for_status()
    warehouse = warehouse_of(place)
    warehouse.migrate()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in place.environment.items():
            if name.startswith("ENRICHMENT_"):
                environment.setenv(name, value)
        chosen = load_settings()
        with closing(load_crm(chosen.crm)) as crm:
            crm.ensure_fields()
        if stage:
            stage_everything.fn(chosen.crm, chosen.warehouse, lane)
    return warehouse


def enrich_here(place: Place, *arguments: str) -> Any:
    """Run a command that needs no Prefect in this process, in a twentieth of the time, and return its answer."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in place.environment.items():
            if name.startswith("ENRICHMENT_"):
                environment.setenv(name, value)
        done = CliRunner().invoke(cli.app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def warehouse_of(place: Place) -> Warehouse:
    """Open the place's warehouse."""
    if place.environment.get("ENRICHMENT_WAREHOUSE") == "postgres":
        schema = place.environment["ENRICHMENT_POSTGRES_PIPELINE_SCHEMA"]
        return PostgresWarehouse(place.environment["ENRICHMENT_POSTGRES_DSN"], schema, 10)
    return SqliteWarehouse(Path(place.environment["ENRICHMENT_SQLITE_PATH"]), 60)


def count(warehouse: Warehouse, table: str) -> int:
    """Return how many rows a table has."""
    with warehouse._reading() as session:
        return session._connection.execute(f"SELECT count(*) AS rows FROM {table}").fetchone()["rows"]


def bare(place: Place) -> dict[str, str]:
    """Return an environment that knows only the server."""
    return {name: value for name, value in place.environment.items() if not name.startswith("ENRICHMENT_")}


def prefect(environment: dict[str, str], *arguments: str) -> str:
    """Run a command that has no terminal and can't ask."""
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def schedules_at_work(shared_place: Place) -> frozenset[str]:
    """
    Deploy everything that prefect.yaml holds, and return which deployments the server schedules.

    Then the schedules pause: a worker would take what has become due between two tests.
    """
    ask(shared_place, "POST", "work_pools/", {"name": "enrichment", "type": "process"})
    prefect(bare(shared_place), "deploy", "--all")
    deployments = ask(shared_place, "POST", "deployments/filter", {})
    due = {one["id"]: one["name"] for one in deployments if one["schedules"]}
    deadline, found = time.monotonic() + 120, frozenset[str]()
    while found != frozenset(due.values()) and time.monotonic() < deadline:
        time.sleep(0.3)
        runs = ask(shared_place, "POST", "flow_runs/filter", {})
        found = frozenset(due[run["deployment_id"]] for run in runs if run["auto_scheduled"])
    for one in deployments:
        for schedule in one["schedules"]:
            path = f"deployments/{one['id']}/schedules/{schedule['id']}"
            ask(shared_place, "PATCH", path, {"active": False})
    return found


@pytest.fixture(scope="session")
def deployed(shared_place: Place, schedules_at_work: frozenset[str]) -> Place:
    """Give the place once everything is deployed."""
    return shared_place


def lookup_rate(warehouse: Warehouse) -> float:
    """Return how many contacts per second the provider was asked for, by PostgreSQL's clock."""
    with warehouse._reading() as session:
        row = session._connection.execute(
            "SELECT count(*) AS replies, extract(epoch FROM max(received_at) - min(received_at)) AS seconds"
            " FROM provider_replies"
        ).fetchone()
    return row["replies"] / float(row["seconds"])
