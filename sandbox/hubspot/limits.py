"""HubSpot's rate limits: ten rolling seconds, the day, and the second of the search."""

from collections.abc import Mapping

from sandbox.clock import Clock
from sandbox.hubspot.errors import throttled
from sandbox.limits import RateLimiter
from sandbox.settings import HubSpotSettings

_TIERS: Mapping[str, tuple[int, int]] = {
    "starter": (100, 250_000),
    "professional": (190, 625_000),
    "enterprise": (190, 1_000_000),
}
_DAY_SECONDS = 86_400


class AccountLimits:
    """Counts the requests of one account and its one app."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.burst = RateLimiter(clock, {"ten": 10.0})
        self.searches = RateLimiter(clock, {"second": 1.0})
        self._day = 0
        self._day_count = 0
        self.rejected_daily = 0

    @property
    def rejected(self) -> int:
        """How many requests were too much."""
        return self.burst.rejected + self.searches.rejected + self.rejected_daily

    def admit(self, settings: HubSpotSettings, *, search: bool) -> None:
        """
        Count a request.

        Raises:
            HubSpotError: it is too much.
        """
        if self._used_today() >= daily_limit(settings):
            self.rejected_daily += 1
            raise throttled("DAILY")
        if search and self.searches.admit({"second": settings.search_per_second}):
            raise throttled("SECONDLY")
        if not search and self.burst.admit({"ten": burst_limit(settings)}):
            raise throttled("TEN_SECONDLY_ROLLING")
        self._day_count += 1

    def headers(self, settings: HubSpotSettings) -> dict[str, str]:
        """Return the headers that every answer has but that to a search."""
        burst, daily = burst_limit(settings), daily_limit(settings)
        return {
            "X-HubSpot-RateLimit-Max": str(burst),
            "X-HubSpot-RateLimit-Remaining": str(self.burst.remaining({"ten": burst})["ten"]),
            "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
            "X-HubSpot-RateLimit-Daily": str(daily),
            "X-HubSpot-RateLimit-Daily-Remaining": str(max(daily - self._used_today(), 0)),
        }

    def _used_today(self) -> int:
        today = int(self._clock.seconds() // _DAY_SECONDS)
        if today != self._day:
            self._day, self._day_count = today, 0
        return self._day_count


def burst_limit(settings: HubSpotSettings) -> int:
    """Return the requests in ten seconds."""
    return _TIERS[settings.tier][0] if settings.per_ten_seconds is None else settings.per_ten_seconds


def daily_limit(settings: HubSpotSettings) -> int:
    """Return the requests a day."""
    return _TIERS[settings.tier][1] if settings.per_day is None else settings.per_day
