"""Rate limits: sliding windows, and how to make a caller wait."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal

from sandbox.clock import Clock

RetryAfterForm = Literal["seconds", "http-date", "garbage", "absent"]


class SlidingWindow:
    """Remembers when something happened during the last so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._moments: deque[float] = deque()

    def count(self, now: float) -> int:
        """Return how often it happened within the window that ends now."""
        while self._moments and self._moments[0] <= now - self._seconds:
            self._moments.popleft()
        return len(self._moments)

    def wait(self, limit: int, now: float) -> float:
        """Return the seconds until one more fits below the limit; 0 if it fits now."""
        excess = self.count(now) - limit
        if excess < 0:
            return 0.0
        if limit < 1:
            return self._seconds
        # The sum may be a hair above what it ought to be, which would be rounded up to a second.
        return round(self._moments[excess] + self._seconds - now, 6)

    def take(self, now: float) -> None:
        """Count one."""
        self._moments.append(now)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Which window is full, and for how long."""

    window: str
    wait_seconds: float


class RateLimiter:
    """
    Several windows that must all have room; what is rejected doesn't count.

    Args:
        clock: of the world.
        windows: the length in seconds of each window by name, shortest first.
    """

    def __init__(self, clock: Clock, windows: Mapping[str, float]) -> None:
        self._clock = clock
        self._windows = {name: SlidingWindow(seconds) for name, seconds in windows.items()}
        self._arrivals = SlidingWindow(1.0)
        self.max_in_any_second = 0
        self.rejected = 0

    def admit(self, limits: Mapping[str, int]) -> Rejection | None:
        """Count a request, or return why it is too much."""
        now = self._clock.monotonic()
        self._note_arrival(now)
        for name, window in self._windows.items():
            wait = window.wait(limits[name], now)
            if wait > 0:
                self.rejected += 1
                return Rejection(name, wait)
        for window in self._windows.values():
            window.take(now)
        return None

    def remaining(self, limits: Mapping[str, int]) -> dict[str, int]:
        """Return what is left of each window."""
        now = self._clock.monotonic()
        return {name: max(limits[name] - window.count(now), 0) for name, window in self._windows.items()}

    def _note_arrival(self, now: float) -> None:
        self._arrivals.take(now)
        self.max_in_any_second = max(self.max_in_any_second, self._arrivals.count(now))


def retry_after(form: RetryAfterForm, seconds: float) -> dict[str, str]:
    """Return the Retry-After header in one of the forms that are met in the wild."""
    whole = max(math.ceil(seconds), 1)
    # By the real time, as the Date header is; rounded up, because a date has no fractions.
    date = datetime.now(UTC) + timedelta(seconds=whole + 1)
    values: dict[RetryAfterForm, str] = {
        "seconds": str(whole),
        "http-date": format_datetime(date, usegmt=True),
        "garbage": "soon",
    }
    return {"Retry-After": values[form]} if form in values else {}
