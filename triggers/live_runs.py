"""The live queue, enriched by this process as soon as contacts are queued: no process to start, and nothing to poll."""

import asyncio
import logging
import signal
from collections.abc import Callable

from prefect import tags
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventResourceFilter

from blocks.events import QUEUE_RESOURCE
from enrichment.errors import cause
from tasks.locks import cancel_runs
from tasks.queue import run_slot
from tasks.run_starts import require_api
from triggers.pulse import Pulse, told_over_http
from triggers.starting import RunStarter

#: For the run at work when SIGTERM comes; compose.yaml leaves the process ten seconds more.
_FINISH_SECONDS = 50.0
_RECONNECT_SECONDS = 5.0
#: A connection that is lost is noticed within this time; the process is well if it had one within three times as long.
_BEAT_SECONDS = 30.0

logger = logging.getLogger(__name__)


def serve_live_runs(run: Callable[[], object], *, health_host: str, health_port: int) -> None:
    """
    Run once now, and again whenever contacts were queued, one run at a time, until SIGTERM or SIGINT.

    What is queued during a run leads to one more run after it. The process counts as one run of the queue's limit.

    Args:
        run: enriches the live queue; may raise.
        health_host: where `GET /health` is answered.
        health_port: 0 for any.

    Raises:
        ConfigurationError: no Prefect server is named, or the port is taken.
    """
    require_api("`enrich listen queue` learns from Prefect's server that contacts were queued")
    pulse = Pulse(3 * _BEAT_SECONDS)
    with (
        told_over_http(pulse, health_host, health_port),
        tags("enrichment", "live"),
        run_slot("live"),
        RunStarter(attempt(run), 0.0, _FINISH_SECONDS) as starter,
    ):
        asyncio.run(_until_signalled(starter.staged, pulse))


def attempt(run: Callable[[], object]) -> Callable[[int], None]:
    """
    Return what runs, whatever comes of it.

    A run that fails isn't repeated at once: Prefect shows it, its alert is out, and the contacts wait for the next run.
    """

    def ask(_: int) -> None:
        try:
            run()
        except Exception as error:  # noqa: BLE001 - the process goes on, whatever ended one run
            logger.warning("live_run_failed error=%s; the contacts wait in the queue for the next run", cause(error))

    return ask


async def _until_signalled(queued: Callable[[], None], pulse: Pulse) -> None:
    following = asyncio.create_task(follow_queue(queued, pulse))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, following.cancel)
    await asyncio.wait([following])
    cancel_runs()


async def follow_queue(
    queued: Callable[[], None], pulse: Pulse, *, reconnect_seconds: float = _RECONNECT_SECONDS
) -> None:
    """
    Report for ever that contacts were queued, as Prefect's events say it.

    Args:
        queued: is also called with each new connection: something may have happened without one.
        pulse: is notified as long as there is a connection.
        reconnect_seconds: the wait after a connection was lost.
    """
    while True:
        try:
            await _follow(queued, pulse)
        except Exception as error:  # noqa: BLE001 - the client raises plain exceptions, too; the server may come back
            logger.warning("events_lost error=%s; connecting again", type(error).__name__)
        pulse.doing = "connecting"
        await asyncio.sleep(reconnect_seconds)


async def _follow(queued: Callable[[], None], pulse: Pulse) -> None:
    only = EventFilter(resource=EventResourceFilter(id=[QUEUE_RESOURCE["prefect.resource.id"]]))
    async with get_events_subscriber(only, reconnection_attempts=0) as events:
        logger.info("live_runs_ready")
        queued()
        while True:
            pulse.beat("listening")
            try:
                async with asyncio.timeout(_BEAT_SECONDS):
                    await anext(events)
            except TimeoutError:
                continue
            queued()
