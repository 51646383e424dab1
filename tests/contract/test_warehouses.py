"""What every warehouse must do. A new module under blocks/warehouses is tested here by being there."""

import multiprocessing
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest

from blocks.base import module_names
from blocks.providers.base import Reply
from blocks.warehouses.base import (
    JournalLookup,
    NewPlan,
    NewRecord,
    PlannedWrite,
    Renewal,
    RunEnd,
    RunStart,
    Usage,
    Warehouse,
    WrittenField,
    load_warehouse,
)
from enrichment.alerts import Shares
from enrichment.books import check_books
from enrichment.change_plans import PlannedChange, RunChanges, WaitingPlan
from enrichment.credits import CreditCaps
from enrichment.errors import ConfigurationError
from enrichment.identifiers import suppression_keys
from enrichment.records import (
    Claim,
    Contact,
    Disposition,
    EarlierWrites,
    Enrichment,
    Finished,
    Found,
    OpenWrite,
    Origin,
    Outcome,
    Returned,
    State,
    Unmatched,
)
from enrichment.refusals import RefusedField
from enrichment.undo import UndoSelection
from enrichment.write_policy import Change, Refusal
from tests.conftest import USED_AGAIN
from tests.warehouses import look

VENDORS = module_names("blocks.warehouses")
LEASE = 600
HUBSPOT = Origin("hubspot")

#: Makes processes of their own from one that has imported what they need, which takes seconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])


@pytest.fixture(params=VENDORS)
def warehouse(request: pytest.FixtureRequest, make_warehouse: Callable[[str], Warehouse]) -> Warehouse:
    return make_warehouse(request.param)


def stage(warehouse: Warehouse, *ids: str, lane: str = "live", email: str | None = "a@b.example") -> int:
    return warehouse.stage([NewRecord("hubspot", crm_id, email, "manual", lane) for crm_id in ids])


def open_run(warehouse: Warehouse, run_id: str = "run-1") -> str:
    warehouse.open_run(RunStart(run_id, "a run", "zoominfo", "hubspot", ""), lease_seconds=LEASE)
    return run_id


def claim(
    warehouse: Warehouse, run_id: str = "run-1", *, limit: int = 100, lane: str = "", lease: int = LEASE
) -> Claim:
    return warehouse.claim(
        run_id, origin=HUBSPOT, lane=lane, limit=limit, lease_seconds=lease, make_token=lambda: uuid.uuid4().hex
    )


def found(claim: Claim, index: int = 0, received_at: str = "2026-11-01T00:00:00.000Z", **fields: object) -> Found:
    values = {"company_name": "Ünïcode ГмбХ", "employee_count": 12, "tech_stack": ["a", "b"], "title": "CTO"} | fields
    return Found(claim.records[index], Enrichment("zoominfo", "77", 95.0, values, received_at), "key-1")


def renew(warehouse: Warehouse, claim: Claim, ids: list[str]) -> Renewal:
    return warehouse.renew(claim, ids, provider="zoominfo", crm="hubspot", lease_seconds=LEASE)


def finish(claim: Claim, disposition: Disposition, **extra: str) -> list[Finished]:
    return [Finished(record.record_id, disposition, **extra) for record in claim.records]


def queue(warehouse: Warehouse) -> int:
    return sum(count.records for count in warehouse.count_queue())


def count(warehouse: Warehouse, table: str, what: str = "*") -> int:
    """Return how many rows, or values of a column, a table has."""
    ((number,),) = look(warehouse, f"SELECT count({what}) AS found FROM {table}")
    return int(number)


def test_a_claimed_record_says_what_queued_it_and_how_long_ago(warehouse: Warehouse) -> None:
    """By the warehouse's own clock, in seconds; what only looks at the queue says the same."""
    stage(warehouse, "1")
    peeked = warehouse.peek(origin=HUBSPOT, lane="", limit=10)
    records = [*peeked, *claim(warehouse).records]
    assert [(one.source, one.named_by_crm) for one in records] == [("manual", False)] * 2
    assert all(0 <= one.age_seconds < 600 for one in records)


def test_migrations_are_safe_to_repeat(warehouse: Warehouse) -> None:
    """A second setup changes nothing and keeps the queue."""
    stage(warehouse, "1")
    assert warehouse.migrate() == []
    assert queue(warehouse) == 1


def test_tables_of_another_version_are_refused(warehouse: Warehouse) -> None:
    """Neither newer nor older tables are worked with or set up over; the message says what is there and what to do."""
    warehouse.check_schema()
    with warehouse._transaction() as session:
        session.run("record_migration", version="0999 a later schema")
    for verb in (warehouse.check_schema, warehouse.migrate):
        with pytest.raises(ConfigurationError, match=r"'0999 a later schema', .* Upgrade this installation"):
            verb()
    last = max(warehouse.sql.migrations)
    with warehouse._transaction() as session:
        session.execute(f"DELETE FROM schema_migrations WHERE version IN ('0999 a later schema', '{last}')")
    with pytest.raises(ConfigurationError, match=f"lacks the schema change '{last}', .* `enrich setup`"):
        warehouse.check_schema()
    with warehouse._transaction() as session:  # other tests use these tables, too
        session.run("record_migration", version=last)
    warehouse.check_schema()


def test_a_warehouse_that_is_not_set_up_says_so(warehouse: Warehouse) -> None:
    """The message names the command that fixes it."""
    with warehouse._transaction() as session:
        session.execute("DROP TABLE enrichment_staging")
    with pytest.raises(ConfigurationError, match="enrich setup"):
        stage(warehouse, "1")


def due(warehouse: Warehouse, lane: str = "live") -> float | None:
    return warehouse.next_due(origin=HUBSPOT, lane=lane)


def test_it_is_known_when_there_is_something_to_claim(warehouse: Warehouse) -> None:
    """Now, when a wait or a dead run's lock is over, or never: of this CRM and lane, unless the lane is paused."""
    assert due(warehouse) is None
    stage(warehouse, "1")
    assert (due(warehouse), due(warehouse, "backfill"), due(warehouse, "")) == (0, None, 0)
    mine = claim(warehouse, open_run(warehouse))
    assert LEASE - 60 < (due(warehouse) or 0) <= LEASE
    warehouse.settle(mine, HUBSPOT, [Returned(mine.records[0].record_id, "later", 5000.0)], [])
    assert 4900 < (due(warehouse) or 0) <= 5000
    stage(warehouse, "2")
    assert due(warehouse) == 0
    assert warehouse.next_due(origin=Origin("salesforce"), lane="live") is None
    warehouse.pause_lane("live")
    assert due(warehouse) is None


def test_whatever_changes_the_queue_changes_its_mark(warehouse: Warehouse) -> None:
    """Reading doesn't; an engine that has no such mark says so every time."""
    seen = [warehouse.change_mark()]
    for change in (
        lambda: stage(warehouse, "1"),
        lambda: warehouse.settle(claim(warehouse, open_run(warehouse)), HUBSPOT, [], []),
        lambda: warehouse.pause_lane("live"),
        lambda: warehouse.resume_lane("live"),
    ):
        change()
        assert due(warehouse) != -1
        seen += [warehouse.change_mark(), warehouse.change_mark()]
    assert seen[1::2] == seen[2::2]
    assert len(set(seen)) == (5 if warehouse.name == "snowflake" else 1)


def test_a_contact_waits_once(warehouse: Warehouse) -> None:
    """Staging a contact again adds nothing, also within one batch; the live lane wins."""
    assert stage(warehouse, "1", "2", "2", lane="backfill") == 2
    assert stage(warehouse, "2", "3", lane="live") == 1
    assert {(count.lane, count.records) for count in warehouse.count_queue()} == {("live", 2), ("backfill", 1)}


def test_rows_and_cursor_are_committed_together(warehouse: Warehouse) -> None:
    """The intake's position is kept with the rows that it stands for."""
    warehouse.stage([NewRecord("hubspot", "1", None, "schedule", "live")], cursor=("ingest:hubspot", "2026-11-01"))
    warehouse.stage([], cursor=("ingest:hubspot", "2026-11-02"))
    assert warehouse.read_cursor("ingest:hubspot") == "2026-11-02"
    assert warehouse.read_cursor("ingest:salesforce") is None


