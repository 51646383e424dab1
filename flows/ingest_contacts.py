"""Put contacts into the queue: new ones, all of them, or a list."""

from datetime import datetime
from typing import Annotated, Literal

from prefect import flow
from prefect.runtime import deployment, flow_run
from pydantic import Field

from blocks.settings import load_settings
from enrichment.selection import NOBODY, Selection
from tasks.backfill import stage_selection
from tasks.intake import stage_everything, stage_failed, stage_listed, stage_missed, stage_new
from tasks.run_starts import follow_up


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
    crm: str = "",
    warehouse: str = "",
    lane: Literal["live", "backfill"] = "live",
    since: datetime | None = None,
    everything: bool = False,
    crm_ids: Annotated[list[str], Field(max_length=10_000)] = [],  # noqa: B006
    csv_path: str = "",
    select: Selection = NOBODY,
    reconcile_days: Annotated[int, Field(ge=0, le=366)] = 0,
    failed: bool = False,
    failed_run_id: str = "",
) -> int:
    """
    Stage contacts and return how many were new in the queue; one that waits already stays as it is.

    Prefect's form shows what is said here of each parameter; it doesn't show the descriptions of annotations.

    Args:
        crm: CRM, `<name>` or `<name>/<block>`; empty: the setting.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.
        lane: Lane of the staged records.
        since: Only contacts created at or after this moment; empty: since the last intake.
        everything: Every contact of the CRM.
        crm_ids: Just these CRM ids, 10,000 at most.
        csv_path: CSV file with the column `crm_id`, at its path where the worker runs.
        select: The contacts that fulfil these conditions; nothing chosen: not that.
        reconcile_days: Those of so many days that were missed so far; 0: not that.
        failed: The dead letters, once more.
        failed_run_id: With `failed`, only those of this run.
    """
    settings = load_settings()
    crm, warehouse = crm or settings.crm, warehouse or settings.warehouse
    if failed:
        staged = stage_failed(warehouse, failed_run_id)
    elif not select.is_empty:
        staged = stage_selection(crm, warehouse, lane, select)
    elif crm_ids or csv_path:
        staged = stage_listed(crm, warehouse, lane, crm_ids, csv_path)
    elif everything:
        staged = stage_everything(crm, warehouse, lane)
    elif reconcile_days:
        staged = stage_missed(crm, warehouse, lane, reconcile_days)
    else:
        staged = stage_new(crm, warehouse, lane, since)
    _start_run(lane, staged)
    return staged


def _start_run(lane: str, staged: int) -> None:
    """Ask for a run of what was staged, if this one is deployed."""
    if staged and lane == "live" and deployment.id:
        follow_up()
