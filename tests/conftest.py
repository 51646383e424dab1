"""What every test shares: a clean environment, and warehouses of each kind on real engines."""

import gc
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.groups import GroupScheduling, group_of, rank

if TYPE_CHECKING:  # a test that needs no Prefect doesn't wait seconds for its import
    from blocks.warehouses.base import Warehouse

#: Warehouses in a cloud: `make test-quick` leaves their stand-ins out.
CLOUDS = ("bigquery", "snowflake", "redshift")
#: Where a set-up takes half a second, tests use one another's warehouses, emptied.
USED_AGAIN = ("bigquery", "snowflake")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Let workers share the tests by groups."""
    return GroupScheduling(config, log)


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the stand-in of a cloud warehouse, and put the slow groups first."""
    for item in items:
        values = (
            item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
        )
        names = (*values, item.path.stem.removeprefix("test_"))
        if "serve_warehouse" in getattr(item, "fixturenames", ()) and any(name in CLOUDS for name in names):
            item.add_marker(pytest.mark.cloud)
    items.sort(key=lambda item: rank(item.nodeid))


def pytest_collection_finish() -> None:
    """Let the collector pass over what stays to the end: thousands of tests, and all that they import."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's machine reaches a test."""
    for name in [name for name in os.environ if name.startswith("ENRICHMENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ENRICHMENT_ENV_FILE", os.devnull)


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give a real Prefect server with an empty database."""
    from tests.prefect_process import connected  # noqa: PLC0415

    test = os.environ["PYTEST_CURRENT_TEST"]
    assert group_of(test) == "prefect", f"one more Prefect server would start: name {test} in tests/groups.py"
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


@pytest.fixture(scope="session")
def used_warehouses() -> dict[str, list[str]]:
    """Give the names of set-up warehouses that no test uses at the moment, by vendor."""
    return {vendor: [] for vendor in USED_AGAIN}


@pytest.fixture
def make_warehouse(
    serve_warehouse: Callable[[str], dict[str, str]],
    used_warehouses: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str], "Warehouse"]]:
    """Give a maker of empty, set-up warehouses by vendor; the environment points at the last one made."""
    from blocks.warehouses.base import load_warehouse  # noqa: PLC0415
    from sandbox.warehouses.base import load_stand_in, stand_in_names  # noqa: PLC0415
    from tests.warehouses import emptied  # noqa: PLC0415

    def open_named(vendor: str, name: str) -> "Warehouse":
        for setting, value in load_stand_in(vendor).apart(serve_warehouse(vendor), name).items():
            monkeypatch.setenv(setting, value)
        warehouse = load_warehouse(vendor)
        made.callback(warehouse.close)
        return warehouse

    with ExitStack() as made:

        def make(vendor: str) -> "Warehouse":
            if vendor not in stand_in_names():
                pytest.fail(f"no stand-in of the warehouse '{vendor}': add one to sandbox/warehouses")
            used = used_warehouses.get(vendor, [])
            name = used.pop() if used else ""
            warehouse = open_named(vendor, name) if name else None
            if warehouse is None or not emptied(warehouse):
                name = f"test_{uuid.uuid4().hex[:12]}"
                warehouse = open_named(vendor, name)
                warehouse.migrate()
            made.callback(used.append, name)
            return warehouse

        yield make
