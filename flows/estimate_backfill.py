"""Show what a backfill would cost, without spending or writing anything."""

from prefect import flow

from blocks.settings import load_settings
from enrichment.errors import ConfigurationError
from enrichment.estimate import Estimate
from enrichment.intake import NO_SELECTION, Selection
from enrichment.plan import RunPlan
from flows.forms import CrmName, ProviderName, WarehouseName
from flows.plan import asked_for, plan_run
from tasks.failed_runs import alert_deployed_failure
from tasks.preview import estimate


def run_name() -> str:
    """Return the run's name."""
    return asked_for("estimate the cost of")


@flow(
    name="estimate-backfill",
    flow_run_name=run_name,
    description=__doc__,
    persist_result=False,
    on_failure=[alert_deployed_failure],
    on_crashed=[alert_deployed_failure],
)
def estimate_backfill(
    select: Selection = NO_SELECTION,
    provider: ProviderName = "",
    crm: CrmName = "",
    warehouse: WarehouseName = "",
) -> Estimate:
    """
    Return what it would cost to enrich the selected contacts now.

    Args:
        select: Contacts whose cost is estimated.
        provider: Provider, or several in order, comma-separated, each `<name>` or `<name>/<block>`; empty: the setting.
        crm: CRM, `<name>` or `<name>/<block>`; empty: the setting.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.

    Raises:
        ConfigurationError: a setting, a parameter or the selection makes no sense.
    """
    plan = plan_run(load_settings(), provider=provider, crm=crm, warehouse=warehouse, lane="backfill")
    return estimate_selected(plan, select)


def estimate_selected(plan: RunPlan, select: Selection) -> Estimate:
    """Return what it would cost to enrich the selected contacts; raise ConfigurationError if none is selected."""
    if select.is_empty:
        raise ConfigurationError("an estimate needs a selection: choose the contacts")
    return estimate(plan, select)
