"""HubSpot's properties, account and path versions, over real sockets."""

import json
from pathlib import Path

import pytest

from blocks.crms.hubspot.contacts import OUR_FIELDS
from enrichment.errors import ConfigurationError, TransientError
from enrichment.write_policy import WritePlan, plan_write
from tests.integration.crms.conftest import Account, company, reasons, refusals, update


def test_our_properties_are_created_once(account: Account) -> None:
    """The second time there is nothing to do."""
    crm = account.crm()
    assert set(crm.ensure_fields()) == set(OUR_FIELDS)
    assert crm.ensure_fields() == []
    assert account.hubspot.property_names >= set(OUR_FIELDS)


def test_only_what_is_missing_is_created(account: Account) -> None:
    """Another run may have been there, with the group and some of the properties."""
    crm = account.crm()
    crm.ensure_fields()
    del account.hubspot._catalog.definitions["enr_industry"]
    assert crm.ensure_fields() == ["enr_industry"]


def test_a_conflict_in_between_is_not_an_error(account: Account) -> None:
    """Another client creates the same: what counts is what is there in the end."""
    account.answer_instead(
        '{"status": "error", "category": "OBJECT_ALREADY_EXISTS"}', "properties/contacts/batch/create", status=409
    )
    crm = account.crm()
    assert set(crm.ensure_fields()) == set(OUR_FIELDS)
    assert account.hubspot.property_names >= set(OUR_FIELDS)


def test_what_is_still_absent_after_creating_is_said(account: Account) -> None:
    """An archived property of the same name can't be created, and isn't listed."""
    account.answer_instead("{}", "properties/contacts/batch/create", status=409)
    # List, group, list: then each of the ten is tried alone.
    account.answer_instead("{}", "properties/contacts", status=409, after=3, times=len(OUR_FIELDS))
    with pytest.raises(TransientError, match=r"enr_company_name, .*enr_enriched_at: restore them"):
        account.crm().ensure_fields()


def test_a_property_of_another_type_is_named(account: Account) -> None:
    """A text where a number is needed would refuse every value later."""
    definitions = account.hubspot._catalog.definitions
    definitions["enr_confidence"] = {**definitions["company"], "name": "enr_confidence"}
    with pytest.raises(ConfigurationError, match=r"enr_confidence.*string.*number"):
        account.crm().ensure_fields()


@pytest.mark.parametrize("kind", ["reset_after", "empty_200"])
def test_a_creation_whose_answer_was_lost_is_not_sent_again(account: Account, kind: str) -> None:
    """The setup fails in plain words, and succeeds when it is run again."""
    account.fault(kind, "properties/contacts/batch/create")
    crm = account.impatient()
    with pytest.raises(TransientError):
        crm.ensure_fields()
    assert len(account.calls("batch/create")) == 1
    crm.ensure_fields()
    assert account.hubspot.property_names >= set(OUR_FIELDS)


def test_a_field_switched_off_is_not_created(account: Account, tmp_path: Path) -> None:
    """The mapping decides which of our properties there are."""
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("- {field: enr_tech_stack, source: tech_stack, rule: never}", encoding="utf-8")
    crm = account.crm(mapping_file=mapping)
    assert set(crm.ensure_fields()) == set(OUR_FIELDS) - {"enr_tech_stack"}


def test_properties_are_described_for_the_write_policy(account: Account) -> None:
    """Types, options, what is read-only, and the longest text come from HubSpot itself."""
    crm = account.crm()
    crm.ensure_fields()
    known = crm.describe_fields()
    assert known["enr_employee_count"].type == "number"
    assert known["enr_enriched_at"].type == "datetime"
    assert known["company"].max_length == 65_536
    assert known["createdate"].read_only
    assert known["lifecyclestage"].type == "enumeration"
    assert (known["hs_buying_role"].several, known["lifecyclestage"].several) == (True, False)
    assert (known["jobtitle"].single_line, known["enr_tech_stack"].single_line) == (True, False)
    # Owners are kept elsewhere: whether a value is one, HubSpot's answer says.
    assert (known["hubspot_owner_id"].restricted, known["lifecyclestage"].restricted) == (False, True)
    assert "lead" in known["lifecyclestage"].options


