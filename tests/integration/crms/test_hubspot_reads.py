"""Reading from HubSpot over real sockets."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from blocks.crms.base import read_apart
from enrichment.errors import TransientError
from tests.integration.crms.conftest import READ, Account

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def test_a_large_read_goes_in_batches_of_a_hundred(account: Account) -> None:
    """No id is asked for twice, and every one is answered."""
    account.hubspot.create([{"email": f"p{n}@example.com"} for n in range(250)])
    ids = account.ids
    found = account.crm().read([*ids, *ids], ["email", "createdate"])
    assert found.keys() == set(ids)
    assert [r.inputs for r in account.hubspot.log.records()].count(100) == 2
    assert sum(r.inputs for r in account.hubspot.log.records()) == len(ids)


def test_history_is_read_in_batches_of_fifty(account: Account) -> None:
    """HubSpot refuses more than fifty when history is asked for, and says when a value was last changed."""
    account.hubspot.create([{"email": f"p{n}@example.com"} for n in range(70)])
    edited = account.ids[0]
    account.box.world.clock.advance(3600)
    account.hubspot.edit(edited, {"company": "Example Ltd"})
    found = account.crm().read(account.ids, ["company"], history=["company", "phone"])
    assert len(found) == 75
    assert account.calls(READ) == [200, 200]
    since_edit = account.box.world.clock.now() - found[edited].changed_at["company"]
    assert since_edit < timedelta(minutes=1)


def test_the_missing_are_left_out(account: Account) -> None:
    """A 207 names who doesn't exist; what isn't even an id is never sent."""
    ids = account.ids
    account.hubspot.archive(ids[1])
    found = account.crm().read([*ids, "999999999999", "no id", ""], [])
    assert found.keys() == {*ids} - {ids[1]}
    assert account.calls(READ) == [207]


def test_a_merged_contact_comes_under_the_id_that_was_asked_for(account: Account) -> None:
    """The survivor is found through the ids that were merged into it, and says who it is today."""
    merged, survivor, other = account.ids[:3]
    account.hubspot.merge(survivor, merged)
    found = account.crm().read([merged, survivor, other], ["hs_object_id"])
    assert found.keys() == {merged, survivor, other}
    assert found[merged].contact.crm_id == survivor
    assert found[survivor].contact.crm_id == survivor
    assert found[merged].values == {"hs_object_id": survivor}


def test_an_answer_that_says_nothing_of_an_id_makes_no_contact_vanish(account: Account) -> None:
    """Who is neither returned nor named missing is asked for again, alone."""
    first, second = account.ids[:2]
    account.answer_instead(json.dumps({"status": "COMPLETE", "results": [{"id": first, "properties": {}}]}), READ)
    found = account.crm().read([first, second], ["email"])
    assert found.keys() == {first, second}
    assert account.calls(READ) == [200, 200]


def test_a_contact_about_which_nothing_is_ever_said_fails_alone(account: Account) -> None:
    """Neither returned nor named missing, in its batch and by itself: the others are read all the same."""
    silent, *others = account.ids
    alone = f'"inputs": [{{"id": "{silent}"}}]'
    said = [{"id": one, "properties": {}} for one in others]
    crm = account.impatient()
    for body, results in ((alone, []), (silent, said)):
        answer = json.dumps({"status": "COMPLETE", "results": results})
        account.answer_instead(answer, READ, body_contains=body, times=0)
    read, failed = read_apart(crm, account.ids, [])
    assert (sorted(read), list(failed)) == (sorted(others), [silent])


def test_an_error_about_a_contact_does_not_make_it_vanish(account: Account) -> None:
    """Only OBJECT_NOT_FOUND says that a contact doesn't exist."""
    body = {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [{"category": "INTERNAL_ERROR"}]}
    account.answer_instead(json.dumps(body), READ, status=207, times=0)
    with pytest.raises(TransientError, match="neither returned"):
        account.impatient().read(account.ids[:2], [])


@pytest.mark.parametrize("kind", ["empty_200", "empty_results", "truncated", "reset_before", "reset_after"])
def test_a_useless_answer_to_a_read_is_asked_for_again(account: Account, kind: str) -> None:
    """None of these may look like contacts that don't exist."""
    account.fault(kind, READ)
    assert account.impatient().read(account.ids, []).keys() == {*account.ids}
    assert len(account.calls(READ)) == 2


def test_a_read_that_never_succeeds_is_an_error(account: Account) -> None:
    """After the last attempt the error says what happened, and no contact is taken for deleted."""
    account.fault("empty_results", READ, times=0)
    with pytest.raises(TransientError, match="batch/read"):
        account.impatient().read(account.ids, [])


def test_all_contacts_are_listed_page_by_page(account: Account) -> None:
    """Paging follows the cursor to the end, and each contact comes once."""
    account.hubspot.create([{"email": f"p{n}@example.com"} for n in range(250)])
    pages = list(account.crm().list_contacts())
    assert [len(page) for page in pages] == [100, 100, 55]
    assert [contact.crm_id for page in pages for contact in page] == account.ids
    assert pages[2][-1].email == "p249@example.com"
    assert datetime.fromisoformat(pages[0][0].created_at or "").tzinfo


def test_an_empty_page_in_the_middle_is_asked_for_again(account: Account) -> None:
    """A glitch must not end a backfill early and unnoticed."""
    account.hubspot.create([{"email": f"p{n}@example.com"} for n in range(150)])
    account.fault("empty_results", "contacts", after=1)
    assert sum(len(page) for page in account.crm().list_contacts()) == 155


def test_an_empty_account_lists_nothing(account: Account) -> None:
    """An empty account is not an error."""
    for crm_id in account.ids:
        account.hubspot.archive(crm_id)
    crm = account.crm()
    assert list(crm.list_contacts()) == []
    assert list(crm.created_since(LONG_AGO)) == []


def test_the_search_walks_by_id_and_yields_each_once(account: Account) -> None:
    """Each page asks for ids above the last, so that the limit of 10,000 results is never met."""
    account.hubspot.create([{"email": f"p{n}@example.com"} for n in range(450)])
    pages = list(account.crm().created_since(LONG_AGO))
    assert [len(page) for page in pages] == [200, 200, 55]
    assert [contact.crm_id for page in pages for contact in page] == account.ids


def test_the_search_keeps_to_its_moment(account: Account) -> None:
    """Who was created before isn't yielded."""
    account.box.world.clock.advance(3600)
    since = account.box.world.clock.now()
    (newest,) = account.hubspot.create([{"email": "new@example.com"}])
    assert [c.crm_id for page in account.crm().created_since(since) for c in page] == [newest]


def test_contacts_created_while_the_search_runs_are_found_too(account: Account) -> None:
    """They get the highest ids, so the walk comes to them."""
    account.hubspot.create([{"email": f"p{n}@example.com"} for n in range(250)])
    pages = account.crm().created_since(LONG_AGO)
    seen = [contact.crm_id for contact in next(pages)]
    account.hubspot.create([{"email": "late@example.com"}])
    seen += [contact.crm_id for page in pages for contact in page]
    assert seen == account.ids
