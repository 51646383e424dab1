"""What a run's summary says."""

import json
from dataclasses import asdict

import pytest

from enrichment.alerts import Cause
from enrichment.books import Books
from enrichment.causes import refused
from enrichment.match_rate import match_rate_of
from enrichment.records import Disposition, Stop
from enrichment.refusals import RefusedField
from enrichment.summary import (
    ProviderUse,
    RateUse,
    RunReport,
    cancelled_in_words,
    in_one_sentence,
    report_of,
    summary_lines,
    summary_markdown,
)

BOOKS = Books(
    12_345,
    345,
    {Disposition.WRITTEN: 9_000, Disposition.UNCHANGED: 600, Disposition.UNMATCHED: 2_400, Disposition.FAILED: 0},
)
ZOOMINFO = ProviderUse("zoominfo", {"matched": 9_600, "unmatched": 2_400}, 9_600.0, ["2026-09", "2027-03"], [], "r-1")
RATES = [RateUse("zoominfo", 25.0, 1.0, 0.984)]
HUNTER = ProviderUse("hunter", {"matched": 3}, 1.5, ["v2"])


REFUSED = RefusedField("industry", "not_an_option", 412, (("Mining", 400), ("Farming", 12)), 1_000)


def lines_of(books: Books, *providers: ProviderUse) -> dict[str, str]:
    return dict(summary_lines(RunReport("run", books, providers)))


@pytest.mark.parametrize(
    ("dispositions", "rate"),
    [
        ({}, None),
        (
            {Disposition.SKIPPED_FRESH: 5, Disposition.SUPPRESSED: 1, Disposition.INVALID: 2, Disposition.FAILED: 3},
            None,
        ),
        ({Disposition.UNMATCHED: 4}, 0.0),
        ({Disposition.WRITTEN: 4}, 1.0),
        ({Disposition.UNCHANGED: 4}, 1.0),
        ({Disposition.WRITTEN: 2, Disposition.UNCHANGED: 1, Disposition.UNMATCHED: 1, Disposition.INVALID: 9}, 0.75),
    ],
)
def test_the_match_rate_counts_those_who_were_looked_up(
    dispositions: dict[Disposition, int], rate: float | None
) -> None:
    """Skipped, suppressed, invalid and failed contacts say nothing about the provider's knowledge."""
    assert match_rate_of(dispositions) == rate


def test_the_summary_names_every_count_that_is_not_zero() -> None:
    """Claims, dispositions and returns are there, with separators; dispositions without a contact are left out."""
    lines = lines_of(BOOKS)
    assert lines["taken from the queue"] == "12,345"
    assert lines["written"] == "9,000"
    assert lines["returned to the queue"] == "345"
    assert "failed" not in lines
    assert "suppressed" not in lines


def test_the_summary_names_rates_credits_and_versions() -> None:
    """Match rate, failure rate, credits and the API versions seen are there."""
    lines = lines_of(BOOKS, ZOOMINFO)
    assert lines["match rate"] == "80.0%"
    assert lines["failure rate"] == "0.00%"
    assert lines["replies of zoominfo"] == "12,000 (9,600 credits)"
    assert lines["API version of zoominfo"] == "2026-09, 2027-03"
    assert "credits, all providers" not in lines


def test_each_provider_of_a_waterfall_has_its_own_costs() -> None:
    """Replies, credits and versions are shown by provider, and the credits of all of them together."""
    lines = lines_of(BOOKS, ZOOMINFO, HUNTER)
    assert (lines["replies of hunter"], lines["API version of hunter"]) == ("3 (1.5 credits)", "v2")
    assert lines["credits, all providers"] == "9,601.5"
    report = RunReport("run", BOOKS, [ZOOMINFO, HUNTER])
    assert (report.credits_by_provider, report.credits) == ({"zoominfo": 9_600.0, "hunter": 1.5}, 9_601.5)
    assert report.api_versions == ["2026-09", "2027-03", "v2"]


def test_a_run_without_lookups_says_so() -> None:
    """Nothing is divided by zero, and absent things are named as absent."""
    lines = lines_of(Books())
    assert lines["match rate"] == "no lookups"
    assert lines["replies of providers"] == "none"


@pytest.mark.parametrize(("claimed", "said"), [(0, "match"), (1, "DON'T MATCH")])
def test_the_summary_says_whether_the_books_balance(claimed: int, said: str) -> None:
    """Books that don't balance can't be overlooked."""
    assert lines_of(Books(claimed))["totals"] == said


@pytest.mark.parametrize("stop", ["", "ZoomInfo: no credits are left"])
def test_the_markdown_is_one_table_below_the_reason_of_a_stop(stop: str) -> None:
    """Each line of the summary is a row; a stop stands above the table."""
    why = Stop("quota_exhausted", stop) if stop else None
    text = summary_markdown(RunReport("run", BOOKS, [ZOOMINFO], stop=why))
    rows = text.splitlines()
    assert ("stopped early" in rows[2]) == bool(stop)
    assert (stop in rows[2]) or not stop
    assert "| written | 9,000 |" in rows
    assert rows.index("| --- | ---: |") == rows.index("| figure | value |") + 1


def test_contacts_that_other_runs_have_locked_are_counted() -> None:
    """The run took none of them: how many, and when they are free at the latest."""
    report = RunReport("r", Books(), locked=1200, locked_until="2026-11-28T12:00:00.000Z")
    said = dict(summary_lines(report))["locked by other runs"]
    assert said == "1,200, until 2026-11-28T12:00:00.000Z at the latest unless those runs go on"
    assert "locked by other runs" not in dict(summary_lines(RunReport("r", Books())))


