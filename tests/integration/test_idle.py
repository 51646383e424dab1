"""An hour without contacts, on a warehouse that is billed while it is awake: nothing wakes it, or is missed."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prefect import Flow, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.client.schemas.sorting import FlowRunSort
from prefect.flow_engine import run_flow
from prefect.flows import load_flow_from_entrypoint
from prefect.variables import Variable

from blocks.settings import load_settings
from blocks.warehouses.base import NewRecord, RunStart, Warehouse, open_warehouse
from enrichment.plan import RunPlan
from enrichment.records import Returned
from tasks.looks import forget_looks, nothing_waits, recall, remember
from tests.integration.conftest import Pipeline
from triggers.readiness import look_at

HOUR = 3600
#: As many of each deployment as the test needs.
RUNS = 4
DEPLOYMENTS = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())["deployments"]
#: Every interval of up to an hour; the other schedules run once a night or a week.
HOURLY = [
    one for one in DEPLOYMENTS if any(each.get("interval", HOUR + 1) <= HOUR for each in one.get("schedules", []))
]


def woken() -> list[str]:
    """Return the statements so far that need a virtual warehouse, as the server received them."""
    address = f"http://127.0.0.1:{os.environ['ENRICHMENT_SNOWFLAKE_PORT']}/sandbox/needing-a-warehouse"
    found: list[str] = httpx.get(address).json()
    return found


@pytest.fixture
def scheduled(prepared_server: None) -> Iterator[dict[str, list[FlowRun]]]:
    """Give runs of the past hour, as Prefect's schedule makes them, of the deployments that run at least hourly."""
    made, now = {}, datetime.now(UTC)
    with get_client(sync_client=True) as client:
        for one in HOURLY:
            made[one["name"]] = client.create_deployment(
                client.create_flow_from_name(flow_of(one).name),
                f"idle-{one['name']}",
                entrypoint=one["entrypoint"],
                parameters=one["parameters"],
                schedules=[
                    DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(seconds=each["interval"])))
                    for each in one["schedules"]
                ],
            )
            hour = {"start_time": (now - timedelta(hours=1)).isoformat(), "end_time": now.isoformat()}
            client.request("POST", f"/deployments/{made[one['name']]}/schedule", json={**hour, "max_runs": RUNS})
        yield {
            name: client.read_flow_runs(
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment_id])),
                sort=FlowRunSort.EXPECTED_START_TIME_ASC,
                limit=RUNS,
            )
            for name, deployment_id in made.items()
        }
        for deployment_id in made.values():
            client.delete_deployment(deployment_id)


def flow_of(deployment: dict[str, Any]) -> "Flow[..., Any]":
    return load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)


@pytest.mark.parametrize("pipeline", ["snowflake"], indirect=True)
def test_an_hour_without_contacts_wakes_no_warehouse(
    pipeline: Pipeline, scheduled: dict[str, list[FlowRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schedules look at Prefect's memory, the CRM and the queue's mark; a new contact is found all the same."""
    assert {name: len(runs) for name, runs in scheduled.items()} == {"intake": RUNS, "live": RUNS}
    monkeypatch.setenv("ENRICHMENT_START_RUNS_BY", "schedule")
    pipeline.new_world(3)
    pipeline.box.world.hubspot.create([{"email": "hit+first@acme.example"}])

    def take_turns() -> list[Any]:
        """Run each deployment once, in the order of prefect.yaml but for the intake, which comes first."""
        turns = sorted(HOURLY, key=lambda one: one["name"])
        return [run_flow(flow_of(one), scheduled[one["name"]].pop(0), one["parameters"]) for one in turns]

    staged, report = take_turns()
    assert report.books.finished == staged > 0
    before = woken()
    assert before
    staged, report = take_turns()
    assert (staged, report.books.claimed) == (0, 0)
    with open_warehouse(load_settings().warehouse) as warehouse:
        look_at(warehouse)  # as a load balancer has it done
    assert woken() == before

    pipeline.box.world.hubspot.create([{"email": "hit+second@acme.example"}])
    staged, report = take_turns()
    assert (staged, report.books.finished) == (1, 1)
    after = woken()
    assert after != before
    monkeypatch.setenv("ENRICHMENT_LOOK_HOURS", "0")
    assert [report.books.claimed for report in take_turns()[1:]] == [0]
    assert woken() != after


@pytest.mark.usefixtures("prefect_server")
def test_a_contact_that_waits_for_a_later_moment_is_found_then(
    make_warehouse: Callable[[str], Warehouse],
) -> None:
    """Until then nothing is read; a memory that is lost or makes no sense is no reason not to look."""
    warehouse, plan = make_warehouse("snowflake"), RunPlan("run-1", "zoominfo", "hubspot", "snowflake", lane="live")
    warehouse.open_run(RunStart("run-1", "a run", "zoominfo", "hubspot", "live"), lease_seconds=600)
    warehouse.stage([NewRecord("hubspot", "1", None, "manual", "live")])
    assert not nothing_waits.fn(plan)
    claim = warehouse.claim("run-1", origin=plan.origin, lane="", limit=9, lease_seconds=600, make_token=lambda: "t")
    warehouse.settle(claim, plan.origin, [Returned(claim.records[0].record_id, "busy", 3600.0)], [])
    queue = ("queue", "snowflake", "hubspot", "live")
    assert reads(lambda: nothing_waits.fn(plan))
    assert not reads(lambda: nothing_waits.fn(plan))
    known = recall(*queue)
    assert timedelta(minutes=59) < datetime.fromisoformat(known["due_at"]) - datetime.now(UTC) <= timedelta(hours=1)
    now = known["looked_at"]
    for wrong in ({"mark": known["mark"], "due_at": now}, {"mark": known["mark"], "due_at": "soon"}, {}):
        remember(*queue, **wrong)
        assert reads(lambda: nothing_waits.fn(plan))
        assert not reads(lambda: nothing_waits.fn(plan))
    for nonsense in ("text", {"looked_at": "yesterday"}):
        Variable.set("enrichment-look-queue-snowflake-hubspot-live", nonsense, overwrite=True)
        assert reads(lambda: nothing_waits.fn(plan))
    forget_looks()  # as setup does once it has made new tables
    assert recall(*queue) == {}


def reads(look: Callable[[], bool]) -> bool:
    """Return whether something that finds no contact reads the warehouse for it."""
    before = len(woken())
    assert look()
    return len(woken()) > before
