"""What a plan says, when it is stale, what is left of it at its application, and when a run needs an approval."""

from dataclasses import replace

import pytest

from enrichment.change_plans import (
    Guard,
    KeptPlan,
    PlannedChange,
    RunChanges,
    approved_part,
    digest,
    planned_changes,
    policy_mark,
    summarise,
    why_stale,
)
from enrichment.write_policy import Change, FieldRule, Refusal, Rule, WritePlan

RULES = (
    FieldRule("company", "company_name", Rule.FILL_BLANK),
    FieldRule("industry", "industry", Rule.ALWAYS),
    FieldRule("at", "received_at", Rule.ALWAYS, stamp=True),
)
COMPANY, INDUSTRY = Change("company", None, "Acme"), Change("industry", "x", "y")
STAMP = Change("at", None, "2026-01-01T00:00:00Z")
CHANGES = planned_changes("1", "r1", (COMPANY, INDUSTRY), RULES)
KEPT = KeptPlan(
    plan_id="p",
    crm="hubspot",
    provider="zoominfo",
    cause="asked",
    policy=policy_mark(RULES, ()),
    digest=digest(CHANGES),
    made_at="2026-01-01T00:00:00.000Z",
    made_by="me",
    state="waiting",
    decided_at=None,
    decided_by=None,
    note=None,
    read_at="2026-01-02T00:00:00.000Z",
)


def test_a_plan_says_which_rule_and_source_each_change_has() -> None:
    """Counted by rule and by field."""
    assert CHANGES[0] == PlannedChange("1", "r1", COMPANY, "fill_blank", "company_name")
    summary = summarise([*CHANGES, *planned_changes("2", "r2", [INDUSTRY], RULES)])
    assert (summary.contacts, summary.values, summary.overwritten) == (2, 3, 2)
    assert summary.by_rule == {"fill_blank": 1, "always": 2}
    assert summary.by_field == {"company": 1, "industry": 2}
    assert str(summary) == "3 values of 2 contacts would be written, 2 of them over another value"


def test_the_digest_is_that_of_the_changes_in_any_order() -> None:
    """Another contact, field, value, rule or source makes another one."""
    one = CHANGES[0]
    others = [
        replace(one, crm_id="2"),
        replace(one, rule="always"),
        replace(one, source="domain"),
        *(
            replace(one, change=change)
            for change in (INDUSTRY, replace(COMPANY, before="x"), replace(COMPANY, after="y"))
        ),
    ]
    assert digest(CHANGES) == digest(reversed(CHANGES))
    assert len({digest([one]), *(digest([other]) for other in others)}) == 1 + len(others)


def test_a_fresh_plan_of_the_same_mapping_is_applied() -> None:
    """Also one that isn't sealed yet."""
    for plan in (KEPT, replace(KEPT, digest="")):
        assert why_stale(plan, changes=CHANGES, policy=KEPT.policy, hours=24) == ""


def test_a_stale_plan_says_why() -> None:
    """It is old, the mapping is another one, or its rows are."""
    assert "older than 23 hours" in why_stale(KEPT, changes=CHANGES, policy=KEPT.policy, hours=23)
    for policy in (policy_mark(RULES[:1], ()), policy_mark(RULES, {"company"})):
        assert "mapping has changed" in why_stale(KEPT, changes=CHANGES, policy=policy, hours=24)
    assert "no longer those" in why_stale(KEPT, changes=CHANGES[:1], policy=KEPT.policy, hours=24)


def test_only_what_was_approved_is_written() -> None:
    """Another value of the field, or a field that wasn't shown, is refused; refusals from before stay."""
    before = Refusal("phone", "too_long")
    plan = WritePlan((COMPANY, replace(INDUSTRY, before="changed"), STAMP), (before,))
    left = approved_part(plan, {COMPANY, INDUSTRY, STAMP}, RULES)
    assert left == WritePlan((COMPANY, STAMP), (before, Refusal("industry", "not_approved")))
    assert left.refusals[-1].by_policy


def test_a_mark_of_time_is_not_written_alone() -> None:
    """Where nothing else of the plan is left, nothing is."""
    assert approved_part(WritePlan((INDUSTRY, STAMP)), {STAMP}, RULES).changes == ()
    assert approved_part(WritePlan(()), {STAMP}, RULES) == WritePlan(())


@pytest.mark.parametrize(
    ("guard", "changes", "says"),
    [
        (Guard(), RunChanges(9999, 9999, 9999), ""),
        (Guard(contacts=10), RunChanges(10, 500, 500), ""),
        (Guard(contacts=10), RunChanges(11, 11, 0), "more than 10 contacts"),
        (Guard(overwritten=0.1), RunChanges(10, 100, 10), ""),
        (Guard(overwritten=0.1), RunChanges(10, 99, 99), ""),
        (Guard(overwritten=0.1), RunChanges(10, 100, 11), "overwrite 11% of the values that it writes, more than 10%"),
        (Guard(contacts=0), RunChanges(1, 1, 0), "more than 0 contacts"),
    ],
)
def test_a_guard_says_what_is_too_much(guard: Guard, changes: RunChanges, says: str) -> None:
    """Off unless set; a share of few values is not judged."""
    assert says in guard.exceeded_by(changes)
    assert bool(guard.exceeded_by(changes)) is bool(says)
    assert guard.is_on is (guard != Guard())
