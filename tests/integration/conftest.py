"""A Prefect server for the session, and a sandbox with a set-up pipeline for each test."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from prefect.testing.utilities import prefect_test_harness

from blocks.warehouses.base import Warehouse
from sandbox.server import Box, running
from tasks.setup import set_up


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Give a real Prefect server with an empty database."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def shared_box() -> Iterator[Box]:
    """Start the stand-ins once; every test gets a new world in them."""
    with running(contacts=10, seed=7) as box:
        yield box


@dataclass
class Pipeline:
    """A pipeline against the sandbox."""

    box: Box
    warehouse: Warehouse
    setenv: Callable[[str, str], None]

    def new_world(self, contacts: int) -> None:
        """Start over with other contacts, and set them up; the accounts are new, so that no pause of old ones lasts."""
        token, client = f"token-{uuid.uuid4().hex}", f"client-{uuid.uuid4().hex}"
        self.box.reset(contacts=contacts, seed=7, hubspot={"token": token}, zoominfo={"client_id": client})
        self.setenv("ENRICHMENT_HUBSPOT_ACCESS_TOKEN", token)
        self.setenv("ENRICHMENT_ZOOMINFO_CLIENT_ID", client)
        set_up(save=False, runs=4)

    def queue(self) -> int:
        """Return how many records wait."""
        return sum(row["records"] for row in self.warehouse.query("count_queue"))

    def dispositions(self) -> dict[str, int]:
        """Return how many records ended in which way, over all runs."""
        with self.warehouse.reading() as session:
            rows = session._connection.execute(
                "SELECT disposition, count(*) AS records FROM record_ledger GROUP BY disposition"
            ).fetchall()
        return {row["disposition"]: row["records"] for row in rows}


@pytest.fixture
def pipeline(
    request: pytest.FixtureRequest,
    prefect_server: None,
    shared_box: Box,
    make_warehouse: Callable[[str], Warehouse],
    monkeypatch: pytest.MonkeyPatch,
) -> Pipeline:
    """Give a pipeline over a new sandbox world; the parameter is the warehouse, sqlite by default."""
    vendor = getattr(request, "param", "sqlite")
    warehouse = make_warehouse(vendor)
    settings = {
        "ENRICHMENT_WAREHOUSE": vendor,
        "ENRICHMENT_HUBSPOT_BASE_URL": shared_box.hubspot_url,
        "ENRICHMENT_ZOOMINFO_BASE_URL": shared_box.zoominfo_url,
        "ENRICHMENT_ZOOMINFO_CLIENT_SECRET": "sandbox-secret",
        "ENRICHMENT_NOTIFIERS": "slack, email",
        "ENRICHMENT_SLACK_WEBHOOK_URL": shared_box.slack_url,
        "ENRICHMENT_EMAIL_HOST": "127.0.0.1",
        "ENRICHMENT_EMAIL_PORT": str(shared_box.smtp_port),
        "ENRICHMENT_EMAIL_SECURITY": "none",
        "ENRICHMENT_EMAIL_SENDER": "enrich@demo.example",
        "ENRICHMENT_EMAIL_RECIPIENTS": "revops@demo.example",
        "ENRICHMENT_CHUNK_SIZE": "100",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return Pipeline(shared_box, warehouse, monkeypatch.setenv)
