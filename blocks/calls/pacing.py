"""
One rate limiter per service and credential in each process, shared by all threads and event loops.

Prefect's global limits cost about 50 ms per acquire, too slow to pace single calls with; they bound runs and chunks.
"""

import logging
import threading
import time
from collections.abc import Hashable, Iterator

from enrichment.errors import PostponedError
from enrichment.retry import LONGEST_INLINE_WAIT_SECONDS

logger = logging.getLogger(__name__)

#: Calls that woke late may follow each other a little faster than the rate, so that a stall costs no throughput.
_LEAST_SPACING = 0.95


class Pacer:
    """
    Hands out evenly spaced slots; a hold asked for by the server stops all callers.

    Args:
        name: of the service, for messages.
        per_second: the allowed rate of calls.
    """

    def __init__(self, name: str, per_second: float) -> None:
        self._name = name
        self._per_second = per_second
        self._share = 1.0
        self._processes = 1
        self._next_slot = 0.0
        self._last_start = 0.0
        self._held_until = 0.0
        self._lock = threading.Lock()

    def allow(self, per_second: float) -> None:
        """Adopt the rate that the service itself states."""
        with self._lock:
            adopted = self._per_second != per_second
            self._per_second = per_second
        if adopted:
            logger.info("rate_adopted service=%r per_second=%.1f", self._name, per_second)

    def share(self, fraction: float) -> None:
        """Use this part of the rate (more than 0, at most 1), since others are at work too."""
        with self._lock:
            self._share = fraction

    def split(self, processes: int) -> None:
        """Take one part of a run's rate, since the run works in that many processes."""
        with self._lock:
            self._processes = max(1, processes)

    def hold(self, seconds: float) -> None:
        """Make every caller wait, because the server asked for it."""
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    def reserve(self) -> float:
        """
        Take the next slot.

        Returns:
            seconds to sleep until the slot.

        Raises:
            PostponedError: the slot is later than a caller should sleep.
        """
        with self._lock:
            now = time.monotonic()
            slot = max(now, self._next_slot, self._held_until)
            self._refuse_long(slot - now)
            self._next_slot = slot + self._spacing
            return slot - now

    def start(self) -> float:
        """
        Begin a call whose slot has come.

        Returns:
            0 if it may begin now, else seconds to wait: a pause was asked for meanwhile, or others that also woke late
            began a moment ago. Else a stall of the machine would send a burst, which draws a 429 for every caller.

        Raises:
            PostponedError: the pause is longer than a caller should sleep.
        """
        with self._lock:
            now = time.monotonic()
            wait = max(self._held_until, self._last_start + _LEAST_SPACING * self._spacing) - now
            self._refuse_long(wait)
            if wait <= 0:
                self._last_start = now
            return max(wait, 0.0)

    @property
    def held(self) -> bool:
        """Return whether the server's pause still lasts."""
        with self._lock:
            return self._held_until > time.monotonic()

    @property
    def _spacing(self) -> float:
        """Return the seconds between two calls of this process."""
        return self._processes / (self._per_second * self._share)

    def _refuse_long(self, wait: float) -> None:
        if wait > LONGEST_INLINE_WAIT_SECONDS:
            raise PostponedError(f"{self._name} has no free slot soon enough", wait)

    def waits(self) -> Iterator[float]:
        """
        Yield the seconds to sleep, one after the other, until the caller's turn has come.

        Raises:
            PostponedError: it comes later than a caller should sleep.
        """
        yield self.reserve()
        while wait := self.start():
            yield wait


class _Pacers:
    """The pacers of this process, by service and credential."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Pacer] = {}
        self._processes = 1
        self._lock = threading.Lock()

    def get(self, name: str, credential: Hashable, per_second: float) -> Pacer:
        with self._lock:
            key = (name, credential)
            if key not in self._made:
                self._made[key] = Pacer(name, per_second)
                self._made[key].split(self._processes)
            return self._made[key]

    def split(self, processes: int) -> None:
        with self._lock:
            self._processes = processes
            for pacer in self._made.values():
                pacer.split(processes)


_pacers = _Pacers()


def pacer_for(name: str, credential: Hashable, per_second: float) -> Pacer:
    """Return this process's pacer of a service and credential, made at the first call."""
    return _pacers.get(name, credential, per_second)


def split_rates(processes: int) -> None:
    """Pace everything in this process at one part of a run's rate, since the run works in that many processes."""
    _pacers.split(processes)
