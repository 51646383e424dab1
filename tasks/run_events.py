"""What runs report to Prefect as events: a few for each run, and none for a single contact."""

from datetime import UTC, datetime

from blocks import events
from blocks.warehouses.base import Warehouse
from enrichment.credits import nearly_spent
from enrichment.plan import RunPlan
from enrichment.records import CREDIT_CAP_REACHED
from enrichment.status import waits_too_long
from enrichment.summary import RunReport

#: Providers and days of which this process has reported that most credits are used up.
_reported: set[tuple[str, str]] = set()


def report_staged(lane: str, staged: int) -> None:
    """Report contacts in the backfill queue; of live ones the request for a run is the event."""
    if staged and lane == "backfill":
        events.emit(events.STAGED_EVENT, events.BACKFILL_RESOURCE, contacts=staged)


def report_end(plan: RunPlan, report: RunReport) -> None:
    """Report what a run did, if it did anything, and that it reached a cap."""
    books = report.books
    if books.claimed:
        events.emit(
            events.ENRICHED_EVENT,
            events.resource("crm", plan.crm_name),
            queue=plan.lane or "both",
            taken=books.claimed,
            returned=books.returned,
            credits=report.credits,
            **{str(name): count for name, count in books.dispositions.items()},
        )
    if report.stop and report.stop.kind == CREDIT_CAP_REACHED:
        events.emit(events.CAP_EVENT, events.resource("crm", plan.crm_name), says=report.stop.message)


def report_stale(lane: str, warehouse: Warehouse) -> None:
    """Report that a live contact has waited for too long although a run has ended that could have taken it."""
    if lane == "backfill" or not events.are_taken():
        return
    health = warehouse.read_health()
    if says := waits_too_long(health.oldest_at, health.read_at):
        events.emit(events.STALE_EVENT, events.QUEUE_RESOURCE, says=says)


def report_spending(plan: RunPlan, warehouse: Warehouse) -> None:
    """Report each provider that has used up most of its credits of the day; a process reports it once."""
    if events.are_taken():
        for provider in plan.provider_names.split(","):
            cap = plan.caps(provider).per_day
            if cap:
                _report_credits(provider, cap, warehouse)


def _report_credits(provider: str, cap: float, warehouse: Warehouse) -> None:
    day = datetime.now(UTC).date().isoformat()
    if (provider, day) in _reported:
        return
    spent = warehouse.credits_today(provider)
    if nearly_spent(spent, cap):
        _reported.add((provider, day))
        says = f"{provider} has used {spent:,g} of its {cap:,g} credits of {day}"
        # The day is a part of the name, so that an automation can react once to each.
        events.emit(events.SPENDING_EVENT, events.resource("credits", f"{provider}.{day}", provider), says=says)
