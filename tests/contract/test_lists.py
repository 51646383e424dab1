"""What people list of single contacts, and put back into the queue, on every warehouse."""

from collections.abc import Callable

import pytest

from blocks.base import module_names
from blocks.warehouses.base import NewRecord, Warehouse
from enrichment.lists import ListFilter
from enrichment.records import Claim, Disposition, Finished, Origin, Unmatched
from enrichment.write_policy import Refusal
from tests.contract.test_warehouses import HUBSPOT, claim, open_run, stage

PAST, FUTURE = "2026-01-01T00:00:00.000Z", "2100-01-01T00:00:00.000Z"


@pytest.fixture(params=module_names("blocks.warehouses"))
def warehouse(request: pytest.FixtureRequest, make_warehouse: Callable[[str], Warehouse]) -> Warehouse:
    return make_warehouse(request.param)


def end(warehouse: Warehouse, mine: Claim, **ends: Finished) -> None:
    """End a claim's contacts, each by its CRM id."""
    settlements = [ends[f"c{record.crm_id}"] for record in mine.records]
    warehouse.settle(mine, HUBSPOT, settlements, [])


def failed(mine: Claim, crm_id: str, reason: str, step: str = "write_back") -> Finished:
    (record,) = (one for one in mine.records if one.crm_id == crm_id)
    return Finished(record.record_id, Disposition.FAILED, reason, step, f"words about {reason}")


def written(mine: Claim, crm_id: str, *refusals: Refusal) -> Finished:
    (record,) = (one for one in mine.records if one.crm_id == crm_id)
    return Finished(record.record_id, Disposition.WRITTEN, step="write_back", refusals=refusals)


def long_ago(warehouse: Warehouse) -> None:
    """Let what has ended so far have ended long ago: some engines' clocks know whole seconds only."""
    with warehouse._transaction() as session:
        for table, column in (
            ("record_ledger", "finished_at"),
            ("failed_records", "failed_at"),
            ("field_refusals", "refused_at"),
        ):
            session.execute(f"UPDATE {table} SET {column} = '{PAST}' WHERE {column} > '{PAST}'")


def test_failed_contacts_are_listed_put_back_and_keep_their_history(warehouse: Warehouse) -> None:
    """By cause, run, time and id; a retry that fails again adds to attempts and times, and doesn't forget the first."""
    open_run(warehouse)
    stage(warehouse, "1", "2", "3")
    mine = claim(warehouse)
    end(
        warehouse,
        mine,
        c1=failed(mine, "1", "timeout"),
        c2=failed(mine, "2", "timeout"),
        c3=failed(mine, "3", "odd", "look_up"),
    )
    first = {one.crm_id: one for one in warehouse.list_failed(ListFilter())}
    assert sorted(first) == ["1", "2", "3"]
    assert (first["3"].reason, first["3"].step, first["3"].error) == ("odd", "look_up", "words about odd")
    assert (first["1"].attempts, first["1"].failures, first["1"].first_at) == (1, 1, first["1"].last_at)
    for wanted, ids in (
        (ListFilter(reason="timeout"), ["1", "2"]),
        (ListFilter(run_id="run-1", reason="odd"), ["3"]),
        (ListFilter(run_id="run-2"), []),
        (ListFilter(since=FUTURE), []),
        (ListFilter(since="2000-01-01T00:00:00.000Z"), ["1", "2", "3"]),
    ):
        assert sorted(one.crm_id for one in warehouse.list_failed(wanted)) == ids
    assert len(warehouse.list_failed(ListFilter(limit=2))) == 2
    causes = {one.reason: one for one in warehouse.failed_causes("run-1")}
    assert (causes["timeout"].count, causes["timeout"].contacts) == (2, ("1", "2"))
    assert causes["timeout"].since == min(first["1"].last_at, first["2"].last_at)
    long_ago(warehouse)

    assert warehouse.restage_failed(origin=Origin("salesforce"), crm_ids=["1"]) == 0
    assert warehouse.restage_failed(reason="timeout", origin=HUBSPOT, crm_ids=["1", "3"]) == 1
    assert sorted(one.crm_id for one in warehouse.list_failed(ListFilter())) == ["2", "3"]
    again = claim(warehouse)
    assert [(record.crm_id, record.refresh) for record in again.records] == [("1", True)]
    end(warehouse, again, c1=failed(again, "1", "odd"))
    (back,) = (one for one in warehouse.list_failed(ListFilter()) if one.crm_id == "1")
    assert (back.reason, back.attempts, back.failures, back.first_at) == ("odd", 2, 2, PAST)
    assert back.last_at >= back.first_at

    assert warehouse.restage_failed(origin=HUBSPOT, crm_ids=["1"]) == 1
    good = claim(warehouse)
    end(warehouse, good, c1=written(good, "1"))
    long_ago(warehouse)
    stage(warehouse, "1")
    new = claim(warehouse)
    end(warehouse, new, c1=failed(new, "1", "timeout"))
    (fresh,) = (one for one in warehouse.list_failed(ListFilter()) if one.crm_id == "1")
    assert (fresh.failures, fresh.first_at) == (1, fresh.last_at)  # what was written in between ended the old story


