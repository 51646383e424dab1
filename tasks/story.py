"""Reading one contact's story."""

from collections.abc import Iterator

from blocks.base import module_names
from blocks.settings import load_settings
from blocks.warehouses.base import Row, Warehouse, open_warehouse
from enrichment.identifiers import suppression_keys
from enrichment.records import Contact
from enrichment.references import Reference
from enrichment.sealing import sealed
from enrichment.story import StoryLine, tell
from enrichment.waterfall import FOLLOW_UPS

_LONGEST_DAYS = 3650
_TABLES = ("staging", "ledger", "replies", "unmatched", "writes", "failures")


@sealed
def read_story(crm_id: str, crm: str = "") -> list[StoryLine]:
    """
    Return what the warehouse knows of a contact, in order of time; empty if it knows nothing.

    Of a contact that was erased, only that is told.
    """
    settings = load_settings()
    crms = [crm] if crm else sorted({*module_names("blocks.crms"), Reference.parse(settings.crm).name})
    with open_warehouse(settings.warehouse) as warehouse:
        suppressions = _suppressions(warehouse, crm_id, crms)
        erased = {row["crm"] for row in suppressions if row["reason"] == "erased"}
        rows = {table: warehouse.query(f"story_{table}", crm_id=crm_id, crm=crm) for table in _TABLES}
        contacts = warehouse.query("story_contact", crm_id=crm_id, crm=crm)
        rows["follow_ups"] = [row for contact in contacts for row in _follow_ups(warehouse, contact)]
    others = {table: [row for row in found if row.get("crm") not in erased] for table, found in rows.items()}
    return tell({"suppressions": suppressions, **others})


def _suppressions(warehouse: Warehouse, crm_id: str, crms: list[str]) -> list[Row]:
    """Return the contact's rows of the suppression list, with the CRM that the hash stands for."""
    crm_of = {suppression_keys(Contact(crm_id), name)[0]: name for name in crms}
    rows = warehouse.query("read_suppressed", keys=list(crm_of))
    return [row | {"crm": crm_of[row["key_hash"]]} for row in rows]


def _follow_ups(warehouse: Warehouse, contact: Row) -> Iterator[Row]:
    """Give the replies of the follow-ups that have filled fields of the contact, with provider and step."""
    for provider, steps in ((contact["attributes"] or {}).get(FOLLOW_UPS) or {}).items():
        for step, keys in steps.items():
            for row in warehouse.read_replies(provider, keys, reply_days=_LONGEST_DAYS).values():
                yield {**row, "provider": provider, "step": step}
