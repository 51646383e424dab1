"""What breaks at night, and what the doctor says of it."""

import shutil
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from blocks.warehouses.base import NewRecord, Warehouse
from sandbox.accounts import account_settings
from sandbox.server import Box
from sandbox.warehouses.base import free_port
from tasks.doctor import Finding, examine

LONG_AGO = "2026-01-01T00:00:00.000Z"


@pytest.fixture(params=["sqlite", "postgres"])
def warehouse(
    request: pytest.FixtureRequest, make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch
) -> Warehouse:
    monkeypatch.setenv("ENRICHMENT_WAREHOUSE", request.param)
    return make_warehouse(request.param)


def finding(system: str) -> Finding:
    """Return what the doctor says of a system."""
    return next(one for one in examine() if system in one.system)


def change(warehouse: Warehouse, statement: str) -> None:
    with warehouse._transaction() as session:
        session.execute(statement)


def ended(warehouse: Warehouse, at: str) -> None:
    """Leave a run that ended well."""
    change(
        warehouse,
        "INSERT INTO enrichment_runs (run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at,"
        f" finished_at) VALUES ('r', 'r', 'zoominfo', 'hubspot', '', 'closed', '{at}', '{at}', '{at}')",
    )


def test_all_is_well_in_a_new_warehouse(warehouse: Warehouse) -> None:
    """Nothing waits, nothing failed, and no run is not a problem."""
    assert finding("warehouse").well
    assert (finding("queue").well, finding("queue").says) == (True, "no live contact waits")
    assert (finding("runs").well, finding("runs").says) == (True, "no run has ended well yet")


def test_a_live_contact_that_waits_for_hours(warehouse: Warehouse) -> None:
    """It fails, says for how long and what to start; a contact of a paused queue or a postponed one isn't a problem."""
    warehouse.stage([NewRecord("hubspot", "501", None, "webhook", "live")])
    assert finding("queue").well
    change(warehouse, f"UPDATE enrichment_staging SET staged_at = '{LONG_AGO}'")
    found = finding("queue")
    assert not found.well
    assert "waited for" in found.says
    assert "worker" in found.says
    warehouse.pause_lane("live")
    assert finding("queue").well


def test_no_run_ended_well_while_contacts_wait(warehouse: Warehouse) -> None:
    """Without a contact that waits, an old run is not a problem."""
    ended(warehouse, LONG_AGO)
    assert finding("runs").well
    warehouse.stage([NewRecord("hubspot", "501", None, "webhook", "live")])
    assert not finding("runs").well
    assert LONG_AGO in finding("runs").says


def test_contacts_that_failed_lately(warehouse: Warehouse) -> None:
    """Those of the last day fail the check, with the commands; older ones are counted."""
    change(
        warehouse,
        "INSERT INTO failed_records (record_id, crm, object_type, crm_id, lane, source, step, reason, error, attempts,"
        " run_id, failed_at) VALUES ('1', 'hubspot', 'contact', '501', 'live', 'webhook', 'look_up', 'r', 'e', 1, 'r',"
        f" '{warehouse.now()}')",
    )
    found = finding("runs")
    assert not found.well
    assert "1 contact failed in the last 24 hours" in found.says
    assert "`enrich retry`" in found.says
    change(warehouse, f"UPDATE failed_records SET failed_at = '{LONG_AGO}'")
    assert finding("runs").well
    assert "1 failed contacts wait for a decision" in finding("runs").says


def test_a_warehouse_that_refuses_changes(
    make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch, postgres_dsn: str
) -> None:
    """It answers, as a replica would, but a run could keep nothing in it."""
    make_warehouse("postgres")
    monkeypatch.setenv("ENRICHMENT_WAREHOUSE", "postgres")
    read_only = f"{postgres_dsn}&options=-c%20default_transaction_read_only%3Don"
    monkeypatch.setenv("ENRICHMENT_POSTGRES_DSN", read_only)
    found = finding("warehouse")
    assert not found.well
    assert "read-only transaction" in found.says


def test_a_disk_that_is_almost_full(
    make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reported before a write fails."""
    make_warehouse("sqlite")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=12_000_000))
    assert not finding("warehouse").well
    assert "only 12 MB are free" in finding("warehouse").says


def test_one_cause_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warehouse that can't be reached is one line, whatever was to be read from it."""
    monkeypatch.setenv("ENRICHMENT_WAREHOUSE", "postgres")
    monkeypatch.setenv("ENRICHMENT_POSTGRES_DSN", "postgresql://u@127.0.0.1:9/x")
    found = [one for one in examine() if "PostgreSQL can't be reached" in one.says]
    assert [one.system for one in found] == ["warehouse postgres, queue, runs, locks"]


@pytest.mark.parametrize("trouble", ["closed", "another program"])
def test_a_listener_that_does_not_answer(
    make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch, box: Box, trouble: str
) -> None:
    """The address that HubSpot calls leads to no receiver."""
    make_warehouse("sqlite")
    url = f"http://127.0.0.1:{free_port()}" if trouble == "closed" else box.url
    monkeypatch.setenv("ENRICHMENT_HUBSPOT_TARGET_URL", f"{url}/no-webhook")
    found = finding("listener")
    assert not found.well
    assert "`enrich listen hubspot`" in found.says


def test_a_mapped_field_that_the_crm_lacks(
    make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch, box: Box
) -> None:
    """Before setup, HubSpot answers and lacks the pipeline's own properties."""
    make_warehouse("sqlite")
    world = box.reset(contacts=1, seed=7)
    for setting, value in account_settings("hubspot", box.url, world.services["hubspot"].options()).items():
        monkeypatch.setenv(setting, value)
    found = finding("crm hubspot")
    assert not found.well
    assert "has no contact field" in found.says
    assert "`enrich setup`" in found.says
