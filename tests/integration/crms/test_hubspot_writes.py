"""Writing to HubSpot over real sockets: what counts as written, and what of the rest."""

import json
from typing import Any

import pytest

from blocks.crms.base import Update
from blocks.crms.outcomes import EDITED, NOT_CONFIRMED, NOT_FOUND, UNAVAILABLE
from enrichment.stops import QUOTA_EXHAUSTED, REQUEST_REFUSED
from tests.integration.crms.conftest import READ, UPDATE, Account, company, reasons, refusals, update


def _many(account: Account, number: int) -> list[str]:
    return account.hubspot.create([{"email": f"p{n}@example.com"} for n in range(number)])


def test_a_large_write_goes_in_batches_of_a_hundred(account: Account) -> None:
    """Every update is confirmed, and every contact written once."""
    updates = [company(crm_id, f"Ünïcode {crm_id}") for crm_id in _many(account, 250)]
    assert set(reasons(updates, account.crm().write(updates))) == {""}
    assert account.calls(UPDATE) == [200, 200, 200]
    assert {account.hubspot.contacts[u.crm_id]["company"] == f"Ünïcode {u.crm_id}" for u in updates} == {True}
    assert set(account.hubspot.updates_by_contact.values()) == {1}


def test_several_updates_of_one_contact_are_sent_as_one(account: Account) -> None:
    """Later values win, HubSpot sees the id once, and each update has a result."""
    crm_id = account.ids[0]
    updates = [update(crm_id, company="A", jobtitle="CTO"), company(account.ids[1]), company(crm_id, "B")]
    assert reasons(updates, account.crm().write(updates)) == ["", "", ""]
    (written,) = [w.properties for w in account.hubspot.writes if w.contact_id == crm_id]
    assert written == {"company": "B", "jobtitle": "CTO"}


def test_an_update_without_changes_needs_no_call(account: Account) -> None:
    """There is nothing that HubSpot could confirm."""
    updates = [Update(account.ids[0], "t-1", ())]
    assert reasons(updates, account.crm().write(updates)) == [""]
    assert account.calls(UPDATE) == []


def test_who_does_not_exist_is_gone_and_the_others_are_written(account: Account) -> None:
    """A 207 names the missing; an id that is not a number fails without a call."""
    crm_id = account.ids[0]
    updates = [company("999999999999"), company(crm_id), company("no id")]
    results = account.crm().write(updates)
    assert reasons(updates, results) == [NOT_FOUND, "", NOT_FOUND]
    assert {(r.gone, r.permanent) for r in results if r.reason} == {(True, True)}
    assert account.calls(UPDATE) == [207]


@pytest.mark.parametrize("bad_places", [[0], [99], [17, 18], [3, 64], [0, 1, 2, 3]])
def test_a_rejected_batch_is_divided_until_the_bad_are_alone(account: Account, bad_places: list[int]) -> None:
    """Exactly the bad value is left out, for a named reason; the contact's other fields are written."""
    crm = account.crm()
    crm.ensure_fields()
    ids = _many(account, 100)
    bad = {ids[place] for place in bad_places}
    updates = [update(i, company="Acme", enr_employee_count=f"{i}@example.com" if i in bad else "42") for i in ids]
    results = crm.write(updates)
    assert set(reasons(updates, results)) == {""}
    assert refusals(updates, results) == [{"enr_employee_count": "not_a_number"} if i in bad else {} for i in ids]
    assert "@example.com" not in repr(results)
    held = account.hubspot.contacts
    assert {i for i in ids if held[i].get("enr_employee_count") == "42"} == {*ids} - bad
    assert {held[i]["company"] for i in ids} == {"Acme"}


def test_a_value_that_was_refused_once_is_not_tried_again(account: Account) -> None:
    """Half of a batch has the same bad value: it is found once, and left out of the others without a call."""
    crm = account.crm(concurrency=1)
    crm.ensure_fields()
    ids = _many(account, 64)
    updates = [update(i, company="Acme", enr_employee_count="many" if n % 2 else "1") for n, i in enumerate(ids)]
    results = crm.write(updates)
    assert refusals(updates, results) == [{"enr_employee_count": "not_a_number"} if n % 2 else {} for n in range(64)]
    assert {account.hubspot.contacts[i]["company"] for i in ids} == {"Acme"}
    assert len(account.calls(UPDATE)) < 16


