"""Lists of single contacts, as rows with words."""

from dataclasses import replace

import pytest

from enrichment.lists import (
    FailedItem,
    QueuedItem,
    RefusedItem,
    causes_of,
    failed_rows,
    queued_rows,
    refused_rows,
    shown,
    unmatched_rows,
)
from enrichment.unmatched import NOTHING, Suggestion, UnmatchedItem

EARLY, LATE, NOW = "2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z", "2026-01-03T00:00:00.000Z"
PAGES = {"hubspot": "https://app.example/{crm_id}"}
FAILED = FailedItem("hubspot", "contact", "7", "write_back", "not_confirmed", "words", "r1", LATE, EARLY, 6, 2)
REFUSED = RefusedItem("salesforce", "contact", "8", "Industry", "not_an_option", None, "r1", LATE, EARLY)
UNMATCHED = UnmatchedItem("hubspot", "contact", "9", "NO_MATCH", "zoominfo", "r1", "a@gmial.com", EARLY, LATE)
QUEUED = QueuedItem("hubspot", "contact", "5", "live", "waiting", "webhook", 0, None, EARLY, None, None)


def test_a_failed_contact_has_its_history_its_cause_and_its_command() -> None:
    """With a link where the CRM's page is known; the command retries just this contact."""
    (row,) = failed_rows([FAILED], PAGES)
    assert (row["contact"], row["link"]) == ("7", "https://app.example/7")
    assert row["words"] == "hubspot didn't confirm the update"
    assert (row["attempts"], row["failures"], row["first_at"], row["last_at"]) == (6, 2, EARLY, LATE)
    assert row["command"] == "enrich retry 7"


def test_a_table_in_prefect_has_only_what_it_may_in_the_order_asked_for() -> None:
    """Neither the error nor a refused value, which may quote a contact; without a page the link is blank."""
    assert [list(row.items()) for row in shown(failed_rows([FAILED], PAGES), ["command", "link"])] == [
        [("contact", "7"), ("command", "enrich retry 7"), ("link", "https://app.example/7")]
    ]
    assert shown(refused_rows([REFUSED], PAGES), ["field", "link"]) == [
        {"contact": "8", "field": "Industry", "link": ""}
    ]


def test_a_field_that_was_not_written_has_its_cause_and_its_command() -> None:
    """A value that may not be kept is blank, and a CRM without pages has no link."""
    (row,) = refused_rows([REFUSED], PAGES)
    assert (row["field"], row["value"], row["link"]) == ("Industry", "", "")
    assert row["command"] == "enrich retry --field Industry"


def test_an_unmatched_contact_was_so_since_its_first_result() -> None:
    """The first time is never later than the last, nor absent."""
    typo = Suggestion("mistyped_domain", "gmail.com")
    first, second = unmatched_rows(
        [(UNMATCHED, NOTHING), (replace(UNMATCHED, last_at=LATE, first_at=None), typo)], PAGES
    )
    assert (first["first_at"], first["last_at"]) == (EARLY, EARLY)
    assert (second["first_at"], second["command"]) == (LATE, "enrich stage --ids 9")
    assert (first["cause"], first["likely_domain"], first["reason"]) == ("NO_MATCH", "", "NO_MATCH")
    assert (second["cause"], second["likely_domain"], second["reason"]) == ("mistyped_domain", "gmail.com", "NO_MATCH")
    assert "a@gmial.com" not in str((first, second))


def test_causes_are_explained_once_below_a_list() -> None:
    """The most frequent first, with what to do and the command for all of its contacts."""
    items = [FAILED, replace(FAILED, reason="validation_error"), replace(FAILED, reason="validation_error")]
    rows = failed_rows(items, {})
    first, second = causes_of(rows, "enrich retry --cause {cause}")
    assert first.startswith("2 contacts: validation_error: hubspot refuses the update as invalid; correct the field")
    assert first.endswith("then `enrich retry --cause validation_error`")
    assert second == (
        "1 contact: not_confirmed: hubspot didn't confirm the update; `enrich retry --cause not_confirmed`"
    )
    assert causes_of(failed_rows([FAILED], {}), "") == ["1 contact: not_confirmed: hubspot didn't confirm the update"]


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "waits"),
        ({"not_before": LATE}, "waits"),
        ({"not_before": "2026-01-04T00:00:00.000Z"}, "waits until 2026-01-04T00:00:00.000Z"),
        ({"run_id": "r1", "claim_expires_at": "2026-01-04T00:00:00.000Z"}, "locked by run r1"),
        ({"run_id": "r1", "claim_expires_at": LATE}, "its lock has ended, so the next run takes it"),
        ({"state": "enriched"}, "stored, the CRM lacks it; waits"),
    ],
)
def test_a_queued_contact_says_where_it_stands(changes: dict[str, str], state: str) -> None:
    """By the warehouse's clock."""
    (row,) = queued_rows([replace(QUEUED, **changes)], PAGES, NOW)
    assert row["state"] == state
