"""Plans of what a run would write: kept, shown to people, approved or declined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from blocks.crms.base import Crm, open_crm
from blocks.log import event
from blocks.notifiers.base import notify
from blocks.settings import load_settings
from blocks.warehouses.base import NewPlan, Warehouse, open_warehouse
from enrichment.change_plans import (
    APPROVED,
    ASKED,
    DECLINED,
    WAITING,
    KeptPlan,
    PlannedChange,
    PlanSummary,
    WaitingPlan,
    digest,
    planned_changes,
    policy_mark,
    summarise,
    why_stale,
)
from enrichment.errors import ConfigurationError, sealed
from enrichment.plan import RunPlan
from enrichment.records import Found
from enrichment.write_policy import WritePlan
from tasks.present_run import present_label, who
from tasks.steps import step


@dataclass(frozen=True, slots=True)
class ShownPlan:
    """
    A plan as people see it before they decide.

    Args:
        plan_id: of the plan, by which it is applied.
        digest: of its changes.
        cause: why it was made.
        summary: what it would do.
        changes: all of it.
    """

    plan_id: str
    digest: str
    cause: str
    summary: PlanSummary
    changes: Sequence[PlannedChange]


@sealed
def waiting_plans() -> list[WaitingPlan]:
    """Return the plans that wait for a decision, the newest first."""
    with open_warehouse(load_settings().warehouse) as warehouse:
        return warehouse.waiting_plans()


def keep_changes(
    plan: RunPlan,
    warehouse: Warehouse,
    crm: Crm,
    found: Sequence[Found],
    plans: Mapping[str, WritePlan],
    cause: str = ASKED,
) -> None:
    """Add to the plan of this run what is to be written for some records; the plan has the run's id."""
    changes = [
        change
        for item in found
        for change in planned_changes(item.record.crm_id, item.record_id, plans[item.record_id].changes, crm.rules)
    ]
    mark = policy_mark(crm.rules, crm.protected)
    begun = NewPlan(plan.run_id, plan.crm, plan.provider, cause, mark, who())
    warehouse.keep_planned(begun, plan.origin, changes)


def sealed_plan(warehouse: Warehouse, plan_id: str) -> ShownPlan:
    """Return a plan that is complete, with the digest of its changes, which is kept with it."""
    kept = _known(warehouse, plan_id)
    changes = warehouse.read_planned(plan_id)
    mark = kept.digest or digest(changes)
    warehouse.seal_plan(plan_id, mark)
    return ShownPlan(plan_id, mark, kept.cause, summarise(changes), changes)


@step(name="waiting-plan", task_run_name="look for a plan that waits for approval")
def waiting_plan(plan: RunPlan) -> PlanSummary | None:
    """Return what the plan would do that a guard made of this run's changes, if it waits for approval; or None."""
    with open_warehouse(plan.warehouse) as warehouse:
        kept = warehouse.read_plan(plan.run_id)
        return sealed_plan(warehouse, plan.run_id).summary if kept and kept.state == WAITING else None


@step(name="ask-for-approval", task_run_name="ask people for their approval")
def ask_for_approval(plan: RunPlan, notifiers: Sequence[str]) -> PlanSummary:
    """Complete the plan of a run that a guard has held, notify people, and return what it would do."""
    with open_warehouse(plan.warehouse) as warehouse:
        shown = sealed_plan(warehouse, plan.run_id)
    subject = f"Contact enrichment: {shown.summary.contacts:,} contacts wait for your approval"
    body = (
        f"{present_label(plan.run_id)}\n{shown.cause}: {shown.summary}.\n"
        f"Nothing is lost, and nothing was written of it. Approve it with `enrich apply {shown.plan_id}`, or on the "
        f"run's page in Prefect if the run is suspended; decline it with `enrich apply {shown.plan_id} --decline`. "
        f"After {plan.guard.hours:g} hours the contacts are back in the queue."
    )
    notify(subject, body, notifiers, kind="needs_approval")
    event("approval_asked", plan=plan.run_id, contacts=shown.summary.contacts)
    return shown.summary


@step(name="decide-plan", task_run_name="note the decision on the plan")
def decide_plan(
    reference: str, plan_id: str, *, approve: bool, by: str = "", note: str = "", seen: str = ""
) -> KeptPlan:
    """
    Note that a person approves a plan, or declines it, and return it.

    Args:
        reference: of the warehouse.
        plan_id: of the plan.
        approve: whether it is approved.
        by: who decides; empty: the flow run, or the user of this machine.
        note: what they say about it.
        seen: the digest of what they have seen; empty: it isn't compared.

    Raises:
        ConfigurationError: there is no such plan, it is stale, or a person has decided otherwise.
    """
    state = APPROVED if approve else DECLINED
    with open_warehouse(reference) as warehouse:
        kept = _known(warehouse, plan_id)
        _check_undecided(kept, state)
        shown = sealed_plan(warehouse, plan_id)
        with open_crm(kept.crm) as crm:
            mark = policy_mark(crm.rules, crm.protected)
        stale = why_stale(kept, changes=shown.changes, policy=mark, hours=load_settings().plan_hours)
        if seen and seen != shown.digest:
            stale = "it isn't the plan that you have seen (the digests differ)"
        if stale:
            warehouse.release_planned(plan_id)
            raise ConfigurationError(
                f"the plan {plan_id} can't be applied: {stale}. Its contacts are in the queue: make a new plan with "
                "`enrich plan`"
            )
        if not warehouse.decide_plan(plan_id, state=state, by=by or who(), note=note):
            _check_undecided(_known(warehouse, plan_id), state)  # somebody has decided meanwhile
    event("plan_decided", plan=plan_id, state=state)
    return kept


def _check_undecided(kept: KeptPlan, wanted: str) -> None:
    """Raise if a person has decided otherwise."""
    if kept.state not in {WAITING, wanted}:
        raise ConfigurationError(
            f"the plan {kept.plan_id} was {kept.state} by {kept.decided_by} at {kept.decided_at}: nothing was changed; "
            "make a new one with `enrich plan`"
        )


def _known(warehouse: Warehouse, plan_id: str) -> KeptPlan:
    kept = warehouse.read_plan(plan_id)
    if kept is None:
        raise ConfigurationError(f"the warehouse knows no plan {plan_id}: `enrich plan` makes one")
    return kept
