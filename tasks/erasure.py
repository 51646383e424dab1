"""Erasing one contact from the warehouse."""

from blocks.crms.base import crm_name
from blocks.log import event
from blocks.warehouses.base import Erased, open_warehouse
from enrichment.records import Origin
from enrichment.sealing import sealed
from tasks.steps import step


@sealed
def erase_contact(warehouse: str, crm: str, crm_id: str) -> Erased:
    """
    Remove what the warehouse knows of a contact, and see to it that nobody looks it up again; safe to repeat.

    A run that is at work on the contact loses it. The CRM isn't touched.

    Args:
        warehouse: reference of the warehouse, `<name>` or `<name>/<block>`.
        crm: the CRM that knows the contact, `<name>` or `<name>/<block>`.
        crm_id: the contact's id in it; one that the warehouse doesn't know is suppressed all the same.

    Returns:
        how many rows of each table went.

    Raises:
        TransientError: the warehouse can't be reached now; nothing or a part was removed, so repeat it.
        ConfigurationError: there is no such CRM, or the warehouse isn't set up or refuses us.
    """
    name = crm_name(crm)
    with open_warehouse(warehouse) as target:
        erased = target.erase(Origin(name), crm_id)
    event("contact_erased", crm=name, crm_id=crm_id, **erased.rows)
    return erased


@step(name="erase-contact")
def erase(warehouse: str, crm: str, crm_id: str) -> Erased:
    """Erase a contact as a task."""
    return erase_contact(warehouse, crm, crm_id)
