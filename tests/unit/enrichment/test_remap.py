"""What differs if saved replies are read in another way."""

from dataclasses import replace

from enrichment.records import REMAP, Enrichment, StagedRecord
from enrichment.remap import NEWER, SAME, ContactDifference, Remap, differences
from enrichment.write_policy import EDITED, Change, Refusal, WritePlan

STORED = Enrichment("prov", "1", 90.0, {"title": "CTO", "city": "Rome"}, "2026-11-01T00:00:00.000Z")


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


def test_a_contact_is_looked_at_as_a_run_would_have_it() -> None:
    """Claimed for the first time; one that the CRM lacks is gone, however long ago it was queued."""
    record = StagedRecord.as_if_claimed("hubspot", "1", None, REMAP)
    assert (record.record_id, record.crm_id, record.attempts, record.is_remap) == ("1", "1", 1, True)
    assert record.age_seconds == float("inf")
    assert not record.named_by_crm