def test_a_cancelled_run_says_where_its_contacts_are_and_how_to_go_on() -> None:
    """One sentence: how many have a result, how many wait, and what to do."""
    said = cancelled_in_words(Books(1200, 1000, {Disposition.WRITTEN: 150, Disposition.UNMATCHED: 50}))
    assert "200 contacts have a result, 1,000 went back to the queue" in said
    assert "run the same command again" in said


def test_the_summary_begins_with_a_sentence() -> None:
    """What was written of how many, how the others ended, and the cost; a run without contacts says that."""
    text = summary_markdown(RunReport("run", BOOKS, [ZOOMINFO], crm="hubspot"))
    assert text.startswith(
        f"**{in_one_sentence(RunReport('run', BOOKS, [ZOOMINFO], crm='hubspot'))}**\n\n| figure | value |\n"
    )
    books = Books(1200, 1000, {Disposition.WRITTEN: 150, Disposition.UNMATCHED: 49, Disposition.FAILED: 1})
    assert in_one_sentence(RunReport("run", books, [ProviderUse("hunter", {}, 9.5)], crm="hubspot")) == (
        "150 of 1,200 contacts written to hubspot (49 unmatched, 1 failed, 1,000 back in the queue), for 9.5 credits."
    )
    only = Books(1, 0, {Disposition.WRITTEN: 1})
    assert in_one_sentence(RunReport("run", only, crm="hubspot")) == "1 of 1 contact written to hubspot, for 0 credits."
    assert in_one_sentence(RunReport("run", Books())) == "No contact was taken from the queue."


def test_the_summary_names_failures_and_fields_with_links_and_commands() -> None:
    """Each cause with its first contacts, then each field that was not written; without a page, ids are no links."""
    causes = [Cause("status_500", "look_up", 2, ("101", "102"), "2026-01-01T10:00:00.000Z")]
    refusals = [RefusedField("industry", "not_an_option", 3)]
    report = RunReport("run", BOOKS, [ZOOMINFO], causes, crm="hubspot", refusals=refusals)
    lines = summary_markdown(report, "https://crm.example/{crm_id}").splitlines()
    where = lines.index("What failed or was not written:")
    assert lines[where + 2 :] == [
        "* 2 contacts failed at zoominfo: the provider answered 500 (status_500 at look_up)",
        "  * since 2026-01-01T10:00:00.000Z; contacts [101](https://crm.example/101), [102](https://crm.example/102)",
        "  * how to fix it: `enrich retry --cause status_500`",
        "* industry: 3 values not in hubspot's list",
        f"  * how to fix it: {refused('not_an_option', 'hubspot', 'industry').advice}",
    ]
    assert "; contacts 101, 102" in summary_markdown(report)


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ((), ("v1",), "v1"),
        (("v1",), ("v1",), "v1"),
        (("v1",), ("v2",), "v2 (last run: v1)"),
        (("v1",), ("v1", "v2"), "v1, v2 (last run: v1)"),
        (("v1", "v2"), ("v2",), "v2"),
        (("v1",), (), "none seen"),
    ],
)
def test_a_change_of_the_api_version_is_reported(before: tuple[str, ...], now: tuple[str, ...], said: str) -> None:
    """The summary names the version, and those of the last run if it is new; a version that goes away is not news."""
    use = ProviderUse("zoominfo", {"matched": 1}, api_versions=now, versions_before=before)
    assert lines_of(Books(), use)["API version of zoominfo"] == said
    assert use.version_changed == ("last run" in said)


@pytest.mark.parametrize("stop", [None, Stop("quota_exhausted", "no credits")])
def test_a_printed_report_can_be_read_back(stop: Stop | None) -> None:
    """What the command line prints as JSON is the whole report."""
    report = RunReport(
        "run", BOOKS, [ZOOMINFO], [Cause("bad", "store", 2, ("7",))], stop, 1, [REFUSED], "hubspot", RATES
    )
    assert report_of(json.loads(json.dumps(asdict(report)))) == report


@pytest.mark.parametrize(
    ("share", "window", "calls", "held_by"),
    [
        (0.984, 1.0, "98% of 25 calls per second", "the rate of zoominfo"),
        (0.9, 3600.0, "90% of 25 calls per hour", "the rate of zoominfo"),
        (0.55, 10.0, "55% of 25 calls per 10 seconds", "no rate limit"),
    ],
)
def test_the_summary_names_the_limit_that_held_the_run_back(
    share: float, window: float, calls: str, held_by: str
) -> None:
    """The most used rate is named with its window; one that wasn't used up held nothing back."""
    rates = [RateUse("hubspot", 100.0, 10.0, 0.31), RateUse("zoominfo", 25.0, window, share)]
    lines = dict(summary_lines(RunReport("run", BOOKS, rates=rates)))
    assert lines["rate used at hubspot"] == "31% of 100 calls per 10 seconds"
    assert (lines["rate used at zoominfo"], lines["held back by"]) == (calls, held_by)


def test_what_was_not_written_has_a_line_for_each_field() -> None:
    """Field, how many of the planned values, why, and the most frequent ones."""
    lines = dict(summary_lines(RunReport("run", BOOKS, refusals=[REFUSED], crm="hubspot")))
    assert lines["not written: industry"] == (
        "412 of 1,000 values not in hubspot's list; the most frequent: Mining (400), Farming (12)"
    )
