"""However long the queue is: what a run does to it again and again reads its own batch only, by an index."""

from collections.abc import Callable, Iterator
from typing import Any

from blocks.warehouses import postgres
from blocks.warehouses._rows import bind
from blocks.warehouses._session import PARAMETER
from blocks.warehouses.base import Warehouse

QUEUE, LOCKED = 60_000, 100

#: What a run does for each batch or group of lookups, and a listener for each contact; with the lane, if it matters.
STATEMENTS = (
    ("claim_records", ""),
    ("claim_records", "live"),
    ("claim_records", "backfill"),
    ("read_claim", ""),
    ("peek_records", ""),
    ("peek_records", "live"),
    ("renew_claim", ""),
    ("read_held", ""),
    ("count_runs_at_work", ""),
    ("mark_enriched", ""),
    ("restage_changed", ""),
    ("return_records", ""),
    ("delete_finished", ""),
    ("stage_records", ""),
    ("promote_staged", ""),
    ("mark_refresh", ""),
    ("note_changes", ""),
    ("read_waiting", ""),
    ("take_records", ""),
)

ROW = {
    "record_id": "7",
    "new_record_id": "x",
    "crm": "hubspot",
    "object_type": "contact",
    "crm_id": "7",
    "lane": "live",
    "source": "webhook",
    "request_key": "key",
    "wait_seconds": 1.5,
    "costs_attempt": True,
    "refresh": False,
    "contact_created_at": None,
    "email_address": None,
}
VALUES: dict[str, Any] = {
    "token": "claim",
    "run_id": "run",
    "crm": "hubspot",
    "object_type": "contact",
    "crm_id": "7",
    "provider": "zoominfo",
    "source": "",
    "limit": 50,
    "lease_seconds": 600,
    "ids": ["7", "8"],
    "rows": [ROW],
}

#: A queue of which a third is live and the first records are locked; `{now}` and `{numbers}` are the engine's.
FILL = f"""
INSERT INTO enrichment_staging (record_id, crm, object_type, crm_id, source, lane, state, claimed_by, claim_run_id,
    claim_expires_at, staged_at)
SELECT CAST(i AS TEXT), 'hubspot', 'contact', CAST(i AS TEXT), 'backfill',
    CASE WHEN i % 3 = 0 THEN 'live' ELSE 'backfill' END, CASE WHEN i <= {LOCKED} THEN 'claimed' ELSE 'waiting' END,
    CASE WHEN i <= {LOCKED} THEN 'claim' END, CASE WHEN i <= {LOCKED} THEN 'run' END,
    CASE WHEN i <= {LOCKED} THEN {{now}} END, {{now}}
FROM {{numbers}}"""

_SQLITE_NUMBERS = f"""
(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {QUEUE}) SELECT i FROM n)"""

MakeWarehouse = Callable[[str], Warehouse]


def values_of(statement: str, lane: str) -> dict[str, Any]:
    """Return what a statement is given."""
    known = VALUES | {"lane": lane}
    return {name: known[name] for name in PARAMETER.findall(statement)}


def test_sqlite_reads_the_queue_by_an_index(make_warehouse: MakeWarehouse) -> None:
    """No plan scans the queue, and the next batch is found in its order, without sorting what waits."""
    warehouse = make_warehouse("sqlite")
    with warehouse._transaction() as session:
        connection = session._connection
        connection.execute(FILL.format(now="strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", numbers=_SQLITE_NUMBERS))
        for name, lane in STATEMENTS:
            statement = warehouse.sql.queries[name]
            given = bind(values_of(statement, lane))
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", given)]
            assert not [step for step in plan if step.startswith(("SCAN enrichment_staging", "SCAN s"))], (name, plan)
            if name in {"claim_records", "peek_records"}:
                assert "staging_order (crm=? AND object_type=? AND lane>? AND lane<?)" in " ".join(plan), plan
                assert not [step for step in plan if "ORDER BY" in step], plan


def test_postgres_reads_the_queue_by_an_index(make_warehouse: MakeWarehouse) -> None:
    """The same, as its planner decides once it knows how long the queue is."""
    warehouse = make_warehouse("postgres")
    with warehouse._transaction() as session:
        connection = session._connection
        connection.execute(FILL.format(now="now()", numbers=f"generate_series(1, {QUEUE}) AS n (i)"))
        connection.execute("ANALYZE enrichment_staging")
        for name, lane in STATEMENTS:
            values = postgres._bind(values_of(warehouse.sql.queries[name], lane))
            explain = f"EXPLAIN (FORMAT JSON) {session._statements[name]}"
            (plan,) = connection.execute(explain, values).fetchone()["QUERY PLAN"]
            nodes = list(_nodes(plan["Plan"]))
            read = [one["Node Type"] for one in nodes if one.get("Relation Name") == "enrichment_staging"]
            assert "Seq Scan" not in read, (name, plan)
            if name in {"claim_records", "peek_records"}:
                assert "staging_order" in [one.get("Index Name") for one in nodes], plan
                assert "Sort" not in [one["Node Type"] for one in nodes], plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
