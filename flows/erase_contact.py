"""Erase one contact from the warehouse, and make sure that it is never looked up again; the CRM isn't changed."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from blocks.settings import load_settings
from blocks.warehouses.base import Erased
from flows.forms import CrmName, WarehouseName
from flows.plan import chosen
from tasks.contact import erase
from tasks.failed_runs import alert_failure


def run_name() -> str:
    """Return the run's name."""
    return f"erase a contact of {chosen('crm')}"


@flow(
    name="erase-contact",
    flow_run_name=run_name,
    description=__doc__,
    persist_result=False,
    on_failure=[alert_failure],
    on_crashed=[alert_failure],
)
def erase_contact(
    crm_id: Annotated[str, Field(min_length=1)],
    even_if_unknown: bool = False,
    crm: CrmName = "",
    warehouse: WarehouseName = "",
) -> Erased:
    """
    Erase the contact and return how many rows of each table were deleted; safe to repeat.

    Args:
        crm_id: The contact's id in the CRM.
        even_if_unknown: Suppress the id even if the warehouse knows nothing of it.
        crm: CRM, `<name>` or `<name>/<block>`; empty: the setting.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.

    Raises:
        ConfigurationError: the warehouse doesn't know the contact.
    """
    settings = load_settings()
    return erase(warehouse or settings.warehouse, crm or settings.crm, crm_id, even_if_unknown=even_if_unknown)
