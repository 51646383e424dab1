"""Reading one contact's story."""

from collections.abc import Iterator

from blocks.settings import load_settings
from blocks.warehouses.base import Row, Warehouse, open_warehouse
from enrichment.story import StoryLine, tell
from enrichment.waterfall import FOLLOW_UPS
from tasks.steps import sealed

_LONGEST_DAYS = 3650
_TABLES = ("staging", "ledger", "replies", "unmatched", "writes", "failures")


@sealed
def read_story(crm_id: str, crm: str = "") -> list[StoryLine]:
    """Return what the warehouse knows of a contact, in order of time; empty if it knows nothing."""
    with open_warehouse(load_settings().warehouse) as warehouse:
        rows = {table: warehouse.query(f"story_{table}", crm_id=crm_id, crm=crm) for table in _TABLES}
        contacts = warehouse.query("story_contact", crm_id=crm_id, crm=crm)
        return tell({**rows, "follow_ups": [row for contact in contacts for row in _follow_ups(warehouse, contact)]})


def _follow_ups(warehouse: Warehouse, contact: Row) -> Iterator[Row]:
    """Give the replies of the follow-ups that have filled fields of the contact, with provider and step."""
    for provider, steps in ((contact["attributes"] or {}).get(FOLLOW_UPS) or {}).items():
        for step, keys in steps.items():
            for row in warehouse.read_replies(provider, keys, reply_days=_LONGEST_DAYS).values():
                yield {**row, "provider": provider, "step": step}