def test_live_records_are_claimed_first_and_none_twice(warehouse: Warehouse) -> None:
    """No run may claim a claimed record until its claim ends."""
    open_run(warehouse)
    stage(warehouse, "old", lane="backfill")
    stage(warehouse, "new", lane="live")
    first, second, third = (claim(warehouse, limit=1) for _ in range(3))
    assert [c.crm_id for c in first.records + second.records + third.records] == ["new", "old"]
    assert first.records[0].state is State.CLAIMED
    assert first.records[0].attempts == 1
    assert first.records[0].email_address == "a@b.example"


def test_a_lane_can_be_claimed_alone(warehouse: Warehouse) -> None:
    """A live run leaves the backfill alone."""
    open_run(warehouse)
    stage(warehouse, "1", lane="backfill")
    assert claim(warehouse, lane="live").records == ()
    assert len(claim(warehouse, lane="backfill").records) == 1


def test_an_expired_claim_may_be_taken_and_the_late_run_changes_nothing(warehouse: Warehouse) -> None:
    """A run that slept through its lease neither stores, writes nor finishes what another one holds."""
    open_run(warehouse, "late")
    open_run(warehouse, "next")
    stage(warehouse, "1")
    late = claim(warehouse, "late", lease=-1)
    mine = claim(warehouse, "next")
    assert len(mine.records) == 1
    assert mine.records[0].attempts == 2
    assert renew(warehouse, late, ["x", late.records[0].record_id]).held == set()
    assert warehouse.store(late, HUBSPOT, [found(late)], [], provider="zoominfo") == set()
    planned = PlannedWrite(late.records[0].record_id, "1", (Change("f", None, "v"),))
    assert warehouse.plan_writes(late, HUBSPOT, [planned]) == set()
    settled = warehouse.settle(late, HUBSPOT, finish(late, Disposition.FAILED), [])
    assert (dict(settled.dispositions), settled.returned, settled.lost) == ({}, 0, 1)
    assert warehouse.read_story(Origin(""), "1").stored == {}
    check_books(warehouse.read_books("late"))
    warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.UNMATCHED), [])
    assert queue(warehouse) == 0


#: Runs at work, by their id: providers, CRM and lane.
AT_WORK = {
    "mine": ("zoominfo", "hubspot", "live"),
    "waterfall": ("clearbit, zoominfo", "hubspot", ""),
    "backfill": ("zoominfo,clearbit", "hubspot", "backfill"),
    "other-org": ("zoominfo", "hubspot/eu", "backfill"),
    "other-account": ("zoominfo/eu", "hubspot", "live"),
    "other-name": ("zoominfo_legacy", "hubspot", "backfill"),
}


def test_renewing_counts_by_lane_who_is_at_work_with_the_provider_and_the_crm(warehouse: Warehouse) -> None:
    """Runs with a live claim count, once each however many they hold; a waterfall counts for each of its providers."""
    stage(warehouse, *(str(number) for number in range(9)))
    claims = {}
    for run_id, (provider, crm, lane) in AT_WORK.items():
        warehouse.open_run(RunStart(run_id, "a run", provider, crm, lane), lease_seconds=LEASE)
        claims[run_id] = claim(warehouse, run_id, limit=1)
    claim(warehouse, "waterfall", limit=1)
    claim(warehouse, open_run(warehouse, "dead"), limit=1, lease=-1)
    ids = [record.record_id for record in claims["mine"].records]
    renewal = renew(warehouse, claims["mine"], ids)
    assert renewal.held == set(ids)
    assert dict(renewal.at_provider) == {"live": 1, "": 1, "backfill": 2}
    assert dict(renewal.at_crm) == {"live": 2, "": 1, "backfill": 2}


def test_a_run_renews_all_its_locks_at_once(warehouse: Warehouse) -> None:
    """Those that had ended, too, unless another run has taken them since; others' stay as they were."""
    days = {"reply_days": 30, "miss_days": 30}
    stage(warehouse, "1", "2", "3")
    mine = claim(warehouse, open_run(warehouse), lease=-1)
    taken = claim(warehouse, open_run(warehouse, "run-2"), limit=1)
    warehouse.open_requests("zoominfo", ["k"], token=mine.token, lease_seconds=-1, run_id="run-1", **days)
    assert warehouse.renew_run("run-1", lease_seconds=LEASE)
    assert claim(warehouse, "run-2").records == ()
    assert warehouse.open_requests("zoominfo", ["k"], token="b", lease_seconds=LEASE, **days).granted == set()
    locked = {one.run_id: one for one in warehouse.read_locks()}
    assert {run_id: one.contacts for run_id, one in locked.items()} == {"run-1": 2, "run-2": 1}
    assert locked["run-1"].name == "a run"
    assert locked["run-1"].seen_at <= locked["run-1"].read_at < locked["run-1"].free_at
    assert renew(warehouse, taken, [record.record_id for record in mine.records]).held == {taken.records[0].record_id}


def test_a_run_whose_totals_are_closed_holds_nothing(warehouse: Warehouse) -> None:
    """What it still held is free at once, with its attempt or without; a late renewal is refused."""
    days = {"reply_days": 30, "miss_days": 30}
    stage(warehouse, "1", "2")
    mine = claim(warehouse, open_run(warehouse))
    warehouse.open_requests("zoominfo", ["k"], token=mine.token, lease_seconds=LEASE, run_id="run-1", **days)
    assert warehouse.release_run("run-1", costs_attempt=False) == 2
    assert warehouse.release_run("run-1", costs_attempt=False) == 0
    check_books(warehouse.read_books("run-1"))
    warehouse.close_run("run-1", RunEnd(0.0, state="cancelled"))
    assert not warehouse.renew_run("run-1", lease_seconds=LEASE)
    assert warehouse.read_locks() == []
    again = claim(warehouse, open_run(warehouse, "run-2"))
    assert {(record.state, record.attempts) for record in again.records} == {(State.CLAIMED, 1)}
    assert warehouse.open_requests("zoominfo", ["k"], token="b", lease_seconds=LEASE, **days).granted == {"k"}
    assert warehouse.release_run("run-2", costs_attempt=True) == 2
    assert {record.attempts for record in claim(warehouse, open_run(warehouse, "run-3")).records} == {2}


def test_a_run_that_is_cancelled_renews_no_lock(warehouse: Warehouse) -> None:
    """Its processes learn it by their next renewal; a run that has ended otherwise stays as it ended."""
    open_run(warehouse)
    warehouse.cancel_run("run-1")
    assert not warehouse.renew_run("run-1", lease_seconds=LEASE)
    assert (warehouse.read_run("run-1").state, warehouse.read_run("run-1").finished_at) == ("cancelled", None)
    warehouse.close_run("run-1", RunEnd(0.0, state="closed"))
    warehouse.cancel_run("run-1")
    assert warehouse.read_run("run-1").state == "closed"


def test_a_request_is_granted_to_one_claim_and_its_reply_to_all(warehouse: Warehouse) -> None:
    """Two claims never both pay for a request; a reply that says nothing leaves it to the claim that may repeat it."""
    ask = {"lease_seconds": LEASE, "reply_days": 30, "miss_days": 30}
    mine = warehouse.open_requests("zoominfo", ["k1", "k2"], token="a", run_id="run-1", **ask)
    other = warehouse.open_requests("zoominfo", ["k2", "k3"], token="b", **ask)
    assert (mine.granted, other.granted, dict(other.replies)) == ({"k1", "k2"}, {"k3"}, {})
    body = {"name": "Zoë", "list": [1, None], "n": 1.5}
    reply = Reply("k2", Outcome.MATCHED, body, credits=1, api_version="v1", request_id="r")
    warehouse.keep_replies("zoominfo", "run-1", [reply, Reply("k1", Outcome.RETRYABLE, None)])
    again = warehouse.open_requests("zoominfo", ["k1", "k2"], token="b", **ask)
    assert again.replies["k2"].body == body
    assert again.replies["k2"].received_at.endswith("Z")
    assert again.granted == frozenset()
    assert warehouse.open_requests("zoominfo", ["k1"], token="a", **ask).granted == {"k1"}


