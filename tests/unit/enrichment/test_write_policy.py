"""What may be written into the CRM: tables for each rule and type, and what holds whatever comes together."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.wire import FieldDescription, option_labels
from enrichment.write_policy import (
    Change,
    FieldRule,
    Refusal,
    Rule,
    WritePlan,
    fields_to_read,
    filled_fields,
    plan_write,
    stamps_of,
)

TEXT, NUMBER, BOOL = FieldDescription("string"), FieldDescription("number"), FieldDescription("bool")
RECEIVED = datetime(2026, 1, 15, tzinfo=UTC)
BEFORE, AFTER = RECEIVED - timedelta(days=1), RECEIVED + timedelta(days=1)
INDUSTRIES = {name: name for name in ("Software", "Retail", "Food & Drink")}

#: What a CRM field holds when the policy looks at it: the value, and when it was last changed.
FIELD_STATES = {
    "blank": (None, None),
    "empty": ("", None),
    "same": ("new", BEFORE),
    "changed before the reply": ("old", BEFORE),
    "changed with the reply": ("old", RECEIVED),
    "changed after the reply": ("old", AFTER),
    "changed at an unknown time": ("old", None),
}
#: By rule: the states in which the value is written; in all others but `same` it is refused.
WRITTEN_IN = {
    Rule.NEVER: set(),
    Rule.FILL_BLANK: {"blank", "empty"},
    Rule.ALWAYS: set(FIELD_STATES) - {"same"},
    Rule.IF_NEWER: {"blank", "empty", "changed before the reply"},
}


def plan_one(  # one field called `f`, filled from the source `s`
    value: Any,
    *,
    current: str | None = None,
    rule: Rule = Rule.ALWAYS,
    description: FieldDescription = TEXT,
    **options: Any,
) -> WritePlan:
    return plan_write({"f": current}, {"s": value}, [FieldRule("f", "s", rule)], {"f": description}, **options)


@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("state", FIELD_STATES)
def test_each_rule_writes_in_its_states_only(rule: Rule, state: str) -> None:
    """A value is written, already there, or refused with the rule's name: never a fourth thing."""
    current, changed_at = FIELD_STATES[state]
    times = {"f": changed_at} if changed_at else {}
    plan = plan_one("new", current=current, rule=rule, changed_at=times, received_at=RECEIVED)
    if state == "same":
        assert plan == WritePlan(())
    elif state in WRITTEN_IN[rule]:
        assert plan == WritePlan((Change("f", current or None, "new"),))
    else:
        assert plan == WritePlan((), (Refusal("f", str(rule)),))


@pytest.mark.parametrize("reason", ["never", "fill_blank", "if_newer", "protected"])
def test_what_the_users_own_rule_forbids_is_not_a_problem(reason: str) -> None:
    """A refusal by the mapping is what the user asked for."""
    assert Refusal("f", reason).by_policy


@pytest.mark.parametrize("reason", ["not_an_option", "read_only", "no_such_field", "too_long", "always"])
def test_what_the_crm_does_not_take_is_a_problem(reason: str) -> None:
    """Every other refusal is one that a person has to look at."""
    assert not Refusal("f", reason).by_policy


def test_without_the_time_of_the_reply_nothing_is_newer() -> None:
    """What can't be compared counts as not newer."""
    plan = plan_one("new", current="old", rule=Rule.IF_NEWER, changed_at={"f": BEFORE})
    assert plan.refusals == (Refusal("f", "if_newer"),)


def test_an_unknown_rule_permits_nothing() -> None:
    """Whatever slips past the mapping's checks is refused by its name."""
    plan = plan_one("new", rule="sometimes")  # type: ignore[arg-type]
    assert plan == WritePlan((), (Refusal("f", "sometimes"),))


@pytest.mark.parametrize("value", [None, "", [], {}, " ", "\n\t", [""], [" "], [None], [None, ""]])
@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("current", [None, "old"])
def test_a_missing_value_never_erases_one(value: Any, rule: Rule, current: str | None) -> None:
    """Null, empty, white space, and a list of nothing else change nothing under any rule."""
    assert plan_one(value, current=current, rule=rule).changes == ()


