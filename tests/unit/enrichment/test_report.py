"""What the report says."""

import pytest

from enrichment.comparisons import EditedField
from enrichment.profile import KeptProfile
from enrichment.promises import Breach, Verdict
from enrichment.refusals import RefusedField
from enrichment.report import (
    FREE,
    FieldChanges,
    FieldImpact,
    Fill,
    Matches,
    Report,
    ReportCounts,
    RunsEnded,
    Section,
    SourceMatches,
    Spent,
    Taken,
    WeekResults,
    first_week,
)
from enrichment.report_sections import report_of
from enrichment.review import CrmLook, FailureGroup, ResultCount, ResultShare, Review
from enrichment.unmatched import MistypedDomain, UnmatchedGroup

FIRST, SECOND, THIRD = "2026-11-09", "2026-11-16", "2026-11-23"
COUNTS = ReportCounts(
    results=[
        WeekResults(FIRST, "written", 60),
        WeekResults(THIRD, "unchanged", 20),
        WeekResults(THIRD, "unmatched", 20),
        WeekResults(THIRD, "failed", 5),
    ],
    matches=[Matches(FIRST, "zoominfo", 60, 0), Matches(THIRD, "zoominfo", 10, 30), Matches(THIRD, "hunter", 0, 0)],
    sources=[SourceMatches("webhook", 70, 20), SourceMatches("backfill", 10, 0)],
    fill=[
        Fill(FIRST, "zoominfo", "industry", 60, 45),
        Fill(THIRD, "hunter", "industry", 20, 5),
        Fill(THIRD, "hunter", "tech_stack", 20, 0),
    ],
    spending=[
        Spent(FIRST, "zoominfo", "matched", "v1", "EUR", 60, 60.0, 30.0),
        Spent(THIRD, "zoominfo", "matched", "v2", "EUR", 10, 10.0, 5.0),
        Spent(THIRD, "hunter", "matched", "", None, 10, 30.0, None),
        Spent(THIRD, "hunter", "retryable", "", None, 7, 0.0, None),
    ],
    latency=[Taken(FIRST, "created", 60, 9), Taken(THIRD, "created", 600, 1), Taken(THIRD, "staged", 5, 10)],
    runs=[RunsEnded("closed", "", 40, THIRD), RunsEnded("closed", "credit_cap_reached", 2, FIRST)],
    written=[FieldChanges("industry", 40, 2)],
    impact=[FieldImpact("industry", 50, 10, 50), FieldImpact("size", 10, 0, 5)],
    contacts=105,
)
REVIEW = Review(
    days=14,
    read_at="2026-11-28T12:00:00.000Z",
    ended={},
    ended_before={},
    providers=[],
    contacts=0,
    filled={},
    latency={},
    unmatched=[UnmatchedGroup("mistyped_domain", "zoominfo", 20, 4, ("501",), "2026-11-10T00:00:00.000Z")],
    failures=[FailureGroup("timeout", "look_up", 5, 4, "502")],
    waiting=0,
    mistyped=[MistypedDomain("gmial.com", "gmail.com", 20, "501")],
    invalid=[ResultCount("", "invalid", "free_mail", 3, "504")],
    shares=[ResultShare("owner", "7", 10, 3, 0, 0), ResultShare("owner", "8", 9, 9, 0, 0)],
    look=CrmLook(50, (), [EditedField("jobtitle", 40, 10, "503")]),
    refusals=[RefusedField("industry", "not_an_option", 3, (("Mining", 3),))],
)
NOTHING = Review(14, REVIEW.read_at, {}, {}, [], 0, {}, {}, [], [], 0)


@pytest.fixture(scope="module")
def full() -> Report:
    return report_of(FIRST, COUNTS, REVIEW)


def section(report: Report, key: str) -> Section:
    return next(one for one in report.sections if one.key == key)


def test_a_report_begins_on_a_monday() -> None:
    """Weeks are whole, but for the last one."""
    assert first_week("2026-11-28T12:00:00.000Z", 14) == FIRST
    assert first_week("2026-11-23T00:00:00.000Z", 7) == SECOND