def test_a_known_reply_leaves_the_reservation_of_who_asks_again(warehouse: Warehouse) -> None:
    """The credits of a call under way count, though another run is content with an older reply to its request."""
    warehouse.keep_replies("zoominfo", "run-1", [Reply("k", Outcome.MATCHED, {}, credits=2.0)])
    again = {"lease_seconds": LEASE, "reply_days": 0, "miss_days": 0, "credits_each": 2}
    assert warehouse.open_requests("zoominfo", ["k"], token="a", run_id="run-2", **again).granted == {"k"}
    known = again | {"reply_days": 30, "miss_days": 30}
    assert warehouse.open_requests("zoominfo", ["k"], token="b", run_id="run-3", **known).replies.keys() == {"k"}
    assert warehouse.credits_today("zoominfo") == 4
    assert not warehouse.open_requests("zoominfo", ["k"], token="c", run_id="run-4", **again).granted


def test_reservations_of_a_dead_claim_expire(warehouse: Warehouse) -> None:
    """A request that a dead run reserved is granted to the next one."""
    days = {"reply_days": 30, "miss_days": 30}
    warehouse.open_requests("zoominfo", ["k"], token="dead", lease_seconds=-1, **days)
    assert warehouse.open_requests("zoominfo", ["k"], token="b", lease_seconds=9, **days).granted == {"k"}


def test_replies_are_read_page_by_page_for_a_sample(warehouse: Warehouse) -> None:
    """By their keys, with what they say; only those with data, of the provider, and since the moment."""
    replies = [Reply(key, Outcome.MATCHED, {"n": [key]}, credits=1.0, api_version="v1") for key in ("b", "a", "c")]
    warehouse.keep_replies(
        "zoominfo", "run-1", [*replies, Reply("d", Outcome.UNMATCHED, {}), Reply("0", Outcome.PARTIAL, {})]
    )
    warehouse.keep_replies("hunter", "run-1", [Reply("e", Outcome.MATCHED, {})])
    begin, end = "2000-01-01T00:00:00.000Z", "2100-01-01T00:00:00.000Z"
    first = warehouse.reply_page("zoominfo", since=begin, limit=2)
    assert [one.request_key for one in first] == ["0", "a"]
    assert (first[1].body, first[1].api_version) == ({"n": ["a"]}, "v1")
    assert first[1].received_at[:4] == warehouse.now()[:4]
    rest = warehouse.reply_page("zoominfo", since=begin, after="a", limit=5)
    assert [one.request_key for one in rest] == ["b", "c"]
    assert warehouse.reply_page("zoominfo", since=end, limit=5) == []


def test_an_old_reply_is_not_used(warehouse: Warehouse) -> None:
    """Replies older than the limit are asked for again."""
    warehouse.keep_replies("zoominfo", "run-1", [Reply("k", Outcome.MATCHED, {})])
    assert warehouse.read_replies("zoominfo", ["k"], reply_days=1, miss_days=1).keys() == {"k"}
    assert warehouse.read_replies("zoominfo", ["k"], reply_days=0, miss_days=1) == {}


def test_a_miss_is_kept_for_a_time_of_its_own(warehouse: Warehouse) -> None:
    """A person may be known by now: an expired miss is asked for again, and the new reply takes its place."""
    outcomes = {"miss": Outcome.UNMATCHED, "match": Outcome.MATCHED, "opt-out": Outcome.SUPPRESSED}
    warehouse.keep_replies("zoominfo", "run-1", [Reply(key, outcome, {}) for key, outcome in outcomes.items()])
    assert warehouse.read_replies("zoominfo", [*outcomes], reply_days=1, miss_days=0).keys() == {"match", "opt-out"}
    assert warehouse.read_replies("zoominfo", [*outcomes], reply_days=0, miss_days=1).keys() == {"miss"}
    ask = {"lease_seconds": LEASE, "reply_days": 1, "miss_days": 0}
    looked = warehouse.open_requests("zoominfo", [*outcomes], token="t", **ask)
    assert (looked.granted, looked.replies.keys()) == ({"miss"}, {"match", "opt-out"})
    warehouse.keep_replies("zoominfo", "run-2", [Reply("miss", Outcome.MATCHED, {"name": "Zoë"})])
    kept = warehouse.read_replies("zoominfo", ["miss"], reply_days=1, miss_days=0)["miss"]
    assert (kept.outcome, kept.body, kept.run_id) == ("matched", {"name": "Zoë"}, "run-2")


def test_a_failed_attempt_never_replaces_a_paid_reply(warehouse: Warehouse) -> None:
    """What was bought stays in the journal, whatever a later attempt answers."""
    warehouse.keep_replies("zoominfo", "run-1", [Reply("k", Outcome.MATCHED, {"a": 1})])
    warehouse.keep_replies("zoominfo", "run-2", [Reply("k", Outcome.RETRYABLE, "<html>")])
    assert warehouse.read_replies("zoominfo", ["k"], reply_days=1, miss_days=1)["k"].body == {"a": 1}


def test_results_are_stored_once_and_the_newest_wins(warehouse: Warehouse) -> None:
    """A repeated store adds no history, and an older reply never replaces a newer one."""
    open_run(warehouse)
    stage(warehouse, "1")
    mine = claim(warehouse)
    new, old = found(mine), found(mine, received_at="2026-10-01T00:00:00.000Z", company_name="Old")
    for item in (new, new, old):
        assert warehouse.store(mine, HUBSPOT, [item], [], provider="zoominfo") == {mine.records[0].record_id}
    assert count(warehouse, "enrichment_history") == 2
    story = warehouse.read_story(HUBSPOT, "1")
    (staged,) = story.staging
    assert (staged.state, bool(staged.processed_at), staged.request_key) == ("enriched", True, "key-1")
    again = warehouse.read_enriched(HUBSPOT, ["1", "2"])["1"]
    assert again.fields == {
        "company_name": "Ünïcode ГмбХ",
        "employee_count": 12,
        "tech_stack": ["a", "b"],
        "title": "CTO",
    }
    assert (again.provider, again.received_at) == ("zoominfo", "2026-11-01T00:00:00.000Z")
    assert story.stored == {"hubspot": again}


def test_an_enriched_record_stays_enriched_when_it_goes_back(warehouse: Warehouse) -> None:
    """Only the write-back is repeated, never the lookup's bookkeeping; a postponed record gives its attempt back."""
    open_run(warehouse)
    stage(warehouse, "1")
    mine = claim(warehouse)
    warehouse.store(mine, HUBSPOT, [found(mine)], [], provider="zoominfo")
    warehouse.settle(mine, HUBSPOT, [Returned(mine.records[0].record_id, "paused", 0, costs_attempt=False)], [])
    again = claim(warehouse)
    assert (again.records[0].state, again.records[0].attempts) == (State.ENRICHED, 1)


def test_a_returned_record_waits_its_time(warehouse: Warehouse) -> None:
    """Before `not_before` no run gets the record."""
    open_run(warehouse)
    stage(warehouse, "1")
    mine = claim(warehouse)
    settled = warehouse.settle(mine, HUBSPOT, [Returned(mine.records[0].record_id, "throttled", 90.0)], [])
    assert settled.returned == 1
    assert claim(warehouse).records == ()
    assert warehouse.peek(origin=HUBSPOT, lane="", limit=5) == []
    assert warehouse.read_story(HUBSPOT, "1").staging[0].state == "waiting"
    check_books(warehouse.read_books("run-1"))


def test_settling_ends_records_exactly_once_and_balances(warehouse: Warehouse) -> None:
    """Each finished record has one ledger row and no staging row; a repeated settle adds nothing."""
    open_run(warehouse)
    stage(warehouse, "1", "2", "3")
    mine = claim(warehouse)
    one, two, three = (record.record_id for record in mine.records)
    settlements = [
        Finished(one, Disposition.UNMATCHED, "NO_MATCH", request_key="key-1"),
        Finished(two, Disposition.FAILED, "timeout", "look_up", "the full error"),
        Returned(three, "throttled", 60),
    ]
    miss = Unmatched(one, mine.records[0].crm_id, "a@b.example", "NO_MATCH")
    warehouse.store(mine, HUBSPOT, [], [miss], provider="zoominfo")
    settled = warehouse.settle(mine, HUBSPOT, settlements, [])
    assert (dict(settled.dispositions), settled.returned, settled.lost) == ({"unmatched": 1, "failed": 1}, 1, 0)
    books = warehouse.read_books("run-1")
    check_books(books)
    assert (books.claimed, books.finished, books.returned) == (3, 2, 1)
    assert warehouse.failed_causes("run-1")[0].reason == "timeout"
    assert len(warehouse.read_story(HUBSPOT, miss.crm_id).unmatched) == 1
    assert queue(warehouse) == 1


