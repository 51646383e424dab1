"""One bad value costs one field: what the CRM takes is written, what it refuses is named, nothing is written twice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from blocks.crms.hubspot.contacts import describe_property
from blocks.crms.salesforce.contacts import as_text, describe_field
from blocks.crms.salesforce.updates import typed
from blocks.warehouses.base import NewRecord, Warehouse
from enrichment.plan import RunPlan
from enrichment.records import Chunk, Enrichment, Found, Origin
from enrichment.wire import FieldDescription
from enrichment.write_policy import FieldRule, Rule, plan_write
from sandbox.hubspot.values import flaw_of
from sandbox.hubspot.values import stored as stored_in_hubspot
from sandbox.salesforce.fields import check, definition, picklist
from sandbox.salesforce.fields import stored as stored_in_salesforce
from sandbox.server import Box
from tasks.chunk import settle, store, write_back
from tasks.queue import claim_chunks
from tasks.steps import Parcel
from tests.cases.chain import Chain

SECTORS = {
    "COMPUTER_SOFTWARE": "Computer Software",
    "FOOD_AND_BEVERAGES": "Food & Beverages",
    "RETAIL": "Retail",
}
TOOLS = {"Gmail": "Google Mail", "Slack": "Slack", "Snowflake": "Snowflake"}

#: What fills the fields of these tests; their names in Salesforce end with `__c`.
MAPPED = {
    "sector": "industry",
    "tool": "tech_stack",
    "tools": "tech_stack",
    "score": "confidence",
    "revenue": "annual_revenue",
    "founded": "founded_year",
    "headline": "title",
    "place": "city",
    "region": "state",
}
#: In all tests, fields that no test spoils: their values must arrive.
COMPANY = {"hubspot": "enr_company_name", "salesforce": "Enr_Company_Name__c"}
STAMP = {"hubspot": "enr_enriched_at", "salesforce": "Enr_Enriched_At__c"}

CRMS = ["hubspot", "salesforce"]


@dataclass
class Desk:
    """A chain at one CRM with fields of every kind, and what a provider knows of its contacts."""

    chain: Chain
    crm: str

    def named(self, field: str) -> str:
        """Return what the CRM calls a field of these tests."""
        if self.crm == "hubspot" or field not in MAPPED:
            return field
        return "MailingState" if field == "region" else f"{field.capitalize()}__c"

    @property
    def side(self) -> Any:
        """The CRM's stand-in."""
        return self.chain.world.services[self.crm]

    def contacts(self, number: int) -> list[str]:
        """Create contacts, and return their ids."""
        name = "Email" if self.crm == "salesforce" else "email"
        ids: list[str] = self.side.create([{name: f"p{n}@firm.example"} for n in range(number)])
        return ids

    def held(self, crm_id: str, field: str) -> Any:
        """Return what the CRM holds in a field."""
        return self.side.contacts[crm_id].get(self.named(field))

    def enrich(
        self,
        known: Mapping[str, Mapping[str, Any]],
        meanwhile: Callable[[], object] = lambda: None,
        confidence: float = 90,
    ) -> RunPlan:
        """Write what is known of contacts as a run does; something happens after it described the fields."""
        plan = self.chain.plan()
        meanwhile()
        self.chain.warehouse.stage([NewRecord(self.crm, crm_id, None, "webhook", "live") for crm_id in known])
        for claimed in claim_chunks.fn(plan, 1, 1000):
            found = tuple(
                Found(
                    record,
                    Enrichment("apollo", "7", confidence, known[record.crm_id], "2026-11-28T10:00:00.123456+00:00"),
                    "key",
                )
                for record in claimed.contents.records
            )
            settle.fn(plan, write_back.fn(plan, store.fn(plan, Parcel(Chunk(claimed.contents, found)))))
        return plan

    def refusals(self, crm_id: str) -> dict[str, tuple[str, str]]:
        """Return what the warehouse keeps of a contact's refused fields: reason and value."""
        kept = self.chain.warehouse.read_story(Origin(self.crm), crm_id).refusals
        return {one.field: (one.reason, one.value or "") for one in kept}

    def writing_calls(self) -> list[int]:
        """Return the statuses of the calls that wrote."""
        path = "batch/update" if self.crm == "hubspot" else "composite/sobjects"
        calls = [one for one in self.side.log.records() if path in one.path]
        return [one.status for one in calls if self.crm == "hubspot" or one.method == "PATCH"]


