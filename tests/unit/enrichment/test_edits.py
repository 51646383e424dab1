"""What a person's edit keeps."""

from enrichment.edits import without_edits
from enrichment.wire import FieldDescription
from enrichment.write_policy import EDITED, Change, FieldRule, Refusal, Rule, WritePlan

RULES = (FieldRule("job", "title", Rule.ALWAYS), FieldRule("at", "received_at", Rule.ALWAYS, stamp=True))
DESCRIPTIONS = {"job": FieldDescription("string"), "at": FieldDescription("datetime")}


def edited(current: dict[str, str | None], ours: dict[str, list[str]]) -> WritePlan:
    plan = WritePlan((Change("job", current.get("job"), "CEO"), Change("at", None, "2026-11-01T00:00:00Z")))
    return without_edits(plan, current, ours, DESCRIPTIONS, RULES)


def test_a_field_that_holds_our_value_is_written() -> None:
    """So is one that was announced and never confirmed, and one that we never wrote: the field's rule permits it."""
    for ours in ({"job": ["CTO"]}, {"job": ["COO", "CTO"]}, {}):
        plan = edited({"job": "CTO"}, ours)
        assert [one.field for one in plan.changes] == ["job", "at"]
        assert plan.refusals == ()


def test_a_field_that_a_person_has_changed_or_cleared_is_left() -> None:
    """With the reason, which is no problem; a mark of time isn't written alone."""
    for held in ("Boss", None):
        plan = edited({"job": held}, {"job": ["CTO"]})
        assert plan.changes == ()
        assert plan.refusals == (Refusal("job", EDITED),)
        assert plan.refusals[0].by_policy
