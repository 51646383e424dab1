"""What a remap needs of every warehouse: whom it concerns, what is ours, and a history that shows it."""

from collections.abc import Callable

import pytest

from blocks.base import module_names
from blocks.providers.base import Reply
from blocks.warehouses.base import MadeFor, NewRecord, PlannedWrite, Warehouse
from enrichment.records import REMAP, Claim, Disposition, Finished, OpenWrite, Outcome
from enrichment.write_policy import Change
from tests.contract.test_warehouses import HUBSPOT, claim, finish, found, open_run, stage
from tests.warehouses import look

BEGIN = "2000-01-01T00:00:00.000Z"


@pytest.fixture(params=module_names("blocks.warehouses"))
def warehouse(request: pytest.FixtureRequest, make_warehouse: Callable[[str], Warehouse]) -> Warehouse:
    return make_warehouse(request.param)


def ask(warehouse: Warehouse, mine: Claim, provider: str = "zoominfo") -> None:
    """Request something for every contact of a claim."""
    made = [MadeFor(one.record_id, f"{provider}-{one.crm_id}") for one in mine.records]
    keys = [one.request_key for one in made]
    days = {"reply_days": 9, "miss_days": 9}
    warehouse.open_requests(provider, keys, token=mine.token, lease_seconds=600, made_for=made, **days)
    warehouse.keep_replies(provider, mine.run_id, [Reply(key, Outcome.MATCHED, {}) for key in keys])


def write(warehouse: Warehouse, run_id: str, *changes: Change) -> None:
    """Write to contact 1 in a run of its own."""
    stage(warehouse, "1")
    mine = claim(warehouse, open_run(warehouse, run_id))
    warehouse.plan_writes(mine, HUBSPOT, [PlannedWrite(mine.records[0].record_id, "1", changes)])
    written = [Finished(mine.records[0].record_id, Disposition.WRITTEN, step="write_back")]
    confirmed = [OpenWrite("1", one.field, one.after, run_id) for one in changes if one.field != "open"]
    warehouse.settle(mine, HUBSPOT, written, confirmed)


def test_contacts_with_replies_are_listed_by_their_ids(warehouse: Warehouse) -> None:
    """Of a provider or any, page by page, those about whom nothing was answered left out."""
    open_run(warehouse)
    stage(warehouse, "2", "1", "3")
    mine = claim(warehouse)
    ask(warehouse, mine)
    ask(warehouse, Claim(mine.token, mine.run_id, mine.records[:1]), "hunter")
    stage(warehouse, "4")
    one = mine.records[0].crm_id
    assert warehouse.remappable(HUBSPOT, since=BEGIN, limit=2) == ["1", "2"]
    assert warehouse.remappable(HUBSPOT, since=BEGIN, after="2", limit=2) == ["3"]
    assert warehouse.remappable(HUBSPOT, provider="hunter", since=BEGIN, limit=9) == [one]
    assert warehouse.remappable(HUBSPOT, crm_id="2", since=BEGIN, limit=9) == ["2"]
    assert warehouse.remappable(HUBSPOT, since="2100-01-01T00:00:00.000Z", limit=9) == []


def test_what_is_ours_is_the_last_confirmed_write(warehouse: Warehouse) -> None:
    """What was never confirmed isn't, and of two runs the later one counts."""
    write(warehouse, "run-1", Change("title", None, "CTO"), Change("city", None, "Rome"), Change("open", None, "x"))
    write(warehouse, "run-2", Change("title", "CTO", "CEO"))
    assert warehouse.last_writes(HUBSPOT, ["1", "2"]) == {"1": {"title": "CEO", "city": "Rome"}}


def test_the_history_has_a_remapped_answer_once_more(warehouse: Warehouse) -> None:
    """With the run and the moment; a repetition adds nothing, and who reads a company's history sees both."""
    open_run(warehouse)
    stage(warehouse, "1")
    first = claim(warehouse)
    warehouse.store(first, HUBSPOT, [found(first, industry="Mining")], [], provider="zoominfo")
    warehouse.settle(first, HUBSPOT, finish(first, Disposition.UNCHANGED), [])
    open_run(warehouse, "run-2")
    warehouse.stage([NewRecord("hubspot", "1", None, REMAP, "backfill")])
    again = claim(warehouse, "run-2")
    for _ in range(2):
        warehouse.store(again, HUBSPOT, [found(again, industry="Metals")], [], provider="zoominfo")
    warehouse.settle(again, HUBSPOT, finish(again, Disposition.UNCHANGED), [])
    readings = look(warehouse, "SELECT run_id, industry FROM enrichment_history ORDER BY run_id")
    assert readings == [("run-1", "Mining"), ("run-2", "Metals")]
    marked = "SELECT run_id FROM enrichment_history WHERE remapped_at IS NOT NULL"
    assert look(warehouse, marked) == [("run-2",)]
    assert warehouse.read_enriched(HUBSPOT, ["1"])["1"].fields["industry"] == "Metals"
    assert look(warehouse, "SELECT industry FROM company_history WHERE valid_until IS NULL") == [("Metals",)]
    ((results,),) = look(warehouse, "SELECT MAX(results) AS results FROM field_fill")
    assert int(results) == 1
    broken = warehouse.read_broken(days=300, reply_days=180, threshold=1.0, notifiers="")
    assert {"history_twice", "result_unlike_history", "newer_in_history"}.isdisjoint(
        name for name, one in broken.items() if one.count
    )


def test_a_remap_is_claimed_by_itself_and_gives_way_to_a_lookup(warehouse: Warehouse) -> None:
    """A run may take only what was queued so; a contact that is queued live becomes an ordinary request."""
    open_run(warehouse)
    stage(warehouse, "1", lane="backfill")
    warehouse.stage([NewRecord("hubspot", one, None, REMAP, "backfill") for one in ("2", "3", "4")])
    stage(warehouse, "3")
    warehouse.stage([NewRecord("hubspot", "4", None, "manual", "backfill", refresh=True)])
    lease = {"lease_seconds": 600, "make_token": lambda: "token"}
    mine = warehouse.claim("run-1", origin=HUBSPOT, lane="backfill", limit=9, source=REMAP, **lease)
    assert [(one.crm_id, one.is_remap) for one in mine.records] == [("2", True)]
    stage(warehouse, "2")
    warehouse.settle(mine, HUBSPOT, finish(mine, Disposition.SKIPPED_FRESH, reason="reply_not_saved"), [])
    waiting = {one.crm_id: one.source for one in warehouse.peek(origin=HUBSPOT, lane="", limit=9)}
    assert waiting == {"1": "manual", "2": "manual", "3": "manual", "4": "manual"}
