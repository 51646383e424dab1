"""What a ZoomInfo account has used up: credits, records and requests."""

from collections import Counter
from typing import Any

from sandbox.clock import Clock
from sandbox.settings import ZoomInfoSettings

UNDER_MANAGEMENT_SECONDS = 365 * 24 * 3600


class Account:
    """
    Counts what is bought: a credit for each record that is new within twelve months.

    Args:
        clock: of the world.
        credits_left: at the beginning.
    """

    def __init__(self, clock: Clock, credits_left: int) -> None:
        self._clock = clock
        self._bought_at: dict[str, float] = {}
        self.credits_left = credits_left
        self.billed: Counter[str] = Counter()
        self.records = 0
        self.requests = 0

    def owns(self, record_id: str) -> bool:
        """Return whether the record may be delivered again for free."""
        bought_at = self._bought_at.get(record_id)
        return bought_at is not None and self._clock.monotonic() - bought_at < UNDER_MANAGEMENT_SECONDS

    def cost(self, record_ids: list[str]) -> int:
        """Return the credits that these records would cost."""
        return len({each for each in record_ids if not self.owns(each)})

    def buy(self, record_id: str) -> bool:
        """Pay for the record if it must be paid for, and return whether it may be handed out."""
        if not self.owns(record_id):
            if self.credits_left < 1:
                return False
            self.credits_left -= 1
            self.billed[record_id] += 1
            self._bought_at[record_id] = self._clock.monotonic()
        return True

    def usage(self, settings: ZoomInfoSettings) -> list[dict[str, Any]]:
        """Return the counters as ZoomInfo shows them."""
        used = self.billed.total()
        rows = (
            ("request", "Requests sent", settings.request_limit, self.requests),
            ("record", "Records returned", settings.record_limit, self.records),
            ("uniqueIdLimit", "Unique records redeemed", used + self.credits_left, used),
        )
        return [
            {
                "limitType": kind,
                "description": text,
                "totalLimit": limit,
                "currentUsage": usage,
                "usageRemaining": limit - usage,
            }
            for kind, text, limit, usage in rows
        ]