def hubspot_definitions() -> list[dict[str, Any]]:
    def options(labels: Mapping[str, str]) -> list[dict[str, Any]]:
        return [{"value": value, "label": label, "hidden": value == "RETAIL"} for value, label in labels.items()]

    return [
        {"name": "sector", "type": "enumeration", "fieldType": "select", "options": options(SECTORS)},
        {"name": "tool", "type": "enumeration", "fieldType": "radio", "options": options(TOOLS)},
        {"name": "tools", "type": "enumeration", "fieldType": "checkbox", "options": options(TOOLS)},
        {"name": "score", "type": "number", "fieldType": "number"},
        {"name": "revenue", "type": "number", "fieldType": "number"},
        {"name": "founded", "type": "date", "fieldType": "date"},
        {"name": "headline", "type": "string", "fieldType": "text"},
        {"name": "place", "type": "string", "fieldType": "textarea"},
        {"name": "region", "type": "string", "fieldType": "text"},
    ]


def salesforce_definitions() -> list[dict[str, Any]]:
    return [
        picklist("Sector__c", SECTORS),
        picklist("Tool__c", TOOLS),
        picklist("Tools__c", TOOLS, kind="multipicklist"),
        {**definition("Score__c", "double"), "scale": 5},
        {**definition("Revenue__c", "currency"), "precision": 12, "scale": 2},
        definition("Founded__c", "date"),
        definition("Headline__c", "string", 40),
        definition("Place__c", "textarea", 255),
    ]