def test_the_figures_come_first(full: Report) -> None:
    """Seven of them; the match rate is known of known and unmatched, and failed contacts are no part of it."""
    assert full.title == "Contact enrichment, 2026-11-09 to 2026-11-28"
    assert dict(full.figures) == {
        "contacts finished": "105",
        "contacts looked up": "100",
        "match rate": "80.0%",
        "credits": "100",
        "cost": "35.00 EUR",
        "written within (95%)": "10 min",
        "failed contacts that wait": "4",
    }


def test_every_section_means_something_and_leads_on(full: Report) -> None:
    """A sentence with the figures, and a command with its price."""
    assert all(one.says and one.steps for one in full.sections)
    assert {step.price for one in full.sections for step in one.steps} == {
        FREE,
        "at most about 5 credits; nothing where the reply is saved",  # 4 waiting, at 1.25 an answer
    }
    charts = [chart for one in full.sections for chart in one.charts]
    assert all(chart.title and chart.alt and chart.points for chart in charts)
    assert {chart.places[0] for chart in charts} == {FIRST, "industry"}
    assert len({one.key for one in full.sections}) == len(full.sections) == 9


def test_rates_are_by_week_provider_and_source(full: Report) -> None:
    """A week without a lookup has no point, and is on the axis all the same."""
    found = section(full, "match-rate")
    (chart,) = found.charts
    assert [(point.x, point.series, point.value) for point in chart.points] == [
        (FIRST, "zoominfo", 1.0),
        (THIRD, "zoominfo", 0.25),
    ]
    assert chart.places == [FIRST, SECOND, THIRD]
    by_provider, by_source = (table.rows for table in found.tables)
    assert list(by_provider) == [("hunter", "0", "0", "none yet"), ("zoominfo", "100", "70", "70.0%")]
    assert list(by_source) == [("backfill", "10", "10", "100.0%"), ("webhook", "90", "70", "77.8%")]


def test_fill_rates_are_by_week_field_and_provider(full: Report) -> None:
    """Of a provider without results nothing is said."""
    found = section(full, "fill-rate")
    assert list(found.tables[0].rows) == [("industry", "25.0%", "75.0%"), ("tech stack", "0.0%", "none yet")]
    assert {(point.x, point.series, point.value) for point in found.charts[0].points} == {
        (FIRST, "industry", 0.75),
        (THIRD, "industry", 0.25),
        (THIRD, "tech stack", 0.0),
    }


def test_a_field_costs_what_everything_cost_divided_by_its_values(full: Report) -> None:
    """In credits and in money; a field that no contact has has no price."""
    found = section(full, "cost")
    assert list(found.tables[0].rows) == [("industry", "50", "2.00", "0.700 EUR")]
    assert "100 credits, which cost 35.00 EUR" in found.says
    assert [step.command for step in found.steps] == ["enrich backfill --estimate"]


def test_without_prices_the_setting_is_named() -> None:
    """Credits alone say nothing to who pays."""
    spending = [Spent(FIRST, "hunter", "matched", "", None, 10, 30.0, None)]
    found = section(report_of(FIRST, ReportCounts(spending=spending, fill=COUNTS.fill), NOTHING), "cost")
    assert "ENRICHMENT_PRICE_BOOK" in found.steps[-1].does
    assert found.tables[0].rows[0][-1] == "no price set"


def test_the_time_until_written_is_by_week(full: Report) -> None:
    """From creation where that is known, in minutes."""
    found = section(full, "latency")
    assert [(point.x, point.value) for point in found.charts[0].points] == [
        (FIRST, 1.0),
        (FIRST, 1.0),
        (THIRD, 10.0),
        (THIRD, 10.0),
    ]
    assert "half of 10 live contacts took at most 1 min, and 95% at most 10 min" in found.says


def test_failures_and_refusals_have_their_causes(full: Report) -> None:
    """In words, with an example's id."""
    failed, refused = (table.rows for table in section(full, "failures").tables)
    assert list(failed) == [
        ("the provider gave no usable reply", "5", "4", "enrich why 502", "enrich retry --cause timeout")
    ]
    assert list(refused) == [("industry", "not in the CRM's list", "3", "enrich retry --field industry")]


