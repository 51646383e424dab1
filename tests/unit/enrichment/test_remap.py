"""What differs if saved replies are read in another way, and what a person's edit keeps."""

from dataclasses import replace

from enrichment.records import REMAP, Enrichment, StagedRecord
from enrichment.remap import NEWER, SAME, ContactDifference, Remap, differences, without_edits
from enrichment.wire import FieldDescription
from enrichment.write_policy import EDITED, Change, FieldRule, Refusal, Rule, WritePlan

STORED = Enrichment("prov", "1", 90.0, {"title": "CTO", "city": "Rome"}, "2026-11-01T00:00:00.000Z")
RULES = (FieldRule("job", "title", Rule.ALWAYS), FieldRule("at", "received_at", Rule.ALWAYS, stamp=True))
DESCRIPTIONS = {"job": FieldDescription("string"), "at": FieldDescription("datetime")}


def test_differences_say_what_becomes_of_each_field() -> None:
    """Filled, changed or emptied; the confidence and the provider count, too."""
    derived = replace(STORED, fields={"title": "CEO", "industry": "Mining"}, confidence=None)
    assert differences(STORED, derived) == {
        "title": "changed",
        "city": "emptied",
        "confidence": "emptied",
        "industry": "filled",
    }
    assert differences(STORED, STORED) == {}
    assert differences(None, replace(STORED, fields={})) == {"provider": "filled", "confidence": "filled"}


def test_contacts_are_counted_by_field_without_values() -> None:
    """One that stays the same or has a newer result is left alone."""
    found = Remap()
    plan = WritePlan(
        (Change("job", "CTO", "CEO"), Change("city", None, "Oslo")), (Refusal("x", EDITED), Refusal("y", "z"))
    )
    found.take("1", STORED, replace(STORED, fields={"title": "CEO"}), plan)
    found.take("2", STORED, STORED, WritePlan((Change("job", None, "CTO"),)))
    found.take("3", STORED, STORED, WritePlan(()))
    found.take("4", STORED, STORED, None)
    found.take("5", replace(STORED, received_at="2026-11-02T00:00:00.000Z"), STORED, plan)
    found.leave("nobody", 0)
    assert found.results == {"title": {"changed": 1}, "city": {"emptied": 1}}
    assert found.crm == {"job": {"changed": 1, "filled": 1}, "city": {"filled": 1}}
    assert found.contacts == {
        "1": ContactDifference(("title", "city"), ("job", "city")),
        "2": ContactDifference((), ("job",)),
    }
    assert found.left == {SAME: 2, NEWER: 1}
    assert found.edited == 1


def edited(current: dict[str, str | None], ours: dict[str, str]) -> WritePlan:
    plan = WritePlan((Change("job", current.get("job"), "CEO"), Change("at", None, "2026-11-01T00:00:00Z")))
    return without_edits(plan, current, ours, DESCRIPTIONS, RULES)


def test_a_field_that_holds_our_value_is_written() -> None:
    """So is one that we have never written: the field's rule has permitted it."""
    for ours in ({"job": "CTO"}, {}):
        plan = edited({"job": "CTO"}, ours)
        assert [one.field for one in plan.changes] == ["job", "at"]
        assert plan.refusals == ()


def test_a_field_that_a_person_has_changed_or_cleared_is_left() -> None:
    """With the reason, which is no problem; a mark of time isn't written alone."""
    for held in ("Boss", None):
        plan = edited({"job": held}, {"job": "CTO"})
        assert plan.changes == ()
        assert plan.refusals == (Refusal("job", EDITED),)
        assert plan.refusals[0].by_policy


def test_a_contact_is_looked_at_as_a_run_would_have_it() -> None:
    """Claimed for the first time; one that the CRM lacks is gone, however long ago it was queued."""
    record = StagedRecord.as_if_claimed("hubspot", "1", None, REMAP)
    assert (record.record_id, record.crm_id, record.attempts, record.is_remap) == ("1", "1", 1, True)
    assert record.age_seconds == float("inf")
    assert not record.named_by_crm
