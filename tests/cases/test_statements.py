"""How many SQL statements the warehouse gets for a batch, counted where they go to the driver."""

import importlib
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.cases.chain import Chain

#: What docs/warehouse-costs.md is made from.
COSTS = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "docs_warehouse_costs.py"))
#: Through which method of which class each engine's statements go to its driver.
SEAMS = {
    "sqlite": ("_SqliteSession", "_execute"),
    "postgres": ("_PostgresSession", "_execute"),
    "redshift": ("_Connection", "execute"),
    "snowflake": ("_SnowflakeSession", "execute"),
    "bigquery": ("_Jobs", "execute"),
}
#: A whole batch where the engine is real; the stand-ins of the clouds would take a minute for it.
CONTACTS = {"sqlite": 1000, "postgres": 1000}


@pytest.mark.parametrize("chain", list(SEAMS), indirect=True)
def test_a_batch_costs_no_more_statements_than_the_documentation_says(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast it is: each lookup's replies may be saved by themselves, and locks aren't renewed by the clock."""
    counted: list[str] = []
    name, method = SEAMS[chain.vendor]
    seam = getattr(importlib.import_module(f"blocks.warehouses.{chain.vendor}"), name)
    execute = getattr(seam, method)

    def counting(self: Any, statement: str, *args: Any, **options: Any) -> Any:
        counted.append(statement)
        return execute(self, statement, *args, **options)

    contacts = CONTACTS.get(chain.vendor, 100)
    chain.stage(chain.world.hubspot.create([{"email": f"hit+{n}@acme{n}.example"} for n in range(contacts)]))
    monkeypatch.setattr("lookup.buying._SHARE_SECONDS", float("inf"))
    monkeypatch.setattr(seam, method, counting)
    chain.run()
    statements = [one for one in counted if not one.startswith(("BEGIN", "COMMIT"))]
    base, per_commit = COSTS["STATEMENTS"][chain.vendor]
    assert base / 2 < len(statements) <= base + per_commit * contacts / COSTS["PER_LOOKUP"]
