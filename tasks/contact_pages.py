"""
Where people see a contact in the CRM: the address of its page, with `{crm_id}` in the id's place.

It is asked for once, kept in the warehouse beside the positions of listeners and intakes, and read from there.
"""

from blocks.crms.base import Crm, open_crm
from blocks.log import event
from blocks.warehouses.base import Warehouse
from enrichment.errors import EnrichmentError, cause
from enrichment.plan import Reference

_CURSOR = "contact-page:"


def keep_page(crm: Crm, warehouse: Warehouse) -> str:
    """Ask the CRM for the address, keep it, and return it; empty if there is none, or it can't be had now."""
    try:
        page = crm.contact_page()
    except EnrichmentError as error:  # a message without links is better than none
        event("contact_page_unknown", crm=crm.name, error=cause(error))
        return ""
    if page:
        warehouse.save_cursor(_CURSOR + crm.name, page)
    return page


def page_of(warehouse: Warehouse, crm: str) -> str:
    """Return the address that is kept of a CRM, by its name; empty if there is none."""
    return warehouse.read_cursor(_CURSOR + crm) or ""


def find_page(warehouse: Warehouse, reference: str) -> str:
    """Return the address that is kept of a CRM, or ask it; empty if it can't be had now."""
    if known := page_of(warehouse, Reference.parse(reference).name):
        return known
    try:
        with open_crm(reference) as crm:
            return keep_page(crm, warehouse)
    except EnrichmentError:  # the CRM may be what fails
        return ""
