"""A list that was being enriched when its process was killed is finished by the same command."""

import csv
import signal
import time
from dataclasses import replace
from pathlib import Path

from sandbox.place import Place
from tests.e2e.conftest import count, new_world

CONTACTS = 300
SLOW = {"zoominfo": {"latency_ms": 150}}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def filled(path: Path) -> int:
    return sum(bool(row["provider"]) for row in rows(path))


def test_a_killed_command_is_finished_by_the_same_command(place_without_server: Place) -> None:
    """SIGKILL between two chunks: nothing is lost or bought twice, and the output is whole or not there."""
    settings = {"ENRICHMENT_CHUNK_SIZE": "50", "ENRICHMENT_CHUNKS_IN_FLIGHT": "2"}
    environment = place_without_server.environment | settings | {"ENRICHMENT_NOTIFIERS": ""}
    place = replace(place_without_server, environment=environment)
    warehouse = new_world(place, 1, **SLOW)
    source, output = place.folder / "list.csv", place.folder / "out.csv"
    people = "".join(f"{number},hit+p{number}@acme.example\n" for number in range(CONTACTS))
    source.write_text(f"crm_id,email\n{people}")
    command = ("file", str(source), "--out", str(output))
    dead = place.enrich(*command)
    while not count(warehouse, "record_ledger"):
        assert dead.poll() is None, "the command ended before it could be killed"
        time.sleep(0.02)
    dead.send_signal(signal.SIGKILL)
    dead.communicate()
    assert not output.exists()

    kept, asked = count(warehouse, "provider_replies"), place.ledger()["zoominfo"]["lookups"]
    while not output.exists() or filled(output) < CONTACTS:
        again = place.enrich(*command)
        again.communicate()
        assert again.returncode == 0
    assert place.ledger()["zoominfo"]["lookups"] - asked == count(warehouse, "provider_replies") - kept
    assert place.ledger()["zoominfo"]["credits_used"] == place.ledger()["zoominfo"]["records_billed"]
    warehouse.close()
    assert [row["crm_id"] for row in rows(output)] == [str(number) for number in range(CONTACTS)]
    assert not list(place.folder.glob(".out.csv*"))