def test_a_chunk_that_is_carried_again_counts_once(warehouse: Warehouse) -> None:
    """A worker died before its answer arrived: settled again without holding anything, the chunk leaves true books."""
    open_run(warehouse)
    stage(warehouse, "1", "2", "3")
    mine = claim(warehouse)
    one, two, three = (record.record_id for record in mine.records)
    first = [Finished(one, Disposition.UNMATCHED), Finished(two, Disposition.INVALID), Returned(three, "throttled", 60)]
    warehouse.settle(mine, HUBSPOT, first, [])
    again = warehouse.settle(mine, HUBSPOT, [Returned(one, "claim_lost"), *first[1:]], [])
    assert (dict(again.dispositions), again.returned, again.lost) == ({"unmatched": 1, "invalid": 1}, 0, 1)
    warehouse.read_books("run-1", returned=again.returned + again.lost)
    books = warehouse.read_books("run-1")
    check_books(books)
    assert (books.claimed, books.finished, books.returned) == (3, 2, 1)
    assert queue(warehouse) == 1


def test_a_claim_that_the_run_never_heard_of_is_not_in_its_books(warehouse: Warehouse) -> None:
    """The claim's answer was lost, and another run has taken its records over: the run counts what it knows of."""
    open_run(warehouse)
    stage(warehouse, "1", "2")
    claim(warehouse)
    warehouse.read_books("run-1", claimed=0, returned=0)
    assert warehouse.read_books("run-1").balanced


def test_a_chunk_that_forgets_a_record_unbalances_the_books(warehouse: Warehouse) -> None:
    """The books are counted from the rows, so that a forgotten record is noticed."""
    open_run(warehouse)
    stage(warehouse, "1", "2")
    mine = claim(warehouse)
    warehouse.settle(mine, HUBSPOT, [Finished(mine.records[0].record_id, Disposition.UNMATCHED)], [])
    assert not warehouse.read_books("run-1").balanced


def test_a_scheduled_intake_leaves_out_what_has_ended(warehouse: Warehouse) -> None:
    """The overlap of two intakes stages no contact again; people and backfills still can."""
    open_run(warehouse)
    stage(warehouse, "1")
    mine = claim(warehouse)
    warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.UNMATCHED), [])
    seen, new = (NewRecord("hubspot", crm_id, None, "schedule", "live") for crm_id in ("1", "2"))
    assert warehouse.stage([seen, new]) == 1
    assert stage(warehouse, "1") == 1


def test_what_changed_while_it_waits_is_read_again(warehouse: Warehouse) -> None:
    """The address that was staged is forgotten; a contact that isn't in the queue is left alone."""
    stage(warehouse, "1", "2")
    assert warehouse.stage([], changed=[(HUBSPOT, "1"), (HUBSPOT, "1"), (HUBSPOT, "9")]) == 0
    open_run(warehouse)
    mine = claim(warehouse)
    assert {record.crm_id: record.email_address for record in mine.records} == {"1": None, "2": "a@b.example"}
    warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.UNMATCHED), [])
    assert queue(warehouse) == 0


def test_what_changed_while_a_run_was_at_work_on_it_is_done_again(warehouse: Warehouse) -> None:
    """The first request ends with its ledger row, a new one takes its place, and the books balance."""
    open_run(warehouse)
    stage(warehouse, "1", "2")
    mine = claim(warehouse)
    assert warehouse.stage([NewRecord("hubspot", "1", None, "webhook", "live")], changed=[(HUBSPOT, "1")]) == 0
    settled = warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.INVALID), [])
    assert (dict(settled.dispositions), settled.returned, settled.lost) == ({"invalid": 2}, 0, 0)
    second = claim(warehouse)
    (again,) = second.records
    assert (again.crm_id, again.email_address, again.state, again.attempts) == ("1", None, State.CLAIMED, 1)
    assert again.record_id not in {record.record_id for record in mine.records}
    assert [one.disposition for one in warehouse.read_story(HUBSPOT, "1").ledger] == ["invalid"]
    warehouse.settle(second, HUBSPOT, finish(second, Disposition.UNMATCHED), [])
    check_books(warehouse.read_books("run-1"))
    assert queue(warehouse) == 0


def test_what_has_ended_is_known_by_its_contact(warehouse: Warehouse) -> None:
    """However it ended, and whether or not it waits again; other CRMs have other contacts."""
    open_run(warehouse)
    stage(warehouse, "1", "2")
    mine = claim(warehouse)
    warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.UNMATCHED), [])
    stage(warehouse, "2", "3")
    assert warehouse.ended_of(HUBSPOT, ["1", "2", "3"]) == {"1", "2"}
    assert warehouse.ended_of(Origin("salesforce"), ["1"]) == set()


def test_a_reviewed_miss_stays_reviewed_until_it_changes(warehouse: Warehouse) -> None:
    """The weekly review shows nothing twice."""
    open_run(warehouse)
    stage(warehouse, "1")
    mine = claim(warehouse)
    miss = Unmatched(mine.records[0].record_id, "1", "a@b.example", "NO_MATCH")
    warehouse.store(mine, HUBSPOT, [], [miss], provider="zoominfo")
    with warehouse._transaction() as session:
        session.execute("UPDATE unmatched_records SET reviewed_at = unmatched_at WHERE reviewed_at IS NULL")
    for reason, reviewed in (("NO_MATCH", True), ("OPT_OUT", False)):
        warehouse.store(mine, HUBSPOT, [], [replace(miss, reason=reason)], provider="zoominfo")
        assert bool(warehouse.read_story(HUBSPOT, "1").unmatched[0].reviewed_at) is reviewed


def test_dead_letters_can_be_put_back_once(warehouse: Warehouse) -> None:
    """A replayed dead letter is a new request with a new record id."""
    open_run(warehouse)
    stage(warehouse, "1")
    mine = claim(warehouse)
    warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.FAILED, step="store", detail="why"), [])
    assert warehouse.restage_failed("another run") == 0
    assert warehouse.restage_failed() == 1
    assert warehouse.restage_failed() == 0
    again = claim(warehouse)
    assert again.records[0].crm_id == "1"
    assert again.records[0].record_id != mine.records[0].record_id


def test_planned_writes_survive_a_crash_and_are_confirmed_later(warehouse: Warehouse) -> None:
    """The value before is kept from before the call; what the CRM doesn't hold is forgotten."""
    open_run(warehouse)
    stage(warehouse, "1")
    mine = claim(warehouse)
    record = mine.records[0].record_id
    warehouse.store(mine, HUBSPOT, [found(mine)], [], provider="zoominfo")
    changes = (Change("company", None, "Acme"), Change("industry", "x", "y"))
    assert warehouse.plan_writes(mine, HUBSPOT, [PlannedWrite(record, "1", changes)]) == {record}
    open_ones = {write.field: write for write in warehouse.earlier_writes(HUBSPOT, ["1", "2"], "").unconfirmed}
    assert open_ones["company"] == OpenWrite("1", "company", "Acme", "run-1")
    warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.WRITTEN), [open_ones["company"]])
    (write,) = warehouse.read_story(HUBSPOT, "1").writes
    assert (write.before, write.after, bool(write.written_at)) == (None, "Acme", True)
    assert warehouse.read_written("run-1", HUBSPOT) == [WrittenField("1", "company", None, "Acme")]


def test_what_was_sent_to_a_contact_that_was_not_read_again_stays_on_record(warehouse: Warehouse) -> None:
    """It may have arrived, since the run that sent it may be the one that died; the run that reads it next looks."""
    open_run(warehouse)
    stage(warehouse, "1")
    mine = claim(warehouse)
    planned = PlannedWrite(mine.records[0].record_id, "1", (Change("company", "Old", "Acme"),))
    warehouse.plan_writes(mine, HUBSPOT, [planned])
    warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.FAILED), [])
    assert warehouse.earlier_writes(HUBSPOT, ["1"], "").unconfirmed == (OpenWrite("1", "company", "Acme", "run-1"),)
    assert warehouse.restage_failed() == 1
    for disposition, kept in ((Disposition.UNMATCHED, 1), (Disposition.UNCHANGED, 0)):
        again = claim(warehouse)
        warehouse.settle(again, HUBSPOT, finish(again, disposition), [])
        assert len(warehouse.earlier_writes(HUBSPOT, ["1"], "").unconfirmed) == kept
        stage(warehouse, "1")


