"""Warehouses as tests use them: read as an analyst does, and emptied where their set-up takes long."""

import re
from typing import Any

from blocks.warehouses.base import Warehouse
from enrichment.errors import EnrichmentError


def look(warehouse: Warehouse, statement: str) -> list[tuple[Any, ...]]:
    """Return the rows of a statement as an analyst's tool gets them."""
    with warehouse._reading() as session:
        found = session.execute(statement)
        # Snowflake's session counts changes beside the rows; BigQuery's client has no cursors.
        rows = found[1] if isinstance(found, tuple) else found.rows if hasattr(found, "rows") else found.fetchall()
        return [tuple(row.values()) if isinstance(row, dict) else tuple(row) for row in rows]


def broken_promises(warehouse: Warehouse) -> dict[str, tuple[tuple[str, str], ...]]:
    """Return what the audit finds: the first ids, by check."""
    found = warehouse.read_broken(days=30, reply_days=180, threshold=0.01, notifiers="slack")
    return {name: one.examples for name, one in found.items() if one.count}


def emptied(warehouse: Warehouse) -> bool:
    """Leave what a set-up leaves, and return whether that worked: a test may have taken a table away."""
    schema = "\n".join(warehouse.sql.migrations.values())
    tables = re.findall(r"CREATE (?:TRANSIENT )?TABLE (?:IF NOT EXISTS )?(\w+)", schema)
    counts = " UNION ALL ".join(f"SELECT '{table}' AS name, count(*) AS found FROM {table}" for table in tables)
    try:
        filled = [name for name, rows in look(warehouse, counts) if rows]
        with warehouse._transaction() as session:
            for table in filled:
                # The set-up itself may leave a row there that belongs to no provider.
                kept = "provider = ''" if table == "lookup_reservations" else "false"
                session.execute(f"DELETE FROM {table} WHERE NOT ({kept})")
    except EnrichmentError:
        return False
    return True
