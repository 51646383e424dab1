"""Keeps the tables of the present version, and the rows that its code leaves there: `make release-data`."""

import os
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from blocks.warehouses._session import read_sql
from blocks.warehouses.base import load_warehouse
from enrichment.moments import utc_text
from sandbox.server import running
from tests.cases.chain import Chain
from tests.releases import ENGINES, Kept, keep, live_and_die, rows_of, schema_of

present = version("contact-enrichment")
with (
    tempfile.TemporaryDirectory() as folder,
    running(contacts=1, seed=7) as box,
    pytest.MonkeyPatch.context() as environment,
):
    path = Path(folder) / "warehouse.db"
    for name in [name for name in os.environ if name.startswith("ENRICHMENT_")]:
        environment.delenv(name)
    environment.setenv("ENRICHMENT_ENV_FILE", os.devnull)
    environment.setenv("LOGNAME", "ada")
    environment.setenv("ENRICHMENT_SQLITE_PATH", str(path))
    warehouse = load_warehouse("sqlite")
    warehouse.migrate()
    ids = live_and_die(Chain(box, warehouse, environment.setenv, "sqlite"))
    warehouse.close()
    kept = Kept(utc_text(datetime.now(UTC)), ids, rows_of(path))
keep(kept, {engine: schema_of(read_sql(engine)) for engine in ENGINES}, present)
sys.stdout.write(f"kept tests/releases/{present}\n")
