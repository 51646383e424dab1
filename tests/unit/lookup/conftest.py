"""An empty queue in a real warehouse, for each test its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.warehouses.sqlite import SqliteWarehouse
from tests.unit.lookup.world import World


@pytest.fixture(scope="session")
def set_up_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a warehouse's file as setup leaves it."""
    path = tmp_path_factory.mktemp("warehouse") / "empty.db"
    warehouse = SqliteWarehouse(path, 1.0)
    warehouse.migrate()
    warehouse.close()
    return path


@pytest.fixture
def world(set_up_file: Path, tmp_path: Path) -> Iterator[World]:
    """Give an empty world; a held lock of the warehouse fails others soon."""
    path = shutil.copy(set_up_file, tmp_path / "warehouse.db")
    warehouse = SqliteWarehouse(Path(path), 0.05)
    yield World(warehouse)
    warehouse.close()