@pytest.mark.parametrize("rule", Rule)
def test_a_source_that_the_reply_lacks_changes_nothing(rule: Rule) -> None:
    """A canonical field that the provider didn't send isn't touched, nor refused."""
    plan = plan_write({"f": "old"}, {}, [FieldRule("f", "s", rule)], {"f": FieldDescription("string")})
    assert plan == WritePlan(())


@pytest.mark.parametrize(
    ("options", "descriptions", "reason"),
    [
        ({"protected": frozenset({"f"})}, {"f": FieldDescription("string")}, "protected"),
        ({"protected": frozenset({"f"})}, {}, "protected"),
        ({}, {"f": FieldDescription("string", read_only=True)}, "read_only"),
        ({}, {"g": FieldDescription("string")}, "no_such_field"),
    ],
)
@pytest.mark.parametrize("current", [None, "old", "new"])
def test_a_field_that_can_not_be_written_is_refused(
    options: dict[str, Any], descriptions: dict[str, FieldDescription], reason: str, current: str | None
) -> None:
    """Protected, read-only and missing fields are refused with the reason, whatever their rule says."""
    plan = plan_write({"f": current}, {"s": "new"}, [FieldRule("f", "s", Rule.ALWAYS)], descriptions, **options)
    assert plan == WritePlan((), (Refusal("f", reason),))


DATE, DATETIME = FieldDescription("date"), FieldDescription("datetime")
SHORT, PICKLIST = FieldDescription("string", max_length=5), FieldDescription("enumeration", INDUSTRIES)
SEVERAL = FieldDescription("enumeration", INDUSTRIES, several=True)
CODED = FieldDescription(
    "enumeration",
    {
        "COMPUTER_SOFTWARE": "Computer Software",
        "IT_SERVICES": "Information Technology and Services",
        "OIL_AND_ENERGY": "Oil / Energy",
        "UNKNOWN": "unbekannt",
        "Unbekannt": "?",
        "C": "C",
        "C++": "C++",
        "TWICE_1": "Twice",
        "TWICE_2": "Twice",
    },
)
OPEN = FieldDescription("enumeration", {"Web": "Web"}, restricted=False, max_length=12)
LINE, RICH = FieldDescription("string", single_line=True), FieldDescription("string", rich=True)
MONEY = FieldDescription("number", precision=6, scale=2)


