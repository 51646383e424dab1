"""A sandbox with a set-up pipeline for each test."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
    temporary_settings,
)

from blocks.crms.base import load_crm
from blocks.registration import make_limit, register_blocks
from blocks.settings import load_settings
from blocks.warehouses.base import Warehouse
from sandbox.accounts import ACCOUNTS, account_settings, notifier_settings
from sandbox.server import Box, running
from tasks.queue import RUN_LIMITS
from tests.warehouses import broken_promises


@pytest.fixture(scope="session")
def shared_box() -> Iterator[Box]:
    """Start the stand-ins once; every test gets a new world in them."""
    with running(contacts=10, seed=7) as box:
        yield box


@pytest.fixture(scope="session")
def prepared_server(prefect_server: None) -> None:
    """Give a Prefect server that knows what `enrich setup` registers."""
    register_blocks()
    for name in RUN_LIMITS:
        make_limit(name, 4)


@dataclass
class Pipeline:
    """
    A pipeline against the sandbox.

    Args:
        box: the sandbox.
        warehouse: of the pipeline.
        setenv: sets a variable of the environment for the test.
        tampered: whether the test itself has changed the tables, so that the audit may find something at its end.
    """

    box: Box
    warehouse: Warehouse
    setenv: Callable[[str, str], None]
    tampered: bool = False

    def new_world(self, contacts: int, **changes: Mapping[str, Any]) -> None:
        """
        Start over with other contacts, and set them up.

        Args:
            contacts: how many there are.
            changes: settings by the account's name; each account is new, so that no pause of an old one lasts.
        """
        new = {name: {account.identity: f"new-{uuid.uuid4().hex}"} for name, account in ACCOUNTS.items()}
        accounts = {name: {**identity, **changes.get(name, {})} for name, identity in new.items()}
        world = self.box.reset(contacts=contacts, seed=7, **accounts)
        for name in ACCOUNTS:
            for setting, value in account_settings(name, self.box.url, world.services[name].options()).items():
                self.setenv(setting, value)
        crm = load_crm(load_settings().crm)
        crm.ensure_fields()
        crm.close()

    def queue(self) -> int:
        """Return how many records wait."""
        return sum(count.records for count in self.warehouse.count_queue())

    def dispositions(self) -> dict[str, int]:
        """Return how many records ended in which way, over all runs."""
        with self.warehouse._reading() as session:
            rows = session._connection.execute(
                "SELECT disposition, count(*) AS records FROM record_ledger GROUP BY disposition"
            ).fetchall()
        return {row["disposition"]: row["records"] for row in rows}


@pytest.fixture
def without_server(tmp_path: Path) -> Iterator[None]:
    """Name no Prefect server, and let none be started: flows run in this process alone (see local.py)."""
    changes = {PREFECT_HOME: tmp_path / "prefect", PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False}
    with temporary_settings(changes, restore_defaults={PREFECT_API_URL}):
        yield


@pytest.fixture
def pipeline(
    request: pytest.FixtureRequest,
    shared_box: Box,
    make_warehouse: Callable[[str], Warehouse],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Pipeline]:
    """Give a pipeline over a new sandbox world, whose tables keep every promise at the end; on sqlite by default."""
    if "without_server" not in request.fixturenames:
        request.getfixturevalue("prepared_server")
    vendor = getattr(request, "param", "sqlite")
    warehouse = make_warehouse(vendor)
    settings = notifier_settings(shared_box.url, shared_box.smtp_port) | {
        "ENRICHMENT_WAREHOUSE": vendor,
        "ENRICHMENT_CHUNK_SIZE": "100",
        "ENRICHMENT_SALESFORCE_REQUESTS_PER_SECOND": "1000",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    made = Pipeline(shared_box, warehouse, monkeypatch.setenv)
    yield made
    if vendor in {"sqlite", "postgres"} and not made.tampered:  # elsewhere it takes seconds
        assert broken_promises(warehouse) == {}
