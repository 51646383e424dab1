"""
Asking Prefect for a run of the live lane, because contacts were staged.

As an event, on which the triggers in prefect.yaml react; or, where no automations are at work, as a run of the
deployment by its name. Both lead to at most one run per interval, however many processes ask for it, and that run
begins after everything that had been staged when it was asked for. Or as an event that no trigger knows, for the
process of `enrich listen queue`, which runs at once.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import cast

import httpx
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.events import Event, get_events_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.settings import get_current_settings

from blocks.events import QUEUE_RESOURCE, RESIDENT_EVENT, STAGED_EVENT
from blocks.log import event
from blocks.settings import Settings, load_settings
from blocks.warehouses.base import open_warehouse
from enrichment.errors import ConfigurationError, EnrichmentError, TransientError
from enrichment.plan import RunPlan
from tasks.looks import look
from tasks.steps import step

_ANSWER_SECONDS = 20.0
#: Buckets to try: an asker whose clock is ahead may have used up this one and the next.
_BUCKETS = 3


def ask_for_run(commits: int) -> None:
    """
    Ask for a run of the live lane, in the way that the settings choose.

    Args:
        commits: how often contacts were staged since the last time.

    Raises:
        ConfigurationError: Prefect has no such deployment, or refuses us.
        TransientError: Prefect can't be reached now.
    """
    settings = load_settings()
    _WAYS[settings.start_runs_by](settings, commits)


def check_way() -> None:
    """Raise a ConfigurationError if runs are to be started by a server that isn't named."""
    way = load_settings().start_runs_by
    if way != "schedule":
        require_api(f"ENRICHMENT_START_RUNS_BY is {way}", or_else="rely on ENRICHMENT_START_RUNS_BY=schedule")


def require_api(reason: str, *, or_else: str = "start a server with `prefect server start`") -> None:
    """Raise a ConfigurationError, with the reason and another way out, if no Prefect server is named."""
    if not get_current_settings().api.url:
        raise ConfigurationError(f"{reason}, but PREFECT_API_URL is not set: set it, or {or_else}")


@step(name="look-again", task_run_name="look for contacts that came meanwhile")
def look_again(plan: RunPlan) -> bool:
    """
    Ask for another run if live contacts wait, and return whether any did.

    A run that is at its end may hold the deployment's last slot, so that the one for these contacts was refused.
    """
    with open_warehouse(plan.warehouse) as warehouse:
        waiting = look(plan, warehouse)
    if waiting:
        _ask_if_possible()
    return waiting


@step(name="follow-up", task_run_name="ask for a run of the live queue")
def follow_up() -> None:
    """Ask for a run that enriches what a run of the intake has staged."""
    _ask_if_possible()


def _ask_if_possible() -> None:
    try:
        ask_for_run(1)
    except EnrichmentError as error:  # this run has done its own work; the schedule takes what waits
        event("run_not_requested", error=str(error))


def _emit(settings: Settings, commits: int) -> None:
    """
    Send the event, and wait until the server has it.

    `emit_event` hands it to a background thread, which only logs what it couldn't send.
    """
    # It would log each failure once more, in its own words.
    logging.getLogger("prefect.events.clients").setLevel(logging.ERROR)
    name = RESIDENT_EVENT if settings.start_runs_by == "resident" else STAGED_EVENT
    staged = Event(event=name, resource=QUEUE_RESOURCE, payload={"commits": commits})
    try:
        asyncio.run(_send(staged))
    except Exception as error:  # noqa: BLE001 - the client raises plain exceptions, too; with any, the event isn't sent
        raise TransientError(f"Prefect's events can't be reached ({type(error).__name__})") from None


async def _send(staged: Event) -> None:
    async with asyncio.timeout(_ANSWER_SECONDS):
        async with get_events_client(reconnection_attempts=0, checkpoint_every=1) as client:
            await client.emit(staged)


def _create_run(settings: Settings, _: int) -> None:
    """
    Create a run at the end of this interval, unless another process did already.

    A run that has begun, or that Prefect refused, doesn't count: what was staged by now may come too late for it.
    """
    name, interval = settings.start_deployment, settings.start_interval_seconds
    bucket = math.floor(time.time() / interval)
    try:
        if not any(_is_to_begin(_run_in(name, interval, number)) for number in range(bucket, bucket + _BUCKETS)):
            raise TransientError(
                f"the runs of '{name}' in Prefect are scheduled ahead of this machine's clock: check both clocks"
            )
    except ObjectNotFound:
        raise ConfigurationError(
            f"Prefect has no deployment '{name}': run `enrich setup --deploy`, or correct ENRICHMENT_START_DEPLOYMENT"
        ) from None
    except PrefectHTTPStatusError as error:
        raise TransientError(f"Prefect rejected the run (HTTP {error.response.status_code})") from None
    except httpx.HTTPError as error:
        raise TransientError(f"Prefect's server can't be reached ({type(error).__name__})") from None


def _run_in(name: str, interval: float, bucket: int) -> FlowRun:
    """Return the run that begins at the end of a bucket of time, created if it doesn't exist."""
    run = run_deployment(
        name,
        timeout=0,
        as_subflow=False,
        scheduled_time=datetime.fromtimestamp((bucket + 1) * interval, UTC),
        idempotency_key=f"contacts-staged {name} {interval:g} {bucket}",
    )
    return cast(FlowRun, run)  # a coroutine only where an event loop runs


def _is_to_begin(run: FlowRun) -> bool:
    return run.state is None or run.state.is_scheduled() or run.state.is_pending()


def _leave_to_schedule(_: Settings, __: int) -> None:
    """Do nothing: the next scheduled run takes what waits."""


_WAYS: Mapping[str, Callable[[Settings, int], None]] = {
    "event": _emit,
    "resident": _emit,
    "deployment": _create_run,
    "schedule": _leave_to_schedule,
}
