"""Look at what the CRM holds, and what it would cost to enrich it, without spending or writing anything there."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from blocks.settings import load_settings
from enrichment.profile import Profile
from flows.forms import CrmName, ProviderName, WarehouseName
from flows.plan import asked_for, plan_run
from tasks.failed_runs import alert_deployed_failure
from tasks.profile import profile


def run_name() -> str:
    """Return the run's name."""
    return asked_for("profile")


@flow(
    name="profile-contacts",
    flow_run_name=run_name,
    description=__doc__,
    persist_result=False,
    on_failure=[alert_deployed_failure],
    on_crashed=[alert_deployed_failure],
)
def profile_contacts(
    limit: Annotated[int, Field(ge=1, le=100_000)] = 2000,
    provider: ProviderName = "",
    crm: CrmName = "",
    warehouse: WarehouseName = "",
) -> Profile:
    """
    Return how complete and how old the CRM's contacts are, what stands in them, and what enriching them would cost.

    Args:
        limit: How many contacts to read, of all ages.
        provider: Provider, or several in order, comma-separated, each `<name>` or `<name>/<block>`; empty: the setting.
        crm: CRM, `<name>` or `<name>/<block>`; empty: the setting.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.

    Raises:
        ConfigurationError: a setting or a parameter makes no sense.
    """
    return profile(plan_run(load_settings(), provider=provider, crm=crm, warehouse=warehouse, lane="backfill"), limit)
