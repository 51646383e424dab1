"""What an erasure must leave in every warehouse: ids and hashes, whatever was known, and whatever is under way."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from blocks.base import module_names
from blocks.providers.base import Reply
from blocks.warehouses.base import MadeFor, NewPlan, PlannedWrite, Warehouse
from enrichment.books import check_books
from enrichment.change_plans import PlannedChange
from enrichment.identifiers import email_key, suppression_keys
from enrichment.records import ERASED_ADDRESS, Claim, Contact, Disposition, Finished, OpenWrite, Outcome, Unmatched
from enrichment.story import Story
from enrichment.write_policy import Change, Refusal
from tests.contract.test_warehouses import HUBSPOT, LEASE, claim, finish, found, open_run, queue, stage
from tests.warehouses import look

#: What is known of an unknown contact.
NOTHING = Story(staging=(), ledger=(), replies=(), unmatched=(), writes=(), failures=(), stored={})
#: All that may hold something of a contact.
TABLES = (
    "enrichment_staging",
    "enriched_contacts",
    "enrichment_history",
    "unmatched_records",
    "provider_replies",
    "crm_writes",
    "planned_changes",
    "field_refusals",
    "failed_records",
    "record_ledger",
    "contact_requests",
    "lookup_reservations",
    "suppressed_contacts",
    "suppression_changes",
)


@pytest.fixture(params=module_names("blocks.warehouses"))
def warehouse(request: pytest.FixtureRequest, make_warehouse: Callable[[str], Warehouse]) -> Warehouse:
    return make_warehouse(request.param)


def fill_every_table(warehouse: Warehouse, crm_id: str, email: str) -> Claim:
    """Leave something of a contact in every table; its record ends in the claim that is returned, half done."""
    open_run(warehouse)
    stage(warehouse, crm_id, email=email)
    first = claim(warehouse)
    record = first.records[0].record_id
    key = f"key-{crm_id}"
    ask = {"lease_seconds": LEASE, "reply_days": 30, "miss_days": 30}
    warehouse.open_requests(
        "zoominfo", [key], token=first.token, made_for=[MadeFor(record, key, email_key(email))], **ask
    )
    warehouse.keep_replies("zoominfo", "run-1", [Reply(key, Outcome.MATCHED, {"email": email}, credits=1.0)])
    item = replace(found(first), request_key=key)
    warehouse.store(first, HUBSPOT, [item], [Unmatched(record, crm_id, email, "NO_MATCH")], provider="zoominfo")
    warehouse.plan_writes(first, HUBSPOT, [PlannedWrite(record, crm_id, (Change("phone", "1", "2"),))])
    change = PlannedChange(crm_id, record, Change("phone", "1", "2"), "always", "phone")
    warehouse.keep_planned(NewPlan("run-1", "hubspot", "zoominfo", "asked", "mark", "me"), HUBSPOT, [change])
    refusals = (Refusal("industry", "not_an_option", email),)
    failed = [Finished(record, Disposition.FAILED, reason="r", step="s", detail=email, refusals=refusals)]
    warehouse.settle(first, HUBSPOT, failed, [])
    stage(warehouse, crm_id, email=email)
    second = claim(warehouse)
    record = second.records[0].record_id
    warehouse.open_requests(
        "zoominfo", [key], token=second.token, made_for=[MadeFor(record, key, email_key(email))], **ask
    )
    warehouse.store(second, HUBSPOT, [replace(item, record=second.records[0])], [], provider="zoominfo")
    warehouse.plan_writes(second, HUBSPOT, [PlannedWrite(record, crm_id, (Change("phone", "2", "3"),))])
    return second


def everything_kept(warehouse: Warehouse, *, but: str = "") -> str:
    """Return all rows of all tables, or of all but one, as one text."""
    return "\n".join(str(look(warehouse, f"SELECT * FROM {table}")) for table in TABLES if table != but)


def test_an_erased_contact_leaves_ids_and_hashes_only(warehouse: Warehouse) -> None:
    """Every table loses the person, the record ends once, the reply's cost stays, and others are untouched."""
    fill_every_table(warehouse, "1", "zoe@acme.example")
    other = fill_every_table(warehouse, "2", "lee@acme.example")
    before = warehouse.read_story(HUBSPOT, "2")
    erased = warehouse.erase(HUBSPOT, "1")
    assert dict(erased.rows) == {
        "enrichment_staging": 1,
        "enriched_contacts": 1,
        "enrichment_history": 1,
        "unmatched_records": 1,
        "crm_writes": 1,
        "planned_changes": 1,
        "field_refusals": 1,
        "failed_records": 1,
        "provider_replies": 1,
    }
    left = warehouse.read_story(HUBSPOT, "1")
    assert replace(left, ledger=()) == NOTHING
    ended = [(one.disposition, one.reason, one.request_key) for one in left.ledger]
    assert sorted(ended) == [("failed", "r", "erased"), ("suppressed", "erased", "erased")]
    assert "zoe" not in everything_kept(warehouse)
    assert "lee" in everything_kept(warehouse)
    assert warehouse.read_story(HUBSPOT, "2") == before
    usage = [(one.outcome, one.replies, one.credits) for one in warehouse.count_usage("run-1")]
    assert usage == [("erased", 1, 1.0), ("matched", 1, 1.0)]
    keys = suppression_keys(Contact("1", "Zoe@acme.example "), HUBSPOT)
    assert warehouse.read_suppressed(keys) == set(keys)
    settled = warehouse.settle(other, HUBSPOT, finish(other, Disposition.WRITTEN), [])
    assert dict(settled.dispositions) == {"written": 1}


