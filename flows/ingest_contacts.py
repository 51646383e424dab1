"""Put contacts into the queue: new ones, all of them, or a list."""

from datetime import datetime
from typing import Annotated, Literal

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from blocks.settings import load_settings
from enrichment.selection import NOBODY, Selection
from tasks.backfill import stage_selection
from tasks.intake import stage_everything, stage_failed, stage_listed, stage_missed, stage_new


def run_name() -> str:
    """Return the run's name."""
    asked = flow_run.get_parameters()
    what = "dead letters" if asked.get("failed") else "missed contacts" if asked.get("reconcile_days") else "contacts"
    return f"stage {what} of {asked.get('crm') or load_settings().crm}"


@flow(
    name="ingest-contacts",
    flow_run_name=run_name,
    description=__doc__,
    persist_result=False,
)
def ingest_contacts(  # noqa: PLR0913, PLR0917 - one parameter for each field of the form
    crm: Annotated[str, Field(description="CRM, `<name>` or `<name>/<block>`; empty: the setting.")] = "",
    warehouse: Annotated[str, Field(description="Warehouse, `<name>` or `<name>/<block>`; empty: the setting.")] = "",
    lane: Annotated[Literal["live", "backfill"], Field(description="Lane of the staged records.")] = "live",
    since: Annotated[datetime | None, Field(description="Created at or after; empty: since the last intake.")] = None,
    everything: Annotated[bool, Field(description="Every contact of the CRM.")] = False,
    crm_ids: Annotated[list[str], Field(description="Just these CRM ids.", max_length=10_000)] = [],  # noqa: B006
    csv_path: Annotated[str, Field(description="CSV file with the column `crm_id`, where the worker runs.")] = "",
    select: Annotated[Selection, Field(description="The contacts that fulfil these conditions.")] = NOBODY,
    reconcile_days: Annotated[
        int, Field(ge=0, le=366, description="Those of so many days that were missed so far; 0: not that.")
    ] = 0,
    failed: Annotated[bool, Field(description="The dead letters, once more.")] = False,
    failed_run_id: Annotated[str, Field(description="With `failed`: only those of this run.")] = "",
) -> int:
    """Stage contacts and return how many were new in the queue; one that waits already stays as it is."""
    settings = load_settings()
    crm, warehouse = crm or settings.crm, warehouse or settings.warehouse
    if failed:
        return stage_failed(warehouse, failed_run_id)
    if not select.is_empty:
        return stage_selection(crm, warehouse, lane, select)
    if crm_ids or csv_path:
        return stage_listed(crm, warehouse, lane, crm_ids, csv_path)
    if everything:
        return stage_everything(crm, warehouse, lane)
    if reconcile_days:
        return stage_missed(crm, warehouse, lane, reconcile_days)
    return stage_new(crm, warehouse, lane, since)
