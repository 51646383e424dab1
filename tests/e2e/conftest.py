"""One place for the session: stand-ins, a real Prefect server, and commands as processes of their own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from blocks.warehouses.sqlite import SqliteWarehouse
from sandbox.place import Place, started


@pytest.fixture(scope="session")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Start the stand-ins and the server once."""
    with started(10, tmp_path_factory.mktemp("place")) as place:
        yield place


@pytest.fixture
def place(shared_place: Place, tmp_path: Path) -> Place:
    """Give a place with a warehouse and a folder of its own; the world is new."""
    environment = shared_place.environment | {"ENRICHMENT_SQLITE_PATH": str(tmp_path / "warehouse.db")}
    return replace(shared_place, folder=tmp_path, environment=environment)


def new_world(place: Place, contacts: int, **settings: object) -> SqliteWarehouse:
    """Start over with so many contacts, set up and staged; return the warehouse."""
    answer = httpx.post(
        f"{place.sandbox_url}/control/reset", json={"contacts": contacts, "seed": 7, **settings}, timeout=60
    )
    answer.raise_for_status()
    place.result("setup")
    place.result("stage", "--all")
    return SqliteWarehouse(Path(place.environment["ENRICHMENT_SQLITE_PATH"]), 60)


def count(warehouse: SqliteWarehouse, table: str) -> int:
    """Return how many rows a table has."""
    with warehouse.reading() as session:
        return session._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
