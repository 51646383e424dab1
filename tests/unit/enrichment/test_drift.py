"""What has changed around a mapping, and how people read it."""

from typing import Any

from enrichment.drift import (
    CrmFit,
    Finding,
    Kind,
    Words,
    not_understood,
    reply_findings,
    support_findings,
    version_findings,
)
from enrichment.drift_page import Drift
from enrichment.shapes import Path, ReadPaths, Shapes
from enrichment.wire import FieldDescription
from enrichment.write_policy import FieldRule, Rule

OLD = {"company": {"size": 5, "name": "Firm"}, "level": "Chief"}


def rules(**targets: Path) -> ReadPaths:
    found = {name: frozenset({path}) for name, path in targets.items()}
    return ReadPaths(found, frozenset(targets.values()))


def compare(old: Any, new: Any, read: ReadPaths, left_out: Words | None = None) -> list[Finding]:
    """Return what twelve replies of one day and twelve of the next say."""
    shapes = Shapes()
    for day, document in [("2026-11-01", old)] * 12 + [("2026-11-02", new)] * 12:
        shapes.add(document, day)
    return reply_findings("prov", shapes, read, left_out or Words())


def test_a_field_that_moved_comes_with_the_line_that_reads_it() -> None:
    """The most similar new path of the same type is proposed."""
    new = {"company": {"total_size": 5, "other": 7, "name": "Firm"}, "level": "Chief"}
    findings = compare(OLD, new, rules(employee_count=("company", "size")))
    [gone] = [one for one in findings if one.kind is Kind.GONE]
    assert (gone.subject, gone.count, gone.of, gone.since) == ("company.size", 12, 24, "2026-11-01")
    assert gone.proposal == "employee_count: {path: company.total_size}  # instead of company.size"
    assert gone.serious


def test_a_field_that_is_gone_without_another_has_no_proposal() -> None:
    """Nothing new is like it, or nothing is new at all."""
    for new in ({"level": "Chief"}, {"level": "Chief", "zzz": 1}, {"level": "Chief", "company": {"size_text": "x"}}):
        [gone] = [one for one in compare(OLD, new, rules(employee_count=("company", "size"))) if one.kind is Kind.GONE]
        assert gone.proposal == ""


def test_what_no_rule_reads_is_shown_only_if_it_is_new() -> None:
    """With the canonical field that it may fill, if one of that name isn't filled yet."""
    findings = compare(OLD, OLD | {"foundedYear": 1999, "odd": [True]}, rules(title=("level",)))
    assert [(one.kind, one.subject, one.proposal) for one in findings] == [
        (Kind.NEW, "foundedYear", "founded_year: {path: foundedYear}"),
        (Kind.NEW, "odd", ""),
    ]
    assert not findings[0].serious


def test_another_type_is_shown_if_there_was_one_before() -> None:
    """A path that is new has no other type."""
    findings = compare(OLD, OLD | {"level": ["Chief"], "title": "x"}, rules(seniority=("level",), title=("title",)))
    [changed] = [one for one in findings if one.kind is Kind.TYPE_CHANGED]
    assert changed.says == "seniority is read there; it was text, and is list of text now"
    assert (changed.subject, changed.count, changed.since) == ("level", 12, "2026-11-02")


def test_a_path_that_never_occurs_is_said_of_enough_replies_only() -> None:
    """A field with another path that does occur lacks nothing."""
    [never] = compare(OLD, OLD, rules(phone=("phone",)))
    assert (never.kind, never.subject, never.count, never.of, never.serious) == (Kind.NEVER, "phone", 0, 24, False)
    both = ReadPaths({"phone": frozenset({("phone",), ("level",)})}, frozenset())
    assert compare(OLD, OLD, both) == []
    few = Shapes()
    few.add(OLD, "2026-11-01")
    assert reply_findings("prov", few, rules(phone=("phone",), city=()), Words()) == []


def test_words_are_shown_of_a_vocabulary_and_only_those_that_several_contacts_share() -> None:
    """A single one may say something of a person; so may any word of a title."""
    words = Words()
    for value in ["Guru"] * 3 + ["Rare", ["Guru"], {"x": 1}, []]:
        words.add("seniority", "unreadable", "seniority", value)
    words.add("title", "unreadable", "title", "Head of Ada Byron's office")
    words.add("city", "placeholder", "city", "none")
    found = {one.subject: one for one in compare(OLD, OLD, rules(), words) if one.kind is Kind.LEFT_OUT}
    assert found.keys() == {"seniority", "title"}
    assert found["seniority"].values == (("Guru", 4),)
    assert found["seniority"].count == 7
    assert found["title"].values == ()


def test_words_are_counted_up_to_a_bound() -> None:
    """A field without a real vocabulary takes no more memory; its most frequent words are still counted."""
    words = Words()
    for number in range(1100):
        words.add("industry", "not_an_option", "industry", f"w{number}")
    for _ in range(3):
        words.add("industry", "not_an_option", "industry", "w1")
        words.add("industry", "not_an_option", "industry", "late")
    assert words.of("industry", "not_an_option") == (("w1", 4),)


