"""Show what a run would write for the queued contacts, without spending or writing anything."""

from dataclasses import replace
from typing import Annotated, Literal

from prefect import flow
from pydantic import Field

from blocks.settings import load_settings
from flows.forms import CrmName, ProviderName, WarehouseName
from flows.plan import asked_for, plan_run
from tasks.books import describe_fields
from tasks.failed_runs import alert_deployed_failure
from tasks.preview import Preview, preview


def run_name() -> str:
    """Return the run's name."""
    return asked_for("preview")


@flow(
    name="preview-contacts",
    flow_run_name=run_name,
    description=__doc__,
    persist_result=False,
    on_failure=[alert_deployed_failure],
    on_crashed=[alert_deployed_failure],
)
def preview_contacts(
    limit: Annotated[int, Field(ge=0)] = 0,
    keep: bool = False,
    lane: Literal["", "live", "backfill"] = "",
    provider: ProviderName = "",
    crm: CrmName = "",
    warehouse: WarehouseName = "",
) -> Preview:
    """
    Return what a run would write, from saved replies where there are any.

    Args:
        limit: The most queued contacts to cover; 0: one batch.
        keep: Keep the changes as a plan, which can be approved and applied.
        lane: Queue, `live` or `backfill`; empty: both, live first.
        provider: Provider, or several in order, comma-separated, each `<name>` or `<name>/<block>`; empty: the setting.
        crm: CRM, `<name>` or `<name>/<block>`; empty: the setting.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.

    Raises:
        ConfigurationError: a setting or a parameter makes no sense.
    """
    plan = plan_run(load_settings(), provider=provider, crm=crm, warehouse=warehouse, lane=lane)
    return preview(replace(plan, descriptions=describe_fields(plan)), limit or plan.chunk_size, keep=keep)
