"""The promises: what their checks make of what was found."""

from collections import Counter
from datetime import datetime

import pytest

from enrichment.comparisons import (
    EditedField,
    FieldWrites,
    Held,
    LastWrite,
    check_policy,
    compare,
    edited_fields,
)
from enrichment.promises import EXAMPLES, PROMISES, Sighting, judge, sighting
from enrichment.wire import FieldDescription
from enrichment.write_policy import FieldRule, Rule

RULES = [
    FieldRule("company", "company_name", Rule.FILL_BLANK),
    FieldRule("size", "employee_count", Rule.ALWAYS),
    FieldRule("phone", "phone", Rule.NEVER),
]
EARLY, WRITTEN, LATE = "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00.000Z", "2026-01-03T00:00:00+00:00"


def test_every_promise_is_said_in_words_and_each_check_belongs_to_one() -> None:
    """Names are unique, and texts, exceptions, advice and rules are sentences."""
    checks = [name for promise in PROMISES for name in promise.checks]
    assert len(checks) == len(set(checks))
    assert len({promise.name for promise in PROMISES}) == len(PROMISES)
    for one in PROMISES:
        assert one.checks
        sentences = [one.text, one.exception, one.advice, *one.checks.values()]
        assert [text for text in sentences if not text.endswith(".")] == []


def test_a_promise_is_kept_if_none_of_its_checks_finds_anything() -> None:
    """A promise whose checks weren't made isn't judged."""
    (verdict,) = judge({"two_results": Sighting()})
    assert (verdict.promise, verdict.kept, verdict.breaches, verdict.advice) == ("nothing_lost", True, (), "")


def test_a_broken_promise_says_what_how_often_of_whom_and_what_to_do() -> None:
    """Each check that found something gives its sentence, the number, and the first ids."""
    found = {"two_results": Sighting(12, (("a1", "501"), ("a2", ""))), "queued_twice": Sighting()}
    (verdict,) = judge(found)
    (breach,) = verdict.breaches
    assert (breach.check, breach.count, breach.examples) == ("two_results", 12, ("a1 (501)", "a2"))
    assert breach.rule == "A queued contact ends once."
    assert "enrich why" in verdict.advice
    assert not verdict.kept


def test_a_sighting_has_the_first_cases_in_order() -> None:
    """All are counted, the first ten are named."""
    seen = sighting((f"{number:02}", "city") for number in reversed(range(12)))
    assert seen.count == 12
    assert [subject for subject, _ in seen.examples] == [f"{number:02}" for number in range(EXAMPLES)]


@pytest.mark.parametrize(
    ("written", "check", "expected"),
    [
        (FieldWrites("company", 3, 0, "1", None), "value_replaced", Sighting()),
        (FieldWrites("company", 3, 2, "1", "4"), "value_replaced", Sighting(2, (("4", "company"),))),
        (FieldWrites("size", 3, 3, "1", "1"), "value_replaced", Sighting()),
        (FieldWrites("phone", 3, 0, "1", None), "value_replaced", Sighting(3, (("1", "phone"),))),
        (FieldWrites("city", 3, 0, "1", None), "field_not_mapped", Sighting(3, (("1", "city"),))),
        (FieldWrites("email", 3, 0, "1", None), "protected_field_written", Sighting(3, (("1", "email"),))),
    ],
)
def test_what_was_written_is_judged_by_todays_mapping(written: FieldWrites, check: str, expected: Sighting) -> None:
    """Fields that aren't mapped, protected ones, and values in place of others where only blanks may be filled."""
    found = check_policy(RULES, frozenset({"email"}), [written])
    assert found[check] == expected
    assert sum(one.count for one in found.values()) == expected.count


def test_several_fields_add_up() -> None:
    """Fields that break the same rule are counted together, and each is named."""
    written = [FieldWrites("zip", 2, 0, "7", None), FieldWrites("city", 3, 0, "1", None)]
    assert check_policy(RULES, frozenset(), written)["field_not_mapped"] == Sighting(5, (("1", "city"), ("7", "zip")))


def held(value: str | None, changed: str | None = None) -> dict[str, Held]:
    at = {"size": datetime.fromisoformat(changed)} if changed else {}
    return {"1": Held({"size": value}, at)}


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (held("500"), "ours"),
        (held("500.0"), "ours"),
        (held("700", LATE), "changed"),
        (held("700"), "changed"),
        (held(None, LATE), "changed"),
        (held("700", EARLY), "missing"),
        (held(None, EARLY), "missing"),
        ({}, "gone"),
    ],
)
def test_a_written_value_is_ours_or_a_person_has_changed_it_since(found: dict[str, Held], state: str) -> None:
    """Only a field that wasn't changed after our write and has another value is a breach."""
    number = FieldDescription("number")
    counts, missing = compare([LastWrite("1", "size", "500", WRITTEN)], found, {"size": number})
    assert counts == Counter({state: 1})
    assert missing == (Sighting(1, (("1", "size"),)) if state == "missing" else Sighting())


def test_fields_that_people_change_after_us_are_counted() -> None:
    """By field, the most often changed first; a contact that is gone isn't compared."""
    writes = [LastWrite(str(number), "size", "500", WRITTEN) for number in range(3)]
    writes += [LastWrite("0", "city", "Oslo", WRITTEN), LastWrite("1", "city", "Rome", WRITTEN)]
    held = {"0": Held({"size": "600", "city": "Oslo"}), "1": Held({"size": "9", "city": "Bonn"})}
    assert edited_fields(writes, held, {"size": FieldDescription("number")}) == [
        EditedField("size", 2, 2, "0"),
        EditedField("city", 2, 1, "1"),
    ]
