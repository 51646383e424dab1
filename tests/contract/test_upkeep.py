"""What the cleanup deletes in every warehouse, and what it must leave."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from blocks.base import module_names
from blocks.providers.base import Reply
from blocks.settings import Settings
from blocks.warehouses.base import NewPlan, PlannedWrite, RunEnd, Warehouse
from enrichment.change_plans import PlannedChange
from enrichment.records import Claim, Disposition, Finished, OpenWrite, Outcome, Unmatched
from enrichment.write_policy import Change, Refusal
from tests.contract.test_warehouses import HUBSPOT, claim, count, finish, found, open_run, queue, stage
from tests.warehouses import look

#: By table, when a row became old, and how many of the rows that `live_through` leaves are needed for nothing then.
OLD = {
    "change_plans": ("made_at", 1),
    "planned_changes": ("planned_at", 1),
    "crm_writes": ("written_at", 1),  # the last write of the field stays
    "doubtful_credits": ("noted_at", 1),
    "enrichment_history": ("enrichment_timestamp", 3),
    "enrichment_runs": ("finished_at", 1),  # one is named by a failed contact, one by a lock, one is still open
    "event_cursors": ("updated_at", 1),  # an intake's place stays
    "failed_records": ("replayed_at", 1),  # what waits stays
    "field_refusals": ("refused_at", 2),
    "lookup_reservations": ("reserved_until", 1),  # the row at which some engines' reservations wait stays
    "provider_replies": ("received_at", 2),  # a queued contact rests on the third
    "provider_usage": ("last_reply_at", 1),
    "record_ledger": ("finished_at", 1),  # the last results of each contact stay
    "unmatched_records": ("reviewed_at", 1),  # what was not reviewed stays
}
COUNTS = {table: old for table, (_, old) in OLD.items()}
NONE = dict.fromkeys(OLD, 0)
FIRST, SECOND = "2020-01-01T00:00:00.000Z", "2020-01-02T00:00:00.000Z"


@pytest.fixture(params=module_names("blocks.warehouses"))
def warehouse(request: pytest.FixtureRequest, make_warehouse: Callable[[str], Warehouse]) -> Warehouse:
    return make_warehouse(request.param)


def write(warehouse: Warehouse, run_id: str, key: str, at: str = SECOND) -> Claim:
    """Enrich the contacts that wait, write a field of each, and leave them half done."""
    mine = claim(warehouse, open_run(warehouse, run_id))
    warehouse.keep_replies("zoominfo", run_id, [Reply(key, Outcome.MATCHED, {}, credits=1.0)])
    results = [replace(found(mine, place, at), request_key=key) for place in range(len(mine.records))]
    warehouse.store(mine, HUBSPOT, results, [], provider="zoominfo")
    planned = [PlannedWrite(one.record_id, one.crm_id, (Change("company", None, key),)) for one in mine.records]
    warehouse.plan_writes(mine, HUBSPOT, planned)
    return mine


def end(warehouse: Warehouse, mine: Claim, key: str) -> None:
    refusals = (Refusal("industry", "not_an_option", "x"),)
    ended = [Finished(one.record_id, Disposition.WRITTEN, refusals=refusals) for one in mine.records]
    confirmed = [OpenWrite(one.crm_id, "company", key, mine.run_id) for one in mine.records]
    warehouse.settle(mine, HUBSPOT, ended, confirmed)


def live_through(warehouse: Warehouse) -> None:
    """Leave something in every table that grows: what is needed for nothing any more, and what is needed."""
    stage(warehouse, "1")
    for run_id, key, at in (("run-1", "key-1", FIRST), ("run-2", "key-2", SECOND)):
        end(warehouse, write(warehouse, run_id, key, at), key)
        stage(warehouse, "1")
    failed = claim(warehouse, "run-2")
    warehouse.settle(failed, HUBSPOT, finish(failed, Disposition.FAILED, step="store", detail="why"), [])
    warehouse.restage_failed()
    warehouse.mark_reviewed(file_unmatched(warehouse, "seen"))
    file_unmatched(warehouse, "unseen")
    again = claim(warehouse, "run-2")
    warehouse.settle(again, HUBSPOT, finish(again, Disposition.FAILED, step="store", detail="why"), [])
    stage(warehouse, "2")
    write(warehouse, "run-3", "key-3")
    warehouse.count_usage("run-1")
    warehouse.note_doubt("zoominfo", "run-1", 1.0)
    change = PlannedChange("2", "gone", Change("phone", "1", "2"), "always", "phone")
    warehouse.keep_planned(NewPlan("run-1", "hubspot", "zoominfo", "asked", "mark", "me"), HUBSPOT, [change])
    days = {"reply_days": 30, "miss_days": 30}
    warehouse.open_requests("zoominfo", ["dead"], token="dead", lease_seconds=-1, **days)
    warehouse.begin_cursor("backfill:hubspot", "1")
    warehouse.begin_cursor("intake:hubspot", "1")
    open_run(warehouse, "run-4")
    for run_id in ("run-1", "run-2", "run-3"):
        warehouse.close_run(run_id, RunEnd(0.0))


def file_unmatched(warehouse: Warehouse, provider: str) -> str:
    """File the contact that waits as unmatched, put it back into the queue, and return the time then."""
    mine = claim(warehouse, "run-2")
    record = mine.records[0]
    warehouse.store(
        mine, HUBSPOT, [], [Unmatched(record.record_id, record.crm_id, None, "NO_MATCH")], provider=provider
    )
    warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.UNMATCHED), [])
    stage(warehouse, "1")
    return warehouse.now()


def age(warehouse: Warehouse) -> None:
    """Let everything lie in the past, what the first run did before the rest."""
    for table, (column, _) in OLD.items():
        if table != "enrichment_history":  # its times are those of the replies
            change(warehouse, f"UPDATE {table} SET {column} = {moment('max')} WHERE {column} IS NOT NULL")
    for table in ("crm_writes", "record_ledger"):
        change(warehouse, f"UPDATE {table} SET {OLD[table][0]} = {moment('min')} WHERE run_id = 'run-1'")


def moment(which: str) -> str:
    return f"(SELECT {which}(c.answered) FROM (SELECT enrichment_timestamp AS answered FROM enrichment_history) c)"


def change(warehouse: Warehouse, statement: str) -> None:
    with warehouse._transaction() as session:
        session.execute(statement)


def test_the_cleanup_deletes_what_it_counted_and_leaves_what_is_needed(warehouse: Warehouse) -> None:
    """Old rows go, whatever an invariant needs stays: open locks, last results and writes, failed and unseen ones."""
    live_through(warehouse)
    assert {table: warehouse.count_old(table, 5000) for table in OLD} == NONE
    assert {table: warehouse.count_old(table, 1) for table in OLD} == NONE | {"enrichment_history": 3}
    age(warehouse)
    assert {table: warehouse.count_old(table, 5000) for table in OLD} == NONE
    assert {table: warehouse.count_old(table, 1) for table in OLD} == COUNTS
    assert {table: warehouse.delete_old(table, 1) for table in OLD} == COUNTS
    assert {table: warehouse.count_old(table, 1) for table in OLD} == NONE
    assert look(warehouse, "SELECT request_key FROM provider_replies") == [("key-3",)]
    assert look(warehouse, "SELECT after FROM crm_writes WHERE written_at IS NOT NULL") == [("key-2",)]
    assert (queue(warehouse), count(warehouse, "enriched_contacts")) == (1, 2)
    assert warehouse.ended_of(HUBSPOT, ["1"]) == {"1"}
    assert warehouse.read_cursor("intake:hubspot") == "1"
    assert warehouse.read_cursor("backfill:hubspot") is None
    assert warehouse.restage_failed("run-2") == 1


def test_every_table_that_grows_has_its_rule_and_its_setting(warehouse: Warehouse) -> None:
    """A table that is added is either cleaned up or known to stay small."""
    assert warehouse.growing == sorted(OLD)
    given = {name: 7 for name in Settings.model_fields if name.startswith("keep_")}
    settings = Settings(**given, reply_days=9, fresh_days=8)
    days = dict.fromkeys(OLD, 7) | {"provider_replies": 30, "record_ledger": 8}
    assert settings.kept_days == days
    assert Settings(**dict.fromkeys(given, 0)).kept_days == {}
