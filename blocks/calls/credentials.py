"""
What proves who we are: fetched once for the whole process, and renewed once for all callers.

A grant is shared by all threads and event loops. A caller that finds it missing, ageing or refused fetches it while the
others wait for the result, also for a failure.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from enrichment.errors import EnrichmentError

logger = logging.getLogger(__name__)

ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True, repr=False)
class Grant(Generic[ValueT]):
    """What proves who we are, and for how many seconds it is to be used."""

    value: ValueT
    lifetime_seconds: float = math.inf


class CredentialSource(Generic[ValueT]):
    """
    Hands out one grant to all callers and renews it once for them.

    Args:
        fetch: gets a new grant.
        service: its name, for log lines.
    """

    def __init__(self, fetch: Callable[[], Grant[ValueT]], service: str) -> None:
        self._fetch = fetch
        self._service = service
        self._lock = threading.Lock()
        self._value: ValueT | None = None
        self._renew_at = 0.0
        self._failure: tuple[float, EnrichmentError] | None = None

    def at_hand(self) -> ValueT | None:
        """Return the grant if there is a good one, without waiting."""
        value, renew_at = self._value, self._renew_at
        return value if time.monotonic() < renew_at else None

    def get(self, refused: ValueT | None = None, asked_at: float | None = None) -> ValueT:
        """
        Return a grant; may block for as long as fetching takes.

        Args:
            refused: a grant that the service didn't take, which is dropped.
            asked_at: the monotonic time since which the caller has waited, also for a thread to wait in; now if None.

        Raises:
            CredentialsRejectedError, ConfigurationError: there is none to be had with these credentials.
            TransientError: there is none to be had now.
        """
        asked_at = time.monotonic() if asked_at is None else asked_at
        with self._lock:
            if self._failure and self._failure[0] >= asked_at:  # it failed while we waited for the same thing
                raise self._failure[1]
            value = self.at_hand()
            if value is not None and value != refused:
                return value
            renewed = self._renew()
        if refused is not None:
            logger.warning("credentials_renewed service=%s", self._service)
        return renewed

    def _renew(self) -> ValueT:
        self._renew_at = 0.0
        try:
            grant = self._fetch()
        except EnrichmentError as error:
            self._failure = (time.monotonic(), error)
            raise
        self._value, self._renew_at = grant.value, time.monotonic() + grant.lifetime_seconds
        return grant.value
