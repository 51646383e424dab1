"""The data dictionary: it is current, complete, and its example queries run on every warehouse."""

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.base import module_names
from blocks.warehouses.base import Warehouse
from tests.warehouses import look

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "docs_tables.py"))
TABLES = list(SCRIPT["tables"]())


@pytest.mark.parametrize("vendor", module_names("blocks.warehouses"))
def test_every_example_runs(make_warehouse: Callable[[str], Warehouse], vendor: str) -> None:
    """An analyst can paste it as it stands."""
    warehouse = make_warehouse(vendor)
    assert {table.name for table in TABLES if look(warehouse, table.example)} == {"schema_migrations"}


def test_every_column_has_its_meaning() -> None:
    """None of the schema's columns is missing from the dictionary, and no meaning is empty."""
    schema = SCRIPT["SCHEMA"].read_text()
    lines = [line for line in schema.splitlines() if line.startswith("    ") and line.split()[1].rstrip(",") in kinds()]
    assert len(lines) == sum(len(table.columns) for table in TABLES) > 150
    assert all(table.meaning and table.example for table in TABLES)


def kinds() -> set[str]:
    return {kind.split()[0] for kind in SCRIPT["TYPES"]}


def test_the_page_is_current(tmp_path: Path) -> None:
    """If it isn't, run `make docs` and commit what it made."""
    page = tmp_path / "tables.md"
    SCRIPT["main"].__globals__["PAGE"], kept = page, SCRIPT["PAGE"]
    SCRIPT["main"]()
    assert page.read_text() == kept.read_text()
