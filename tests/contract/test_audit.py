"""The audit's checks find the same in every warehouse."""

from collections.abc import Callable

import pytest

from blocks.base import module_names
from blocks.providers.base import Reply
from blocks.warehouses.base import RunEnd, Warehouse
from enrichment.comparisons import FieldWrites
from enrichment.records import Disposition, Outcome, Unmatched
from tests.contract.test_upkeep import change, end, write
from tests.contract.test_warehouses import HUBSPOT, claim, finish, open_run, stage
from tests.warehouses import look

#: By check, what is done to the tables, and the id that is found then.
TAMPERING = {
    "nothing_changed": ("1", "UPDATE crm_writes SET before = after WHERE crm_id = '1'"),
    "unconfirmed_write": ("2", "UPDATE crm_writes SET written_at = NULL WHERE crm_id = '2'"),
    "value_erased": ("2", "UPDATE crm_writes SET after = '' WHERE crm_id = '2'"),
    "result_without_failed": ("3", "DELETE FROM failed_records WHERE crm_id = '3'"),
    "result_not_in_history": ("1", "DELETE FROM enrichment_history WHERE crm_id = '1'"),
    "newer_in_history": ("2", "DELETE FROM enriched_contacts WHERE crm_id = '2'"),
    "unmatched_without_result": ("4", "DELETE FROM record_ledger WHERE crm_id = '4'"),
    "result_of_no_run": ("3", "UPDATE record_ledger SET run_id = 'nobody' WHERE crm_id = '3'"),
    "state_unlike_lock": ("5", "UPDATE enrichment_staging SET claim_run_id = 'nobody' WHERE crm_id = '5'"),
    "alert_not_sent": (
        "run-1",
        "UPDATE enrichment_runs SET alert_kind = 'failed', alert_sent = false WHERE run_id = 'run-1'",
    ),
}
#: What else breaks a promise then, or because the rows are made up.
BESIDES = {
    **dict.fromkeys(
        ("totals_differ", "results_differ", "credits_not_booked", "alert_not_due", "alert_missing"), "run-1"
    ),
    "written_without_write": "2",
    "result_unexplained": "3",
    "lock_of_no_run": "5",
    "stored_without_request": "1",
    "paid_twice": "paid-by-both",
    "usage_unlike_replies": "run-1",
}


@pytest.fixture(params=module_names("blocks.warehouses"))
def warehouse(request: pytest.FixtureRequest, make_warehouse: Callable[[str], Warehouse]) -> Warehouse:
    return make_warehouse(request.param)


def live_through(warehouse: Warehouse) -> None:
    """Write two contacts, fail one without a reason, miss one, and leave one in the queue."""
    stage(warehouse, "1", "2")
    end(warehouse, write(warehouse, "run-1", "key-1"), "key-1")
    stage(warehouse, "3")
    failed = claim(warehouse, "run-1")
    warehouse.settle(failed, HUBSPOT, finish(failed, Disposition.FAILED, step="store", detail=""), [])
    stage(warehouse, "4")
    missed = claim(warehouse, "run-1")
    misses = [Unmatched(one.record_id, one.crm_id, None, "NO_MATCH") for one in missed.records]
    warehouse.store(missed, HUBSPOT, [], misses, provider="zoominfo")
    warehouse.settle(missed, HUBSPOT, finish(missed, Disposition.UNMATCHED, reason="NO_MATCH"), [])
    stage(warehouse, "5")
    open_run(warehouse, "run-2")
    warehouse.close_run("run-1", RunEnd(0.25, credits=2.0, alert_kind="failure_rate", unmatched=1, known=2))


def buy(warehouse: Warehouse, run_id: str, key: str, outcome: Outcome, request_id: str) -> None:
    warehouse.keep_replies("zoominfo", run_id, [Reply(key, outcome, {}, credits=1.0, request_id=request_id)])


def buy_twice(warehouse: Warehouse) -> list[str]:
    """Save replies again, in several ways, and return the keys of those that are known to have been paid before."""
    for key, outcome, again in (
        ("saved-twice", Outcome.MATCHED, ("run-1", "a")),
        ("paid-twice", Outcome.MATCHED, ("run-1", "b")),
        ("missed-twice", Outcome.UNMATCHED, ("run-1", "b")),
        ("retried", Outcome.RETRYABLE, ("run-1", "b")),
        ("paid-by-both", Outcome.PARTIAL, ("run-2", "a")),
    ):
        buy(warehouse, "run-1", key, outcome, "a")
        buy(warehouse, again[0], key, Outcome.MATCHED, again[1])
    rows = look(warehouse, "SELECT request_key FROM provider_replies WHERE paid_before IS NOT NULL")
    return sorted(key for (key,) in rows)


def find(warehouse: Warehouse) -> dict[str, tuple[int, list[str]]]:
    found = warehouse.read_broken(days=7300, reply_days=180, threshold=0.01, notifiers="slack")
    return {name: (one.count, [subject for subject, _ in one.examples]) for name, one in found.items() if one.count}


def test_the_checks_find_the_same_in_every_warehouse(warehouse: Warehouse) -> None:
    """Nothing in empty tables; in others the same ids, and all of them are counted."""
    assert find(warehouse) == {}
    live_through(warehouse)
    (written,) = warehouse.written_fields(HUBSPOT, days=1)
    assert written == FieldWrites("company", 2, 0, "1", None)
    last = warehouse.confirmed_writes(HUBSPOT, days=1, contacts=1)
    assert [(one.field, one.after) for one in last] == [("company", "key-1")]
    assert last[0].planned_at[:4] == warehouse.now()[:4]
    assert buy_twice(warehouse) == ["paid-by-both", "paid-twice"]
    change(warehouse, "DELETE FROM provider_replies WHERE request_key NOT IN ('key-1', 'paid-by-both')")
    for _, statement in TAMPERING.values():
        change(warehouse, statement)
    expected = {check: subject for check, (subject, _) in TAMPERING.items()} | BESIDES
    assert find(warehouse) == {check: (1, [subject]) for check, subject in expected.items()}