@pytest.mark.parametrize(
    ("description", "value", "wire"),
    [
        (TEXT, "Engines Ltd", "Engines Ltd"),
        (TEXT, "Zoë, 株式会社", "Zoë, 株式会社"),
        (TEXT, 42, "42"),
        (TEXT, 0, "0"),
        (TEXT, ["python", "sql"], "python; sql"),
        (FieldDescription("phone_number"), "+44 20", "+44 20"),
        (SHORT, "12345", "12345"),
        (NUMBER, 5, "5"),
        (NUMBER, 0, "0"),
        (NUMBER, -3, "-3"),
        (NUMBER, 5.0, "5"),
        (NUMBER, 5.25, "5.25"),
        (NUMBER, "5", "5"),
        (NUMBER, " 5.50 ", "5.5"),
        (NUMBER, "1e3", "1000"),
        (BOOL, True, "true"),
        (BOOL, False, "false"),
        (DATE, "2026-01-15", "2026-01-15"),
        (DATE, "2026-01-15T10:30:00Z", "2026-01-15"),
        (DATE, date(2026, 1, 15), "2026-01-15"),
        (DATE, datetime(2026, 1, 15, 10, 30, tzinfo=UTC), "2026-01-15"),
        (DATETIME, "2026-01-15T10:30:00Z", "2026-01-15T10:30:00Z"),
        (DATETIME, "2026-01-15T10:30:00+00:00", "2026-01-15T10:30:00Z"),
        (DATETIME, "2026-01-15T10:30:00+02:00", "2026-01-15T08:30:00Z"),
        (DATETIME, "2026-01-15T10:30:00.999999Z", "2026-01-15T10:30:00Z"),
        (DATETIME, "2026-01-15T10:30:00", "2026-01-15T10:30:00Z"),
        (DATETIME, datetime(2026, 1, 15, 10, 30, tzinfo=UTC), "2026-01-15T10:30:00Z"),
        (PICKLIST, "Software", "Software"),
        (PICKLIST, " software ", "Software"),
        (PICKLIST, "FOOD & DRINK", "Food & Drink"),
        (PICKLIST, ["retail", "", None], "Retail"),
        (PICKLIST, ["retail", "Retail"], "Retail"),
        (SEVERAL, ["retail", "Software"], "Retail;Software"),
        (SEVERAL, "retail; Software", "Retail;Software"),
        (CODED, "Computer Software", "COMPUTER_SOFTWARE"),
        (CODED, "COMPUTER_SOFTWARE", "COMPUTER_SOFTWARE"),
        (CODED, "computer  software", "COMPUTER_SOFTWARE"),
        (CODED, "Information Technology & Services", "IT_SERVICES"),
        (CODED, "Oil/Energy", "OIL_AND_ENERGY"),
        (CODED, "Unbekannt", "Unbekannt"),
        (CODED, "C++", "C++"),
        (FieldDescription("enumeration", {"true": "Yes", "false": "No"}), True, "true"),
        (FieldDescription("enumeration", {"1": "2", "2": "3"}), 2, "2"),
        (OPEN, "Anything", "Anything"),
        (OPEN, "web", "Web"),
        (FieldDescription("enumeration", {"a": "a"}, several=True, restricted=False), ["b", "A"], "b;a"),
        (NUMBER, 0.00001, "0.00001"),
        (NUMBER, "1e-5", "0.00001"),
        (NUMBER, 1e22, "10000000000000000000000"),
        (NUMBER, 10**30, "1" + "0" * 30),
        (NUMBER, -0.0, "0"),
        (NUMBER, "+7.", "7"),
        (TEXT, 0.00001, "0.00001"),
        (TEXT, 95.0, "95"),
        (TEXT, True, "true"),
        (TEXT, ["python", "", None, " sql "], "python; sql"),
        (TEXT, "  two\r\nlines \rthree  ", "two\nlines\nthree"),
        (LINE, "two\r\n\r\nlines\u2028three", "two lines three"),
        (RICH, "AT&T <R&D>\nnext", "AT&amp;T &lt;R&amp;D&gt;<br>next"),
        (FieldDescription("string", max_length=2), "\U0001f600", "\U0001f600"),
        (MONEY, 1234.565, "1234.57"),
        (MONEY, 0.004, "0"),
        (MONEY, 999.99, "999.99"),
        (FieldDescription("number", precision=9, scale=0), 12.5, "13"),
    ],
)
def test_a_value_that_fits_becomes_what_the_field_takes(description: FieldDescription, value: Any, wire: str) -> None:
    """Each type of field has its form on the wire; options are spelled as the CRM spells them."""
    assert plan_one(value, description=description) == WritePlan((Change("f", None, wire),))


@pytest.mark.parametrize(
    ("description", "value", "reason", "shown"),
    [
        (PICKLIST, "Mining", "not_an_option", "Mining"),
        (PICKLIST, ["Software", "Mining"], "not_an_option", "Mining"),
        (PICKLIST, ["Software", "Retail"], "several_values", "Software;Retail"),
        (SEVERAL, ["Software", "Mining", "Fishing"], "not_an_option", "Mining"),
        (CODED, "Twice", "not_an_option", "Twice"),
        (CODED, "C#", "not_an_option", "C#"),
        (OPEN, ["Gmail", "Slack"], "several_values", "Gmail;Slack"),
        (FieldDescription("enumeration"), "Software", "not_an_option", "Software"),
    ],
)
@pytest.mark.parametrize("rule", [Rule.ALWAYS, Rule.FILL_BLANK])
def test_a_value_that_is_not_an_option_is_shown(
    description: FieldDescription, value: Any, reason: str, shown: str, rule: Rule
) -> None:
    """The owner of the list of options sees what it lacks."""
    assert plan_one(value, description=description, rule=rule) == WritePlan((), (Refusal("f", reason, shown),))


