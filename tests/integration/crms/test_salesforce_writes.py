"""Writing to Salesforce over real sockets: what counts as written, and what of the rest."""

import json

import pytest

from blocks.crms.base import Update
from blocks.crms.outcomes import EDITED, NOT_CONFIRMED, NOT_FOUND, UNAVAILABLE, UNPROCESSED
from enrichment.stops import REQUEST_REFUSED
from sandbox.salesforce.fields import definition
from tests.integration.crms.conftest import refusals
from tests.integration.crms.salesforce_org import COLLECTIONS, Org, reasons, title, update


def _many(org: Org, number: int, **values: str) -> list[str]:
    return org.salesforce.create([{"Email": f"p{n}@example.com", **values} for n in range(number)])


def test_a_large_write_goes_in_batches_of_two_hundred(org: Org) -> None:
    """Every update is confirmed, and every contact written once."""
    updates = [title(crm_id, f"Ünïcode {crm_id}") for crm_id in _many(org, 450)]
    assert set(reasons(updates, org.crm().write(updates))) == {""}
    assert org.calls(COLLECTIONS) == [200, 200, 200]
    assert all(org.salesforce.contacts[u.crm_id]["Title"] == f"Ünïcode {u.crm_id}" for u in updates)
    assert set(org.salesforce.updates_by_contact.values()) == {1}


def test_several_updates_of_one_contact_are_sent_as_one(org: Org) -> None:
    """Later values win, also under the short form of the id, and each update has a result."""
    crm_id = org.ids[0]
    updates = [update(crm_id, Title="A", Department="IT"), title(org.ids[1]), title(crm_id[:15], "B")]
    assert reasons(updates, org.crm().write(updates)) == ["", "", ""]
    (written,) = [w.fields for w in org.salesforce.writes if w.contact_id == crm_id]
    assert written == {"Title": "B", "Department": "IT"}


def test_an_update_without_changes_needs_no_call(org: Org) -> None:
    """There is nothing that Salesforce could confirm."""
    updates = [Update(org.ids[0], "t-1", ())]
    assert reasons(updates, org.crm().write(updates)) == [""]
    assert org.calls("") == []


def test_values_are_sent_in_the_type_of_their_field(org: Org) -> None:
    """Numbers and booleans aren't left to Salesforce's goodwill towards text."""
    updates = [update(org.ids[0], Enr_Employee_Count__c="42", Enr_Confidence__c="0.95", HasOptedOutOfEmail="true")]
    assert reasons(updates, org.crm().write(updates)) == [""]
    (written,) = org.salesforce.writes
    assert written.fields == {"Enr_Employee_Count__c": 42, "Enr_Confidence__c": 0.95, "HasOptedOutOfEmail": True}


@pytest.mark.parametrize("threshold", [200, 2000])
def test_an_empty_value_clears_its_field_and_no_other(org: Org, threshold: int) -> None:
    """In a collection as null, in a job as the text that Salesforce reads so; other fields are left alone."""
    crm_ids = _many(org, 201, Title="CTO", Department="IT", Enr_Employee_Count__c="5")
    updates = [update(crm_id, Title="", Enr_Employee_Count__c="") for crm_id in crm_ids]
    assert set(reasons(updates, org.impatient(bulk_threshold=threshold).write(updates))) == {""}
    held = [org.salesforce.contacts[crm_id].get for crm_id in crm_ids]
    assert {(one("Title"), one("Department"), one("Enr_Employee_Count__c")) for one in held} == {(None, "IT", None)}


def test_results_are_taken_by_their_place(org: Org) -> None:
    """A failed entry names no id: the others are still distinguished."""
    deleted = org.ids[1], org.ids[3]
    updates = [title(crm_id) for crm_id in org.ids]
    for crm_id in deleted:
        org.salesforce.delete(crm_id)
    assert reasons(updates, org.crm().write(updates)) == ["", NOT_FOUND, "", NOT_FOUND, ""]


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("Title", "x" * 200, "too_long"),
        ("Level__c", "ada@example.com", "not_an_option"),
        ("Email", "ada(at)example.com", "invalid_email_address"),
        ("MasterRecordId", "ada@example.com", "read_only"),
        ("Vanished__c", "ada@example.com", "no_such_field"),
        ("Enr_Employee_Count__c", "ada@example.com", "not_a_number"),
        ("HasOptedOutOfEmail", "perhaps", "not_a_boolean"),
        ("Enr_Employee_Count__c", "1" * 19, "out_of_range"),
    ],
)
def test_a_refused_value_costs_its_field_only(org: Org, field: str, value: str, reason: str) -> None:
    """The field is named with a reason, and the contact's other fields are written."""
    updates = [update(org.ids[0], Department="Sales", **{field: value}), title(org.ids[1])]
    results = org.crm().write(updates)
    assert reasons(updates, results) == ["", ""]
    assert refusals(updates, results) == [{field: reason}, {}]
    assert "ada" not in repr(results).replace("value='ada@example.com'", "")
    assert org.salesforce.contacts[org.ids[0]]["Department"] == "Sales"


