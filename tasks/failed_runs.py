"""
What a run that fails leaves: its books are closed with the cause, and people are alerted.

These are hooks of the flows, so they also see what fails before a flow's first line. A process that was killed can't
run them; the automations that `enrich setup` makes are the net below.
"""

import logging
from dataclasses import replace
from typing import Any

from prefect import Flow, State, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import CrashedRun, FailedRun

from blocks import events
from blocks.log import event
from blocks.notifiers.base import notify
from blocks.settings import load_notifiers, load_settings
from blocks.warehouses.base import RunStart, open_warehouse
from enrichment.alerts import Concern, likeness
from enrichment.books import Books
from enrichment.errors import EnrichmentError, PromiseBrokenError, cause, sealed, where
from enrichment.messages import Occasion, compose_alert
from enrichment.plan import RunPlan
from enrichment.records import CANCELLED
from tasks.books import alert_and_end
from tasks.dead_runs import end_early
from tasks.present_run import attempt_id, run_label
from tasks.run_events import report_stale

_ENDED = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED]


@sealed
def alert_failure(flow: "Flow[Any, Any]", flow_run: FlowRun, state: State[Any]) -> None:
    """Alert people that a run failed, unless the last run failed alike."""
    _report(flow, state)
    _alert(flow, flow_run, state)


def _report(flow: "Flow[Any, Any]", state: State[Any]) -> None:
    """Report the failure as an event, by the kind of its error."""
    kind = type(_error(state)).__name__
    events.emit(events.FAILED_EVENT, events.resource("flow", flow.name), cause=kind, state=state.name or "")


def _alert(flow: "Flow[Any, Any]", flow_run: FlowRun, state: State[Any]) -> None:
    message = _cause(state)
    event("run_failed", level=logging.ERROR, run=flow_run.id, flow=flow.name, cause=message)
    try:
        if _last_failed_alike(flow_run, state):
            return
    except Exception as error:  # noqa: BLE001 - Prefect's server may be what fails
        event("last_run_not_read", level=logging.WARNING, run=flow_run.id, error=cause(error))
    occasion = Occasion(f"{flow.name}: {run_label(flow_run.name, flow_run.id, flow_run.id)}")
    concern = Concern(_kind(state), likeness(message), text=message)
    alert = compose_alert([concern], [concern], {}, occasion)
    if alert:
        notify(f"{alert.subject} ({flow.name})", alert.body, load_notifiers(), kind=alert.kind)


@sealed
def alert_deployed_failure(flow: "Flow[Any, Any]", flow_run: FlowRun, state: State[Any]) -> None:
    """Alert people that a run of a deployment failed; a person who started it at a terminal sees it there."""
    if flow_run.deployment_id:
        alert_failure(flow, flow_run, state)


@sealed
def fail_books(flow: "Flow[Any, Any]", flow_run: FlowRun, state: State[Any]) -> None:
    """Close the books of a run that failed, with the cause, and alert people; they may never have been opened."""
    _report(flow, state)
    try:
        known = _close(flow_run, _cause(state))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the warehouse too, people are alerted
        event("books_not_closed", level=logging.WARNING, run=flow_run.id, error=cause(error))
        known = False
    if not known:
        _alert(flow, flow_run, state)


@sealed
def cancel_books(flow: "Flow[Any, Any]", flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - a hook
    """Put back what a cancelled run still holds, and close its books, unless it did so itself; no alert is sent."""
    plan = _plan_of(flow_run)
    with open_warehouse(plan.warehouse) as warehouse:
        run = warehouse.find_run(plan.run_id)
        if run is None or (run.state != "open" and run.finished_at):
            return
        released = end_early(warehouse, plan.run_id, CANCELLED, costs_attempt=False)
    event("books_closed", run=plan.run_id, state=CANCELLED, returned=released)


def _plan_of(flow_run: FlowRun) -> RunPlan:
    settings, asked = load_settings(), flow_run.parameters
    provider, crm = asked.get("provider") or settings.provider, asked.get("crm") or settings.crm
    run_id = attempt_id(str(flow_run.id), flow_run.run_count)
    return RunPlan(run_id, provider, crm, asked.get("warehouse") or settings.warehouse)


def _close(flow_run: FlowRun, message: str) -> bool:
    """Close the books, and return whether people know of the failure."""
    settings, asked, plan = load_settings(), flow_run.parameters, _plan_of(flow_run)
    with open_warehouse(plan.warehouse) as warehouse:
        warehouse.check_schema()
        run = warehouse.find_run(plan.run_id)
        if run and run.state == "failed":
            return True  # the run closed its books itself
        if run is None:
            start = RunStart(plan.run_id, flow_run.name, plan.provider, plan.crm, asked.get("lane") or "")
            warehouse.open_run(start, lease_seconds=settings.lease_seconds)
        warehouse.release_run(plan.run_id, costs_attempt=True)
        books = warehouse.read_books(plan.run_id) if run else Books()
        concern = Concern("failed", likeness(message), text=message)
        occasion = Occasion(run_label(flow_run.name, flow_run.id, plan.run_id), books=books)
        end = alert_and_end(warehouse, plan, [concern], occasion, settings.notifier_references)
        report_stale(asked.get("lane") or "", warehouse)
        usage = warehouse.count_usage(plan.run_id)
        cost = sum(one.credits for one in usage)
        versions = sorted({one.api_version for one in usage if one.api_version})
        warehouse.close_run(
            plan.run_id, replace(end, state="failed", stop_kind="failed", credits=cost, api_versions=versions)
        )
    event("books_closed", run=plan.run_id, state="failed")
    return True


def _error(state: State[Any]) -> Any:
    try:
        return state.result(raise_on_failure=False)
    except Exception:  # noqa: BLE001 - a state without its error
        return None


def _kind(state: State[Any]) -> str:
    return "broken_promise" if isinstance(_error(state), PromiseBrokenError) else "failed"


def _cause(state: State[Any]) -> str:
    """Return why a run failed, in our words; a foreign error's text may quote a contact."""
    error = _error(state)
    if isinstance(error, EnrichmentError):
        return str(error)
    # Prefect makes an error of its own for a state that has only a message, such as that of a process that died.
    if isinstance(error, BaseException) and not isinstance(error, FailedRun | CrashedRun):
        return where(error)
    return state.message or state.name or "unknown"


def _last_failed_alike(flow_run: FlowRun, state: State[Any]) -> bool:
    """Return whether the last run of the same deployment failed for the same cause; people know it then."""
    if flow_run.deployment_id is None:
        return False
    with get_client(sync_client=True) as client:
        last = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                id=FlowRunFilterId(not_any_=[flow_run.id]),
                deployment_id=FlowRunFilterDeploymentId(any_=[flow_run.deployment_id]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_ENDED)),
            ),
            sort=FlowRunSort.END_TIME_DESC,
            limit=1,
        )
    before = last[0].state if last else None
    return before is not None and before.type != StateType.COMPLETED and _alike(before, state)


def _alike(one: State[Any], other: State[Any]) -> bool:
    return likeness(one.message or "") == likeness(other.message or "")
