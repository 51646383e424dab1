"""The time of a world, which a test may move forward instead of waiting."""

import time
from datetime import UTC, datetime
from functools import lru_cache


class Clock:
    """
    Tells the time.

    Args:
        start: what the clock shows at first; the real time if None.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._wall_offset = start.timestamp() - time.time() if start else 0.0
        self._advanced = 0.0

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic() + self._advanced

    def seconds(self) -> float:
        """Return seconds since the epoch."""
        return time.time() + self._wall_offset + self._advanced

    def milliseconds(self) -> int:
        """Return milliseconds since the epoch."""
        return int(self.seconds() * 1000)

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._advanced += seconds


@lru_cache(maxsize=1024)
def iso_of(milliseconds: int) -> str:
    """Return a moment the way HubSpot writes it."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
