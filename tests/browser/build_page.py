"""A report with something in every section, to be looked at: `python -m tests.browser.build_page FILE`."""

import random
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from enrichment.comparisons import EditedField
from enrichment.profile import KeptProfile
from enrichment.promises import PROMISES, Verdict
from enrichment.refusals import RefusedField
from enrichment.report import (
    FieldChanges,
    FieldImpact,
    Fill,
    Matches,
    ReportCounts,
    RunsEnded,
    SourceMatches,
    Spent,
    Taken,
    WeekResults,
)
from enrichment.report_sections import report_of
from enrichment.review import CrmLook, FailureGroup, ResultCount, ResultShare, Review
from enrichment.unmatched import MistypedDomain, UnmatchedGroup
from reporting.page import render

SINCE, READ_AT = "2026-08-31", "2026-11-28T12:00:00.000Z"
WEEKS = [(date.fromisoformat(SINCE) + timedelta(weeks=week)).isoformat() for week in range(13)]
CHANCE = random.Random(7)
RATES = {
    "company_name": 0.99,
    "employee_count": 0.91,
    "industry": 0.88,
    "tech_stack": 0.55,
    "linkedin_url": 0.73,
    "intent_keywords": 0.31,
}
#: A provider's own words may be anything; the page shows them as text.
UGLY = "<script>document.title = 'owned'</script>"


def about(number: float) -> int:
    """Return a number near this one."""
    return int(number * CHANCE.uniform(0.85, 1.15))


def results() -> Iterator[WeekResults]:
    for at, week in enumerate(WEEKS):
        failed = 160 if at == 6 else 12
        ended = {"written": 900 + at * 20, "unchanged": 60, "unmatched": 390 - at * 9, "suppressed": 9}
        ended |= {"invalid": 40, "skipped_fresh": 80, "failed": failed}
        yield from (WeekResults(week, result, about(count)) for result, count in ended.items())


def spending(week: str, version: str) -> list[Spent]:
    return [
        Spent(week, "zoominfo", "matched", version, "EUR", 850, billed := float(about(850)), billed * 0.45),
        Spent(week, "zoominfo", "retryable", version, "EUR", about(20), 0.0, 0.0),
        Spent(week, "hunter", "matched", "v2", "EUR", 130, 130.0, 13.0),
    ]


def counts() -> ReportCounts:
    """Return what a warehouse would count."""
    return ReportCounts(
        results=list(results()),
        matches=[
            Matches(week, name, about(known), about(unknown))
            for week in WEEKS
            for name, known, unknown in (("zoominfo", 850, 450), ("hunter", 130, 320))
        ],
        sources=[SourceMatches("webhook", 9000, 4000), SourceMatches("backfill", 2000, 2300)],
        fill=[
            Fill(week, name, field, 800, int(800 * rate * CHANCE.uniform(0.95, 1)))
            for week in WEEKS
            for name in ("zoominfo", "hunter")
            for field, rate in RATES.items()
        ],
        spending=[one for week in WEEKS for one in spending(week, "2026-09" if week < WEEKS[9] else "2027-01")],
        latency=[
            Taken(week, "created", seconds, max(1, 400 - seconds))
            for week in WEEKS
            for seconds in range(20, about(300), 15)
        ],
        runs=[
            RunsEnded("closed", "", 2201, WEEKS[-1]),
            RunsEnded("closed", "credit_cap_reached", 4, WEEKS[3]),
            RunsEnded("failed", "credentials_rejected", 1, WEEKS[6]),
        ],
        written=[FieldChanges("industry", 5200, 31), FieldChanges("numberofemployees", 6100, 800)],
        impact=[
            FieldImpact("industry", 5300, 640, 5300),
            FieldImpact("numberofemployees", 6500, 2900, 6480),
            FieldImpact("enr_tech_stack", 4100, 0, 4100),
            FieldImpact("hs_linkedin_url", 5600, 1200, 5595),
        ],
        contacts=18_234,
    )


def review() -> Review:
    """Return what waits for people."""
    return Review(
        days=90,
        read_at=READ_AT,
        ended={},
        ended_before={},
        providers=[],
        contacts=0,
        filled={},
        latency={},
        unmatched=[UnmatchedGroup("unknown_company", UGLY, 812, 40, ("101000000501",), READ_AT)],
        failures=[
            FailureGroup("validation_error", "write_back", 160, 7, "101000000101"),
            FailureGroup(UGLY, "look_up", 12, 0, "101000000102"),
        ],
        waiting=40,
        mistyped=[MistypedDomain("gmial.com", "gmail.com", 12, "101000000501")],
        invalid=[ResultCount("", "invalid", "free_mail", 31, "101000000502")],
        shares=[ResultShare("queued by", "webhook", 812, 400, 31, 7), ResultShare("owner", UGLY, 40, 30, 0, 1)],
        look=CrmLook(1000, (), [EditedField("jobtitle", 400, 25, "101000000503")]),
        refusals=[RefusedField("industry", "not_an_option", 412, (("Mining", 400),)), RefusedField(UGLY, "no", 3, ())],
    )


def profiles() -> list[KeptProfile]:
    """Return what the CRM held at first, and holds now."""
    first = {"address free_mail": 120, "field industry": 300, f"field {UGLY}": 1}
    return [
        KeptProfile("hubspot", f"{SINCE}T00:00:00.000Z", 18_000, 2000, first),
        KeptProfile("hubspot", READ_AT, 18_234, 2000, first | {"field industry": 1900}),
    ]


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    verdicts = [Verdict(one.name, one.text, kept=True) for one in PROMISES]
    target.write_text(render(report_of(SINCE, counts(), review(), verdicts, profiles())), encoding="utf-8")
