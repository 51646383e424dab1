"""prefect.yaml as shipped: a real server, `prefect deploy`, and a worker in another process."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks import events
from blocks.automations import make_automations
from blocks.events import STAGED_EVENT
from blocks.warehouses.sqlite import SqliteWarehouse
from sandbox import lifeline
from sandbox.place import ROOT, Place, process
from tests.e2e.conftest import WORKER, ask, bare, count, new_world, prefect

CONTACTS = 200
TRIGGER = next(iter(yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]))["triggers"][0]

#: Two listeners without their source: each line that they read stands for rows that were committed.
LISTENERS = """
import sys
from triggers.starting import RunStarter
with RunStarter.from_settings() as one, RunStarter.from_settings() as other:
    for _ in sys.stdin:
        one.staged()
        other.staged()
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_everything_is_deployed_with_its_triggers_and_its_form(
    deployed: Place, schedules_at_work: frozenset[str]
) -> None:
    """Each deployment of the file is there with its limit, each form explains itself, and the trigger is at work."""
    wanted = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    found = {one["name"]: one for one in ask(deployed, "POST", "deployments/filter", {"limit": 50})}
    assert set(found) == {one["name"] for one in wanted}
    for each in wanted:
        deployment = found[each["name"]]
        assert deployment["global_concurrency_limit"]["limit"] == each["concurrency_limit"]["limit"]
        strategy = deployment["concurrency_options"]["collision_strategy"]
        assert strategy == each["concurrency_limit"]["collision_strategy"]
        properties = deployment["parameter_openapi_schema"]["properties"]
        assert all(info["description"] for info in properties.values())
    limit = found["live"]["parameter_openapi_schema"]["properties"]["limit"]
    assert (limit["minimum"], limit["default"]) == (0, 0)
    form = found["backfill"]["parameter_openapi_schema"]["properties"]
    assert sorted(form, key=lambda name: form[name]["position"])[:3] == ["estimate_only", "max_credits", "select"]
    assert {"hubspot", "salesforce"} < set(form["crm"]["anyOf"][0]["enum"])
    (automation,) = ask(deployed, "GET", f"automations/related-to/prefect.deployment.{found['live']['id']}")
    assert automation["enabled"]
    assert automation["trigger"]["expect"] == [STAGED_EVENT]
    assert automation["actions"][0]["schedule_after"] == TRIGGER["schedule_after"]
    assert schedules_at_work == {one["name"] for one in wanted if one.get("schedules")}


@pytest.mark.timeout(600)
def test_deployed_runs_on_a_worker_leave_three_sides_agreeing(deployed: Place, place: Place, tmp_path: Path) -> None:
    """
    The worker knows only the server: its configuration comes from saved blocks; CRM, warehouse and ledger agree.

    `prefect deployment run` with conditions and a cap, and `enrich resume --start`, lead to such runs.
    """
    warehouse = new_world(place, CONTACTS, stage=False)
    place.result("setup", "--save-blocks")
    with process(WORKER, tmp_path, "worker", bare(place) | {"ENRICHMENT_NOTIFIERS": "slack"}):
        intake = ("deployment", "run", "ingest-contacts/intake", "--watch")
        prefect(bare(place), *intake, "-p", 'intake={"what": "everything"}', "-p", "lane=backfill")
        chosen = ["-p", 'select={"missing": ["provider"]}', "-p", "max_credits=40", "--watch"]
        prefect(bare(place), "deployment", "run", "enrich-contacts/backfill", *chosen)
        assert 0 < place.ledger()["zoominfo"]["credits_used"] <= 40
        left = count(warehouse, "enrichment_staging")
        assert left > 0
        resumed = place.result("resume", "backfill", "--start")
        assert resumed["waiting"] == left
        assert resumed["flow_run"]
        eventually(lambda: not count(warehouse, "enrichment_staging"))
    _agree(place, warehouse)
    warehouse.close()
    lines = [one["message"] for one in ask(deployed, "POST", "logs/filter", {"limit": 200, "sort": "TIMESTAMP_DESC"})]
    said = {line.split()[0] for line in lines}
    assert {"books_opened", "chunk_settled"} <= said
    # What adapters log is there, too, and no line holds an address.
    assert {"rate_adopted", "hubspot_contacts_updated"} <= said
    assert not [line for line in lines if "@" in line]


def test_many_commits_start_few_runs_and_the_last_one_is_followed_by_one(deployed: Place, place: Place) -> None:
    """Two listeners that stage without a pause get one run per interval, and one after the last of them."""
    began, began_at = time.monotonic(), datetime.now(UTC)
    with _listeners(place) as listeners:
        while len(_runs_by_event(place, began_at)) < 2:
            assert time.monotonic() < began + 180
            print("staged", file=listeners.stdin, flush=True)
            time.sleep(0.05)
        last_at = datetime.now(UTC)
    eventually(lambda: any(at(run["expected_start_time"]) >= last_at for run in _runs_by_event(place, began_at)))
    asked = time.monotonic() - began
    runs = _runs_by_event(place, began_at)
    assert 2 <= len(runs) <= asked / TRIGGER["within"] + 2
    for run in runs:  # no worker of another test is to take them
        ask(place, "DELETE", f"flow_runs/{run['id']}")


def test_the_server_sends_one_message_of_credits_that_are_nearly_spent(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The automation that setup makes reacts on the event of a run, once for a provider and day, in its words."""
    new_world(place, 1, stage=False)
    for name, value in place.environment.items():
        if name.startswith("ENRICHMENT_"):
            monkeypatch.setenv(name, value)
    with temporary_settings({PREFECT_API_URL: place.environment["PREFECT_API_URL"]}):
        make_automations(["slack"], save=True)
        for _ in range(2):
            about = events.resource("credits", "zoominfo.2026-11-29", "zoominfo")
            events.emit(events.SPENDING_EVENT, about, says="zoominfo has used 4 of its 5 credits of 2026-11-29")
        EventsWorker.drain_all()

    def sent() -> list[dict[str, str]]:
        messages: list[dict[str, str]] = httpx.get(f"{place.sandbox_url}/control/messages", timeout=60).json()["slack"]
        return messages

    eventually(lambda: bool(sent()))
    (message,) = sent()
    assert message["text"].startswith(
        "*Contact enrichment: 80 % of the day's credits are used*\nzoominfo has used 4 of"
    )


def _listeners(place: Place) -> "subprocess.Popen[str]":
    return lifeline.start(
        [sys.executable, "-c", LISTENERS], cwd=ROOT, env=place.environment, stdin=subprocess.PIPE, text=True
    )


def _runs_by_event(place: Place, since: datetime) -> list[dict[str, Any]]:
    runs = ask(place, "POST", "flow_runs/filter", {"deployments": {"name": {"any_": ["live"]}}})
    by_event = [run for run in runs if run["created_by"] and run["created_by"]["type"] == "AUTOMATION"]
    return [run for run in by_event if at(run["created"]) >= since]


def _agree(place: Place, warehouse: SqliteWarehouse) -> None:
    assert count(warehouse, "enrichment_staging") == 0
    assert count(warehouse, "record_ledger") == CONTACTS
    with warehouse._reading() as session:
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
