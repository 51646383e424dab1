"""The time of a world, which a test may move forward instead of waiting."""

import time
from datetime import UTC, datetime
from functools import lru_cache


class Clock:
    """
    A clock that can be moved.

    Args:
        start: what the clock shows at first; the real time if None.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._wall_offset = start.timestamp() - time.time() if start else 0.0
        self._advanced = 0.0
        self._stopped_at: tuple[float, float] | None = None

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ticking = self._stopped_at[0] if self._stopped_at else time.monotonic()
        return ticking + self._advanced

    def seconds(self) -> float:
        """Return seconds since the epoch."""
        ticking = self._stopped_at[1] if self._stopped_at else time.time()
        return ticking + self._wall_offset + self._advanced

    def milliseconds(self) -> int:
        """Return milliseconds since the epoch."""
        return int(self.seconds() * 1000)

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def stop(self) -> None:
        """Let time stand still, but for what `advance` adds."""
        self._stopped_at = time.monotonic(), time.time()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._advanced += seconds


@lru_cache(maxsize=1024)
def iso_of(milliseconds: int) -> str:
    """Return a moment the way HubSpot writes it."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
