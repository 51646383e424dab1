"""What the weekly review reads, on every warehouse."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from blocks.base import module_names
from blocks.providers.base import Reply
from blocks.warehouses.base import NewRecord, Warehouse
from enrichment.records import Disposition, Finished, Outcome, Unmatched
from enrichment.refusals import RefusedField
from enrichment.review import FailureGroup, ProviderUse, ResultShare, review_of
from enrichment.write_policy import Refusal
from tasks.review import mark_reviewed, read_review
from tests.contract.test_warehouses import HUBSPOT, claim, found, open_run, stage

PAST, FUTURE = "2020-01-01T00:00:00.000Z", "2100-01-01T00:00:00.000Z"


@pytest.fixture(params=module_names("blocks.warehouses"))
def warehouse(request: pytest.FixtureRequest, make_warehouse: Callable[[str], Warehouse]) -> Warehouse:
    return make_warehouse(request.param)


def live_through_a_week(warehouse: Warehouse) -> None:
    """Write one contact that was created 90 seconds ago, miss two, fail one, and leave one in the queue."""
    now = datetime.fromisoformat(warehouse.now())
    created, received = ((now - timedelta(seconds=s)).isoformat(timespec="milliseconds") for s in (90, 1))
    open_run(warehouse)
    warehouse.stage([NewRecord("hubspot", "1", None, "webhook", "live", created.replace("+00:00", "Z"))])
    one = claim(warehouse)
    item = found(one, received_at=received.replace("+00:00", "Z"), industry=None, intent_keywords=[])
    warehouse.store(one, HUBSPOT, [item], [], provider="zoominfo")
    refused = (Refusal("industry", "not_an_option", "Mining"),)
    warehouse.settle(one, HUBSPOT, [Finished(one.records[0].record_id, Disposition.WRITTEN, refusals=refused)], [])
    stage(warehouse, "2", "3", "4")
    rest = claim(warehouse)
    missed, failed = rest.records[:2], rest.records[2]
    misses = [Unmatched(record.record_id, record.crm_id, "a@b.example", "NO_MATCH") for record in missed]
    warehouse.store(rest, HUBSPOT, [], misses, provider="zoominfo")
    endings = [Finished(record.record_id, Disposition.UNMATCHED, "NO_MATCH") for record in missed]
    letter = Finished(failed.record_id, Disposition.FAILED, "timeout", "look_up", "the full error")
    warehouse.settle(rest, HUBSPOT, [*endings, letter], [])
    stage(warehouse, "5", lane="backfill")
    outcomes = (Outcome.MATCHED, Outcome.UNMATCHED, Outcome.RETRYABLE)
    replies = [Reply(outcome, outcome, {}, credits=1.5 * (outcome is Outcome.MATCHED)) for outcome in outcomes]
    warehouse.keep_replies("zoominfo", "run-1", replies)


def test_the_review_counts_what_happened(warehouse: Warehouse) -> None:
    """Endings, credits, fill rates, times, misses and dead letters are what the tables hold."""
    live_through_a_week(warehouse)
    review = read_review(warehouse.name, 7)
    assert (review.ended, review.ended_before) == ({"written": 1, "unmatched": 2, "failed": 1}, {})
    assert review.providers == [ProviderUse("zoominfo", replies=3, known=1, credits=1.5, credits_before=0.0)]
    assert review.contacts == 1
    blank = {"industry": 0, "linkedin_url": 0, "intent_keywords": 0}
    assert review.filled == {"company_name": 1, "employee_count": 1, "tech_stack": 1, **blank}
    assert review.latency.keys() == {"created", "staged"}
    assert review.latency["created"].p50 >= 89 > review.latency["staged"].p95 >= 0
    (group,) = review.unmatched
    assert (group.cause, group.provider, group.records, group.recent) == ("unknown_company", "zoominfo", 2, 2)
    assert set(review.shares) == {
        ResultShare("queued by", "webhook", 1, 0, 0, 0),
        ResultShare("queued by", "manual", 3, 2, 0, 1),
    }
    assert group.oldest_at[:4] == review.read_at[:4]
    (letter,) = review.failures
    assert letter == FailureGroup("timeout", "look_up", 1, 1, letter.example)
    assert {*group.ids, letter.example} == {"2", "3", "4"}
    assert review.waiting == 1
    assert review.refusals == [RefusedField("industry", "not_an_option", 1, (("Mining", 1),))]


def test_the_days_before_are_counted_apart(warehouse: Warehouse) -> None:
    """What lies before the days is counted as before, and what lies before that not at all."""
    live_through_a_week(warehouse)
    earlier = warehouse.review_counts(since=FUTURE, before=PAST)
    assert (earlier.ended, earlier.ended_before) == ({}, {"written": 1, "unmatched": 2, "failed": 1})
    assert {one.earlier for one in earlier.replies} == {True}
    nothing = warehouse.review_counts(since=FUTURE, before=FUTURE)
    assert (nothing.ended, nothing.ended_before, nothing.replies, nothing.latency) == ({}, {}, [], {})
    assert (nothing.contacts, set(nothing.filled.values())) == (0, {0})
    (letter,) = nothing.failures
    assert (len(nothing.unmatched), letter.records, letter.waiting) == (2, 0, 1)
    assert (nothing.results, [group.recent for group in review_of(1, FUTURE, nothing).unmatched]) == ([], [0])


def test_only_what_was_shown_is_marked_as_reviewed(warehouse: Warehouse) -> None:
    """A miss that was filed after the review waits for the next one, and nothing is marked by itself."""
    live_through_a_week(warehouse)
    review = read_review(warehouse.name, 7)
    assert warehouse.mark_reviewed(PAST) == 0
    assert len(read_review(warehouse.name, 7).unmatched) == 1
    assert mark_reviewed(warehouse.name, review) == 2
    assert read_review(warehouse.name, 7).unmatched == []
    assert mark_reviewed(warehouse.name, review) == 0
