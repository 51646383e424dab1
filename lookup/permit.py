"""Whether a run may pay just now: not once it is cancelled, and not while another run may have its locks."""

import threading
import time
from collections.abc import Callable

#: Why a call isn't made, as the reason of a reply.
RUN_CANCELLED = "run_cancelled"
CLAIM_LOST = "claim_lost"

#: A call that begins within this part of the lease after a renewal ends before the lease does: settings see to it.
_CERTAIN_PART = 0.5


def _seconds() -> float:
    """Return the time by a clock that goes on while the machine sleeps, since the locks' does, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Permit:
    """
    Says whether a run may still pay; one for each run in a process, for all of its threads.

    Args:
        lease_seconds: how long the run's locks last after a renewal.
        clock: gives the time in seconds, from anywhere.
    """

    def __init__(self, lease_seconds: float, clock: Callable[[], float] = _seconds) -> None:
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._renewed_at = clock()
        self._lapses = 0
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Return whether the run is to end now."""
        return self._cancelled.is_set()

    @property
    def lapses(self) -> int:
        """Return how often a renewal came after the locks had ended: another run may have had them in between."""
        return self._lapses

    def cancel(self) -> None:
        """Let the run end: nothing more is paid for."""
        self._cancelled.set()

    def renew(self, renew: Callable[[], bool]) -> None:
        """
        Note a renewal of the locks, counted from before it began.

        Args:
            renew: prolongs them, and says whether the run's totals are still open; else another process has ended it.
        """
        begun = self._clock()
        if renew():
            self._lapses += self._clock() - self._renewed_at > self._lease_seconds
            self._renewed_at = begun
        else:
            self.cancel()

    def refusal(self, lapses: int | None = None) -> str:
        """
        Return why no call may be made, as a reply's reason; empty if it may.

        Args:
            lapses: how many there were when the caller made sure of its locks; None if it has yet to do so.
        """
        if self.cancelled:
            return RUN_CANCELLED
        if lapses is not None and lapses != self._lapses:
            return CLAIM_LOST
        return CLAIM_LOST if self._clock() - self._renewed_at > _CERTAIN_PART * self._lease_seconds else ""

    def pause(self, seconds: float) -> None:
        """Wait, unless the run is cancelled meanwhile."""
        self._cancelled.wait(seconds)
