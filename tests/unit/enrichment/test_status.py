"""Where the pipeline stands, and what needs attention."""

from dataclasses import replace

import pytest

from enrichment.status import (
    Answer,
    CreditStatus,
    LaneStatus,
    LockStatus,
    RunStatus,
    Status,
    attention,
    status_lines,
)

NOW, MINUTES_AGO, DAYS_AGO = "2026-01-10T12:00:00.000Z", "2026-01-10T11:50:00.000Z", "2026-01-05T12:00:00.000Z"
WELL = Status(NOW, None, MINUTES_AGO, 0, 0)
LOCK = LockStatus("r1", "enrich contacts", 20, MINUTES_AGO, "2026-01-10T12:05:00.000Z", NOW)
RUN = RunStatus("r1", "enrich contacts", "zoominfo", "hubspot", "", "open", MINUTES_AGO, None, 20, 0, None, None, None)
FULL = replace(
    WELL,
    failed=5,
    failed_lately=2,
    lanes=[LaneStatus("live", 20, 20, MINUTES_AGO), LaneStatus("backfill", 3, 0, DAYS_AGO)],
    paused={"backfill": DAYS_AGO},
    locks=[LOCK],
    runs=[RUN, replace(RUN, state="failed", stop_kind="quota_exhausted", credits=7.5, claimed=9, returned=2)],
    credits=[CreditStatus("zoominfo", 1_200.0, 5_000.0), CreditStatus("hunter", 3.0, None)],
    systems=[Answer("prefect", True, "the server answers")],
)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (WELL, ""),
        (replace(WELL, good_at=None), ""),
        (replace(WELL, oldest_at=MINUTES_AGO), ""),
        (replace(WELL, oldest_at="2026-01-10T10:30:00.000Z"), "has waited for 1 h 30 min"),
        (replace(WELL, oldest_at=MINUTES_AGO, good_at=DAYS_AGO), f"did so at {DAYS_AGO}"),
        (replace(WELL, failed=9, failed_lately=0), ""),
        (replace(WELL, failed=9, failed_lately=2), "2 contacts failed in the last 24 hours"),
        (replace(WELL, locks=[replace(LOCK, seen_at="2026-01-10T11:58:00.000Z")]), ""),
        (replace(WELL, locks=[LOCK]), "no sign of life for 10 min"),
        (replace(WELL, locks=[LOCK], lease_seconds=3_600), ""),
        (replace(WELL, credits=[CreditStatus("zoominfo", 5.0, None)]), ""),
        (replace(WELL, credits=[CreditStatus("zoominfo", 4.0, 5.0)]), ""),
        (replace(WELL, credits=[CreditStatus("zoominfo", 5.0, 5.0)]), "zoominfo has used up its 5 credits"),
        (replace(WELL, systems=[Answer("prefect", True, "fine")]), ""),
        (replace(WELL, systems=[Answer("prefect", False, "no worker")]), "prefect: no worker"),
    ],
)
def test_what_needs_attention_is_said_with_what_to_do(status: Status, words: str) -> None:
    """One sentence for each trouble, and none for what is as it should be."""
    found = attention(status)
    assert len(found) == bool(words)
    assert words in "".join(found)


def test_a_plan_that_waits_for_approval_needs_attention() -> None:
    """A person has to decide, and is led to the list."""
    assert attention(replace(WELL, plans=2)) == [
        "plans that wait for a person's approval: 2; `enrich apply` lists them"
    ]


def test_the_status_is_one_screen() -> None:
    """Queue, locks, runs, failures, credits and systems, each in its line."""
    assert status_lines(FULL) == [
        ("live queue", "20 contacts, 20 of them locked, the oldest for 10 min"),
        ("backfill queue", f"3 contacts, the oldest for 5 d; paused since {DAYS_AGO}"),
        ("locked by enrich contacts", "20 contacts, seen 10 min ago"),
        ("runs today", "2, 1 of them at work"),
        ("  11:50 enrich contacts", "at work: 20 taken, 0 returned, 0 credits"),
        ("  11:50 enrich contacts", "failed, quota exhausted: 9 taken, 2 returned, 7.5 credits"),
        ("last run that ended well", "10 min ago"),
        ("failed contacts", "5, 2 of them in the last 24 hours"),
        ("credits of zoominfo today", "1,200 of 5,000"),
        ("credits of hunter today", "3"),
        ("prefect", "the server answers"),
    ]


def test_an_empty_pipeline_has_a_status() -> None:
    """Nothing is divided by zero, and absent things are named as absent."""
    assert status_lines(replace(WELL, good_at=None)) == [
        ("live queue", "empty"),
        ("backfill queue", "empty"),
        ("runs today", "none"),
        ("last run that ended well", "none yet"),
        ("failed contacts", "0, 0 of them in the last 24 hours"),
    ]
