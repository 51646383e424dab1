"""Whether a CRM holds what the warehouse says was written to it, record by record and field by field."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from blocks.warehouses.base import WrittenField


def disagreements(written: Iterable[WrittenField], held: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """
    Say in one line each what differs.

    Args:
        written: fields, as the pipeline confirmed them.
        held: values by field and contact, as the CRM's stand-in keeps them.
    """
    return [
        f"contact {row.crm_id}, {row.field}: the warehouse says {row.after!r}, the CRM doesn't"
        for row in written
        if not _same(row.after, held.get(row.crm_id, {}).get(row.field))
    ]


def _same(said: str, held: Any) -> bool:
    """Compare numbers by their value, and moments without the fractions of a second that not every CRM keeps."""
    if said == held:
        return True
    try:
        if isinstance(held, int | float):
            return float(said) == held
        return datetime.fromisoformat(said).replace(microsecond=0) == datetime.fromisoformat(held)
    except (TypeError, ValueError):
        return False
