"""Lock queued contacts, look them up, store the results, write them back to the CRM, and clear the queue."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from prefect import flow
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import deployment
from pydantic import Field

from blocks.settings import Settings, load_settings
from enrichment.change_plans import PlanSummary
from enrichment.errors import (
    ConfigurationError,
)
from enrichment.estimate import in_one_sentence
from enrichment.intake import NO_SELECTION, Selection
from enrichment.plan import RunPlan
from enrichment.summary import RunReport
from flows.estimate_backfill import estimate_selected
from flows.forms import CreditCap, CrmName, ProviderName, WarehouseName
from flows.plan import asked_for, plan_run
from flows.task_runner import RunnerOfChoice
from flows.work import MOST_THREADS, carry_out, ended, nothing_done
from tasks.backfill import stage_selection
from tasks.change_plans import decide_plan, waiting_plan
from tasks.failed_runs import cancel_books, fail_books
from tasks.looks import nothing_waits
from tasks.present_run import by_schedule, run_parameters, was_suspended
from tasks.run_events import report_staged
from tasks.run_starts import look_again


def run_name() -> str:
    """Return the run's name while it works; at its end the name says what was done."""
    return asked_for("estimate the cost of" if run_parameters().get("estimate_only") else "enrich")


@flow(
    name="enrich-contacts",
    flow_run_name=run_name,
    description=__doc__,
    task_runner=RunnerOfChoice(max_workers=MOST_THREADS),  # type: ignore[arg-type]
    persist_result=False,
    on_failure=[fail_books],
    on_crashed=[fail_books],
    on_cancellation=[cancel_books],
)
def enrich_contacts(
    estimate_only: bool = False,
    max_credits: CreditCap = None,
    select: Selection = NO_SELECTION,
    refresh: bool = False,
    limit: Annotated[int, Field(ge=0)] = 0,
    lane: Literal["", "live", "backfill"] = "",
    provider: ProviderName = "",
    crm: CrmName = "",
    warehouse: WarehouseName = "",
) -> RunReport:
    """
    Enrich what waits in the queue; with a selection, put its contacts into the backfill lane first.

    Prefect's form shows what is said here of each parameter; it doesn't show the descriptions of annotations.

    Args:
        estimate_only: Only show what the selected contacts would cost; nothing is spent or written.
        max_credits: The most credits that the run may spend; empty: no cap.
        select: Contacts to put into the backfill queue first; no condition: none.
        refresh: Also look up selected contacts that were enriched recently; saved replies are reused.
        limit: The most queued contacts to enrich; 0: all that wait.
        lane: Queue, `live` or `backfill`; empty: both, live first.
        provider: Provider, or several in order, comma-separated, each `<name>` or `<name>/<block>`; empty: the setting.
        crm: CRM, `<name>` or `<name>/<block>`; empty: the setting.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.

    Returns:
        the run's report: counts only.

    Raises:
        ConfigurationError: a setting, a parameter or the selection makes no sense.
        RunStoppedError: quota or credentials ended the run early; the rest waits in the queue.
        RunCancelledError: a person, or Prefect, ended the run; the rest waits in the queue.
        BooksUnbalancedError: a record claimed is not accounted for.
    """
    settings = load_settings()
    _check(lane, select, refresh=refresh)
    lane = lane if select.is_empty else "backfill"
    plan = plan_run(settings, provider=provider, crm=crm, warehouse=warehouse, lane=lane, max_credits=max_credits)
    if estimate_only:
        return nothing_done(plan, f"{in_one_sentence(estimate_selected(plan, select))}; nothing was spent or written")
    if was_suspended():
        if waiting := waiting_plan(plan):
            return _after_approval(plan, settings, waiting)
        plan = replace(plan, run_id=str(uuid.uuid4()))  # decided elsewhere; the first part's totals are closed
    if by_schedule() and select.is_empty and nothing_waits(plan):
        return nothing_done(plan, "no contact waits in the queue")
    if not select.is_empty:
        report_staged(plan.lane, stage_selection(plan.crm, plan.warehouse, plan.lane, select, refresh=refresh))
    report, cancelled, held = carry_out(plan, settings, limit)
    if deployment.id and plan.lane != "backfill" and not limit and not cancelled:
        look_again(plan)
    if held and deployment.id and not cancelled:
        return _after_approval(plan, settings, held)
    return ended(report, settings.alert_threshold)


def _check(lane: str, select: Selection, *, refresh: bool) -> None:
    if lane == "live" and not select.is_empty:
        raise ConfigurationError("selected contacts go to the backfill queue: leave `lane` empty")
    if refresh and select.is_empty:
        raise ConfigurationError(
            "`refresh` applies to selected contacts: give a selection, or queue the contacts with `refresh`"
        )


class Approval(RunInput):
    """What a person says in Prefect of changes that a guard has held."""

    approve: bool = Field(description="Write these changes? No: they are dropped, and the contacts leave the queue.")
    who: str = Field(min_length=1, description="Your name; it is kept with the decision.")
    note: str = Field("", description="Why, if you like; it is kept, too.")


def _after_approval(plan: RunPlan, settings: Settings, summary: PlanSummary) -> RunReport:
    """Suspend the run until a person has decided; it begins again then, and comes back here."""
    words = f"{summary}. By rule: {_counted(summary.by_rule)}. By field: {_counted(summary.by_field)}."
    form = Approval.with_initial_data(description=words)
    answer = suspend_flow_run(wait_for_input=form, key="approval", timeout=int(3600 * settings.plan_hours))
    decide_plan(plan.warehouse, plan.run_id, approve=answer.approve, by=answer.who, note=answer.note)
    # With totals of its own: those of the first part are closed.
    applied = replace(plan, run_id=str(uuid.uuid4()), change_plan=plan.run_id)
    return ended(carry_out(applied, settings).report, settings.alert_threshold)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