def test_an_undo_is_recorded_beside_what_it_undid(warehouse: Warehouse) -> None:
    """What it took back isn't undone twice, and stays known, until the undo is undone by its own run."""
    open_run(warehouse)
    stage(warehouse, "1", "2")
    mine = claim(warehouse)
    ids = {record.crm_id: record.record_id for record in mine.records}
    for crm_id, record_id in ids.items():
        changes = (Change("company", None, "Acme"), Change("industry", "x", "y"))
        warehouse.plan_writes(mine, HUBSPOT, [PlannedWrite(record_id, crm_id, changes)])
    sent = warehouse.earlier_writes(HUBSPOT, list(ids), "run-1")
    assert sent.changed == frozenset()
    warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.WRITTEN), sent.unconfirmed)
    assert warehouse.earlier_writes(HUBSPOT, list(ids), "run-1") == EarlierWrites((), frozenset(ids))
    assert warehouse.earlier_writes(HUBSPOT, list(ids), "run-2") == EarlierWrites((), frozenset())
    everything = UndoSelection("run-1")
    page = warehouse.read_undoable(HUBSPOT, everything, limit=1)
    assert [(one.crm_id, one.field, one.before, one.after) for one in page] == [
        ("1", "company", None, "Acme"),
        ("1", "industry", "x", "y"),
    ]
    assert {one.crm_id for one in warehouse.read_undoable(HUBSPOT, everything, after="1", limit=9)} == {"2"}
    assert warehouse.read_undoable(HUBSPOT, UndoSelection(since="2999-01-01T00:00:00.000Z"), limit=9) == []
    assert warehouse.read_undoable(Origin("salesforce"), everything, limit=9) == []

    for broken_off in ("undo-0", "undo-1"):
        back = [Change("company", "Acme", ""), Change("industry", "y", "x")]
        warehouse.plan_undo(HUBSPOT, broken_off, {"1": back})
        assert warehouse.earlier_writes(HUBSPOT, ["1"], "").unconfirmed == ()
        assert warehouse.undone_of(HUBSPOT, ["1", "2"]) == {
            "1": {"company": frozenset({"Acme"}), "industry": frozenset({"y"})}
        }
    warehouse.finish_undo(HUBSPOT, "undo-1", page)
    assert [one.crm_id for one in warehouse.read_undoable(HUBSPOT, everything, limit=9)] == ["2", "2"]
    assert warehouse.read_undoable(HUBSPOT, UndoSelection(crm_id="1"), limit=9) == []
    said = {(one.run_id, one.after, one.reverted_by, one.is_undo) for one in warehouse.read_story(HUBSPOT, "1").writes}
    of_the_undo = {("undo-1", None, None, True), ("undo-1", "x", None, True)}
    assert said == {("run-1", "Acme", "undo-1", False), ("run-1", "y", "undo-1", False), *of_the_undo}

    of_undo = warehouse.read_undoable(HUBSPOT, UndoSelection("undo-1"), limit=9)
    assert [(one.field, one.after) for one in of_undo if one.is_undo] == [("company", ""), ("industry", "x")]
    warehouse.plan_undo(HUBSPOT, "undo-2", {"1": [Change("company", None, "Acme")]})
    warehouse.finish_undo(HUBSPOT, "undo-2", [one for one in of_undo if one.field == "company"])
    assert warehouse.undone_of(HUBSPOT, ["1"]) == {"1": {"industry": frozenset({"y"})}}
    again = warehouse.read_undoable(HUBSPOT, UndoSelection("run-1", "1"), limit=9)
    assert [(one.field, one.is_undo) for one in again] == [("company", False), ("company", True), ("industry", True)]


def test_a_plan_is_kept_decided_once_and_claimed_once_by_each_run(warehouse: Warehouse) -> None:
    """Its contacts wait for it and no other run takes them; each of its runs gets each of them once."""
    open_run(warehouse)
    stage(warehouse, "1", "2", "3")
    mine = claim(warehouse, limit=2)
    plan = NewPlan("run-1", "hubspot", "zoominfo", "asked", "mark", "me")
    changes = [
        PlannedChange(record.crm_id, record.record_id, Change("company", before, "Acme"), "always", "company_name")
        for record, before in zip(mine.records, (None, "Old"), strict=True)
    ]
    for part in (changes[:1], changes, changes[1:]):
        warehouse.keep_planned(plan, HUBSPOT, part)
    back = [Returned(record.record_id, "needs_approval", 3600.0, costs_attempt=False) for record in mine.records]
    warehouse.settle(mine, HUBSPOT, back, [])
    assert len(claim(warehouse, "run-2").records) == 1
    assert sorted(warehouse.read_planned("run-1"), key=lambda one: one.crm_id) == sorted(
        changes, key=lambda one: one.crm_id
    )
    ids = [one.crm_id for one in changes]
    assert warehouse.planned_of("run-1", HUBSPOT, ids) == {}
    assert warehouse.waiting_plans() == [WaitingPlan("run-1", "hubspot", "asked", "me", 2)]
    warehouse.seal_plan("run-1", "digest")
    assert warehouse.decide_plan("run-1", state="approved", by="Ada", note="")
    assert not warehouse.decide_plan("run-1", state="declined", by="Bob", note="")
    assert warehouse.waiting_plans() == []
    kept = warehouse.read_plan("run-1")
    assert kept is not None
    assert (kept.digest, kept.state, kept.decided_by, kept.made_by) == ("digest", "approved", "Ada", "me")
    assert kept.made_at <= (kept.decided_at or "") <= kept.read_at
    assert warehouse.read_plan("run-2") is None
    assert warehouse.planned_of("run-1", HUBSPOT, ids) == {one.crm_id: frozenset({one.change}) for one in changes}
    assert warehouse.planned_of("run-1", Origin("salesforce"), ids) == {}

    for run_id in ("run-3", "run-4"):
        open_run(warehouse, run_id)
        taken = [claim_planned(warehouse, run_id) for _ in range(3)]
        assert sorted(len(one.records) for one in taken) == [0, 1, 1]
        assert warehouse.read_books(run_id).claimed == 2
        for one in taken:
            given = [Returned(record.record_id, "reply_not_saved", costs_attempt=False) for record in one.records]
            warehouse.settle(one, HUBSPOT, given, [])
    assert [record.attempts for record in claim(warehouse, "run-2").records] == [1, 1]


def claim_planned(warehouse: Warehouse, run_id: str) -> Claim:
    return warehouse.claim_planned(
        run_id, "run-1", origin=HUBSPOT, limit=1, lease_seconds=LEASE, make_token=lambda: uuid.uuid4().hex
    )


def test_what_a_run_announces_is_counted_and_can_be_withdrawn(warehouse: Warehouse) -> None:
    """By contacts, values and values that replace another; what the CRM has confirmed stays. A plan lets go."""
    open_run(warehouse)
    stage(warehouse, "1", "2")
    mine = claim(warehouse)
    for record in mine.records:
        changes = (Change("company", None, "Acme"), Change("industry", "x", "y"))
        warehouse.plan_writes(mine, HUBSPOT, [PlannedWrite(record.record_id, record.crm_id, changes)])
    assert warehouse.count_run_changes("run-1") == RunChanges(2, 4, 2)
    warehouse.withdraw_writes(HUBSPOT, "run-1", ["2"])
    warehouse.withdraw_writes(HUBSPOT, "run-2", ["1"])
    assert warehouse.count_run_changes("run-1") == RunChanges(1, 2, 1)
    assert warehouse.count_run_changes("run-2") == RunChanges(0, 0, 0)
    record = mine.records[0]
    warehouse.keep_planned(
        NewPlan("run-1", "hubspot", "zoominfo", "asked", "mark", "me"),
        HUBSPOT,
        [PlannedChange(record.crm_id, record.record_id, Change("f", None, "v"), "always", "s")],
    )
    back = [Returned(one.record_id, "needs_approval", 3600.0, costs_attempt=False) for one in mine.records]
    warehouse.settle(mine, HUBSPOT, back, [])
    assert claim(warehouse, "run-2").records == ()
    warehouse.release_planned("run-1")
    assert [one.record_id for one in claim(warehouse, "run-2").records] == [record.record_id]