def test_partial_failures_by_trace_id_need_no_division(account: Account) -> None:
    """Where HubSpot names the bad record itself, it is believed."""
    account.box.configure(hubspot={"trace_ids_cover_validation": True})
    crm = account.crm()
    crm.ensure_fields()
    values = ["1", "many", "3", "4", "5"]
    updates = [update(i, company=v, enr_employee_count=v) for i, v in zip(account.ids, values, strict=True)]
    results = crm.write(updates)
    assert set(reasons(updates, results)) == {""}
    assert refusals(updates, results) == [{}, {"enr_employee_count": "not_a_number"}, {}, {}, {}]
    assert [account.hubspot.contacts[i]["company"] for i in account.ids] == values
    assert account.calls(UPDATE) == [207, 200]


def test_a_property_that_is_gone_is_dropped_for_all_at_once(account: Account) -> None:
    """No value could help, so nothing is divided: one call learns it, one writes the rest."""
    ids = _many(account, 40)
    updates = [update(i, enr_vanished="x", city="Ulm") if n % 2 else company(i) for n, i in enumerate(ids)]
    results = account.crm().write(updates)
    assert set(reasons(updates, results)) == {""}
    assert refusals(updates, results) == [{"enr_vanished": "no_such_field"} if n % 2 else {} for n in range(40)]
    assert account.calls(UPDATE) == [400, 200]


def test_a_property_that_no_update_has_stops_the_writing(account: Account) -> None:
    """It is not a record's fault, so nothing is divided."""
    flaw = json.dumps([{"name": "elsewhere", "error": "PROPERTY_DOESNT_EXIST"}])
    body = {"category": "VALIDATION_ERROR", "message": f"Property values were not valid: {flaw}"}
    account.answer_instead(json.dumps(body), status=400, times=0)
    updates = [company(crm_id) for crm_id in _many(account, 100)]
    assert set(reasons(updates, account.crm().write(updates))) == {REQUEST_REFUSED}
    assert account.calls(UPDATE) == [400]


def test_an_error_that_names_no_record_is_traced_to_it(account: Account) -> None:
    """HubSpot may report a bad value without saying whose it is; the omitted are sent apart to find out."""
    crm = account.crm()
    crm.ensure_fields()
    ids = account.ids
    error = {"category": "VALIDATION_ERROR", "message": "a person's value", "context": {}}
    body = {"status": "COMPLETE", "results": [{"id": i} for i in ids[:3]], "numErrors": 1, "errors": [error]}
    account.answer_instead(json.dumps(body), status=207)
    updates = [update(i, enr_employee_count="many" if i == ids[4] else "1") for i in ids]
    results = crm.write(updates)
    assert set(reasons(updates, results)) == {""}
    assert refusals(updates, results) == [{}, {}, {}, {}, {"enr_employee_count": "not_a_number"}]


def test_what_was_merged_away_is_written_to_the_survivor(account: Account) -> None:
    """HubSpot leaves it out without a word; it is looked up and sent once more."""
    merged, survivor, other = account.ids[:3]
    account.hubspot.merge(survivor, merged)
    updates = [company(merged, "From the merged"), company(other)]
    assert reasons(updates, account.crm().write(updates)) == ["", ""]
    assert account.hubspot.contacts[survivor]["company"] == "From the merged"
    assert (account.calls(UPDATE), account.calls(READ)) == ([200, 200], [200])


def test_a_survivor_that_has_other_values_is_planned_again(account: Account) -> None:
    """What was blank in the record that is gone isn't in the one that stays."""
    merged, survivor = account.ids[:2]
    account.hubspot.merge(survivor, merged)
    account.hubspot.edit(survivor, {"company": "By hand"})
    (result,) = account.crm().write([company(merged)])
    assert (result.reason, result.wait_seconds) == (EDITED, 0.0)
    assert account.hubspot.contacts[survivor]["company"] == "By hand"


@pytest.mark.parametrize("fault", [{"kind": "reset_before"}, {"kind": "status", "status": 503}])
def test_an_update_is_not_repeated_over_what_a_person_entered(account: Account, fault: dict[str, Any]) -> None:
    """Before a repetition the batch is read again; what was edited is planned again, and the others are written."""
    edited, other = account.ids[:2]
    account.fault(**fault)
    account.hubspot.edit(other, {"company": ""})
    updates = [company(edited), company(other)]
    account.hubspot.edit(edited, {"company": "By hand"})
    assert reasons(updates, account.crm().write(updates)) == [EDITED, ""]
    held = account.hubspot.contacts
    assert (held[edited]["company"], held[other]["company"]) == ("By hand", "Example Ltd")


