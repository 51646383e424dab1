"""The queue: claims on it, how much waits, and pausing and resuming a lane, for all workers."""

import fcntl
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import IO

from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from blocks.log import event
from blocks.settings import load_settings
from blocks.warehouses.base import Warehouse, open_warehouse
from enrichment.errors import ConfigurationError, sealed
from enrichment.plan import RunPlan
from enrichment.records import PAUSED, Claim, State, Stop
from tasks.present_run import local_run
from tasks.steps import Parcel, step


@sealed
def pause_lane(lane: str) -> int:
    """Let no run claim from a lane; return how many records are at work in it now, and will be finished."""
    with open_warehouse(load_settings().warehouse) as warehouse:
        warehouse.pause_lane(lane)
        counts = warehouse.count_queue()
    return sum(count.records for count in counts if count.lane == lane and count.state == State.CLAIMED)


@sealed
def resume_lane(lane: str) -> int:
    """Let runs claim from a lane again; return how many records wait in it."""
    with open_warehouse(load_settings().warehouse) as warehouse:
        warehouse.resume_lane(lane)
        return _records(warehouse, lane)


@sealed
def start_deployment(lane: str) -> str:
    """
    Start a run of the lane's deployment, and return the run's name.

    Raises:
        ConfigurationError: there is no server, or no such deployment.
    """
    name = f"enrich-contacts/{lane}"
    if not get_current_settings().api.url:
        raise ConfigurationError("PREFECT_API_URL is not set: start the run with `enrich run --lane`")
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(name)
        except ObjectNotFound:
            raise ConfigurationError(f"Prefect has no deployment {name}: run `enrich setup --deploy`") from None
        return client.create_flow_run_from_deployment(deployment.id, parameters={"lane": lane}).name


def pause_of(plan: RunPlan, warehouse: Warehouse) -> Stop | None:
    """Return the stop of a run whose lane is paused while records wait in it."""
    if plan.change_plan:
        return None  # a person has asked for these contacts
    held = [lane for lane in sorted(plan.lanes & warehouse.paused_lanes().keys()) if _records(warehouse, lane)]
    if not held:
        return None
    commands = " and ".join(f"`enrich resume {lane}`" for lane in held)
    return Stop(PAUSED, f"paused: the remaining contacts of the {' and '.join(held)} queue wait for {commands}")


def _records(warehouse: Warehouse, lane: str) -> int:
    return sum(count.records for count in warehouse.count_queue() if count.lane == lane)


#: Global concurrency limits on runs at work, over all workers; made by setup. One each, so that live runs never queue
#: behind backfills.
RUN_LIMITS = ("enrichment-live", "enrichment-backfill")


#: How many runs of a lane work at once on this machine without Prefect's server.
LOCAL_RUNS = 4
_GLANCE_SECONDS = 1.0
#: How long a killed run keeps its slot; a live run renews it. Prefect allows no less.
_SLOT_SECONDS = 60
#: The limits of which the caller holds a slot already.
_held: ContextVar[frozenset[str]] = ContextVar("held_slots", default=frozenset())


@contextmanager
def run_slot(lane: str) -> Iterator[None]:
    """
    Wait until a further run of this lane may work, and count as one meanwhile; both lanes together count as live.

    A process that does one run after the other holds a slot around all of them. To request one for every run took two
    seconds at most runs with a server on SQLite, which is busy recording the run before.
    """
    name = RUN_LIMITS[lane == "backfill"]
    if name in _held.get():
        yield
        return
    with _local_slot(name) if local_run() else concurrency(name, lease_duration=_SLOT_SECONDS):
        token = _held.set(_held.get() | {name})
        try:
            yield
        finally:
            _held.reset(token)


@contextmanager
def _local_slot(name: str) -> Iterator[None]:
    """Hold a lock on one of a few files, which the operating system gives back if the process dies."""
    folder = get_current_settings().home / "enrichment"
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        files = [opened.enter_context((folder / f"{name}-{number}").open("w")) for number in range(LOCAL_RUNS)]
        if not _lock_one(files):
            event("run_waits", limit=name, runs=LOCAL_RUNS)
        while not _lock_one(files):
            time.sleep(_GLANCE_SECONDS)
        yield


def _lock_one(files: Sequence[IO[str]]) -> bool:
    for file in files:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    return False


@step(name="claim-chunks", task_run_name="take up to {chunks} batches from the queue")
def claim_chunks(plan: RunPlan, chunks: int, budget: int, begun: int = 0) -> list[Parcel[Claim]]:
    """
    Claim up to this many chunks, and no more records than the budget; fewer if the queue has less.

    Args:
        plan: of the run.
        chunks: the most chunks.
        budget: the most records.
        begun: how many chunks the run has claimed before.
    """
    claims: list[Claim] = []
    with open_warehouse(plan.warehouse) as warehouse:
        while len(claims) < chunks and budget > 0:
            claim = _claim(plan, warehouse, min(plan.chunk_size, budget))
            if not claim.records:
                break
            claims.append(replace(claim, number=begun + len(claims) + 1))
            budget -= len(claim.records)
    event("chunks_claimed", chunks=len(claims), records=sum(len(claim.records) for claim in claims))
    return [Parcel(claim) for claim in claims]


def _claim(plan: RunPlan, warehouse: Warehouse, limit: int) -> Claim:
    def make_token() -> str:
        return uuid.uuid4().hex

    lease = plan.lease_seconds
    if plan.change_plan:
        return warehouse.claim_planned(
            plan.run_id,
            plan.change_plan,
            origin=plan.origin,
            limit=limit,
            lease_seconds=lease,
            make_token=make_token,
        )
    return warehouse.claim(
        plan.run_id,
        origin=plan.origin,
        lane=plan.lane,
        limit=limit,
        lease_seconds=lease,
        make_token=make_token,
        source=plan.source,
    )


@step(name="count-queue", task_run_name="count the queue")
def count_queue(plan: RunPlan) -> int:
    """Return how many records the run's part of the queue holds now, claimed ones included."""
    with open_warehouse(plan.warehouse) as warehouse:
        return warehouse.count_lane(plan.origin, plan.lane)