def test_who_does_not_exist_is_gone_and_the_others_are_written(org: Org) -> None:
    """Deleted, never there, or no id at all: each ends for good."""
    deleted = org.ids[0]
    org.salesforce.delete(deleted)
    updates = [title(deleted), title("0035e00000zzzzzAAA"), title("no id"), title(org.ids[0])]
    results = org.crm().write(updates)
    assert reasons(updates, results) == [NOT_FOUND, NOT_FOUND, NOT_FOUND, ""]
    assert {(r.gone, r.permanent) for r in results if r.reason} == {(True, True)}
    assert org.calls(COLLECTIONS) == [200]


@pytest.mark.parametrize("bad_places", [[0], [199], [17, 18], [0, 1, 2, 3]])
def test_a_rejected_batch_is_divided_until_the_bad_are_alone(org: Org, bad_places: list[int]) -> None:
    """A value that the parser can't read fails the whole request; exactly the bad records fail in the end."""
    ids = _many(org, 200)
    bad = {ids[place] for place in bad_places}
    crm = org.crm()
    crm.describe_fields()
    # The field was a text when it was described, and is a number by now.
    org.salesforce.define(definition("Department", "double"))
    updates = [update(i, Department="many" if i in bad else "42") for i in ids]
    assert reasons(updates, crm.write(updates)) == ["json_parser_error" if i in bad else "" for i in ids]
    assert {i for i in ids if org.salesforce.contacts[i].get("Department") == 42} == {*ids} - bad


def test_a_lock_that_heals_is_waited_for(org: Org) -> None:
    """Locked records are sent again in smaller batches; the others aren't."""
    ids = _many(org, 120)
    for crm_id in ids[:60]:
        org.salesforce.hold(crm_id, 1)
    updates = [title(crm_id) for crm_id in ids]
    assert set(reasons(updates, org.impatient().write(updates))) == {""}
    first, *again = org.inputs(COLLECTIONS)
    assert (first, sorted(again)) == (120, [10, 50])
    assert set(org.salesforce.updates_by_contact.values()) == {1}


@pytest.mark.parametrize("locked", [False, True])
def test_an_update_is_not_repeated_over_what_a_person_entered(org: Org, *, locked: bool) -> None:
    """Before a repetition the batch is read again; what was edited is planned again, and the others are written."""
    edited, other = org.ids[:2]
    if locked:
        org.salesforce.hold(edited, 1)
    else:
        org.fault("reset_before")
    updates = [title(edited), title(other)]
    org.salesforce.edit(edited, {"Title": "By hand"})
    assert reasons(updates, org.impatient().write(updates)) == [EDITED, ""]
    assert [org.salesforce.contacts[crm_id]["Title"] for crm_id in (edited, other)] == ["By hand", "CTO"]


def test_a_lock_that_stays_costs_an_attempt(org: Org) -> None:
    """Another user's long transaction is not the record's fault: it is tried again later."""
    org.salesforce.hold(org.ids[0], 100)
    (result,) = org.impatient().write([title(org.ids[0])])
    assert (result.reason, result.permanent, result.gone) == ("unable_to_lock_row", False, False)
    assert org.calls(COLLECTIONS) == [200] * 7  # of which three look before a repetition


def test_contacts_of_one_account_share_a_batch(org: Org) -> None:
    """Else two threads would lock each other out of the account."""
    accounts = [_many(org, 90, **{"Account.Name": f"Acme {number}"}) for number in range(5)]
    ids = [crm_id for group in zip(*accounts, strict=True) for crm_id in group]
    crm = org.crm()
    crm.read(ids, [])
    updates = [title(crm_id) for crm_id in ids]
    assert set(reasons(updates, crm.write(updates))) == {""}
    assert sorted(org.inputs(COLLECTIONS)) == [90, 180, 180]


def test_contacts_of_one_account_are_never_written_side_by_side(org: Org) -> None:
    """An account with more contacts than a batch takes, and the smaller batches in which locked ones are repeated."""
    ids = _many(org, 260, **{"Account.Name": "Acme"})
    for crm_id in ids[:60]:
        org.salesforce.hold(crm_id, 1)
    org.box.configure(salesforce={"latency_ms": 20})
    crm = org.impatient()
    crm.read(ids, [])
    updates = [title(crm_id) for crm_id in ids]
    assert set(reasons(updates, crm.write(updates))) == {""}
    assert org.inputs(COLLECTIONS) == [200, 60, 50, 10]


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [{"id": "0035e00000zzzzzAAA", "success": True, "errors": []}],
        [None],
        [{"id": "x", "success": True}, {"id": "y", "success": True}],
    ],
)
def test_an_answer_that_does_not_fit_confirms_nothing(org: Org, answer: list[object]) -> None:
    """Another length or another contact in its place: a repetition is harmless, a false confirmation isn't."""
    org.answer_instead(json.dumps(answer), times=0)
    (result,) = org.impatient().write([title(org.ids[0])])
    assert result.reason in {NOT_CONFIRMED, UNAVAILABLE}
    assert not result.permanent