@pytest.fixture
def desk(
    request: pytest.FixtureRequest,
    box: Box,
    make_warehouse: Callable[[str], Warehouse],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Desk:
    """Give a desk; the parameter is the CRM and the warehouse."""
    crm, warehouse = request.param
    desk = Desk(Chain(box, make_warehouse(warehouse), monkeypatch.setenv, warehouse, crm), crm)
    for one in hubspot_definitions() if crm == "hubspot" else salesforce_definitions():
        desk.side.define(one)
    rules = [{"field": desk.named(field), "source": source, "rule": "always"} for field, source in MAPPED.items()]
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(yaml.safe_dump(rules))
    monkeypatch.setenv(f"ENRICHMENT_{crm}_MAPPING_FILE".upper(), str(mapping))
    return desk


EVERYWHERE = pytest.mark.parametrize(
    "desk", [(crm, warehouse) for crm in CRMS for warehouse in ("sqlite", "postgres")], indirect=True, ids="-".join
)
AT_BOTH = pytest.mark.parametrize("desk", [(crm, "sqlite") for crm in CRMS], indirect=True, ids="-".join)


@dataclass(frozen=True)
class Case:
    """What a provider says of one contact, what the CRM holds then, and what is refused."""

    known: Mapping[str, Any]
    held: Mapping[str, Any]
    refused: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    only: str = ""


CASES = {
    "label": Case({"industry": "Computer Software"}, {"sector": "COMPUTER_SOFTWARE"}),
    "value": Case({"industry": "COMPUTER_SOFTWARE"}, {"sector": "COMPUTER_SOFTWARE"}),
    "label in another case": Case({"industry": " computer  software"}, {"sector": "COMPUTER_SOFTWARE"}),
    "and for &": Case({"industry": "Food and Beverages"}, {"sector": "FOOD_AND_BEVERAGES"}),
    "hidden option": Case({"industry": "Retail"}, {"sector": "RETAIL"}),
    "no option": Case({"industry": "Mining"}, {"sector": None}, {"sector": ("not_an_option", "Mining")}),
    "several for one": Case(
        {"tech_stack": ["Slack", "Gmail"]},
        {"tool": None, "tools": "Gmail;Slack"},
        {"tool": ("several_values", "Slack;Gmail")},
    ),
    "a list of one": Case({"tech_stack": ["google mail"]}, {"tool": "Gmail", "tools": "Gmail"}),
    "one of a list is none": Case(
        {"tech_stack": ["Slack", "Excel"]},
        {"tool": None, "tools": None},
        {"tool": ("not_an_option", "Excel"), "tools": ("not_an_option", "Excel")},
    ),
    "not a date": Case({"founded_year": 1999}, {"founded": None}, {"founded": ("not_a_date", "")}),
    "lines": Case({"city": "Ulm\r\nDonau \n"}, {"place": "Ulm\nDonau"}, only="hubspot"),
    "lines in Salesforce": Case({"city": "Ulm\r\nDonau \n"}, {"place": "Ulm\r\nDonau"}, only="salesforce"),
    "one line": Case({"title": "Head of\nIT "}, {"headline": "Head of IT"}),
    "an emoji counts twice": Case({"title": "\U0001f600" * 20}, {"headline": "\U0001f600" * 20}),
    "too long": Case(
        {"title": "\U0001f600" * 21}, {"headline": None}, {"headline": ("too_long", "")}, only="salesforce"
    ),
    "too many digits": Case(
        {"annual_revenue": 10**10}, {"revenue": None}, {"revenue": ("out_of_range", "")}, only="salesforce"
    ),
    "many digits": Case({"annual_revenue": 10**12}, {"revenue": "1000000000000"}, only="hubspot"),
}


@EVERYWHERE
def test_a_value_that_does_not_fit_costs_its_field(desk: Desk) -> None:
    """One run over contacts of every kind: the rest of each is written, the warehouse names what isn't, once."""
    cases = [case for case in CASES.values() if case.only in {"", desk.crm}]
    ids = desk.contacts(len(cases))
    known = {crm_id: {"company_name": "Acme", **case.known} for crm_id, case in zip(ids, cases, strict=True)}
    plan = desk.enrich(known, confidence=0.00001)
    for crm_id, case in zip(ids, cases, strict=True):
        assert {field: desk.held(crm_id, field) for field in case.held} == dict(case.held)
        assert desk.refusals(crm_id) == {desk.named(field): why for field, why in case.refused.items()}
    assert desk.chain.ends(*ids) == ["written"] * len(ids)
    assert {desk.held(crm_id, COMPANY[desk.crm]) for crm_id in ids} == {"Acme"}
    assert {str(desk.held(crm_id, "score")) for crm_id in ids} <= {"0.00001", "1e-05"}
    found = {(one.field, one.reason): one for one in desk.chain.warehouse.count_refusals(plan.run_id)}
    assert found[desk.named("sector"), "not_an_option"].values == (("Mining", 1),)
    # The same once more: everything is there, in the CRM's own form.
    before = desk.side.updates_by_contact
    desk.enrich(known, confidence=0.00001)
    assert desk.side.updates_by_contact == before
    assert desk.chain.ends(*ids) == ["unchanged"] * len(ids)


@AT_BOTH
def test_numbers_go_without_exponent(desk: Desk) -> None:
    """Small and large ones: the CRM sees digits."""
    (crm_id,) = desk.contacts(1)
    desk.enrich({crm_id: {"company_name": "Acme"}}, confidence=0.00001)
    (write,) = desk.side.writes
    sent = write.properties if desk.crm == "hubspot" else write.fields
    assert sent[desk.named("score")] == ("0.00001" if desk.crm == "hubspot" else 0.00001)


@EVERYWHERE
def test_a_field_that_is_gone_is_dropped_for_the_run(desk: Desk) -> None:
    """Deleted after the run began: one call learns it, and everybody's other fields are written."""
    number = 60 if desk.crm == "hubspot" else 150
    ids = desk.contacts(number)
    lost = desk.named("sector")
    remove = desk.side.archive_property if desk.crm == "hubspot" else desk.side.remove
    plan = desk.enrich({crm_id: {"company_name": "Acme", "industry": "Retail"} for crm_id in ids}, lambda: remove(lost))
    assert {desk.held(crm_id, COMPANY[desk.crm]) for crm_id in ids} == {"Acme"}
    assert set(desk.chain.ends(*ids)) == {"written"}
    # Salesforce refuses the read already, which then spares the write.
    assert desk.writing_calls() == ([400, 200] if desk.crm == "hubspot" else [200])
    (refused,) = desk.chain.warehouse.count_refusals(plan.run_id)
    assert (refused.field, refused.reason, refused.contacts) == (lost, "no_such_field", number)


@AT_BOTH
def test_of_a_contact_with_nothing_left_nothing_is_written(desk: Desk) -> None:
    """Neither the mark of time: the contact ends as unchanged, with its refusal."""
    ids = desk.contacts(2)
    seen = desk.enrich({crm_id: {"company_name": "Acme"} for crm_id in ids})
    assert seen.descriptions
    before = desk.side.updates_by_contact
    stamps = [desk.held(crm_id, STAMP[desk.crm]) for crm_id in ids]
    lost = desk.named("revenue")
    remove = desk.side.archive_property if desk.crm == "hubspot" else desk.side.remove
    desk.enrich({crm_id: {"company_name": "Acme", "annual_revenue": 7} for crm_id in ids}, lambda: remove(lost))
    assert desk.chain.ends(*ids) == ["unchanged"] * 2
    assert [desk.refusals(crm_id) for crm_id in ids] == [{lost: ("no_such_field", "")}] * 2
    assert desk.side.updates_by_contact == before
    assert [desk.held(crm_id, STAMP[desk.crm]) for crm_id in ids] == stamps


@EVERYWHERE
def test_an_option_that_is_gone_is_found_by_the_answer(desk: Desk) -> None:
    """A person edits the list during the run: the contacts with that option lose one field, the others none."""
    ids = desk.contacts(20)

    def edit() -> None:
        left = {value: label for value, label in SECTORS.items() if value != "RETAIL"}
        if desk.crm == "salesforce":
            desk.side.define(picklist("Sector__c", left))
        else:
            desk.side._catalog.definitions["sector"]["options"] = [{"value": value, "label": value} for value in left]

    known = {
        crm_id: {"company_name": "Acme", "industry": "Retail" if n % 3 == 0 else "Computer Software"}
        for n, crm_id in enumerate(ids)
    }
    desk.enrich(known, edit)
    assert desk.chain.ends(*ids) == ["written"] * 20
    assert {desk.held(crm_id, COMPANY[desk.crm]) for crm_id in ids} == {"Acme"}
    for crm_id, values in known.items():
        lacks = values["industry"] == "Retail"
        assert desk.held(crm_id, "sector") == (None if lacks else "COMPUTER_SOFTWARE")
        assert desk.refusals(crm_id) == ({desk.named("sector"): ("not_an_option", "RETAIL")} if lacks else {})
    assert len(desk.writing_calls()) <= 12


#: A rule of the org: the value that it refuses, code, message and the fields that its error names.
RULES = {
    "state": ("region", "XX", "FIELD_INTEGRITY_EXCEPTION", "There's a problem with this state", ["MailingState"]),
    "part of an address": (
        "region",
        "YY",
        "FIELD_INTEGRITY_EXCEPTION",
        "a problem with this state",
        ["MailingStateCode"],
    ),
    "a part's bare name": ("region", "ZZ", "FIELD_INTEGRITY_EXCEPTION", "a problem with this state", ["State"]),
    "no name but words": ("region", "QQ", "FIELD_INTEGRITY_EXCEPTION", "a problem with this state", []),
    "validation rule": ("headline", "Boss", "FIELD_CUSTOM_VALIDATION_EXCEPTION", "no titles", ["Headline__c"]),
    "unknown code, named field": ("headline", "Head", "BRAND_NEW_CODE", "no", ["Headline__c"]),
    "another case": ("headline", "Chief", "FIELD_CUSTOM_VALIDATION_EXCEPTION", "no", ["headline__C"]),
}


@pytest.mark.parametrize("desk", [("salesforce", "sqlite"), ("salesforce", "postgres")], indirect=True, ids="-".join)
def test_an_error_of_a_record_that_names_a_field_costs_that_field(desk: Desk) -> None:
    """One call for all, one for what is left of those with an error; no attempt is spent."""
    ids = desk.contacts(len(RULES) + 2)
    sources = {"region": "state", "headline": "title"}
    known: dict[str, dict[str, Any]] = {crm_id: {"company_name": "Acme"} for crm_id in ids}
    for crm_id, (name, value, *error) in zip(ids, RULES.values(), strict=False):
        desk.side.forbid(desk.named(name), value, *error)
        known[crm_id][sources[name]] = value
    desk.side.forbid("Headline__c", "Nameless", "BRAND_NEW_CODE", "ada@firm.example")
    known[ids[-1]]["title"] = "Nameless"
    desk.enrich(known)
    *ruled, untouched, failed = ids
    assert desk.chain.ends(*ruled, untouched) == ["written"] * (len(ids) - 1)
    assert {desk.held(crm_id, COMPANY[desk.crm]) for crm_id in (*ruled, untouched)} == {"Acme"}
    assert [desk.refusals(crm_id) for crm_id in ruled] == [
        {desk.named(name): (code.lower(), "")} for name, _, code, *_ in RULES.values()
    ]
    assert desk.writing_calls() == [200, 200]
    # A code that isn't known and names nothing is the contact's end at its first attempt, and says so.
    assert desk.chain.ends(failed) == ["failed: brand_new_code"]
    (failure,) = desk.chain.warehouse.read_story(Origin("salesforce"), failed).failures
    assert "BRAND_NEW_CODE; Salesforce's code isn't known here" in failure.error
    assert "ada" not in failure.error


@pytest.mark.parametrize("desk", [("salesforce", "sqlite"), ("salesforce", "postgres")], indirect=True, ids="-".join)
def test_a_record_type_narrows_the_options(desk: Desk) -> None:
    """What the contact's record type leaves is known before the write; a contact without one has all options."""
    sales, service, hidden = "0125e0000000001AAA", "0125e0000000002AAA", "0125e0000000003AAA"
    desk.side.make_record_types({sales: {"Sector__c": ["RETAIL"]}, service: {}})
    ids = desk.contacts(4)
    for crm_id, record_type in zip(ids, (sales, service, hidden), strict=False):
        desk.side.edit(crm_id, {"RecordTypeId": record_type})
    industries = ("Computer Software", "Computer Software", "Computer Software", "Retail")
    known = {crm_id: {"company_name": "Acme", "industry": one} for crm_id, one in zip(ids, industries, strict=True)}
    desk.enrich(known)
    assert [desk.held(crm_id, "sector") for crm_id in ids] == [None, *["COMPUTER_SOFTWARE"] * 2, "RETAIL"]
    assert desk.refusals(ids[0]) == {"Sector__c": ("not_an_option", "Computer Software")}
    assert desk.chain.ends(*ids) == ["written"] * 4
    assert desk.writing_calls() == [200]
    # An org whose user may not ask for it finds out by the answer.
    desk.side.edit(ids[3], {"RecordTypeId": sales})
    body = [{"errorCode": "API_DISABLED_FOR_ORG", "message": "no"}]
    desk.chain.answer("salesforce", "ui-api", body, status=403, times=0)
    desk.enrich({ids[3]: {"company_name": "Acme 2", "industry": "Computer Software"}})
    assert desk.held(ids[3], COMPANY[desk.crm]) == "Acme 2"
    assert desk.refusals(ids[3]) == {"Sector__c": ("not_an_option", "COMPUTER_SOFTWARE")}


@EVERYWHERE
def test_a_value_before_that_holds_half_a_character_is_kept(desk: Desk) -> None:
    """The table of writes has it in a form that every engine stores; the new value is written."""
    ids = desk.contacts(3)
    held = {desk.named("headline"): "Growth \ud83d"}
    if desk.crm == "hubspot":
        found = [{"id": crm_id, "properties": held} for crm_id in ids]
        desk.chain.answer("hubspot", "batch/read", {"status": "COMPLETE", "results": found})
    else:
        desk.chain.answer("salesforce", "composite/sobjects/Contact", [{"Id": crm_id, **held} for crm_id in ids])
    plan = desk.enrich({crm_id: {"company_name": "Acme", "title": "CTO"} for crm_id in ids})
    assert desk.chain.ends(*ids) == ["written"] * 3
    written = desk.chain.warehouse.read_written(plan.run_id, Origin(desk.crm))
    assert [one.before for one in written if one.field == desk.named("headline")] == ["Growth "] * 3


# Plan, write, read, plan: whatever the value, nothing is left to do the second time.

VALUES = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**24), 10**24)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
    | st.sampled_from([True, False, "1e-5", "2026-01-15", "2026-01-15T10:30:00.123456+02:00", "a;b", "Retail", 0.00001])
    | st.lists(st.sampled_from([*TOOLS, "google mail", " ", "x\r\ny", "é", "e\u0301"]), max_size=4)
)


