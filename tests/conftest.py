"""What every test shares: a clean environment, and warehouses of each kind on real engines."""

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # a test that needs no Prefect doesn't wait seconds for its import
    from blocks.warehouses.base import Warehouse

#: Tests that share what is slow to start, or one world, run in one worker; the slowest group begins first.
GROUPS = ("e2e", "containers", "prefect", "bigquery", "snowflake")

#: Warehouses that nobody runs at home: `make test-quick` leaves their stand-ins out.
CLOUDS = {"bigquery", "snowflake", "redshift"}


def warehouse_of(item: pytest.Function) -> str:
    """Return the warehouse that a test starts a stand-in of, by its parameter or its module."""
    if "serve_warehouse" not in item.fixturenames:
        return ""
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    module = item.path.stem.removeprefix("test_")
    return next((value for value in (*values, module) if value in CLOUDS), "")


@pytest.hookimpl(tryfirst=True)  # before `-m` selects and xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark groups for `--dist loadgroup`, and put them first."""
    order = {}
    for item in items:
        assert isinstance(item, pytest.Function)
        warehouse = warehouse_of(item)
        traits = (item.path.parent.name, "prefect" if "prefect_server" in item.fixturenames else "", warehouse)
        group = next((name for name in GROUPS if name in traits), None)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
        if warehouse:
            item.add_marker(pytest.mark.cloud)
        order[item] = GROUPS.index(group) if group else len(GROUPS)
    items.sort(key=lambda item: order[item])


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the developer's machine reaches a test."""
    for name in [name for name in os.environ if name.startswith("ENRICHMENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ENRICHMENT_ENV_FILE", str(tmp_path / "absent.env"))


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give a real Prefect server with an empty database."""
    from tests.prefect_process import connected  # noqa: PLC0415

    with connected(tmp_path_factory.mktemp("prefect")):
        yield


@pytest.fixture(scope="session")
def serve_warehouse() -> Iterator[Callable[[str], dict[str, str]]]:
    """Give a starter of warehouses' stand-ins, each at its first use; it returns the settings that lead there."""
    from sandbox.warehouses.base import load_stand_in  # noqa: PLC0415

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
) -> Iterator[Callable[[str], "Warehouse"]]:
    """Give a maker of empty, set-up warehouses by vendor; the environment points at the last one made."""
    from blocks.warehouses.base import load_warehouse  # noqa: PLC0415
    from sandbox.warehouses.base import load_stand_in, stand_in_names  # noqa: PLC0415

    with ExitStack() as made:

        def make(vendor: str) -> "Warehouse":
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