def test_an_erasure_finds_what_was_kept_of_the_person_under_earlier_ids(warehouse: Warehouse) -> None:
    """Merged one after the other: what is kept under the ids from before goes too, and is never looked up again."""
    for crm_id, email in (("1", "zoe@acme.example"), ("2", "zoe@home.example"), ("4", "lee@acme.example")):
        fill_every_table(warehouse, crm_id, email)
    warehouse.stage([], merges=[(HUBSPOT, "1", "2")])
    warehouse.stage([], merges=[(HUBSPOT, "2", "3")])
    warehouse.stage([], merges=[(HUBSPOT, "5", "3"), (HUBSPOT, "4", "6")])
    assert sum(warehouse.erase(HUBSPOT, "3").rows.values()) == 18
    kept = everything_kept(warehouse)
    assert ("zoe" in kept, "lee" in kept) == (False, True)
    keys = [key for crm_id in ("1", "2", "3", "5") for key in suppression_keys(Contact(crm_id), HUBSPOT)]
    assert warehouse.read_suppressed(keys) == set(keys)


def test_an_erasure_may_be_repeated_and_an_unknown_contact_is_suppressed(warehouse: Warehouse) -> None:
    """Nothing is left to remove the second time, and the suppression is kept for an unknown contact."""
    fill_every_table(warehouse, "1", "zoe@acme.example")
    warehouse.suppress(suppression_keys(Contact("9"), HUBSPOT), "opt_out")
    assert [sum(warehouse.erase(HUBSPOT, crm_id).rows.values()) for crm_id in ("1", "9")] == [9, 0]
    kept = everything_kept(warehouse, but="suppression_changes")  # which notes who did it, each time
    assert [sum(warehouse.erase(HUBSPOT, crm_id).rows.values()) for crm_id in ("1", "9")] == [0, 0]
    assert everything_kept(warehouse, but="suppression_changes") == kept
    (barred,) = warehouse.read_suppressions({suppression_keys(Contact("9"), HUBSPOT)[0]: "hubspot"})
    assert (barred.reason, barred.suppressed_at[-1]) == ("erased", "Z")


def test_a_run_at_work_loses_an_erased_contact_and_its_books_balance(warehouse: Warehouse) -> None:
    """Neither its results nor its writes nor its ending are kept, and the contact's ledger row stays the erasure's."""
    open_run(warehouse)
    stage(warehouse, "1", "2")
    mine = claim(warehouse)
    gone, stays = mine.records
    warehouse.erase(HUBSPOT, gone.crm_id)
    ids = [gone.record_id, stays.record_id]
    assert warehouse.renew(mine, ids, provider="zoominfo", crm="hubspot", lease_seconds=LEASE).held == {stays.record_id}
    misses = [Unmatched(one.record_id, one.crm_id, "a@b.example", "NO_MATCH") for one in mine.records]
    results = [found(mine, 0), found(mine, 1)]
    assert warehouse.store(mine, HUBSPOT, results, misses, provider="zoominfo") == {stays.record_id}
    planned = [PlannedWrite(one.record_id, one.crm_id, (Change("f", None, "v"),)) for one in mine.records]
    assert warehouse.plan_writes(mine, HUBSPOT, planned) == {stays.record_id}
    written = [OpenWrite(one.crm_id, "f", "v", "run-1") for one in mine.records]
    settled = warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.WRITTEN), written)
    assert (dict(settled.dispositions), settled.returned, settled.lost) == ({"written": 1}, 0, 1)
    books = warehouse.read_books("run-1")
    check_books(books)
    assert (books.claimed, books.finished, books.returned) == (2, 1, 1)
    left = warehouse.read_story(HUBSPOT, gone.crm_id)
    assert [(one.disposition, one.run_id) for one in left.ledger] == [("suppressed", "")]
    assert replace(left, ledger=()) == NOTHING
    assert queue(warehouse) == 0