def hubspot_kinds() -> Sequence[dict[str, Any]]:
    usual = {
        "options": [],
        "calculated": False,
        "externalOptions": False,
        "modificationMetadata": {"readOnlyValue": False},
    }
    more = [
        {"name": "flag", "type": "bool", "fieldType": "booleancheckbox"},
        {"name": "moment", "type": "datetime", "fieldType": "date"},
        {"name": "prose", "type": "string", "fieldType": "html"},
    ]
    return [{**usual, **one} for one in (*hubspot_definitions(), *more)]


def salesforce_kinds() -> Sequence[dict[str, Any]]:
    more = [
        definition("Flag__c", "boolean"),
        definition("Moment__c", "datetime"),
        {**definition("Prose__c", "textarea", 500), "htmlFormatted": True},
        picklist("Open__c", TOOLS, restricted=False),
        picklist("Opens__c", TOOLS, restricted=False, kind="multipicklist"),
    ]
    return [one for one in (*salesforce_definitions(), *more) if one["type"] != "currency"]


def written_and_read(
    value: Any, one: Mapping[str, Any], described: FieldDescription, keep: Callable[[str], str | None]
) -> None:
    rules = [FieldRule("f", "s", Rule.ALWAYS)]
    first = plan_write({}, {"s": value}, rules, {"f": described})
    assume(first.changes)
    held = keep(first.changes[0].after)
    second = plan_write({"f": held}, {"s": value}, rules, {"f": described})
    assert second.changes == (), (one["type"], first.changes, held)


@settings(suppress_health_check=[HealthCheck.filter_too_much], max_examples=150)
@given(VALUES, st.sampled_from(hubspot_kinds()))
@example(1e22, hubspot_kinds()[3])
@example("a\x85b", hubspot_kinds()[7])
def test_what_hubspot_gives_back_is_not_a_change(value: Any, one: dict[str, Any]) -> None:
    """HubSpot takes everything that the policy plans, and its own form of it is known again."""

    def keep(after: str) -> str | None:
        assert flaw_of(one["name"], after, one) is None
        return stored_in_hubspot(after, one)

    written_and_read(value, one, describe_property(one), keep)


@settings(suppress_health_check=[HealthCheck.filter_too_much], max_examples=150)
@given(VALUES, st.sampled_from(salesforce_kinds()))
@example("x\ny", salesforce_kinds()[5])
def test_what_salesforce_gives_back_is_not_a_change(value: Any, one: dict[str, Any]) -> None:
    """Salesforce takes everything that the policy plans, and its own form of it is known again."""
    described = describe_field(one)

    def keep(after: str) -> str | None:
        sent = typed(after, described.type)
        check(one["name"], sent, one)
        return as_text(stored_in_salesforce(sent, one))

    written_and_read(value, one, described, keep)