@pytest.mark.parametrize(
    ("description", "value", "reason"),
    [
        (SHORT, "\U0001f600\U0001f600\U0001f600", "too_long"),
        (SHORT, "1\n2\n3", "too_long"),
        (OPEN, "Thirteen long", "too_long"),
        (NUMBER, "51_200", "not_a_number"),
        (NUMBER, "1e999", "not_a_number"),
        (NUMBER, "1e-999", "not_a_number"),
        (NUMBER, 10**4000, "not_a_number"),
        (NUMBER, "\uff15", "not_a_number"),
        (MONEY, 10000, "out_of_range"),
        (MONEY, 9999.999, "out_of_range"),
        (TEXT, [["nested"]], "not_a_text"),
        (TEXT, {"a": 1}, "not_a_text"),
        (DATETIME, "0001-01-01T00:00:00+05:00", "not_a_datetime"),
        (FieldDescription("enumeration", {"a": "a"}, several=True, restricted=False), ["b;c"], "not_an_option"),
        (SHORT, "123456", "too_long"),
        (SHORT, ["123", "456"], "too_long"),
        (NUMBER, "many", "not_a_number"),
        (NUMBER, "5 people", "not_a_number"),
        (NUMBER, "1,000", "not_a_number"),
        (NUMBER, True, "not_a_number"),
        (NUMBER, [5], "not_a_number"),
        (NUMBER, {"count": 5}, "not_a_number"),
        (NUMBER, float("nan"), "not_a_number"),
        (NUMBER, "nan", "not_a_number"),
        (NUMBER, float("inf"), "not_a_number"),
        (NUMBER, 10**400, "not_a_number"),
        (BOOL, "true", "not_a_boolean"),
        (BOOL, 1, "not_a_boolean"),
        (BOOL, [True], "not_a_boolean"),
        (DATE, "15.01.2026", "not_a_date"),
        (DATE, "2026-02-30", "not_a_date"),
        (DATE, True, "not_a_date"),
        (DATETIME, "tomorrow", "not_a_datetime"),
        (DATETIME, ["2026-01-15"], "not_a_datetime"),
        (PICKLIST, {"Software": 1}, "not_an_option"),
    ],
)
@pytest.mark.parametrize("rule", [Rule.ALWAYS, Rule.FILL_BLANK])
def test_a_value_that_does_not_fit_is_refused(
    description: FieldDescription, value: Any, reason: str, rule: Rule
) -> None:
    """A bad value stays out, with its reason, and breaks nothing."""
    plan = plan_one(value, description=description, rule=rule)
    assert (plan.changes, [(each.field, each.reason) for each in plan.refusals]) == ((), [("f", reason)])


@pytest.mark.parametrize(
    ("held", "reason"), [("a", ""), ("b", "not_an_option"), ("elsewhere", ""), (None, ""), ("", "")]
)
def test_the_options_may_depend_on_another_field(held: str | None, reason: str) -> None:
    """Where nothing is known of that field's value, all options count."""
    narrowed = {"a": frozenset({"Retail"}), "b": frozenset({"Software"})}
    description = FieldDescription("enumeration", INDUSTRIES, narrowed_by="kind", narrowed=narrowed)
    rules = [FieldRule("f", "s", Rule.ALWAYS)]
    assert fields_to_read(rules, {"f": description}) == ["f", "kind"]
    plan = plan_write({"f": None, "kind": held}, {"s": "Retail"}, rules, {"f": description})
    assert [refusal.reason for refusal in plan.refusals] == [reason] * bool(reason)


