"""Erases contacts that a CRM deleted for privacy, each event once, however often it is delivered."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from enrichment.errors import ConfigurationError, EnrichmentError
from enrichment.sealing import sealed
from triggers.hubspot_events import Erasure

logger = logging.getLogger(__name__)

_AT_ONCE = 2
#: Events that are remembered as done; HubSpot delivers one again for a day.
_MOST_REMEMBERED = 10_000

Erase = Callable[[str], object]


class Eraser:
    """
    Erases contacts, and answers when it is done.

    An erasure goes on when its request has been told to come again; the repetition finds it done or still under way.

    Args:
        erase: erases all that is known of one contact, and may be repeated; None if this process can't.
    """

    def __init__(self, erase: Erase | None) -> None:
        self._erase = erase
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="erasing")
        self._known: dict[Erasure, asyncio.Task[None]] = {}

    async def erase(self, erasures: Iterable[Erasure]) -> None:
        """
        Return once all these contacts are erased.

        Raises:
            EnrichmentError: one isn't.
        """
        jobs = [asyncio.shield(self._job(erasure)) for erasure in erasures]
        ends = await asyncio.gather(*jobs, return_exceptions=True)
        for failure in (end for end in ends if isinstance(end, BaseException)):
            raise failure

    async def stop(self) -> None:
        """Finish what is under way."""
        await asyncio.gather(*self._known.values(), return_exceptions=True)
        self._threads.shutdown()

    def _job(self, erasure: Erasure) -> "asyncio.Task[None]":
        job = self._known.get(erasure)
        if job is None or (job.done() and (job.cancelled() or job.exception())):
            job = self._known[erasure] = asyncio.create_task(self._run(erasure))
            self._forget_the_oldest()
        return job

    async def _run(self, erasure: Erasure) -> None:
        loop = asyncio.get_running_loop()
        try:
            if self._erase is None:
                raise ConfigurationError("this receiver is not set up to erase contacts")
            await loop.run_in_executor(self._threads, sealed(self._erase), erasure.crm_id)
        except EnrichmentError as error:
            # Not `exception`: the text of an error of ours says all, and holds ids only.
            logger.error("contact_not_erased crm_id=%s because=%s: %s", erasure.crm_id, type(error).__name__, error)  # noqa: TRY400
            raise
        logger.info("contact_erased crm_id=%s", erasure.crm_id)

    def _forget_the_oldest(self) -> None:
        done = [erasure for erasure, job in self._known.items() if job.done()]
        for erasure in done[: max(0, len(self._known) - _MOST_REMEMBERED)]:
            del self._known[erasure]
