"""Write what a plan says and a person has approved, or settle its contacts without it."""

from dataclasses import replace
from typing import Annotated

from prefect import flow
from pydantic import Field

from blocks.settings import load_settings
from enrichment.summary import RunReport
from flows.forms import WarehouseName
from flows.plan import plan_run
from flows.task_runner import RunnerOfChoice
from flows.work import MOST_THREADS, carry_out, ended
from tasks.change_plans import decide_plan
from tasks.failed_runs import cancel_books, fail_books
from tasks.present_run import run_parameters


def run_name() -> str:
    """Return the run's name while it works."""
    return f"apply plan {run_parameters().get('plan_id', '')}"


@flow(
    name="apply-plan",
    flow_run_name=run_name,
    description=__doc__,
    task_runner=RunnerOfChoice(max_workers=MOST_THREADS),  # type: ignore[arg-type]
    persist_result=False,
    on_failure=[fail_books],
    on_crashed=[fail_books],
    on_cancellation=[cancel_books],
)
def apply_plan(
    plan_id: Annotated[str, Field(min_length=1)],
    approve: bool = True,
    by: str = "",
    note: str = "",
    seen: str = "",
    warehouse: WarehouseName = "",
) -> RunReport:
    """
    Write the changes of a plan that still hold, by saved replies alone: nothing is paid for.

    Args:
        plan_id: Id of the plan.
        approve: Whether to write them; else the contacts leave the queue without.
        by: Who decides; empty: the flow run, or the user of this machine.
        note: What they say about it.
        seen: Digest of the plan as they have seen it; empty: it isn't compared.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.

    Returns:
        the run's report: counts only.

    Raises:
        ConfigurationError: there is no such plan, it is stale, or a person has decided otherwise.
    """
    settings = load_settings()
    reference = warehouse or settings.warehouse
    kept = decide_plan(reference, plan_id, approve=approve, by=by, note=note, seen=seen)
    plan = plan_run(settings, provider=kept.provider, crm=kept.crm, warehouse=reference, lane="")
    report = carry_out(replace(plan, change_plan=plan_id), settings).report
    return ended(report, settings.alert_threshold)
