"""What an undo puts back, field by field."""

import pytest

from enrichment.undo import ConfirmedWrite, UndoPlan, UndoSelection, plan_undo
from enrichment.wire import FieldDescription
from enrichment.write_policy import Change, Refusal

TEXT, NUMBER = FieldDescription("string"), FieldDescription("number")
FIELDS = {"company": TEXT, "size": NUMBER, "calculated": FieldDescription("string", read_only=True)}
ALL = UndoSelection(crm_id="1")


def wrote(field: str, before: str | None, after: str, run: str = "r1", day: int = 1) -> ConfirmedWrite:
    return ConfirmedWrite("1", field, before, after, run, f"2026-01-0{day}T00:00:00.000Z")


def test_a_field_that_was_blank_is_cleared_again() -> None:
    """The new value is empty, and the one that we wrote is what it replaces."""
    write = wrote("company", None, "Acme")
    plan = plan_undo([write], ALL, {"company": "Acme"}, FIELDS)
    assert plan == UndoPlan((Change("company", "Acme", ""),), reverts={"company": (write,)})


def test_several_writes_are_undone_to_the_value_before_the_first() -> None:
    """All of them count as undone; fields that no condition names are left alone."""
    writes = [
        wrote("company", "Old", "A", day=1),
        wrote("company", "A", "B", "r2", 2),
        wrote("size", None, "5", "r2", 2),
    ]
    plan = plan_undo(writes, UndoSelection(field="company"), {"company": "B", "size": "5"}, FIELDS)
    assert plan.changes == (Change("company", "B", "Old"),)
    assert plan.reverts == {"company": tuple(writes[:2])}


def test_what_a_person_changed_between_two_writes_comes_back() -> None:
    """It was theirs; the write before it is of no account any more."""
    writes = [wrote("company", None, "A", day=1), wrote("company", "Theirs", "B", "r2", 2)]
    plan = plan_undo(writes, ALL, {"company": "B"}, FIELDS)
    assert plan == UndoPlan((Change("company", "B", "Theirs"),), reverts={"company": (writes[1],)})


def test_an_undo_that_was_undone_leaves_the_first_write_undoable() -> None:
    """What came back by it is our value again."""
    back = ConfirmedWrite("1", "company", None, "Acme", "u2", "2026-01-03T00:00:00.000Z", is_undo=True)
    write = wrote("company", None, "Acme")
    plan = plan_undo([write, back], ALL, {"company": "Acme"}, FIELDS)
    assert plan.changes == (Change("company", "Acme", ""),)


def test_another_form_of_our_value_is_our_value() -> None:
    """A CRM has its own form of numbers."""
    plan = plan_undo([wrote("size", "3", "5")], ALL, {"size": "5.0"}, FIELDS)
    assert plan.changes == (Change("size", "5", "3"),)


@pytest.mark.parametrize("held", ["Old", "", None])
def test_what_is_back_already_is_only_noted(held: str | None) -> None:
    """An undo that broke off is finished by its repetition, and needs no call for these fields."""
    write = wrote("company", held or None, "Acme")
    plan = plan_undo([write], ALL, {"company": held}, FIELDS)
    assert plan == UndoPlan(restored=(Change("company", "Acme", held or ""),), reverts={"company": (write,)})


@pytest.mark.parametrize(
    ("field", "held", "refusal"),
    [
        ("company", "Ours", Refusal("company", "edited_since")),
        ("company", None, Refusal("company", "edited_since")),
        ("company", "B", Refusal("company", "written_since", "r2")),
        ("calculated", "A", Refusal("calculated", "read_only")),
        ("gone", "A", Refusal("gone", "no_such_field")),
        ("secret", "A", Refusal("secret", "protected")),
    ],
)
def test_a_field_stays_as_it_is(field: str, held: str | None, refusal: Refusal) -> None:
    """A person has edited it, a later run has written it, or it can't be written."""
    writes = [wrote(field, "Old", "A"), *([wrote(field, "A", "B", "r2", 2)] if refusal.value else [])]
    plan = plan_undo(writes, UndoSelection(run_id="r1"), {field: held}, FIELDS, frozenset({"secret"}))
    assert plan == UndoPlan(refusals=(refusal,))


def test_conditions_combine_and_an_undo_is_undone_by_its_run_only() -> None:
    """So that a repeated command doesn't bring back what the first one undid."""
    write = wrote("company", None, "Acme", day=2)
    undo = ConfirmedWrite("1", "company", "Acme", "", "u1", "2026-01-03T00:00:00.000Z", is_undo=True)
    assert [one.is_empty for one in (UndoSelection(), ALL)] == [True, False]
    assert UndoSelection("r1", "1", "company", "2026-01-02T00:00:00.000Z").takes(write)
    for other in (UndoSelection("r2"), UndoSelection(crm_id="2"), UndoSelection(field="size")):
        assert not other.takes(write)
    assert not UndoSelection("r1", since="2026-01-02T00:00:00.001Z").takes(write)
    assert not ALL.takes(undo)
    assert UndoSelection("u1").takes(undo)