@pytest.mark.parametrize("options", [{"IT", "It"}, {"IT", "It", "it"}])
@pytest.mark.parametrize("value", ["IT", "It"])
def test_an_option_spelled_exactly_is_taken_as_it_is(options: set[str], value: str) -> None:
    """Two options that differ only in upper and lower case aren't mistaken for each other."""
    plan = plan_one(value, description=FieldDescription("enumeration", {name: name for name in options}))
    assert plan.changes == (Change("f", None, value),)


@pytest.mark.parametrize(
    ("description", "current", "value"),
    [
        (NUMBER, "5", 5),
        (NUMBER, "5.0", 5),
        (NUMBER, "5", "5.00"),
        (NUMBER, "1E3", 1000),
        (DATETIME, "2026-01-15T10:30:00Z", "2026-01-15T10:30:00+00:00"),
        (DATETIME, "2026-01-15T10:30:00.000Z", "2026-01-15T10:30:00Z"),
        (DATETIME, "2026-01-15T10:30:00Z", "2026-01-15T12:30:00+02:00"),
        (DATETIME, "2026-01-15T00:00:00Z", "2026-01-15"),
        (DATETIME, "2026-01-15T00:00:00Z", date(2026, 1, 15)),
        (DATETIME, "2026-01-15T10:30:00Z", "2026-01-15T10:30:00"),
        (SEVERAL, "Software;Retail", ["Retail", "Software"]),
        (SEVERAL, ";Software; Retail", ["Retail", "Software"]),
        (PICKLIST, "Software", ["software"]),
        (NUMBER, "1.0E-5", 0.00001),
        (NUMBER, "1E+22", 1e22),
        (NUMBER, "0.1", "0.1000000000000000055"),
        (MONEY, "0.333333", 0.33),
        (DATETIME, "1768473000000", "2026-01-15T10:30:00Z"),
        (DATETIME, "2026-01-15T10:30:00.500Z", "2026-01-15T10:30:00Z"),
        (DATE, "1768435200000", "2026-01-15"),
        (DATE, "2026-01-15T00:00:00Z", "2026-01-15"),
        (BOOL, "True", True),
        (TEXT, "two\r\nlines", "two\nlines"),
        (TEXT, "Engines ", "Engines"),
        (TEXT, "python; sql", ["sql", "python"]),
        (TEXT, "Zoe\u0308", "Zo\u00eb"),
        (LINE, "two lines", "two\nlines"),
        (RICH, "<p>AT&amp;T</p>", "AT&T"),
        (RICH, "AT&amp;T<br>x", "AT&T\nx"),
        (BOOL, "true", True),
        (DATE, "2026-01-15", "2026-01-15T10:30:00Z"),
        (TEXT, "Engines", "Engines"),
    ],
)
@pytest.mark.parametrize("rule", Rule)
def test_the_same_value_in_another_form_is_not_a_change(
    description: FieldDescription, current: str, value: Any, rule: Rule
) -> None:
    """What the CRM holds already, in its own spelling, is neither written again nor refused."""
    assert plan_one(value, current=current, description=description, rule=rule) == WritePlan(())


@pytest.mark.parametrize(
    ("description", "current", "value", "wire"),
    [
        (NUMBER, "about 5", 5, "5"),
        (NUMBER, "6", 5, "5"),
        (DATETIME, "long ago", "2026-01-15T10:30:00Z", "2026-01-15T10:30:00Z"),
        (DATETIME, "2026-01-15T10:30:01Z", "2026-01-15T10:30:00Z", "2026-01-15T10:30:00Z"),
        (SEVERAL, "Software;Retail", "Software", "Software"),
        (DATE, "someday", "2026-01-15", "2026-01-15"),
        (DATE, "99999999999999999", "2026-01-15", "2026-01-15"),
        (TEXT, "sql; python", "python; sql", "python; sql"),
        (TEXT, "engines", "Engines", "Engines"),
        (TEXT, "5.0", 5, "5"),
        (BOOL, "false", True, "true"),
    ],
)
def test_another_value_is_a_change_with_what_it_replaces(
    description: FieldDescription, current: str, value: Any, wire: str
) -> None:
    """The value that is replaced is kept as the CRM spells it, even if it makes no sense."""
    plan = plan_one(value, current=current, description=description)
    assert plan.changes == (Change("f", current, wire),)


