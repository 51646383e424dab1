"""Salesforce's fields, and what its check says, over real sockets."""

import json

import pytest

from enrichment.errors import ConfigurationError
from enrichment.wire import FieldDescription
from tests.integration.crms.salesforce_org import Org

DESCRIBE = "sobjects/Contact/describe"


def _listed(name: str, kind: str, **more: object) -> dict[str, object]:
    return {"name": name, "type": kind, "updateable": True, "length": 0, **more}


@pytest.mark.parametrize(
    ("listed", "described"),
    [
        (_listed("A", "string", length=80), FieldDescription("string", max_length=80, single_line=True)),
        (_listed("A", "textarea", length=32768), FieldDescription("string", max_length=32768)),
        (
            _listed("A", "url", length=255, updateable=False),
            FieldDescription("string", read_only=True, max_length=255, single_line=True),
        ),
        (_listed("A", "textarea", length=99, htmlFormatted=True), FieldDescription("string", max_length=99, rich=True)),
        (_listed("A", "currency", precision=18, scale=2), FieldDescription("number", precision=18, scale=2)),
        (_listed("A", "percent"), FieldDescription("number")),
        (_listed("A", "int", digits=9, precision=0, scale=0), FieldDescription("number", precision=9, scale=0)),
        (_listed("A", "boolean"), FieldDescription("bool")),
        (_listed("A", "date"), FieldDescription("date")),
        (_listed("A", "datetime"), FieldDescription("datetime")),
        (_listed("A", "address"), FieldDescription("string", read_only=True)),
        (_listed("A", "somethingnew"), FieldDescription("string", read_only=True)),
        (
            _listed("A", "picklist", length=40, picklistValues=[{"value": "x", "label": "X", "active": True}]),
            FieldDescription("enumeration", {"x": "X"}, restricted=False, max_length=40),
        ),
        (
            _listed(
                "A",
                "multipicklist",
                restrictedPicklist=True,
                picklistValues=[{"value": "x", "label": None}, {"value": "old", "active": False}],
            ),
            FieldDescription("enumeration", {"x": "x"}, several=True),
        ),
    ],
)
def test_each_type_is_described_as_the_write_policy_knows_it(
    org: Org, listed: dict[str, object], described: FieldDescription
) -> None:
    """What no single value can be written to is read-only; only restricted picklists restrict."""
    org.answer_instead(json.dumps({"fields": [listed]}), DESCRIBE)
    assert org.crm().describe_fields() == {"A": described}


def test_setup_names_every_missing_field_and_the_page_that_lists_them(org: Org) -> None:
    """Custom fields are metadata of the org: a person adds them, once."""
    org.box.reset(contacts=1, salesforce={"custom_fields": False, "consumer_key": org.key})
    org.box.configure(salesforce={"consumer_secret": "s3cr3t-of-the-app"})
    with pytest.raises(ConfigurationError, match=r"docs/salesforce\.md") as caught:
        org.crm().ensure_fields()
    assert "Enr_Company_Name__c is missing or hidden" in str(caught.value)
    assert "Enr_Enriched_At__c is missing or hidden" in str(caught.value)
    assert org.salesforce.writes == []


@pytest.mark.parametrize(
    ("change", "words"),
    [({"type": "string", "length": 18}, "has the type string, but number is needed"), ({"updateable": False}, "only")],
)
def test_setup_names_a_field_that_cannot_be_written(org: Org, change: dict[str, object], words: str) -> None:
    """A field of another type, or one that the integration user may only see."""
    fields = list(org.salesforce._fields.values())
    changed = [field | change if field["name"] == "Enr_Employee_Count__c" else field for field in fields]
    org.answer_instead(json.dumps({"fields": changed}), DESCRIBE)
    with pytest.raises(ConfigurationError, match=f"Enr_Employee_Count__c .*{words}"):
        org.crm().ensure_fields()


def test_fields_with_another_prefix_are_looked_for_under_it(org: Org) -> None:
    """A managed package puts its namespace before the names."""
    with pytest.raises(ConfigurationError, match="acme__Enr_Provider__c is missing"):
        org.crm(field_prefix="acme__Enr_").ensure_fields()


def test_fields_are_asked_for_once(org: Org) -> None:
    """The description is a long answer."""
    crm = org.crm()
    assert crm.describe_fields() is crm.describe_fields()
    assert org.calls(DESCRIBE) == [200]


def test_the_check_says_who_answers_and_what_is_left(org: Org) -> None:
    """A user who plans a backfill wants to know."""
    assert "99,999 of 100,000 calls left" in org.crm().check()


def test_the_check_does_without_the_limits(org: Org) -> None:
    """The user may not see them, but each answer says what was used."""
    org.box.configure(salesforce={"limits_visible": False})
    assert "99,998 of 100,000 calls left" in org.crm().check()