def test_unmatched_contacts_are_by_cause(full: Report) -> None:
    """With the oldest, an example and what to do; then mistyped domains, sources, owners, and what people changed."""
    table, mistyped, invalid, shares, edited = section(full, "unmatched").tables
    assert [row[:6] for row in table.rows] == [
        ["the domain of the address looks mistyped", "zoominfo", "20", "4", "2026-11-10", "enrich why 501"]
    ]
    assert table.rows[0][6].endswith("lists them), then enrich stage --csv unmatched.csv")
    assert list(mistyped.rows) == [("gmial.com", "gmail.com", "20", "enrich why 501")]
    assert [row[0] for row in invalid.rows] == ["the address is private, such as at gmail.com"]
    assert list(shares.rows) == [("owner", "7", "10", "30%", "3", "0", "0")]
    assert list(edited.rows) == [("jobtitle", "40", "10 (25%)", "enrich why 503")]


def test_versions_limits_and_stops_are_shown(full: Report) -> None:
    """When a provider changed its version, how often it said to wait, and how runs ended."""
    found = section(full, "operations")
    versions, runs = (table.rows for table in found.tables)
    assert list(versions) == [
        ("hunter", "none given", "17", THIRD, THIRD),
        ("zoominfo", "v1", "60", FIRST, FIRST),
        ("zoominfo", "v2", "10", THIRD, THIRD),
    ]
    assert list(runs)[1] == ("closed", "credit cap reached", "2", FIRST)
    assert "Runs: 42, of which 2 ended early" in found.says
    assert "limit: 7; those contacts" in found.says


def test_broken_promises_come_first() -> None:
    """The audit's verdicts stand in the report: which promises are kept, and what broke the others."""
    breach = Breach("two_results", "A queued contact ends once.", 2, ("7",))
    verdicts = [
        Verdict("totals_match", "The totals match.", kept=True),
        Verdict("nothing_lost", "Nothing is lost.", kept=False, breaches=(breach,)),
    ]
    found = section(report_of(FIRST, ReportCounts(), NOTHING, verdicts), "audit")
    assert found.says.startswith("1 of 2 promises are kept")
    assert found.tables[0].rows == [
        ("Nothing is lost.", "broken", "2 x A queued contact ends once."),
        ("The totals match.", "kept", ""),
    ]


def test_the_impact_is_before_our_first_write_and_now(full: Report) -> None:
    """The field that gained the most comes first; what was written in this time is counted beside it."""
    found = section(full, "impact")
    assert list(found.tables[0].rows) == [
        ("industry", "50", "20.0%", "100.0%", "40", "2"),
        ("size", "10", "0.0%", "50.0%", "0", "0"),
    ]
    assert found.charts[0].alt == "industry: 20.0% before, 100.0% now; size: 0.0% before, 50.0% now"


def test_an_empty_warehouse_has_a_report_too() -> None:
    """Nothing is divided by nothing, and no chart is empty but for the weeks themselves."""
    empty = report_of(FIRST, ReportCounts(), NOTHING)
    assert dict(empty.figures)["written within (95%)"] == "none yet"
    assert section(empty, "results").says == "No contact has been finished yet."
    assert not any(table.rows for one in empty.sections for table in one.tables)
    assert not any(chart.points for one in empty.sections for chart in one.charts)
    queued = report_of(FIRST, ReportCounts(latency=[Taken(FIRST, "staged", 30, 2)]), NOTHING)
    assert "From queued to written, half of 2 live contacts" in section(queued, "latency").says


def test_a_profile_of_the_crm_is_shown_where_there_is_one() -> None:
    """Behind the impact, which is about the contacts that were enriched only."""
    kept = KeptProfile("hubspot", REVIEW.read_at, 10, 10, {"field industry": 4})
    assert [one.key for one in report_of(FIRST, COUNTS, REVIEW, (), [kept]).sections][:3] == [
        "impact",
        "profile",
        "results",
    ]
