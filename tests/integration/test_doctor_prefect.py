"""What the doctor says of a Prefect server, from one on which nothing is deployed to one whose runs are late."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from prefect import get_client
from prefect.client.schemas.objects import State, StateType

from blocks.registration import make_work_pool
from enrichment.errors import EnrichmentError
from tasks.doctor_prefect import check_prefect


@pytest.mark.usefixtures("prefect_server")
def test_what_runs_need_at_night_is_checked() -> None:
    """Deployments, a worker, and no late run: each that is missing is named, with what to do."""
    pool = f"pool-{uuid4().hex[:8]}"
    assert "nothing is deployed" in check_prefect()
    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("enrich-contacts")

        def deploy(name: str) -> None:
            made.append(client.create_deployment(flow, name, work_pool_name=pool, tags=["enrichment"]))

        def troubles() -> str:
            with pytest.raises(EnrichmentError) as raised:
                check_prefect()
            return str(raised.value)

        made: list[object] = []
        make_work_pool(pool)
        try:
            deploy("backfill")
            assert "the deployment `live` is missing" in troubles()
            deploy("live")
            assert f"the work pool {pool} has no worker: run `prefect worker start --pool {pool}`" in troubles()
            client.send_worker_heartbeat(pool, "worker-1", heartbeat_interval_seconds=600)
            assert "2 deployments, a worker is there, no run is late" in check_prefect()
            run = client.create_flow_run_from_deployment(made[1])
            late = State(type=StateType.SCHEDULED, name="Late", state_details={"scheduled_time": datetime.now(UTC)})
            client.set_flow_run_state(run.id, late, force=True)
            assert "1 runs are late" in troubles()
            client.delete_flow_run(run.id)
            client.pause_deployment(made[1])
            assert "the deployment `live` is paused" in troubles()
        finally:
            for deployment in made:
                client.delete_deployment(deployment)
