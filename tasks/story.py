"""Reading one contact's story."""

from blocks.settings import load_settings
from blocks.warehouses.base import open_warehouse
from enrichment.story import StoryLine, tell
from tasks.steps import sealed

_TABLES = ("staging", "ledger", "replies", "unmatched", "writes", "failures")


@sealed
def read_story(crm_id: str, crm: str = "") -> list[StoryLine]:
    """Return what the warehouse knows of a contact, in order of time; empty if it knows nothing."""
    with open_warehouse(load_settings().warehouse) as warehouse:
        return tell({table: warehouse.query(f"story_{table}", crm_id=crm_id, crm=crm) for table in _TABLES})