STAMPED = [
    FieldRule("enriched_at", "received_at", Rule.ALWAYS, stamp=True),
    FieldRule("industry", "industry", Rule.FILL_BLANK),
    FieldRule("size", "employee_count", Rule.ALWAYS),
]
STAMPED_FIELDS = {"enriched_at": DATETIME, "industry": PICKLIST, "size": NUMBER}


@pytest.mark.parametrize(
    ("current", "values", "changed"),
    [
        ({}, {"industry": "Retail", "employee_count": 5}, ["industry", "size", "enriched_at"]),
        ({"industry": "Retail", "size": "5"}, {"industry": "Retail", "employee_count": 6}, ["size", "enriched_at"]),
        ({"industry": "Retail", "size": "5"}, {"industry": "Retail", "employee_count": 5}, []),
        ({"industry": "Retail"}, {"industry": "Software"}, []),
        ({}, {"industry": "Mining"}, []),
        ({}, {}, []),
    ],
)
def test_a_stamp_is_written_only_with_another_change(
    current: dict[str, str], values: dict[str, Any], changed: list[str]
) -> None:
    """A mark of time is not a change of its own, and stands behind the changes that it marks."""
    plan = plan_write(current, values | {"received_at": "2026-01-15T00:00:00Z"}, STAMPED, STAMPED_FIELDS)
    assert [change.field for change in plan.changes] == changed


def test_the_stamps_are_known_by_their_rules() -> None:
    """An adapter leaves them out where nothing else is left to write."""
    assert stamps_of(STAMPED) == {"enriched_at"}


def test_an_option_without_a_label_is_called_by_its_value() -> None:
    """Whatever the CRM's types of value and label are; an entry without a value is none."""
    assert option_labels([("a", "A"), (1, None), (True, ""), (None, "x")]) == {"a": "A", "1": "1", "True": "True"}


# What holds whatever comes together.