def test_who_was_answered_and_written_lately_is_fresh(warehouse: Warehouse) -> None:
    """Only as who they are today, only if their last such request ended in the CRM, and only within the time."""
    open_run(warehouse)
    stage(warehouse, "1", "2", "3")
    mine = claim(warehouse)
    ids = {record.crm_id: record.record_id for record in mine.records}
    warehouse.store(mine, HUBSPOT, [found(mine, place) for place in range(3)], [], provider="zoominfo")
    settlements = [
        Finished(ids["1"], Disposition.WRITTEN, request_key="key-of-1"),
        Finished(ids["2"], Disposition.FAILED, request_key="key-of-2"),
        Finished(ids["3"], Disposition.UNCHANGED),
    ]
    warehouse.settle(mine, HUBSPOT, settlements, [])
    today = {"1": ["other", "key-of-1"], "2": ["key-of-2"], "3": ["key-1"], "4": ["key-1"]}
    assert warehouse.read_fresh(HUBSPOT, today, fresh_days=30) == {"1", "3"}
    assert warehouse.read_fresh(HUBSPOT, today | {"1": ["new address"], "3": []}, fresh_days=30) == set()
    assert warehouse.read_fresh(HUBSPOT, today, fresh_days=0) == set()
    assert warehouse.read_fresh(Origin("hubspot", "company"), today, fresh_days=30) == set()
    assert warehouse.read_fresh(HUBSPOT, {}, fresh_days=30) == set()


def test_freshness_is_judged_by_the_last_request(warehouse: Warehouse) -> None:
    """A contact that was written under another identity since isn't fresh under its old one."""
    open_run(warehouse)
    for key in ("old", "new"):
        stage(warehouse, "1")
        mine = claim(warehouse)
        warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.WRITTEN, request_key=key), [])
        if key == "old" and warehouse.name == "redshift":  # its clock counts seconds
            with warehouse._transaction() as session:
                session.execute("UPDATE record_ledger SET finished_at = DATEADD(second, -1, finished_at)")
    assert warehouse.read_fresh(HUBSPOT, {"1": ["new"]}, fresh_days=30) == {"1"}
    assert warehouse.read_fresh(HUBSPOT, {"1": ["old"]}, fresh_days=30) == set()


def test_record_types_are_numbered_independently(warehouse: Warehouse) -> None:
    """HubSpot's contact 501 and company 501 are two records, from the queue to the erasure."""
    companies = Origin("hubspot", "company")
    both = [NewRecord("hubspot", "501", None, "manual", "live", object_type=kind) for kind in ("contact", "company")]
    assert warehouse.stage([*both, *both]) == 2
    open_run(warehouse)
    mine = claim(warehouse)
    theirs = warehouse.claim(
        "run-1", origin=companies, lane="", limit=9, lease_seconds=LEASE, make_token=lambda: uuid.uuid4().hex
    )
    assert [record.origin for record in (*mine.records, *theirs.records)] == [HUBSPOT, companies]
    assert warehouse.waiting_of(companies, ["501"]) == {"501"}
    for one, origin, name in ((mine, HUBSPOT, "Ada"), (theirs, companies, "Acme")):
        miss = Unmatched(one.records[0].record_id, "501", None, "NO_MATCH")
        warehouse.store(one, origin, [found(one, company_name=name)], [miss], provider="zoominfo")
        change = PlannedWrite(one.records[0].record_id, "501", (Change("name", None, name),))
        warehouse.plan_writes(one, origin, [change])
    names = {origin: warehouse.read_enriched(origin, ["501"])["501"].fields for origin in (HUBSPOT, companies)}
    assert {origin.object_type: fields["company_name"] for origin, fields in names.items()} == {
        "contact": "Ada",
        "company": "Acme",
    }
    assert [write.after for write in warehouse.earlier_writes(companies, ["501"], "").unconfirmed] == ["Acme"]
    warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.FAILED, step="s", detail="d"), [])
    assert (warehouse.ended_of(HUBSPOT, ["501"]), warehouse.ended_of(companies, ["501"])) == ({"501"}, set())
    assert warehouse.restage_failed() == 1
    assert warehouse.erase(HUBSPOT, "501").rows["enriched_contacts"] == 1
    story = warehouse.read_story(companies, "501")
    assert (len(story.staging), len(story.unmatched), len(story.writes), len(story.stored)) == (1, 1, 1, 1)
    assert len(warehouse.read_suppressed(suppression_keys(Contact("501"), HUBSPOT))) == 1
    assert warehouse.read_suppressed(suppression_keys(Contact("501"), companies)) == set()


def test_what_is_absent_is_null_for_analysts(warehouse: Warehouse) -> None:
    """`count` and `IS NULL` say the truth of every column, in plain SQL; JSON's null is nowhere."""
    open_run(warehouse)
    stage(warehouse, "1", "2", email=None)
    mine = claim(warehouse)
    blank = {"tech_stack": None, "employee_count": None, "intent_keywords": None}
    nothing = Found(mine.records[0], Enrichment("zoominfo", None, None, blank, "2026-11-01T00:00:00.000Z"), "key-0")
    warehouse.store(
        mine, HUBSPOT, [nothing, found(mine, 1, intent_keywords=["x"], industry="i")], [], provider="zoominfo"
    )
    columns = ("tech_stack", "employee_count", "industry", "intent_keywords", "attributes", "confidence")
    for table in ("enriched_contacts", "enrichment_history"):
        counts = {column: count(warehouse, table, column) for column in columns}
        assert counts == dict.fromkeys(columns, 1)
        absent = " AND ".join(f"{column} IS NULL" for column in columns)
        assert look(warehouse, f"SELECT crm_id FROM {table} WHERE {absent}") == [(mine.records[0].crm_id,)]
    warehouse.keep_replies("zoominfo", "run-1", [Reply("a", Outcome.MATCHED, {}), Reply("b", Outcome.RETRYABLE, None)])
    assert look(warehouse, "SELECT request_key FROM provider_replies WHERE reply IS NULL") == [("b",)]
    assert count(warehouse, "enrichment_runs", "api_versions") == 0
    assert count(warehouse, "enrichment_staging", "email_address") == 0


def test_a_contact_is_refreshed_on_purpose(warehouse: Warehouse) -> None:
    """The wish is kept by a waiting record, also when it goes back; what a run works on is done again."""
    open_run(warehouse)
    wish = NewRecord("hubspot", "1", None, "manual", "live", refresh=True)
    assert stage(warehouse, "1", "2") == 2
    assert warehouse.stage([wish, replace(wish, crm_id="3")]) == 1
    assert {record.crm_id: record.refresh for record in warehouse.peek(origin=HUBSPOT, lane="", limit=9)} == {
        "1": True,
        "2": False,
        "3": True,
    }
    mine = claim(warehouse)
    ids = {record.crm_id: record.record_id for record in mine.records}
    assert warehouse.stage([replace(wish, crm_id="2")]) == 0
    ends = [Returned(ids["1"], "later"), Finished(ids["2"], Disposition.SKIPPED_FRESH)]
    warehouse.settle(mine, HUBSPOT, [*ends, Finished(ids["3"], Disposition.UNCHANGED)], [])
    assert {record.crm_id: record.refresh for record in claim(warehouse).records} == {"1": True, "2": True}


