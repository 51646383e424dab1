"""prefect.yaml as shipped: a real server, `prefect deploy`, and a worker in another process."""

import subprocess
import sys
from pathlib import Path

from blocks.warehouses.sqlite import SqliteWarehouse
from sandbox.place import ROOT, Place, process
from tests.e2e.conftest import count, new_world

CONTACTS = 200


def prefect(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_deployed_run_on_a_worker_leaves_three_sides_agreeing(place: Place, tmp_path: Path) -> None:
    """The worker knows only the server: its configuration comes from saved blocks; CRM, warehouse and ledger agree."""
    warehouse = new_world(place, CONTACTS)
    place.result("setup", "--save-blocks")
    bare = {name: value for name, value in place.environment.items() if not name.startswith("ENRICHMENT_")}
    prefect(bare, "work-pool", "create", "enrichment", "--type", "process", "--overwrite")
    prefect(bare, "deploy", "--all")
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "enrichment"]
    with process(worker, tmp_path, "worker", bare | {"ENRICHMENT_NOTIFIERS": "slack"}):
        prefect(
            bare,
            "deployment",
            "run",
            "ingest-contacts/intake",
            "-p",
            "everything=true",
            "-p",
            "lane=backfill",
            "--watch",
        )
        prefect(bare, "deployment", "run", "enrich-contacts/live", "--watch")
    _agree(place, warehouse)
    warehouse.close()


def _agree(place: Place, warehouse: SqliteWarehouse) -> None:
    assert count(warehouse, "enrichment_staging") == 0
    assert count(warehouse, "record_ledger") == CONTACTS
    with warehouse.reading() as session:
        connection = session._connection
        writes = [dict(row) for row in connection.execute("SELECT * FROM crm_writes")]
        dispositions = dict(connection.execute("SELECT crm_id, disposition FROM record_ledger").fetchall())
        enriched = {row["crm_id"]: dict(row) for row in connection.execute("SELECT * FROM enriched_contacts")}
    held, ledger = place.crm_contacts(), place.ledger()
    assert all(row["written_at"] and held[row["crm_id"]][row["field"]] == row["after"] for row in writes)
    written = {crm_id for crm_id, disposition in dispositions.items() if disposition == "written"}
    assert written == {row["crm_id"] for row in writes} == set(enriched)
    assert len(written) == ledger["hubspot"]["contacts_updated"]
    for crm_id in written:
        name = enriched[crm_id]["company_name"]
        assert held[crm_id].get("enr_company_name") == name
    assert ledger["zoominfo"]["most_lookups_of_one_input"] == 1
