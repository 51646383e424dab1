"""The commands `erase`, `why`, `review` and `cleanup` on a real warehouse; they need no Prefect."""

import json
from collections.abc import Callable

import pytest
from click.testing import Result
from typer.testing import CliRunner

import cli
from blocks.warehouses.base import NewRecord, RunStart, Warehouse
from enrichment.records import Disposition, Finished, Origin, Unmatched

HUBSPOT = Origin("hubspot")


@pytest.fixture
def warehouse(make_warehouse: Callable[[str], Warehouse]) -> Warehouse:
    """Give a warehouse in which two contacts ended as unmatched."""
    warehouse = make_warehouse("sqlite")
    warehouse.open_run(RunStart("run-1", "a run", "zoominfo", "hubspot", ""), lease_seconds=600)
    warehouse.stage([NewRecord("hubspot", crm_id, "zoe@acme.example", "manual", "live") for crm_id in ("501", "502")])
    claim = warehouse.claim("run-1", origin=HUBSPOT, lane="", limit=9, lease_seconds=600, make_token=lambda: "token")
    misses = [Unmatched(one.record_id, one.crm_id, "zoe@acme.example", "NO_MATCH") for one in claim.records]
    warehouse.store(claim, HUBSPOT, [], misses, provider="zoominfo")
    ends = [Finished(one.record_id, Disposition.UNMATCHED, "NO_MATCH") for one in claim.records]
    warehouse.settle(claim, HUBSPOT, ends, [])
    return warehouse


def enrich(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(cli.app, arguments, input=answer)


def story(crm_id: str) -> list[str]:
    return [line["what"] for line in json.loads(enrich("why", crm_id, "--json").stdout)["items"]]


def test_an_erased_contact_has_only_that_to_tell(warehouse: Warehouse) -> None:
    """The counts are printed, the story is one line, and the other contact's is as long as before."""
    before = story("502")
    printed = enrich("erase", "501", "--yes", "--json")
    assert printed.exit_code == 0
    assert json.loads(printed.stdout)["unmatched_records"] == 1
    assert story("501") == ["erased; the contact is never looked up again"]
    assert story("502") == before
    assert len(before) > 2


def test_erasing_asks_first(warehouse: Warehouse) -> None:
    """No, and nothing happens; yes, and it is done."""
    assert enrich("erase", "501", answer="n\n").exit_code == 1
    assert len(story("501")) > 1
    said = enrich("erase", "501", answer="y\n")
    assert said.exit_code == 0
    assert "Erase contact 501 of hubspot permanently?" in said.stderr
    assert "unmatched_records" in said.stdout
    assert len(story("501")) == 1


def test_an_unknown_contact_is_suppressed_by_its_id(warehouse: Warehouse) -> None:
    """There is nothing to remove, and the story says what was asked for."""
    erased = json.loads(enrich("erase", "900", "--yes", "--json").stdout)
    assert erased.pop("format_version") == 1
    assert set(erased.values()) == {0}
    assert story("900") == ["erased; the contact is never looked up again"]


def test_a_crm_that_does_not_exist_is_named(warehouse: Warehouse) -> None:
    """A typing error erases and suppresses nothing."""
    said = enrich("erase", "501", "--crm", "hubsopt", "--yes")
    assert said.exit_code == 2
    assert "unknown crm 'hubsopt': choose one of file, hubspot, salesforce" in said.stderr


def test_the_review_shows_and_marks(warehouse: Warehouse) -> None:
    """What was shown counts as reviewed once a user says so, and never shows personal data."""
    shown = enrich("review")
    assert shown.exit_code == 0
    assert "unknown_company" in shown.stdout
    assert "zoe" not in shown.stdout
    marked = enrich("review", "--mark", "--json")
    assert [group["records"] for group in json.loads(marked.stdout)["unmatched"]] == [2]
    assert "2 unmatched contacts marked as reviewed" in marked.stderr
    assert json.loads(enrich("review", "--days", "1", "--json").stdout)["unmatched"] == []


def test_the_cleanup_deletes_only_when_asked_to(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself it counts what is older than the settings; without a server Prefect's runs are none of its business."""
    with warehouse._transaction() as session:
        session.execute("UPDATE unmatched_records SET reviewed_at = '2020-01-01T00:00:00.000Z' WHERE crm_id = '501'")
    counted = enrich("cleanup")
    assert counted.exit_code == 0
    assert "run `enrich cleanup --yes`" in counted.stderr
    assert json.loads(enrich("cleanup", "--json").stdout)["unmatched_records"] == 1
    deleted = json.loads(enrich("cleanup", "--yes", "--json").stdout)
    assert {table: count for table, count in deleted.items() if count} == {"format_version": 1, "unmatched_records": 1}
    assert "enrichment_history" not in deleted
    monkeypatch.setenv("ENRICHMENT_KEEP_RESULTS_DAYS", "0")
    assert "unmatched_records" not in json.loads(enrich("cleanup", "--json").stdout)
    assert len(story("502")) > len(story("501"))
