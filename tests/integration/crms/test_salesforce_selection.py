"""Selecting contacts of Salesforce over real sockets: conditions, campaigns, owners, long pages."""

import pytest

from blocks.crms.base import Crm
from blocks.crms.salesforce.block import SalesforceCrm
from enrichment.errors import ConfigurationError
from enrichment.intake import Selection
from tests.integration.crms.salesforce_org import Org

OWNER = "0055e00000AAAAAAA5"
CAMPAIGN = "7015e00000AAAAAAA5"


def picked(crm: Crm, selection: Selection, **how: object) -> list[str]:
    return [contact.crm_id for page in crm.select(selection, **how) for contact in page.contacts]


@pytest.fixture
def crm(org: Org) -> SalesforceCrm:
    return org.crm()


def test_pages_go_on_by_id(org: Org, crm: SalesforceCrm) -> None:
    """More contacts than one query gives come in several, and none twice."""
    org.salesforce.create([{"LastName": f"P{n}", "Email": f"p{n}@example.com"} for n in range(2100)])
    pages = list(crm.select(Selection(everything=True)))
    found = [contact.crm_id for page in pages for contact in page.contacts]
    assert found == org.ids
    assert [len(page.contacts) for page in pages] == [2000, 105]
    assert picked(crm, Selection(everything=True), after=pages[0].position) == org.ids[2000:]


def test_an_owner_s_contacts_are_found(org: Org, crm: SalesforceCrm) -> None:
    """By query, and among some ids."""
    for crm_id in org.ids[:2]:
        org.salesforce.edit(crm_id, {"OwnerId": OWNER})
    assert picked(crm, Selection(owner=OWNER)) == org.ids[:2]
    assert picked(crm, Selection(owner=OWNER), among=org.ids[1:]) == [org.ids[1]]


def test_a_condition_is_asked_as_it_stands(org: Org, crm: SalesforceCrm) -> None:
    """Also one with OR, which must not swallow the other conditions."""
    for crm_id, department in zip(org.ids, ("Sales", "IT", "Legal", "Sales", "HR"), strict=True):
        org.salesforce.edit(crm_id, {"Department": department})
    chosen = Selection(condition="Department = 'Sales' OR Department LIKE 'I%'")
    assert picked(crm, chosen) == [org.ids[0], org.ids[1], org.ids[3]]
    assert picked(crm, chosen, among=org.ids[1:3]) == [org.ids[1]]


@pytest.mark.parametrize("condition", ["Department =", "Shoe_Size__c = 44", "Department = 'ada@example.com'' OR"])
def test_a_condition_that_salesforce_does_not_take_is_named(org: Org, crm: SalesforceCrm, condition: str) -> None:
    """The message has Salesforce's code, and nothing of the condition's values."""
    with pytest.raises(ConfigurationError, match="rejects the query of the selection") as shown:
        picked(crm, Selection(condition=condition))
    assert "ada" not in str(shown.value)


def test_the_members_of_a_campaign_are_found(org: Org, crm: SalesforceCrm) -> None:
    """With other conditions beside it, and without an OR, which Salesforce doesn't take beside it."""
    org.salesforce.make_campaign(CAMPAIGN, org.ids[1:4])
    org.salesforce.edit(org.ids[1], {"Department": "IT", "MailingCity": "Paris"})
    org.salesforce.edit(org.ids[2], {"Department": "IT", "MailingCity": None})
    assert picked(crm, Selection(list_id=CAMPAIGN)) == org.ids[1:4]
    assert picked(crm, Selection(list_id=CAMPAIGN, missing=["Department", "MailingCity"])) == org.ids[2:4]
    assert picked(crm, Selection(list_id=CAMPAIGN), among=org.ids[3:]) == [org.ids[3]]


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"list_id": "00B5e00000AAAAAEA5"}, "is not a campaign id"),
        ({"list_id": "Customers"}, "is not a Salesforce campaign id"),
        ({"owner": "x' OR Name != '"}, "is not a Salesforce owner id"),
    ],
)
def test_an_id_that_is_none_is_refused(crm: SalesforceCrm, conditions: dict[str, str], words: str) -> None:
    """A list view has no members that can be asked for; and nothing that isn't an id gets into a query."""
    with pytest.raises(ConfigurationError, match=words):
        picked(crm, Selection(**conditions))