def test_what_a_run_had_of_each_provider_is_kept(warehouse: Warehouse) -> None:
    """Replies and credits are counted by provider, outcome and version, again whenever they are counted."""
    paid = {"credits": 1.5, "api_version": "v1", "request_id": "r"}
    warehouse.keep_replies("zoominfo", "run-1", [Reply(key, Outcome.MATCHED, {}, **paid) for key in ("a", "b")])
    warehouse.keep_replies("zoominfo", "run-2", [Reply("z", Outcome.MATCHED, {}, **paid)])
    warehouse.count_usage("run-1")
    warehouse.keep_replies("hunter", "run-1", [Reply("c", Outcome.UNMATCHED, {})])
    hunter, zoominfo = warehouse.count_usage("run-1")
    assert hunter.last_reply_at.endswith("Z")
    assert hunter == Usage("hunter", "unmatched", "", 1, 0.0, "", hunter.last_reply_at)
    assert (zoominfo.replies, zoominfo.credits, zoominfo.request_id) == (2, 3.0, "r")
    assert warehouse.read_usage("run-1") == [hunter, zoominfo]


def test_the_versions_of_the_last_run_that_a_provider_answered_are_known(warehouse: Warehouse) -> None:
    """Runs in which it wasn't asked, other providers and this very run don't count."""
    for provider, run_id, version in (
        ("zoominfo", "run-1", "v1"),
        ("hunter", "run-2", "v7"),
        ("zoominfo", "run-3", "v2"),
    ):
        warehouse.keep_replies(provider, run_id, [Reply(run_id, Outcome.MATCHED, {}, api_version=version)])
        warehouse.count_usage(run_id)
    assert warehouse.versions_before("zoominfo", "run-3") == ["v1"]
    assert warehouse.versions_before("clearbit", "run-3") == []


def test_suppressions_are_remembered_by_hash(warehouse: Warehouse) -> None:
    """A suppressed key is found again, however often it was given."""
    warehouse.suppress(["h1"], "opt_out")
    warehouse.suppress(["h1", "h2"], "erased")
    assert warehouse.read_suppressed(["h1", "h3"]) == {"h1"}
    (kept,) = warehouse.read_suppressions({"h1": "hubspot"})
    assert (kept.crm, kept.reason, kept.suppressed_at[-1]) == ("hubspot", "erased", "Z")


def test_a_run_leaves_its_books(warehouse: Warehouse) -> None:
    """What closed a run can be read back; the last run that claimed anything is found for the alert's state."""
    open_run(warehouse, "run-1")
    stage(warehouse, "1")
    claim(warehouse, "run-1")
    end = RunEnd(0.5, "", "failure_rate", alert_sent=True, alert_state='{"a|b": 1}', credits=3.0, api_versions=["v1"])
    warehouse.close_run("run-1", end)
    open_run(warehouse, "run-2")
    last = warehouse.read_last_run("zoominfo", "hubspot", "run-2")
    assert last == warehouse.read_run("run-1") == warehouse.find_run("run-1")
    assert last.alert_state == '{"a|b": 1}'
    assert warehouse.find_run("run-9") is None
    assert (last.run_id, last.alert_kind, last.alert_sent, last.api_versions) == ("run-1", "failure_rate", True, ["v1"])
    assert warehouse.read_last_run("clearbit", "hubspot", "run-2") is None


def processes(number: int, warehouse: Warehouse) -> ProcessPoolExecutor:
    """Return processes that find imported what they need of us, which takes seconds."""
    PROCESSES.set_forkserver_preload([__name__, f"blocks.warehouses.{warehouse.name}"])
    return ProcessPoolExecutor(number, mp_context=PROCESSES)


def _claim_all(vendor: str, environment: dict[str, str], worker: int) -> list[str]:
    os.environ.update(environment)
    warehouse = load_warehouse(vendor)
    run_id, taken = f"worker-{worker}", []
    warehouse.open_run(RunStart(run_id, "a run", "zoominfo", "hubspot", ""), lease_seconds=LEASE)
    while (batch := claim(warehouse, run_id, limit=7)).records:
        taken += [record.crm_id for record in batch.records]
        warehouse.settle(batch, HUBSPOT, finish(batch, Disposition.UNMATCHED), [])
    warehouse.close()
    return taken


def test_processes_share_one_queue_without_taking_a_record_twice(warehouse: Warehouse) -> None:
    """Four processes empty the queue at once: every record once, every run's books balanced."""
    # An emulator works on one statement at a time, so that processes meet however few records there are.
    ids = [str(number) for number in range(60 if warehouse.name in USED_AGAIN else 150)]
    stage(warehouse, *ids)
    environment = {name: value for name, value in os.environ.items() if name.startswith("ENRICHMENT_")}
    with processes(4, warehouse) as pool:
        jobs = [pool.submit(_claim_all, warehouse.name, environment, worker) for worker in range(4)]
        taken = [crm_id for job in jobs for crm_id in job.result()]
    assert sorted(taken) == sorted(ids)
    for worker in range(4):
        check_books(warehouse.read_books(f"worker-{worker}"))
    assert queue(warehouse) == 0


def test_a_paused_lane_is_not_claimed_until_it_is_resumed(warehouse: Warehouse) -> None:
    """The other lane goes on, the pause is shown with its moment, and both commands may be repeated."""
    open_run(warehouse)
    stage(warehouse, "1", lane="backfill")
    stage(warehouse, "2", lane="live")
    for _ in range(2):
        warehouse.pause_lane("backfill")
    assert list(warehouse.paused_lanes()) == ["backfill"]
    assert "the backfill queue has been paused since 20" in warehouse.check()
    assert claim(warehouse, lane="backfill").records == ()
    assert [record.crm_id for record in claim(warehouse).records] == ["2"]
    assert [warehouse.resume_lane("backfill") for _ in range(2)] == [True, False]
    assert warehouse.paused_lanes() == {}
    assert [record.crm_id for record in claim(warehouse, lane="backfill").records] == ["1"]


def test_a_page_of_a_selection_is_staged_once(warehouse: Warehouse) -> None:
    """A cursor moves with the page; a run that read the same page in vain stages nothing, and reads on from there."""
    page = [NewRecord("hubspot", crm_id, None, "backfill", "backfill") for crm_id in ("1", "2")]
    assert warehouse.begin_cursor("backfill:x", "start") == "start"
    assert warehouse.stage_page(page, name="backfill:x", before="start", after="2") == 2
    mine = claim(warehouse, open_run(warehouse))
    warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.UNMATCHED), [])
    if warehouse.name != "bigquery":  # without transactions, a page that two runs read may be staged twice
        assert warehouse.stage_page(page, name="backfill:x", before="start", after="2") is None
        assert queue(warehouse) == 0
    assert warehouse.begin_cursor("backfill:x", "start") == "2"
    assert warehouse.stage_page([], name="backfill:x", before="2", after="end") == 0
    assert warehouse.stage_page([], name="backfill:x", before="2", after="end") is None


def test_who_waits_is_known_by_id(warehouse: Warehouse) -> None:
    """An estimate leaves out those that are in the queue already."""
    stage(warehouse, "1", "2")
    assert warehouse.waiting_of(HUBSPOT, ["2", "3"]) == {"2"}
    assert warehouse.waiting_of(Origin("salesforce"), ["2"]) == set()
    assert warehouse.waiting_of(HUBSPOT, []) == set()


def test_the_journal_says_how_a_provider_answered(warehouse: Warehouse) -> None:
    """Conclusive replies of that provider, and the results of the contacts that it was asked about."""
    matched, missed = (Reply(key, outcome, {}, credits=credit) for key, outcome, credit in (
        ("a", Outcome.MATCHED, 2.0), ("b", Outcome.UNMATCHED, 0.0)))  # fmt: skip
    warehouse.keep_replies("zoominfo", "run-1", [matched, missed, Reply("c", Outcome.RETRYABLE, "<html>")])
    warehouse.keep_replies("hunter", "run-1", [Reply("d", Outcome.MATCHED, {}, credits=1.0)])
    known = warehouse.track_record("zoominfo")
    assert (known.replies, known.credits, known.match_rate) == (2, 2.0, None)
    stage(warehouse, "1", "2", "3", "4")
    mine = claim(warehouse, open_run(warehouse))
    said = "zoominfo matched", "zoominfo unmatched,hunter matched", "hunter unmatched,zoominfo unmatched", ""
    results = Disposition.WRITTEN, Disposition.UNCHANGED, Disposition.UNMATCHED, Disposition.UNMATCHED
    endings = zip(mine.records, results, said, strict=True)
    ended = [Finished(record.record_id, result, lookups=lookups) for record, result, lookups in endings]
    kept = [Found(mine.records[0], found(mine).enrichment, "key-1", said[0], "firm.example")]
    warehouse.store(mine, HUBSPOT, kept, [], provider="zoominfo")
    warehouse.settle(mine, HUBSPOT, [replace(ended[0], lookups=""), *ended[1:]], [])
    known = warehouse.track_record("zoominfo")
    assert (known.matched, known.unmatched, known.match_rate) == (1, 2, 1 / 3)
    assert warehouse.track_record("hunter").match_rate == 0.5
    assert warehouse.track_record("clearbit").match_rate is None


