"""One contact's story, in order of time."""

from dataclasses import replace
from typing import Any

import pytest

from enrichment.records import Enrichment
from enrichment.story import (
    Allowance,
    EndedContact,
    FailedContact,
    FieldRefusal,
    FieldWrite,
    Policy,
    ProviderAnswer,
    QueuedContact,
    Story,
    StoryLine,
    Suppression,
    UnmatchedContact,
    tell_story,
)
from enrichment.write_policy import FieldRule, Rule

STAGED = QueuedContact(
    crm="hubspot",
    staged_at="2026-01-01T10:00:00.000Z",
    source="webhook",
    lane="live",
    processed_at=None,
    state="waiting",
    attempts=0,
    not_before=None,
)
LEDGER = EndedContact(
    request_key="key-1",
    crm="hubspot",
    staged_at="2026-01-01T10:00:00.000Z",
    source="webhook",
    lane="live",
    contact_created_at=None,
    disposition="written",
    reason="",
    attempts=1,
    finished_at="2026-01-01T10:01:00.000Z",
    run_id="r1",
)
REPLY = ProviderAnswer(
    request_id=None,
    provider="zoominfo",
    outcome="matched",
    credits=1.0,
    api_version="2026-09",
    run_id="r1",
    received_at="2026-01-01T10:00:30.000Z",
)
UNMATCHED = UnmatchedContact(
    crm="hubspot",
    provider="zoominfo",
    reason="no_match",
    unmatched_at="2026-01-01T10:00:40.000Z",
    reviewed_at=None,
)
WRITE = FieldWrite(
    crm="hubspot",
    run_id="r1",
    field="industry",
    before=None,
    after="Software",
    planned_at="2026-01-01T10:00:45.000Z",
    written_at=None,
    reverted_at=None,
)
REFUSAL = FieldRefusal("hubspot", "industry", "not_an_option", "Mining", "r1", "2026-01-01T10:00:47.000Z")
FAILURE = FailedContact(
    crm="hubspot",
    step="write_back",
    reason="bad_value",
    error="the field takes no text",
    failed_at="2026-01-01T10:00:50.000Z",
    replayed_at=None,
)

SUPPRESSION = Suppression("hubspot", "erased", "2026-01-06T10:00:00.000Z")

FILED = "filed as unmatched at zoominfo: the provider doesn't know the contact (no_match)"
FAILED = "failed at write_back: hubspot refuses the update (bad_value): the field takes no text; "


@pytest.mark.parametrize(
    ("table", "row", "lines"),
    [
        ("suppressions", SUPPRESSION, ["erased; the contact is never looked up again"]),
        ("suppressions", replace(SUPPRESSION, reason="opt_out"), ["put on the suppression list: opt_out"]),
        (
            "allowances",
            Allowance("hubspot", "ada", "2026-01-07T10:00:00.000Z"),
            ["taken off the suppression list by ada"],
        ),
        ("staging", STAGED, ["put into the queue (webhook, live)", "is in the queue now: waiting, 0 attempts so far"]),
        (
            "staging",
            replace(STAGED, state="enriched", attempts=2, processed_at="2026-01-01T10:00:35.000Z"),
            [
                "put into the queue (webhook, live)",
                "result stored in the warehouse",
                "is in the queue now: enriched, 2 attempts so far",
            ],
        ),
        (
            "staging",
            replace(STAGED, attempts=1, not_before="2026-01-01T11:00:00.000Z"),
            [
                "put into the queue (webhook, live)",
                "is in the queue now: waiting, 1 attempts so far, not before 2026-01-01T11:00:00.000Z",
            ],
        ),
        ("ledger", LEDGER, ["put into the queue (webhook, live)", "ended as written after 1 attempt(s), run r1"]),
        (
            "ledger",
            replace(
                LEDGER,
                contact_created_at="2026-01-01T09:59:00.000Z",
                disposition="invalid",
                reason="contact_gone",
                attempts=2,
            ),
            [
                "created in hubspot",
                "put into the queue (webhook, live)",
                "ended as invalid (contact_gone) after 2 attempt(s), run r1",
            ],
        ),
        ("replies", REPLY, ["zoominfo answered matched, 1 credit(s), API version 2026-09, run r1"]),
        (
            "replies",
            replace(REPLY, outcome="unmatched", credits=0.5, api_version=None),
            ["zoominfo answered unmatched, 0.5 credit(s), run r1"],
        ),
        (
            "follow_ups",
            replace(REPLY, step="tech_stack"),
            ["zoominfo answered matched of the company (tech_stack), 1 credit(s), API version 2026-09, run r1"],
        ),
        (
            "unmatched",
            UNMATCHED,
            ["filed as unmatched at zoominfo: the provider doesn't know the contact (no_match), not reviewed yet"],
        ),
        (
            "unmatched",
            replace(UNMATCHED, reviewed_at="2026-01-05T10:00:00.000Z"),
            [f"{FILED}, reviewed"],
        ),
        ("writes", WRITE, ["planned, not confirmed by the CRM: industry: (blank) -> Software"]),
        (
            "writes",
            replace(WRITE, before="Retail", written_at="2026-01-01T10:00:46.000Z"),
            ["wrote industry: Retail -> Software"],
        ),
        (
            "writes",
            replace(
                WRITE,
                written_at="2026-01-01T10:00:46.000Z",
                reverted_at="2026-01-02T10:00:00.000Z",
                reverted_by="run-9",
            ),
            ["wrote industry: (blank) -> Software", "undone: industry, by run run-9"],
        ),
        ("refusals", REFUSAL, ["not written: industry (Mining): not in hubspot's list"]),
        (
            "refusals",
            replace(REFUSAL, field="phone", reason="too_long", value=None),
            ["not written: phone: longer than hubspot's field allows"],
        ),
        (
            "failures",
            FAILURE,
            [FAILED + "how to fix it: `enrich retry --cause bad_value`"],
        ),
        (
            "failures",
            replace(FAILURE, replayed_at="2026-01-02T10:00:00.000Z"),
            [FAILED + "put back into the queue 2026-01-02T10:00:00.000Z"],
        ),
    ],
)
def test_each_row_says_what_happened(table: str, row: Any, lines: list[str]) -> None:
    """Every kind of row has its words, with and without its optional parts."""
    assert [line.what for line in tell_story(Story(**{table: [row]}))] == lines