NAMES = ["a", "b", "c", "d"]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
LIKELY_VALUES = st.sampled_from(
    ["Software", "retail", ["Retail"], "2026-01-15", "2026-01-15T10:30:00Z", 5, "5", True, " ", [""]]
)
WIRE_TEXTS = st.sampled_from(["", "5", "5.0", "Software", "Retail;Software", "2026-01-15", "true"]) | st.text(
    max_size=8
)
MOMENTS = st.sampled_from([BEFORE, RECEIVED, AFTER, RECEIVED.astimezone(timezone(timedelta(hours=5)))])
DESCRIPTIONS = st.builds(
    FieldDescription,
    st.sampled_from(["string", "number", "bool", "date", "datetime", "enumeration", "phone_number"]),
    options=st.just(INDUSTRIES),
    several=st.booleans(),
    restricted=st.booleans(),
    single_line=st.booleans(),
    rich=st.booleans(),
    precision=st.none() | st.integers(6, 18),
    scale=st.none() | st.integers(0, 4),
    read_only=st.sampled_from([False, False, False, True]),
    max_length=st.none() | st.integers(1, 10),
)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Give the arguments of `plan_write`, one rule per field."""

    def some(values: st.SearchStrategy[Any]) -> dict[str, Any]:
        return draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=len(NAMES)))

    rules = [
        FieldRule(name, draw(st.sampled_from(NAMES)), draw(st.sampled_from(Rule)), stamp=draw(st.booleans()))
        for name in draw(st.permutations(NAMES))
    ]
    return {
        "current": some(st.none() | WIRE_TEXTS),
        "values": some(LIKELY_VALUES | JSON_VALUES),
        "rules": rules,
        "descriptions": some(DESCRIPTIONS),
        "protected": draw(st.frozensets(st.sampled_from(NAMES), max_size=1)),
        "changed_at": some(MOMENTS),
        "received_at": draw(st.none() | MOMENTS),
    }


@given(cases())
def test_nothing_is_written_that_is_forbidden(case: dict[str, Any]) -> None:
    """Whatever the values, no protected, missing or read-only field and no field under `never` changes."""
    rules = {rule.field: rule.rule for rule in case["rules"]}
    for change in plan_write(**case).changes:
        assert rules[change.field] is not Rule.NEVER
        assert change.field not in case["protected"]
        assert not case["descriptions"][change.field].read_only


@given(cases())
def test_no_value_is_ever_replaced_by_a_blank(case: dict[str, Any]) -> None:
    """Every change puts something there."""
    assert all(change.after.strip() for change in plan_write(**case).changes)


@given(cases())
def test_a_filled_field_is_replaced_only_by_always_or_by_something_newer(case: dict[str, Any]) -> None:
    """`fill_blank` never touches a filled field, and `if_newer` only one that is older than the reply."""
    rules = {rule.field: rule.rule for rule in case["rules"]}
    for change in plan_write(**case).changes:
        if not case["current"].get(change.field):
            assert change.before is None
            continue
        assert change.before == case["current"][change.field]
        assert rules[change.field] in {Rule.ALWAYS, Rule.IF_NEWER}
        if rules[change.field] is Rule.IF_NEWER:
            assert case["changed_at"][change.field] < case["received_at"]


@given(cases())
def test_planning_again_after_writing_changes_nothing(case: dict[str, Any]) -> None:
    """A write-back that is repeated after a crash finds nothing left to do."""
    plan = plan_write(**case)
    written = case["current"] | {change.field: change.after for change in plan.changes}
    assert plan_write(**case | {"current": written}).changes == ()


@given(cases())
def test_every_field_is_changed_or_refused_at_most_once(case: dict[str, Any]) -> None:
    """A field is never both written and refused, and no stamp stands alone."""
    plan = plan_write(**case)
    touched = [change.field for change in plan.changes] + [refusal.field for refusal in plan.refusals]
    assert len(touched) == len(set(touched))
    stamps = {rule.field for rule in case["rules"] if rule.stamp}
    assert not plan.changes or {change.field for change in plan.changes} - stamps


@given(cases())
def test_what_is_written_fits_the_field(case: dict[str, Any]) -> None:
    """Options are the CRM's own, and no text is longer than the field takes."""
    for change in plan_write(**case).changes:
        description = case["descriptions"][change.field]
        if description.type == "enumeration" and description.restricted:
            assert set(change.after.split(";")) <= description.options.keys()
        elif description.type in {"string", "phone_number"} and description.max_length is not None:
            assert len(change.after) <= description.max_length


def test_a_value_that_was_undone_is_not_written_again() -> None:
    """In no form and at no rule; another value is."""
    undone = {"f": frozenset({"5", "7.0"})}
    for value in (5, 7):
        assert plan_one(value, description=NUMBER, undone=undone) == WritePlan((), (Refusal("f", "undone"),))
    assert plan_one(6, description=NUMBER, undone=undone).changes == (Change("f", None, "6"),)
    assert Refusal("f", "undone").by_policy


def test_what_is_said_of_an_undone_reply_comes_back_with_another_value_only() -> None:
    """The provider's name isn't about the contact: it is written beside a change, and never on its own."""
    rules = [FieldRule("f", "s", Rule.ALWAYS), FieldRule("by", "provider", Rule.ALWAYS)]
    described = {"f": TEXT, "by": TEXT}
    undone = {"f": frozenset({"old"}), "by": frozenset({"zoominfo"})}
    for value, written in (("old", []), ("new", ["f", "by"])):
        plan = plan_write({}, {"s": value, "provider": "zoominfo"}, rules, described, undone=undone)
        assert [change.field for change in plan.changes] == written


def test_the_fields_that_have_a_value_are_named_once() -> None:
    """Between commas, so that each can be found by its whole name; blank ones aren't among them."""
    rules = [FieldRule(name, "title", Rule.ALWAYS) for name in ("a", "b", "c", "a")]
    assert filled_fields({"a": "1", "b": "", "c": "2", "other": "3"}, rules) == ",a,c,"
    assert filled_fields({}, rules) == ",,"