def test_replies_that_are_no_matches_any_more_are_counted() -> None:
    """None of them is no finding."""
    assert list(not_understood("prov", 0, 5)) == []
    [one] = not_understood("prov", 2, 5)
    assert one.serious


def described(**types: str) -> dict[str, FieldDescription]:
    return {name: FieldDescription(kind) for name, kind in types.items()}


def fit(fields: dict[str, FieldDescription], *mapping: FieldRule, protected: frozenset[str] = frozenset()) -> CrmFit:
    return CrmFit("hubspot", mapping, fields, protected)


def test_fields_of_the_crm_that_the_mapping_can_not_fill_any_more() -> None:
    """Missing, read-only or of another type; what isn't written or is protected doesn't matter."""
    fields = described(size="date", ok="number", kept="bool") | {"locked": FieldDescription("string", read_only=True)}
    found = fit(
        fields,
        FieldRule("lost", "industry", Rule.ALWAYS),
        FieldRule("size", "employee_count", Rule.ALWAYS),
        FieldRule("locked", "title", Rule.ALWAYS),
        FieldRule("ok", "annual_revenue", Rule.ALWAYS),
        FieldRule("never", "title", Rule.NEVER),
        FieldRule("kept", "title", Rule.ALWAYS),
        protected=frozenset({"kept"}),
    ).findings()
    assert [one.subject for one in found] == ["lost", "size", "locked"]
    assert found[0].proposal == "- {field: lost, source: industry, rule: never}"
    assert all(one.serious for one in found)


def test_values_that_a_field_does_not_take_are_counted_with_their_words() -> None:
    """What a field refuses for itself is said of the field."""
    fields = {"sector": FieldDescription("enumeration", {"MINING": "Mining"}), "size": FieldDescription("number")}
    judge = fit(
        fields,
        FieldRule("sector", "industry", Rule.ALWAYS),
        FieldRule("size", "employee_count", Rule.ALWAYS),
        FieldRule("lost", "title", Rule.ALWAYS),
    )
    for industry in ["Farming"] * 3 + ["Mining", None]:
        judge.add({"industry": industry, "employee_count": 7, "title": "x"})
    found = {one.subject: one for one in judge.findings() if one.kind is Kind.CRM_VALUES}
    assert found.keys() == {"sector"}
    assert (found["sector"].count, found["sector"].of, found["sector"].values) == (3, 5, (("Farming", 3),))
    assert found["sector"].says.startswith("not in hubspot's list; add the value")


def test_versions_are_shown_in_the_order_in_which_they_came() -> None:
    """Only those that came later are new since a day."""
    found = list(version_findings("prov", {"v2": {"2026-11-03", "2026-11-02"}, "v1": {"2026-11-01"}}))
    assert [(one.subject, one.since) for one in found] == [("v1", ""), ("v2", "2026-11-02")]
    assert found[1].says == "named by replies from 2026-11-02 to 2026-11-03"


def test_the_end_of_support_is_said_if_it_is_known() -> None:
    """A month that lies behind is one; a file has no version."""
    today = "2026-11-29"
    said = [
        one.says
        for version, until in (("v3", "2027-09"), ("30.0", "2025-06"), ("68.0", ""), ("", ""))
        for one in support_findings("crm", version, until, today)
    ]
    assert said == [
        "we call it; it is supported until 2027-09",
        "we call it; its support ended in 2025-06",
        "we call it; no end of its support is known",
    ]


def test_the_page_leads_with_a_sentence_and_ends_with_what_to_write() -> None:
    """One block for each file."""
    findings = (
        Finding("prov", Kind.GONE, "a|b", "was\nthere", 1, 5, "2026-11-01", proposal="title: {path: c}"),
        Finding("prov", Kind.NEVER, "z", "is read"),
        Finding("prov", Kind.LEFT_OUT, "seniority", "not readable", 4, 5, values=(("Guru", 4),)),
        Finding("hubspot", Kind.CRM_FIELD, "f", "no such field", proposal="- {field: f, source: title, rule: never}"),
        Finding("hubspot", Kind.VERSION, "v3", "we call it"),
    )
    page = Drift(90, "2026-11-29", {"prov": 5, "big": 50}, 50, findings, ("crm x: not checked",)).markdown()
    assert page.startswith("# Mapping: 3 changes in 90 days; by 2 of them values are lost")
    assert "* prov: 5 saved replies with data read, all of the last 90 days" in page
    assert "* big: 50 saved replies with data read, a sample of the last 90 days" in page
    assert "| prov | **no longer there** | `a\\|b` | 1 of 5 | 2026-11-01 | was there |" in page
    assert "not readable: Guru (4)" in page
    assert "```yaml\n# prov\nfields:\n  title: {path: c}\n```" in page
    assert "```yaml\n# mapping file of hubspot\n- {field: f, source: title, rule: never}\n```" in page
    assert "|" not in Drift(90, "2026-11-29", {}, 50, ()).markdown()
