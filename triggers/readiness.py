"""Whether the receiver could commit now."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from blocks.warehouses.base import Warehouse
from enrichment.errors import ConfigurationError, EnrichmentError, sealed
from enrichment.records import Origin

logger = logging.getLogger(__name__)

_LIFETIME_SECONDS = 1.0
_PATIENCE_SECONDS = 3.0


def look_at(warehouse: Warehouse) -> None:
    """
    Read as little as shows that the warehouse is there and set up, however long its queue is; raise if not.

    A load balancer has this done every few seconds, so a warehouse that sleeps while it is idle isn't woken by it.
    """
    if not warehouse.change_mark():
        warehouse.peek(origin=Origin(""), lane="live", limit=1)


class Readiness:
    """
    Queries the warehouse, at most once a second, over a separate connection.

    Args:
        open_warehouse: gives a new connection.
    """

    def __init__(self, open_warehouse: Callable[[], Warehouse]) -> None:
        self._open_warehouse = open_warehouse
        self._warehouse: Warehouse | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="readiness")
        self._asked_at = float("-inf")
        self._answer: asyncio.Future[str] | None = None

    async def flaw(self) -> str:
        """Return why the receiver isn't ready: a short code; empty if it is."""
        stale = time.monotonic() - self._asked_at >= _LIFETIME_SECONDS
        if self._answer is None or (stale and self._answer.done()):
            self._asked_at = time.monotonic()
            loop = asyncio.get_running_loop()
            self._answer = loop.run_in_executor(self._thread, self._ask)
        done, _ = await asyncio.wait([self._answer], timeout=_PATIENCE_SECONDS)
        return self._answer.result() if done else "warehouse_slow"

    async def stop(self) -> None:
        """Give the connection back."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()

    def _ask(self) -> str:
        try:
            sealed(self._look)()
        except EnrichmentError as error:
            self._disconnect()
            logger.warning("not_ready because=%s: %s", type(error).__name__, error)
            return "warehouse_not_set_up" if isinstance(error, ConfigurationError) else "warehouse_unreachable"
        return ""

    def _look(self) -> None:
        self._warehouse = self._warehouse or self._open_warehouse()
        look_at(self._warehouse)

    def _disconnect(self) -> None:
        warehouse, self._warehouse = self._warehouse, None
        if warehouse:
            warehouse.close()
