"""The views for analysts and the report made of them, on every warehouse."""

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.base import module_names
from blocks.providers.base import Reply
from blocks.warehouses.base import PlannedWrite, Warehouse
from enrichment.estimate import Price
from enrichment.profile import KeptProfile
from enrichment.records import Disposition, Finished, Found, OpenWrite, Outcome
from enrichment.report import FieldChanges, FieldImpact, Matches, ReportCounts, SourceMatches, Spent, first_week
from enrichment.write_policy import Change
from tests.contract.test_review import live_through_a_week
from tests.contract.test_warehouses import HUBSPOT, claim, found, open_run, stage
from tests.warehouses import look

DAY = 86_400
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "analytics.md").read_text()
QUESTIONS = re.findall(r"^## (.+?)\n.*?```sql\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
COLUMNS = re.compile(r"CREATE VIEW (?:IF NOT EXISTS )?(\w+) AS\nSELECT\n(.*?)\nFROM", re.DOTALL)
VIEWS = [table.name for table in runpy.run_path(str(ROOT / "scripts" / "docs_tables.py"))["views"]()]
#: What identifies or describes a person; company data and ids are no part of it.
PERSONAL = {"email_address", "lookup_identifier", "reply", "before", "after", "value", "error", "linkedin_url"}


@pytest.fixture(params=module_names("blocks.warehouses"))
def warehouse(request: pytest.FixtureRequest, make_warehouse: Callable[[str], Warehouse]) -> Warehouse:
    return make_warehouse(request.param)


def write_twice(warehouse: Warehouse) -> None:
    """Fill a blank field of one contact and replace another, in two runs; hunter didn't know who zoominfo knew."""
    for run, (before, after) in {"run-2": (None, "Mining"), "run-3": ("Mining", "Metals")}.items():
        open_run(warehouse, run)
        stage(warehouse, "7")
        mine = claim(warehouse, run, lane="live")
        knows = found(mine, received_at=f"{warehouse.now()[:17]}{run[-1].zfill(2)}.000Z")
        known = Found(mine.records[0], knows.enrichment, "key", "hunter unmatched,zoominfo matched", "firm.example")
        warehouse.store(mine, HUBSPOT, [known], [], provider="zoominfo")
        warehouse.plan_writes(mine, HUBSPOT, [PlannedWrite(known.record_id, "7", (Change("industry", before, after),))])
        held = ",industry,title," if before else ",title,"
        written = [Finished(known.record_id, Disposition.WRITTEN, step="write_back", filled_before=held)]
        warehouse.settle(mine, HUBSPOT, written, [OpenWrite("7", "industry", after, run)])
        warehouse.keep_replies("hunter", run, [Reply(run, Outcome.UNMATCHED, {}, credits=2.0, api_version="v2")])
        warehouse.count_usage(run)


def test_the_report_counts_what_the_tables_hold(warehouse: Warehouse) -> None:
    """Results, rates by provider and source, fields, credits with money, times, runs and writes."""
    live_through_a_week(warehouse)
    write_twice(warehouse)
    warehouse.note_prices({"zoominfo": Price(0.5, "EUR")})
    week = first_week(warehouse.now(), 0)
    counts = warehouse.report_counts(week, DAY)
    assert {(one.week, one.result, one.contacts) for one in counts.results} == {
        (week, "written", 3),
        (week, "unmatched", 2),
        (week, "failed", 1),
    }
    assert set(counts.matches) == {Matches(week, "hunter", 0, 2), Matches(week, "zoominfo", 2, 0)}
    assert set(counts.sources) == {SourceMatches("webhook", 1, 0), SourceMatches("manual", 2, 2)}
    filled = {(one.field, one.provider, one.week): (one.results, one.filled) for one in counts.fill}
    assert filled["company_name", "zoominfo", week] == (3, 3)
    assert filled["industry", "zoominfo", week] == filled["intent_keywords", "zoominfo", week] == (3, 0)
    assert filled["tech_stack", "zoominfo", week] == (3, 3)
    assert set(counts.spending) == {
        Spent(week, "zoominfo", "matched", "", "EUR", 1, 1.5, 0.75),
        Spent(week, "zoominfo", "unmatched", "", "EUR", 1, 0.0, 0.0),
        Spent(week, "zoominfo", "retryable", "", "EUR", 1, 0.0, 0.0),
        Spent(week, "hunter", "unmatched", "v2", None, 2, 4.0, None),
    }
    assert sum(one.records for one in counts.latency if one.begun == "staged") == 3
    assert [one.seconds >= 89 for one in counts.latency if one.begun == "created"] == [True]
    assert sum(one.runs for one in counts.runs) == 3
    assert counts.written == (FieldChanges("industry", 1, 1),)
    assert warehouse.matched_domains() == {"firm.example": 2}
    assert counts.impact == (FieldImpact("industry", 1, 0, 1),)
    assert counts.contacts == 5
    later = warehouse.report_counts("2100-01-04", DAY)
    assert later == ReportCounts(impact=counts.impact, contacts=counts.contacts)


def test_a_price_holds_from_when_it_was_noted(warehouse: Warehouse) -> None:
    """The first one holds for what was spent before, and the same one again changes nothing."""
    warehouse.keep_replies("zoominfo", "run-1", [Reply("k", Outcome.MATCHED, {}, credits=2.0)])
    warehouse.note_prices({"zoominfo": Price(0.5, "EUR"), "hunter": Price(1.0, "USD")})
    ((spent, cost),) = look(warehouse, "SELECT credits, cost FROM spending")
    assert (float(spent), float(cost)) == (2.0, 1.0)
    for amount in (0.5, 0.75):
        warehouse.note_prices({"zoominfo": Price(amount, "EUR"), "hunter": Price(1.0, "USD")})
    kept = "SELECT provider, price, CASE WHEN valid_until IS NULL THEN 1 ELSE 0 END AS present FROM credit_prices"
    assert {(name, float(price), int(now)) for name, price, now in look(warehouse, kept)} == {
        ("zoominfo", 0.5, 0),
        ("zoominfo", 0.75, 1),
        ("hunter", 1.0, 1),
    }


def test_an_erased_contact_leaves_no_domain(warehouse: Warehouse) -> None:
    """What it cost and how it ended stays."""
    write_twice(warehouse)
    domains = "SELECT email_domain, matched FROM contact_results"
    assert {tuple(row) for row in look(warehouse, domains)} == {("firm.example", 1)}
    warehouse.erase(HUBSPOT, "7")
    assert [(domain, int(matched)) for domain, matched in look(warehouse, domains)] == [(None, 1), (None, 1)]


def test_the_questions_of_the_page_are_answered(warehouse: Warehouse) -> None:
    """Each statement runs as it stands, and every one has an answer here."""
    live_through_a_week(warehouse)
    write_twice(warehouse)
    warehouse.note_prices({"zoominfo": Price(0.5, "EUR"), "hunter": Price(0.1, "EUR")})
    assert len(QUESTIONS) == 10
    unanswered = [question for question, statement in QUESTIONS if not look(warehouse, statement.rstrip().rstrip(";"))]
    assert unanswered == []


def test_views_hold_nothing_of_a_person(warehouse: Warehouse) -> None:
    """So that they may be granted to analysts: neither the columns, nor what is in them."""
    live_through_a_week(warehouse)
    write_twice(warehouse)
    views = dict(COLUMNS.findall(_views(warehouse)))
    assert list(views) == VIEWS
    for name, columns in views.items():
        shown = set(re.findall(r"(\w+),?(?: --.*)?$", columns, re.MULTILINE))
        assert not shown & PERSONAL, name
        names = ", ".join(re.findall(r"(?:\bAS |^    \w\.)(\w+)(?=,?(?: --.*)?$)", columns, re.MULTILINE))
        assert "a@b.example" not in str(look(warehouse, f"SELECT {names} FROM {name}")), name


def _views(warehouse: Warehouse) -> str:
    return "\n".join(text for name, text in warehouse.sql.migrations.items() if "views" in name)


def test_the_first_and_the_latest_profile_of_a_crm_are_kept(warehouse: Warehouse) -> None:
    """With their counts; one in between is no part of the comparison."""
    at = ("2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z")
    kept = [KeptProfile("hubspot", moment, 100, 10, {"field city": place}) for place, moment in enumerate(at)]
    assert warehouse.read_profiles() == []
    for one in (*kept, KeptProfile("file", at[1], 2, 2, {})):
        warehouse.keep_profile(one)
    assert warehouse.read_profiles() == [KeptProfile("file", at[1], 2, 2, {}), kept[0], kept[2]]
