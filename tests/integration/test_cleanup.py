"""The cleanup through its flow: on a real warehouse and on a Prefect server that has old runs."""

import json
from collections.abc import Callable
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State, StateType

from blocks.warehouses.base import Warehouse
from flows.clean_up import clean_up
from tasks import cleanup
from tasks.cleanup import FLOW_RUNS, clean_flow_runs
from tests.integration.test_weekly_review import artifact


def make_run(client: SyncPrefectClient, flow: str, tags: list[str], state: StateType) -> UUID:
    """Make a run that has just come into its state."""
    asked = {"flow_id": str(client.create_flow_from_name(flow)), "tags": tags}
    run_id = UUID(client.request("POST", "/flow_runs/", json=asked).json()["id"])
    client.set_flow_run_state(run_id, State(type=state), force=True)
    return run_id


@pytest.mark.usefixtures("prefect_server")
def test_old_runs_of_our_deployments_are_deleted_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dry run says how many; younger runs, runs at work and runs of other projects stay, whatever the page."""
    monkeypatch.setattr(cleanup, "_PAGE", 2)
    clean_flow_runs(0, delete=True)
    ours = ["enrichment", "live"]
    with get_client(sync_client=True) as client:
        old = [make_run(client, "enrich-contacts", ours, StateType.COMPLETED) for _ in range(4)]
        old.append(make_run(client, "ingest-contacts", ours, StateType.CANCELLED))
        kept = [
            make_run(client, "enrich-contacts", ours, StateType.RUNNING),
            make_run(client, "enrich-contacts", [], StateType.COMPLETED),
            make_run(client, "someone-elses-flow", ours, StateType.COMPLETED),
        ]
        assert (clean_flow_runs(1, delete=True), clean_flow_runs(0, delete=False)) == (0, len(old))
        assert clean_flow_runs(0, delete=True) == len(old)
        assert (clean_flow_runs(0, delete=False), clean_flow_runs(0, delete=True)) == (0, 0)
        for run_id in kept:
            client.delete_flow_run(run_id)  # they are still there


@pytest.mark.usefixtures("prefect_server")
def test_the_flow_publishes_what_it_counted_or_deleted(
    make_warehouse: Callable[[str], Warehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is dry unless asked to delete; what is kept for ever isn't listed."""
    warehouse = make_warehouse("sqlite")
    warehouse.note_doubt("zoominfo", "run-1", 1.0)
    with warehouse._transaction() as session:
        session.execute("UPDATE doubtful_credits SET noted_at = '2020-01-01T00:00:00.000Z'")
    monkeypatch.setenv("ENRICHMENT_KEEP_FLOW_RUNS_DAYS", "0")
    for dry_run, label in ((True, "would be deleted"), (False, "deleted")):
        assert clean_up(dry_run)["doubtful_credits"] == 1
        assert {"what": "doubtful_credits", label: 1} in json.loads(artifact("enrichment-cleanup"))
    counted = clean_up()
    assert counted["doubtful_credits"] == 0
    assert FLOW_RUNS not in counted