def test_the_story_is_in_order_of_time() -> None:
    """Lines of all tables are sorted together, and the present comes last."""
    story = tell_story(
        Story(
            failures=[FAILURE],
            writes=[replace(WRITE, written_at="2026-01-01T10:00:46.000Z")],
            unmatched=[UNMATCHED],
            replies=[REPLY],
            ledger=[replace(LEDGER, contact_created_at="2026-01-01T09:59:00.000Z")],
            staging=[replace(STAGED, staged_at="2026-01-03T10:00:00.000Z")],
        )
    )
    assert [line.at for line in story] == sorted(line.at for line in story)
    assert story[0] == StoryLine("2026-01-01T09:59:00.000Z", "created in hubspot")
    assert story[-1].what.startswith("is in the queue now")
    assert len(story) == 9


def test_an_unknown_contact_has_no_story() -> None:
    """Empty tables say nothing."""
    assert tell_story(Story()) == []


def test_a_story_can_leave_out_the_contacts_of_a_crm() -> None:
    """Of a CRM whose contact was erased every table loses its part; other CRMs keep theirs."""
    everything = Story(
        staging=[STAGED, replace(STAGED, crm="salesforce")],
        ledger=[LEDGER],
        unmatched=[UNMATCHED],
        writes=[WRITE],
        refusals=[REFUSAL],
        failures=[FAILURE],
        suppressions=[SUPPRESSION],
    )
    left = everything.without({"hubspot"})
    assert [one.crm for one in left.staging] == ["salesforce"]
    assert not any((left.ledger, left.unmatched, left.writes, left.refusals, left.failures))
    assert left.suppressions == [SUPPRESSION]


RULES = [
    FieldRule("company", "company_name", Rule.FILL_BLANK),
    FieldRule("industry", "industry", Rule.FILL_BLANK),
    FieldRule("phone", "phone", Rule.FILL_BLANK),
    FieldRule("jobtitle", "title", Rule.NEVER),
    FieldRule("city", "city", Rule.IF_NEWER),
    FieldRule("email", "first_name", Rule.ALWAYS),
    FieldRule("enr_title", "title", Rule.ALWAYS),
    FieldRule("enr_size", "employee_count", Rule.ALWAYS),
]
VALUES = {"company_name": "Acme", "industry": "Mining", "title": "CTO", "city": "Köln", "first_name": "Ada"}


def test_what_the_users_own_rules_left_alone_is_said() -> None:
    """Fields of the last run that have a value, and were neither written nor refused; others have nothing to say."""
    last = replace(LEDGER, disposition="unchanged", run_id="r1")
    stored = {"hubspot": Enrichment("zoominfo", None, None, VALUES, "2026-01-01T10:00:00.000Z")}
    story = Story(ledger=[last], refusals=[REFUSAL], stored=stored)
    policy = Policy("hubspot", RULES, frozenset({"email"}))
    shown = [line.what for line in tell_story(story, policy) if line.what.startswith("not written")]
    assert sorted(shown) == [
        "not written: city: the CRM had this value, or a newer one (rule if_newer)",
        "not written: company: the CRM had a value (rule fill_blank)",
        "not written: email: it is protected",
        "not written: industry (Mining): not in hubspot's list",
        "not written: jobtitle: its rule is never",
    ]
    for other in (
        tell_story(replace(story, refusals=[]), replace(policy, crm="salesforce")),
        tell_story(replace(story, refusals=[], ledger=[replace(last, disposition="failed")]), policy),
        tell_story(replace(story, refusals=[], stored={}), policy),
    ):
        assert not [line for line in other if line.what.startswith("not written")]