def ask_within(
    warehouse: Warehouse, caps: CreditCaps, *keys: str, token: str = "t", run: str = "run-1"
) -> JournalLookup:
    return warehouse.open_requests(
        "zoominfo",
        keys,
        token=token,
        lease_seconds=LEASE,
        reply_days=30,
        miss_days=30,
        run_id=run,
        credits_each=2,
        caps=caps,
    )


def test_no_more_is_granted_than_a_cap_has_room_for(warehouse: Warehouse) -> None:
    """Spent and reserved credits count alike; what a miss didn't cost is free again; other providers don't count."""
    warehouse.keep_replies("hunter", "other", [Reply("h", Outcome.MATCHED, {}, credits=100.0)])
    day = CreditCaps(per_day=7)
    first = ask_within(warehouse, day, "a", "b", token="t1")
    assert (first.granted, first.refused, first.reached) == ({"a", "b"}, set(), None)
    second = ask_within(warehouse, day, "c", "d", token="t2", run="run-2")
    assert (len(second.granted), len(second.refused)) == (1, 1)
    assert second.reached is not None
    assert (second.reached.cap, second.reached.credits) == ("day", 7)
    assert 0 < second.reached.wait_seconds <= 86_400
    replies = [Reply("a", Outcome.MATCHED, {}, credits=2), Reply("b", Outcome.UNMATCHED, {}, credits=0)]
    warehouse.keep_replies("zoominfo", "run-1", replies)
    third = ask_within(warehouse, day, *second.refused, "a", token="t3", run="run-2")
    assert (third.granted, third.refused, set(third.replies)) == (second.refused, set(), {"a"})


def test_a_run_has_a_cap_of_its_own(warehouse: Warehouse) -> None:
    """It counts what the run spends at all providers, and no other run's credits; lost answers count as well."""
    caps = CreditCaps(per_run=9)
    warehouse.keep_replies("hunter", "run-1", [Reply("h", Outcome.MATCHED, {}, credits=2.0)])
    warehouse.keep_replies("zoominfo", "run-2", [Reply("z", Outcome.MATCHED, {}, credits=50.0)])
    warehouse.note_doubt("zoominfo", "run-1", 2.0)
    looked = ask_within(warehouse, caps, "a", "b", "c")
    assert (len(looked.granted), len(looked.refused)) == (2, 1)
    assert looked.reached is not None
    assert (looked.reached.cap, looked.reached.wait_seconds) == ("run", 0.0)
    assert len(ask_within(warehouse, caps, "x", "y", "z2", token="other", run="run-3").granted) == 3
    assert ask_within(warehouse, CreditCaps(per_run=0), "n", run="run-4").refused == {"n"}


def _spend(vendor: str, environment: dict[str, str], worker: int) -> None:
    os.environ.update(environment)
    warehouse = load_warehouse(vendor)
    for number in range(4):
        keys = [f"{worker}-{number}-{place}" for place in range(10)]
        looked = ask_within(warehouse, CreditCaps(per_day=70), *keys, token=f"{worker}-{number}", run=f"run-{worker}")
        warehouse.keep_replies(
            "zoominfo", f"run-{worker}", [Reply(key, Outcome.MATCHED, {}, credits=2.0) for key in looked.granted]
        )
    warehouse.close()


def test_processes_together_never_exceed_a_cap(warehouse: Warehouse) -> None:
    """Two processes that want 160 credits get the 70 of the day, and not one more."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("ENRICHMENT_")}
    with processes(2, warehouse) as pool:
        for job in [pool.submit(_spend, warehouse.name, environment, worker) for worker in range(2)]:
            job.result()
    # Two that count at the same moment may both make room; who comes later finds it.
    last = ask_within(warehouse, CreditCaps(per_day=70), *(f"last-{place}" for place in range(35)), token="last")
    assert warehouse.track_record("zoominfo").credits + 2 * len(last.granted) == 70


def test_refused_fields_are_counted_with_their_most_frequent_values(warehouse: Warehouse) -> None:
    """By field and reason, at most ten values each, once if the chunk is settled again, and in the contact's story."""
    open_run(warehouse)
    stage(warehouse, *(str(number) for number in range(14)))
    mine = claim(warehouse)
    values = ["Mining", "Mining", "Farming", *(f"{number:02}" for number in range(11))]
    long, unknown = Refusal("phone", "too_long"), Refusal("enr_x", "no_such_field")
    settlements = [
        Finished(
            record.record_id,
            Disposition.WRITTEN,
            step="write_back",
            refusals=(Refusal("industry", "not_an_option", value), *((long, unknown) if value == "Mining" else ())),
        )
        for record, value in zip(mine.records, values, strict=True)
    ]
    for _ in range(2):
        warehouse.settle(mine, HUBSPOT, settlements, [])
    industry, *others = warehouse.count_refusals("run-1")
    assert (industry.field, industry.reason, industry.contacts) == ("industry", "not_an_option", 14)
    assert industry.values == (("Mining", 2), *((f"{number:02}", 1) for number in range(9)))
    assert others == [RefusedField("enr_x", "no_such_field", 2), RefusedField("phone", "too_long", 2)]
    assert warehouse.count_refusals("run-2") == []
    story = warehouse.read_story(HUBSPOT, mine.records[0].crm_id).refusals
    said = [(one.crm, one.field, one.reason, one.value, one.run_id) for one in story]
    assert said[:2] == [
        ("hubspot", "enr_x", "no_such_field", None, "run-1"),
        ("hubspot", "industry", "not_an_option", "Mining", "run-1"),
    ]
    assert count(warehouse, "field_refusals", "value") == 14


def test_what_came_of_the_last_runs_is_summed(warehouse: Warehouse) -> None:
    """Of the same provider, CRM and lane, without runs whose results had jumped; and a run's reasons are counted."""
    assert warehouse.results_before("zoominfo", "hubspot", "", "run-3") == Shares()
    ends = {"run-1": RunEnd(0.0, invalid=1, unmatched=2, known=7), "run-2": RunEnd(0.0, "", "invalid", invalid=9)}
    for run_id, end in ends.items():
        open_run(warehouse, run_id)
        stage(warehouse, f"{run_id}-a", f"{run_id}-b")
        mine = claim(warehouse, run_id)
        reasons = [Finished(one.record_id, Disposition.INVALID, one.crm_id[-1]) for one in mine.records]
        warehouse.settle(mine, HUBSPOT, reasons, [])
        warehouse.close_run(run_id, end)
    assert warehouse.results_before("zoominfo", "hubspot", "", "run-3") == Shares(1, 2, 7)
    assert warehouse.results_before("zoominfo", "hubspot", "", "run-1") == Shares()
    assert warehouse.results_before("zoominfo", "hubspot", "live", "run-3") == Shares()
    assert warehouse.count_reasons("run-1", Disposition.INVALID) == {"a": 1, "b": 1}
    assert warehouse.count_reasons("run-1", Disposition.UNMATCHED) == {}


def test_what_the_person_on_call_looks_at_first(warehouse: Warehouse) -> None:
    """Since when a live contact waits, how many failed, and when a run ended well; and whether changes are taken."""
    warehouse.check_writes()
    new = warehouse.read_health()
    assert (new.oldest_at, new.failed, new.failed_lately, new.good_at) == (None, 0, 0, None)
    open_run(warehouse)
    stage(warehouse, "1", "2")
    first = claim(warehouse, limit=1)
    warehouse.settle(first, HUBSPOT, finish(first, Disposition.FAILED, reason="r", step="s", detail="d"), [])
    warehouse.close_run("run-1", RunEnd(0.0))
    found = warehouse.read_health()
    assert (found.failed, found.failed_lately) == (1, 1)
    assert new.read_at <= (found.oldest_at or "") <= (found.good_at or "") <= found.read_at