def test_the_parts_of_a_batch_that_failed_are_read_again_too(account: Account) -> None:
    """What was answered with 500 may have been written, and a person may have edited it since."""
    account.fault(kind="status", status=500, times=3)
    updates = [company(crm_id) for crm_id in account.ids[:2]]
    assert reasons(updates, account.impatient().write(updates)) == ["", ""]
    assert account.calls(UPDATE) == [500, 500, 500, 200, 200]
    assert account.calls(READ) == [200] * 4


def test_two_contacts_merged_into_one_are_written_as_one(account: Account) -> None:
    """Their updates meet in the survivor, whose id may be in a batch only once."""
    first, second, survivor = account.ids[:3]
    account.hubspot.merge(survivor, first)
    account.hubspot.merge(survivor, second)
    updates = [update(first, company="A"), update(second, industry="Retail")]
    assert reasons(updates, account.crm().write(updates)) == ["", ""]
    assert account.hubspot.writes[-1].properties == {"company": "A", "industry": "Retail"}


def test_a_survivor_is_sent_to_once_only(account: Account) -> None:
    """If HubSpot leaves the survivor out as well, the update stays unconfirmed instead of going round."""
    merged, survivor = account.ids[:2]
    account.hubspot.merge(survivor, merged)
    account.fault("empty_results", after=1)
    updates = [company(merged)]
    assert reasons(updates, account.crm().write(updates)) == [NOT_CONFIRMED]
    assert account.calls(UPDATE) == [200, 200]


def test_a_survivor_that_cannot_be_looked_up_leaves_the_rest_confirmed(account: Account) -> None:
    """The lookup's trouble is that of the omitted only."""
    merged, survivor, other = account.ids[:3]
    account.hubspot.merge(survivor, merged)
    account.fault("status", READ, status=525)
    updates = [company(merged), company(other)]
    assert reasons(updates, account.crm().write(updates)) == [UNAVAILABLE, ""]


def test_empty_results_are_not_a_confirmation(account: Account) -> None:
    """The records exist under the same ids, so the writes stay unconfirmed and may be repeated."""
    account.fault("empty_results")
    updates = [company(crm_id) for crm_id in account.ids]
    results = account.crm().write(updates)
    assert set(reasons(updates, results)) == {NOT_CONFIRMED}
    assert not any(result.permanent or result.gone for result in results)


def test_a_batch_that_is_not_complete_confirms_nothing(account: Account) -> None:
    """PENDING may still become anything."""
    body = {"status": "PENDING", "results": [{"id": crm_id} for crm_id in account.ids]}
    account.answer_instead(json.dumps(body))
    updates = [company(crm_id) for crm_id in account.ids]
    results = account.crm().write(updates)
    assert set(reasons(updates, results)) == {NOT_CONFIRMED}
    assert "not complete" in results[0].detail


def test_who_vanished_between_the_two_calls_is_gone(account: Account) -> None:
    """An omitted contact that can't be read either doesn't exist any more."""
    crm_id = account.ids[0]
    account.fault("empty_results")
    account.hubspot.archive(crm_id)
    updates = [company(crm_id)]
    results = account.crm().write(updates)
    assert reasons(updates, results) == [NOT_FOUND]
    assert results[0].gone


@pytest.mark.parametrize("kind", ["empty_200", "truncated", "reset_before", "reset_after"])
def test_a_lost_answer_is_repeated_with_the_same_values(account: Account, kind: str) -> None:
    """An update may be repeated: the second time it changes nothing."""
    account.fault(kind)
    updates = [company(crm_id) for crm_id in account.ids]
    assert set(reasons(updates, account.impatient().write(updates))) == {""}
    assert {values["company"] for values in account.hubspot.contacts.values()} == {"Example Ltd"}
    assert max(account.hubspot.updates_by_contact.values()) <= 2


def test_one_batch_that_fails_loses_nothing_of_the_others(account: Account) -> None:
    """Each batch has its own end: confirmed, confirmed, out of quota."""
    ids = _many(account, 295)
    account.box.configure(hubspot={"per_day": 2})
    updates = [company(crm_id) for crm_id in ids]
    found = reasons(updates, account.crm(concurrency=1).write(updates))
    assert found == [""] * 200 + [QUOTA_EXHAUSTED] * 95


def test_after_a_stop_no_further_batch_is_sent(account: Account) -> None:
    """When the day's calls are used up, the rest is reported without asking again."""
    ids = _many(account, 395)
    account.box.configure(hubspot={"per_day": 1})
    updates = [company(crm_id) for crm_id in ids]
    found = reasons(updates, account.crm(concurrency=1).write(updates))
    assert found == [""] * 100 + [QUOTA_EXHAUSTED] * 295
    assert account.calls(UPDATE) == [200, 429]
