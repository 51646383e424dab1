"""What Prefect must have for runs to start at night: deployments, a worker, and no run that no worker takes."""

from collections.abc import Mapping
from itertools import islice

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.objects import WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from blocks.server import require_server
from enrichment.errors import EnrichmentError
from tasks.deployments import TAG

_LIVE = "live"
_PUSHED = (":push", ":managed")  # pools that need no worker
_MOST = 50


def check_prefect() -> str:
    """
    Say in one line what the server has.

    Raises:
        EnrichmentError: the server doesn't answer, the live deployment is missing or paused, no worker is there, or
            runs are late.
    """
    require_server()
    with get_client(sync_client=True) as client:
        ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
        deployments = {each.name: each for each in client.read_deployments(deployment_filter=ours, limit=_MOST)}
        if not deployments:
            return "the server answers; nothing is deployed, so runs start by `enrich run` only"
        troubles = [*_without_live(deployments), *_without_worker(client, deployments), *_late(client, ours)]
    if troubles:
        raise EnrichmentError("; ".join(troubles))
    paused = [name for name, each in deployments.items() if each.paused]
    asleep = f"; paused: {', '.join(sorted(paused))}" if paused else ""
    return f"the server answers; {len(deployments)} deployments, a worker is there, no run is late{asleep}"


def _without_live(deployments: Mapping[str, DeploymentResponse]) -> list[str]:
    if _LIVE not in deployments:
        return ["the deployment `live` is missing: run `enrich setup --deploy`"]
    return ["the deployment `live` is paused: resume it in Prefect"] if deployments[_LIVE].paused else []


def _without_worker(client: SyncPrefectClient, deployments: Mapping[str, DeploymentResponse]) -> list[str]:
    troubles = []
    for name in sorted({each.work_pool_name for each in deployments.values() if each.work_pool_name}):
        try:
            pool = client.read_work_pool(name)
        except ObjectNotFound:
            troubles.append(f"the work pool {name} is missing: run `enrich setup`")
            continue
        workers = client.read_workers_for_work_pool(name)
        if pool.is_paused:
            troubles.append(f"the work pool {name} is paused: resume it in Prefect")
        elif not pool.type.endswith(_PUSHED) and not any(one.status == WorkerStatus.ONLINE for one in workers):
            troubles.append(f"the work pool {name} has no worker: run `prefect worker start --pool {name}`")
    return troubles


def _late(client: SyncPrefectClient, ours: DeploymentFilter) -> list[str]:
    late = FlowRunFilter(state=FlowRunFilterState(name=FlowRunFilterStateName(any_=["Late"])))
    runs = client.read_flow_runs(deployment_filter=ours, flow_run_filter=late, limit=_MOST)
    names = ", ".join(run.name for run in islice(runs, 3))
    return [f"{len(runs)} runs are late ({names}): is a worker at work, and are slots free?"] if runs else []