def test_fields_that_were_not_written_are_listed_until_a_run_takes_them(warehouse: Warehouse) -> None:
    """Contact by contact; a later run refuses the field again, or has taken it."""
    open_run(warehouse)
    stage(warehouse, "1", "2")
    mine = claim(warehouse)
    industry, phone = Refusal("industry", "not_an_option", "Mining"), Refusal("phone", "too_long")
    end(warehouse, mine, c1=written(mine, "1", industry, phone), c2=written(mine, "2", industry))
    listed = warehouse.list_refused(ListFilter(field="industry", reason="not_an_option", run_id="run-1"))
    assert sorted((one.crm_id, one.value) for one in listed) == [("1", "Mining"), ("2", "Mining")]
    assert [(one.crm_id, one.field, one.value) for one in warehouse.list_refused(ListFilter(field="phone"))] == [
        ("1", "phone", None)
    ]
    assert warehouse.list_refused(ListFilter(since=FUTURE)) == []
    assert warehouse.list_refused(ListFilter(reason="odd")) == []
    long_ago(warehouse)
    stage(warehouse, "1", "2")
    open_run(warehouse, "run-2")
    again = claim(warehouse, "run-2")
    end(warehouse, again, c1=written(again, "1", industry), c2=written(again, "2"))
    (left,) = warehouse.list_refused(ListFilter())
    assert (left.crm_id, left.field, left.first_at) == ("1", "industry", PAST)
    assert left.last_at >= left.first_at


def test_unmatched_contacts_are_listed_until_they_are_reviewed(warehouse: Warehouse) -> None:
    """With provider and reason, since their first such result."""
    open_run(warehouse)
    stage(warehouse, "1")
    mine = claim(warehouse)
    (record,) = mine.records
    warehouse.store(mine, HUBSPOT, [], [Unmatched(record.record_id, "1", "a@b.example", "NO_MATCH")], provider="hunter")
    end(warehouse, mine, c1=Finished(record.record_id, Disposition.UNMATCHED, "NO_MATCH", "look_up"))
    (one,) = warehouse.list_unmatched(ListFilter(run_id="run-1", reason="NO_MATCH"))
    assert (one.crm_id, one.provider, one.reason, one.lookup_identifier) == ("1", "hunter", "NO_MATCH", "a@b.example")
    assert warehouse.finished_last(HUBSPOT, PAST, 10) == [("1", "unmatched")]
    assert warehouse.finished_last(HUBSPOT, FUTURE, 10) == warehouse.finished_last(Origin("salesforce"), PAST, 10) == []
    assert one.first_at is not None
    assert warehouse.list_unmatched(ListFilter(reason="OPT_OUT")) == []
    assert warehouse.list_unmatched(ListFilter(since=FUTURE)) == []
    with warehouse._transaction() as session:
        session.execute(f"UPDATE unmatched_records SET unmatched_at = '{PAST}' WHERE crm_id = '1'")
    stage(warehouse, "1")
    again = claim(warehouse)
    end(warehouse, again, c1=written(again, "1"))
    assert warehouse.list_unmatched(ListFilter()) == []  # a later run has found it
    with warehouse._transaction() as session:
        session.execute(f"UPDATE unmatched_records SET unmatched_at = '{FUTURE}' WHERE crm_id = '1'")
    assert len(warehouse.list_unmatched(ListFilter())) == 1
    warehouse.mark_reviewed(FUTURE)
    assert warehouse.list_unmatched(ListFilter()) == []


def test_the_queue_is_listed_in_its_order_with_its_locks(warehouse: Warehouse) -> None:
    """Live first, and who holds what until when; what a lane and a run hold is counted alike."""
    open_run(warehouse)
    stage(warehouse, "1")
    mine = claim(warehouse)
    stage(warehouse, "9", lane="backfill")
    warehouse.stage([NewRecord("hubspot", "2", None, "webhook", "live")])
    queued = warehouse.list_queued(ListFilter())
    assert [(one.crm_id, one.lane) for one in queued] == [("1", "live"), ("2", "live"), ("9", "backfill")]
    assert (queued[0].run_id, queued[0].state, queued[0].attempts) == ("run-1", "claimed", 1)
    assert queued[0].claim_expires_at is not None
    assert (queued[1].run_id, queued[1].claim_expires_at, queued[1].source) == (None, None, "webhook")
    assert [one.crm_id for one in warehouse.list_queued(ListFilter(run_id="run-1"))] == ["1"]
    assert [one.crm_id for one in warehouse.list_queued(ListFilter(lane="backfill"))] == ["9"]
    assert warehouse.list_queued(ListFilter(since=FUTURE)) == []
    assert [(one.lane, one.records, one.locked) for one in warehouse.lane_status()] == [
        ("live", 2, 1),
        ("backfill", 1, 0),
    ]
    (run,) = warehouse.runs_since("1970-01-01T00:00:00.000Z", 5)
    assert (run.run_id, run.claimed, run.state, run.finished_at) == ("run-1", 1, "open", None)
    assert warehouse.runs_since(FUTURE, 5) == []
    assert (mine.records[0].crm_id, warehouse.credits_today("zoominfo")) == ("1", 0.0)


def test_a_short_text_is_kept_for_all_processes(warehouse: Warehouse) -> None:
    """The last one counts."""
    for text in ("one", "two"):
        warehouse.save_cursor("contact-page:hubspot", text)
        assert warehouse.read_cursor("contact-page:hubspot") == text