def test_a_reply_that_comes_after_the_erasure_is_not_kept(warehouse: Warehouse) -> None:
    """Of a call that was under way only its cost is kept; the request and the address it asks with are suppressed."""
    open_run(warehouse)
    stage(warehouse, "1", email=None)
    mine = claim(warehouse)
    ask = {"lease_seconds": LEASE, "reply_days": 30, "miss_days": 30, "run_id": "run-1", "credits_each": 1}
    hashed = email_key("zoe@acme.example")
    made_for = [MadeFor(mine.records[0].record_id, "k1", hashed), MadeFor("x", "k2")]
    looked = warehouse.open_requests("zoominfo", ["k1", "k2"], token=mine.token, made_for=made_for, **ask)
    assert (looked.granted, looked.erased) == ({"k1", "k2"}, set())
    warehouse.erase(HUBSPOT, "1")
    assert warehouse.credits_today("zoominfo") == 2  # as long as the call is under way, no other may use them
    replies = [Reply(key, Outcome.MATCHED, {"name": "Zoë"}, credits=1.0) for key in ("k1", "k2")]
    warehouse.keep_replies("zoominfo", "run-1", replies)
    assert warehouse.credits_today("zoominfo") == 2
    assert warehouse.read_replies("zoominfo", ["k1", "k2"], reply_days=30, miss_days=30).keys() == {"k2"}
    again = warehouse.open_requests("zoominfo", ["k1", "k2"], token=mine.token, **ask)
    assert (again.granted, set(again.replies), again.erased) == (set(), {"k2"}, {"k1"})
    assert sum(one.credits for one in warehouse.count_usage("run-1")) == 2.0
    assert warehouse.read_suppressed([hashed or ""]) == {hashed}


def test_the_address_of_an_erased_person_is_not_staged_again(warehouse: Warehouse) -> None:
    """Neither under the same id nor under another one; the request itself waits, and ends as suppressed."""
    open_run(warehouse)
    stage(warehouse, "1", email="zoe@acme.example")
    warehouse.erase(HUBSPOT, "1")
    stage(warehouse, "1", "2", email="ZOE@acme.example")
    stage(warehouse, "3", email="lee@acme.example")
    staged = {record.crm_id: record.email_address for record in claim(warehouse).records}
    assert staged == {"1": ERASED_ADDRESS, "2": ERASED_ADDRESS, "3": "lee@acme.example"}


def test_an_erasure_by_mistake_can_be_taken_back(warehouse: Warehouse) -> None:
    """All hashes that came with the contact go, and who took them off is kept; another contact's stay."""
    fill_every_table(warehouse, "1", "zoe@acme.example")
    fill_every_table(warehouse, "2", "zoe@acme.example")
    for crm_id in ("1", "2"):
        warehouse.erase(HUBSPOT, crm_id, "ada")
    address = suppression_keys(Contact("3", "zoe@acme.example"), HUBSPOT)
    keys = {crm_id: suppression_keys(Contact(crm_id), HUBSPOT)[0] for crm_id in ("1", "2")}
    assert warehouse.allow(keys["1"], "ada") >= 2
    assert warehouse.read_suppressed([keys["1"], keys["2"]]) == {keys["2"]}
    assert warehouse.read_suppressed(address) == {address[1]}
    (allowance,) = warehouse.read_allowances({keys["1"]: "hubspot"})
    assert (allowance.crm, allowance.allowed_by) == ("hubspot", "ada")
    assert warehouse.allow(keys["2"], "ada") >= 2
    assert warehouse.read_suppressed(address) == set()
    assert warehouse.allow(keys["2"], "ada") == 0