def test_an_archived_property_is_none(account: Account) -> None:
    """HubSpot may list it all the same; a write to it would be refused."""
    listed = {"type": "string", "fieldType": "text"}
    properties = [{"name": "there", **listed}, {"name": "gone", "archived": True, **listed}]
    account.answer_instead(json.dumps({"results": properties}), "properties")
    assert account.crm().describe_fields().keys() == {"there"}


def test_an_owner_that_is_none_costs_its_field(account: Account) -> None:
    """The answer names it, and the rest is written."""
    crm = account.crm()
    updates = [update(crm_id, hubspot_owner_id="nobody", company="Acme") for crm_id in account.ids]
    results = crm.write(updates)
    assert refusals(updates, results) == [{"hubspot_owner_id": "invalid_owner_id"}] * 5
    assert {values["company"] for values in account.hubspot.contacts.values()} == {"Acme"}


def test_descriptions_are_asked_for_once(account: Account) -> None:
    """They don't change within a run, and 300 properties are a large answer."""
    crm = account.crm()
    assert crm.describe_fields() is crm.describe_fields()
    assert account.calls("properties") == [200]


def test_the_default_mapping_writes_what_the_policy_plans(account: Account) -> None:
    """Every canonical field of the default mapping passes HubSpot's own checks, and reads back the same."""
    crm = account.crm()
    crm.ensure_fields()
    (crm_id,) = account.hubspot.create([{"email": "new@example.com"}])
    values = {
        "company_name": "Ünïcode GmbH",
        "employee_count": 1200,
        "industry": "Software",
        "tech_stack": ["Snowflake", "Prefect"],
        "linkedin_url": "https://www.linkedin.com/in/example",
        "intent_keywords": ["data", "etl"],
        "title": "CTO",
        "provider": "zoominfo",
        "confidence": 95.5,
        "received_at": "2026-11-23T12:00:00+00:00",
    }
    fields = [rule.field for rule in crm.rules]

    def plan() -> WritePlan:
        current = crm.read([crm_id], fields)[crm_id].values
        return plan_write(current, values, crm.rules, crm.describe_fields(), protected=crm.protected)

    first = plan()
    assert first.refusals == ()
    updates = [update(crm_id, **{c.field: c.after for c in first.changes})]
    assert reasons(updates, crm.write(updates)) == [""]
    assert plan().changes == ()


def test_the_check_names_account_and_allowance(account: Account) -> None:
    """One line says that the token works, for whom, and what is left."""
    assert account.crm().check() == "HubSpot portal 24680135 answers; 624,999 of 625,000 calls left today"


def test_the_check_works_without_a_view_of_the_account(account: Account) -> None:
    """A service key may not see the account; that it may see contacts is what matters."""
    account.answer_instead(json.dumps({"category": "MISSING_SCOPES"}), "account-info", status=403)
    assert account.crm().check().startswith("HubSpot answers; ")


@pytest.mark.parametrize(
    ("version", "shape"), [("v3", "/crm/v3/objects/contacts"), ("2026-09", "/crm/objects/2026-09/contacts")]
)
def test_both_shapes_of_paths_serve_everything(account: Account, version: str, shape: str) -> None:
    """The version is one setting; every call follows it."""
    crm = account.crm(api_version=version)
    crm.check()
    crm.ensure_fields()
    assert crm.read(account.ids, ["enr_provider"]).keys() == {*account.ids}
    updates = [company(crm_id) for crm_id in account.ids]
    assert set(reasons(updates, crm.write(updates))) == {""}
    assert sum(len(page) for page in crm.list_contacts()) == 5
    paths = {record.path for record in account.hubspot.log.records()}
    assert {path for path in paths if "objects" in path} == {shape, f"{shape}/batch/read", f"{shape}/batch/update"}
    assert all(version in path for path in paths)
