"""The secrets that requests are signed with, as their blocks have them now."""

import asyncio
import logging
import time
from collections.abc import Callable

from enrichment.errors import EnrichmentError

logger = logging.getLogger(__name__)

_LIFETIME_SECONDS = 60.0
_LEAST_SECONDS = 5.0

Secrets = tuple[str, ...]


class SigningKeys:
    """
    Reads secrets anew once a minute, and when a signature doesn't fit, so that a rotated one needs no restart.

    While they can't be read, those that were read last stay in force.

    Args:
        read: gives the secrets.
        lifetime_seconds: after which they are read anew.
        least_seconds: between two readings, however many signatures don't fit.

    Raises:
        EnrichmentError: they can't be read the first time.
    """

    def __init__(
        self,
        read: Callable[[], Secrets],
        *,
        lifetime_seconds: float = _LIFETIME_SECONDS,
        least_seconds: float = _LEAST_SECONDS,
    ) -> None:
        self._read = read
        self._lifetime_seconds = lifetime_seconds
        self._least_seconds = least_seconds
        self._secrets = read()
        self._read_at = time.monotonic()
        self._lock = asyncio.Lock()

    async def current(self) -> Secrets:
        """Return the secrets, which are at most a minute old."""
        await self._renew(self._lifetime_seconds)
        return self._secrets

    async def newest(self) -> Secrets:
        """Return the secrets, which are at most some seconds old."""
        await self._renew(self._least_seconds)
        return self._secrets

    async def _renew(self, oldest_seconds: float) -> None:
        if time.monotonic() - self._read_at < oldest_seconds:
            return
        async with self._lock:
            if time.monotonic() - self._read_at < oldest_seconds:  # another request did it meanwhile
                return
            # Before the reading: if it fails, the next attempt waits its time too.
            self._read_at = time.monotonic()
            try:
                self._secrets = await asyncio.to_thread(self._read)
            except EnrichmentError as error:
                logger.warning("secrets_not_read because=%s", type(error).__name__)
