"""What every test shares: a clean environment, and warehouses of each kind on real engines."""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prefect.settings import (
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness

from blocks.warehouses.base import Warehouse, load_warehouse
from sandbox.warehouses.base import load_stand_in, stand_in_names


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's machine reaches a test."""
    for name in [name for name in os.environ if name.startswith("ENRICHMENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ENRICHMENT_ENV_FILE", str(tmp_path / "absent.env"))


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Give a real Prefect server with an empty database."""
    # At the end of every flow run Prefect waits up to a second for its heartbeat to end. Some tests call a task alone.
    settings = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore"}
    with (
        temporary_settings(settings),
        prefect_test_harness(server_startup_timeout=220),
    ):
        yield


@pytest.fixture(scope="session")
def serve_warehouse() -> Iterator[Callable[[str], dict[str, str]]]:
    """Give a starter of warehouses' stand-ins, each at its first use; it returns the settings that lead there."""
    settings: dict[str, dict[str, str]] = {}
    with ExitStack() as running:

        def serve(vendor: str) -> dict[str, str]:
            if vendor not in settings:
                # Not below pytest's own folder: every session that starts closes that to other users, and started by
                # root PostgreSQL runs as one.
                folder = running.enter_context(tempfile.TemporaryDirectory(prefix=f"enrichment-{vendor}-"))
                settings[vendor] = running.enter_context(load_stand_in(vendor).serve(Path(folder)))
            return settings[vendor]

        yield serve


@pytest.fixture(scope="session")
def postgres_dsn(serve_warehouse: Callable[[str], dict[str, str]]) -> str:
    """Give a real PostgreSQL server that a wheel carries."""
    return serve_warehouse("postgres")["ENRICHMENT_POSTGRES_DSN"]


@pytest.fixture
def make_warehouse(
    serve_warehouse: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Warehouse]]:
    """Give a maker of empty, set-up warehouses by vendor; the environment points at the last one made."""
    with ExitStack() as made:

        def make(vendor: str) -> Warehouse:
            if vendor not in stand_in_names():
                pytest.fail(f"no stand-in of the warehouse '{vendor}': add one to sandbox/warehouses")
            name = f"test_{uuid.uuid4().hex[:12]}"
            for setting, value in load_stand_in(vendor).apart(serve_warehouse(vendor), name).items():
                monkeypatch.setenv(setting, value)
            warehouse = load_warehouse(vendor)
            warehouse.migrate()
            made.callback(warehouse.close)
            return warehouse

        yield make
