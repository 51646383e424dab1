"""Derive results again from saved replies, after a provider's file or the field mapping was changed."""

from dataclasses import replace
from typing import Annotated

from prefect import flow
from pydantic import Field

from blocks.settings import load_settings
from enrichment.plan import BACKFILL
from enrichment.records import REMAP
from enrichment.remap import Remap, RemapSelection
from flows.forms import CrmName, WarehouseName
from flows.plan import chosen, plan_run
from flows.task_runner import RunnerOfChoice
from flows.work import MOST_THREADS, carry_out
from tasks.books import describe_fields
from tasks.failed_runs import cancel_books, fail_books
from tasks.remap import find_remaps


def run_name() -> str:
    """Return the run's name while it works."""
    return f"remap contacts of {chosen('crm')}"


@flow(
    name="remap-contacts",
    flow_run_name=run_name,
    description=__doc__,
    task_runner=RunnerOfChoice(max_workers=MOST_THREADS),  # type: ignore[arg-type]
    persist_result=False,
    on_failure=[fail_books],
    on_crashed=[fail_books],
    on_cancellation=[cancel_books],
)
def remap_contacts(
    provider: str = "",
    days: Annotated[int, Field(ge=1, le=3660)] = 180,
    contact: str = "",
    limit: Annotated[int, Field(ge=0)] = 0,
    write: bool = False,
    crm: CrmName = "",
    warehouse: WarehouseName = "",
) -> Remap:
    """
    Return what differs by today's rules, and perhaps store and write it; nothing is paid for.

    Args:
        provider: Only contacts about which this provider has answered; empty: any.
        days: Only answers of so many days.
        contact: Only this contact, by its id in the CRM; empty: all.
        limit: The most contacts to look at; 0: all.
        write: Whether to store the results that differ, and write them to the CRM; else they are only counted.
        crm: CRM, `<name>` or `<name>/<block>`; empty: the setting.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.

    Returns:
        what differs: ids, names of fields and counts.

    Raises:
        ConfigurationError: a setting or a parameter makes no sense.
    """
    settings = load_settings()
    plan = plan_run(settings, provider="", crm=crm, warehouse=warehouse, lane=BACKFILL)
    selection = RemapSelection(provider.strip(), contact.strip(), days, limit)
    found = find_remaps(replace(plan, descriptions=describe_fields(plan)), selection, queue=write)
    if write and found.contacts:
        found.report = carry_out(replace(plan, source=REMAP), settings).report
    return found