def test_a_trigger_that_fails_is_named_without_its_words(org: Org) -> None:
    """The customer finds it by its name; its message may quote values."""
    error = {
        "statusCode": "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "message": "ScoreContact: execution of BeforeUpdate caused by: System.DmlException: ada@example.com",
        "fields": [],
    }
    org.answer_instead(json.dumps([{"success": False, "errors": [error]}]))
    (result,) = org.crm().write([title(org.ids[0])])
    assert result.permanent
    assert result.detail == "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY: ScoreContact BeforeUpdate"


def test_a_trigger_that_met_a_lock_is_tried_again(org: Org) -> None:
    """The message decides, not the code."""
    message = "ScoreContact: execution of AfterUpdate caused by: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access"
    error = {"statusCode": "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "message": message, "fields": []}
    org.answer_instead(json.dumps([{"success": False, "errors": [error]}]))
    updates = [title(org.ids[0])]
    assert reasons(updates, org.impatient().write(updates)) == [""]


def test_many_updates_go_as_a_bulk_job(org: Org) -> None:
    """Written, failed and gone rows are distinguished, and an absent value clears nothing."""
    ids = _many(org, 250, Department="Sales")
    org.salesforce.delete(ids[1])
    updates = [title(crm_id, "x" * 200 if crm_id == ids[0] else 'CTO, "quoted"') for crm_id in ids]
    updates[2] = update(ids[2], Enr_Employee_Count__c="42")
    results = org.impatient(bulk_threshold=200).write(updates)
    assert reasons(updates, results) == ["", NOT_FOUND, *[""] * 248]
    assert refusals(updates, results) == [{"Title": "too_long"}, *[{}] * 249]
    assert org.salesforce.jobs == ["JobComplete"]
    assert org.calls(COLLECTIONS) == []
    held = org.salesforce.contacts
    assert {held[crm_id]["Department"] for crm_id in ids if crm_id != ids[1]} == {"Sales"}
    assert held[ids[5]]["Title"] == 'CTO, "quoted"'
    assert held[ids[2]]["Enr_Employee_Count__c"] == 42


def test_what_a_bulk_job_leaves_is_not_confirmed(org: Org) -> None:
    """A job that fails half-way names neither error nor success of the rest: it is tried again later."""
    org.box.configure(salesforce={"bulk_unprocessed": 40})
    updates = [title(crm_id) for crm_id in _many(org, 250)]
    found = reasons(updates, org.impatient(bulk_threshold=200).write(updates))
    assert (found.count(""), found.count(UNPROCESSED)) == (210, 40)
    assert org.salesforce.jobs == ["Failed"]


@pytest.mark.parametrize("status", [400, 403])
def test_updates_that_no_job_takes_go_as_collections(org: Org, status: int) -> None:
    """Not every org or user may use Bulk API 2.0."""
    org.answer_instead('[{"errorCode": "FEATURENOTENABLED", "message": "no"}]', "jobs/ingest", status=status, times=0)
    updates = [title(crm_id) for crm_id in _many(org, 250)]
    assert set(reasons(updates, org.impatient(bulk_threshold=200).write(updates))) == {""}
    assert org.calls(COLLECTIONS) == [200, 200]


def test_a_job_that_fails_as_a_whole_is_sent_as_collections(org: Org) -> None:
    """A column that isn't there fails all rows alike; the other fields are written all the same."""
    ids = _many(org, 250)
    updates = [update(i, Title="CTO", **({"Vanished__c": "x"} if i == ids[7] else {})) for i in ids]
    results = org.impatient(bulk_threshold=200).write(updates)
    assert org.salesforce.jobs == ["Failed"]
    assert set(reasons(updates, results)) == {""}
    assert [n for n, each in enumerate(refusals(updates, results)) if each] == [7]
    assert {org.salesforce.contacts[i]["Title"] for i in ids} == {"CTO"}


def test_a_bulk_job_that_does_not_end_is_aborted(org: Org) -> None:
    """The claim has a lease: no run waits for ever, and nothing is written after that."""
    org.box.configure(salesforce={"bulk_polls": -1})
    updates = [title(crm_id) for crm_id in _many(org, 250)]
    results = org.impatient(bulk_threshold=200, bulk_wait=0.05).write(updates)
    assert set(reasons(updates, results)) == {UNPROCESSED}
    assert not any(result.permanent for result in results)
    assert org.salesforce.jobs == ["Aborted"]


def test_a_rule_that_only_warns_of_duplicates_lets_a_bulk_row_pass(org: Org) -> None:
    """A job has no way to wish for that, so its rows are sent once more; a rule that blocks holds."""
    ids = _many(org, 250)
    for crm_id in ids[:5]:
        org.salesforce.resemble(crm_id)
    org.salesforce.resemble(ids[5], blocks=True)
    updates = [title(crm_id) for crm_id in ids]
    results = org.impatient(bulk_threshold=200).write(updates)
    assert reasons(updates, results) == [*[""] * 5, "duplicates_detected", *[""] * 244]
    assert [result.permanent for result in results if result.reason] == [True]
    assert org.inputs(COLLECTIONS) == [6]


def test_a_rule_that_only_warns_of_duplicates_lets_a_collection_pass(org: Org) -> None:
    """The wish goes with every call."""
    org.salesforce.resemble(org.ids[0])
    org.salesforce.resemble(org.ids[1], blocks=True)
    updates = [title(crm_id) for crm_id in org.ids]
    assert reasons(updates, org.crm().write(updates)) == ["", "duplicates_detected", "", "", ""]


@pytest.mark.parametrize("threshold", [2000, 200])
def test_a_column_that_is_gone_costs_one_more_call(org: Org, threshold: int) -> None:
    """It fails every call, or the whole job: one answer is enough for the run, here and in later writes."""
    ids = _many(org, 400)
    org.crm().describe_fields()
    org.salesforce.remove("Department")
    crm = org.impatient(bulk_threshold=threshold, concurrency=1)
    updates = [update(crm_id, Title="CTO", Department="Sales") for crm_id in ids]
    results = crm.write(updates)
    assert set(reasons(updates, results)) == {""}
    assert refusals(updates, results) == [{"Department": "no_such_field"}] * 400
    assert org.calls(COLLECTIONS) == [400, 200, 200]
    assert org.salesforce.jobs == (["Failed"] if threshold == 200 else [])
    again = [update(crm_id, Title="CEO", Department="Sales") for crm_id in ids[:5]]
    org.impatient(concurrency=1).write(again)
    assert org.calls(COLLECTIONS) == [400, 200, 200, 200]
    assert {org.salesforce.contacts[crm_id]["Title"] for crm_id in ids[:5]} == {"CEO"}


def test_a_column_that_no_update_has_stops_the_writing(org: Org) -> None:
    """It is not a record's fault, so nothing is divided: the run stops with the name, and the contacts wait."""
    body = [{"message": "No such column 'Elsewhere__c' on sobject of type Contact", "errorCode": "INVALID_FIELD"}]
    org.answer_instead(json.dumps(body), status=400, times=0)
    updates = [title(crm_id) for crm_id in _many(org, 200)]
    results = org.impatient(concurrency=1).write(updates)
    assert set(reasons(updates, results)) == {REQUEST_REFUSED}
    assert "INVALID_FIELD: Elsewhere__c" in results[0].detail
    assert org.calls(COLLECTIONS) == [400]


def test_locked_rows_of_a_bulk_job_are_sent_again(org: Org) -> None:
    """Its batches run in parallel over there, so locks are common."""
    ids = _many(org, 250)
    for crm_id in ids[:7]:
        org.salesforce.hold(crm_id, 1)
    updates = [title(crm_id) for crm_id in ids]
    assert set(reasons(updates, org.impatient(bulk_threshold=200).write(updates))) == {""}
    assert org.inputs(COLLECTIONS) == [7]


def test_a_text_that_would_clear_a_field_goes_another_way(org: Org) -> None:
    """`#N/A` in a bulk CSV erases; in a collection it is a text like any other."""
    ids = _many(org, 250)
    updates = [title(crm_id, "#N/A" if crm_id == ids[3] else "CTO") for crm_id in ids]
    assert set(reasons(updates, org.impatient(bulk_threshold=200).write(updates))) == {""}
    assert org.salesforce.contacts[ids[3]]["Title"] == "#N/A"


def test_a_lost_upload_fails_the_job_and_leaves_nothing_open(org: Org) -> None:
    """The data of a job is sent once; without an answer the job is aborted, and the records wait."""
    org.fault("reset_after", "batches", times=0)
    updates = [title(crm_id) for crm_id in _many(org, 250)]
    assert set(reasons(updates, org.impatient(bulk_threshold=200).write(updates))) == {UNAVAILABLE}
    assert org.salesforce.jobs == ["Aborted"]
    assert org.salesforce.writes == []
