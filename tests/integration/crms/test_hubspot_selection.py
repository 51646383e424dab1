"""Selecting contacts of HubSpot over real sockets: search, lists, owners."""

import pytest

from blocks.crms.base import Crm
from blocks.crms.hubspot.block import HubSpotCrm
from enrichment.errors import ConfigurationError, RequestRefusedError
from enrichment.intake import Selection
from tests.integration.crms.conftest import Account

EVERYBODY = Selection(everything=True)


def picked(crm: Crm, selection: Selection, **how: object) -> list[str]:
    return [contact.crm_id for page in crm.select(selection, **how) for contact in page.contacts]


def create(account: Account, number: int) -> list[str]:
    return list(account.hubspot.create([{"email": f"p{n}@example.com"} for n in range(number)]))


@pytest.fixture
def crm(account: Account) -> HubSpotCrm:
    return account.crm()


def test_pages_of_a_search_go_on_by_id(account: Account, crm: HubSpotCrm) -> None:
    """Beyond the first page nothing is skipped or repeated, also if contacts vanish meanwhile."""
    ids = [*account.ids, *create(account, 445)]
    pages = crm.select(EVERYBODY)
    first = next(pages)
    account.hubspot.archive(ids[3])
    rest = [contact.crm_id for page in pages for contact in page.contacts]
    assert [contact.crm_id for contact in first.contacts] + rest == ids
    assert first.position == ids[199]
    assert picked(crm, EVERYBODY, after=ids[399]) == ids[400:]


def test_an_owner_s_contacts_are_found(account: Account, crm: HubSpotCrm) -> None:
    """By search, and among some ids."""
    first, second, other = account.ids[:3]
    for crm_id, owner in ((first, "77"), (second, "77"), (other, "78")):
        account.hubspot.edit(crm_id, {"hubspot_owner_id": owner})
    assert picked(crm, Selection(owner="77")) == [first, second]
    assert picked(crm, Selection(owner="77"), among=[other, second]) == [second]


def test_the_members_of_a_list_come_page_by_page(account: Account, crm: HubSpotCrm) -> None:
    """Each page is read by id, for the address and for the other conditions; members that are gone are left out."""
    ids = create(account, 230)
    account.hubspot.make_list("42", ids)
    account.hubspot.edit(ids[7], {"industry": "Retail"})
    account.hubspot.archive(ids[8])
    pages = list(crm.select(Selection(list_id="42", missing=["industry"])))
    assert [len(page.contacts) for page in pages] == [98, 100, 30]
    assert [contact.crm_id for page in pages for contact in page.contacts] == [*ids[:7], *ids[9:]]
    assert pages[0].contacts[0].email == "p0@example.com"
    assert picked(crm, Selection(list_id="42"), after=pages[0].position) == ids[100:]
    assert picked(crm, Selection(list_id="42"), among=[*account.ids[:5], ids[1]]) == [ids[1]]


def test_an_unknown_list_is_named(account: Account, crm: HubSpotCrm) -> None:
    """An unknown id, a name, or a list of companies: no contact is selected by mistake."""
    account.hubspot.make_list("43", [], object_type="0-2")
    for list_id, words in (("44", "no list or segment '44'"), ("Customers", "'Customers'"), ("43", "hold contacts")):
        with pytest.raises(ConfigurationError, match=words):
            picked(crm, Selection(list_id=list_id))


def test_a_token_that_may_not_see_lists_names_the_scope_it_lacks(account: Account, crm: HubSpotCrm) -> None:
    """The scope is needed only by those who select by lists."""
    account.hubspot.make_list("42", account.ids)
    scopes = [scope for scope in account.hubspot.settings.scopes if scope != "crm.lists.read"]
    account.box.configure(hubspot={"scopes": tuple(scopes)})
    assert picked(crm, EVERYBODY) == account.ids
    with pytest.raises(RequestRefusedError, match=r"crm\.lists\.read"):
        picked(crm, Selection(list_id="42"))


def test_one_of_more_blank_fields_than_a_search_takes_is_enough(account: Account, crm: HubSpotCrm) -> None:
    """HubSpot takes five groups of filters; beyond that, the fields are looked at here."""
    fields = ["city", "state", "country", "zip", "address", "website"]
    full, rest = account.ids[0], account.ids[1:]
    account.hubspot.edit(full, dict.fromkeys(fields, "x"))
    account.hubspot.edit(rest[0], dict.fromkeys(fields[:-1], "x"))
    for asked in (fields[-2:], fields):
        assert picked(crm, Selection(missing=asked)) == rest
