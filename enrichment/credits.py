"""How many credits may still be spent: by one run, and by all runs of a day."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

#: Sums of credits are floats: less than this is nothing.
_NOTHING = 1e-6

#: From this share of a day's cap on, people want to know.
_NEARLY = 0.8

#: In the caps of a day, what holds for every provider that isn't named.
ANY_PROVIDER = ""


@dataclass(frozen=True, slots=True)
class CreditCaps:
    """The most credits that a run may spend, and all runs of a day (UTC) at one provider; None for no cap."""

    per_run: float | None = None
    per_day: float | None = None

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return self.per_run is not None or self.per_day is not None


#: Nothing is capped.
UNCAPPED = CreditCaps()


@dataclass(frozen=True, slots=True)
class Spending:
    """
    Credits at one moment. What is reserved, or may have been billed without an answer, counts as its worst case.

    Args:
        day: spent or reserved at the provider today (UTC), by all runs.
        run: spent or reserved by the run, at all providers.
        seconds_left: until the next day begins.
    """

    day: float
    run: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class CapReached:
    """Which cap (`day` or `run`) has no room for a further request, of how many credits, and until when (seconds)."""

    cap: str
    credits: float
    wait_seconds: float

    def __str__(self) -> str:
        """Say so in a few words."""
        return f"credit cap reached: {self.credits:,.10g} credits per {self.cap}"


@dataclass(frozen=True, slots=True)
class Overdraft:
    """How many of the requests reserved last must be given up, so that the caps hold, and the cap that wants it."""

    requests: int = 0
    reached: CapReached | None = None


def overdraft(caps: CreditCaps, spending: Spending, *, credits_each: float, reserved: int) -> Overdraft:
    """
    Decide how many of some requests don't fit.

    Args:
        caps: that must hold.
        spending: at this moment, those requests included.
        credits_each: what one of them costs at most.
        reserved: how many they are.
    """
    day = _too_many(caps.per_day, spending.day, credits_each)
    run = _too_many(caps.per_run, spending.run, credits_each)
    if max(day, run) == 0:
        return Overdraft()
    if day >= run:
        reached = CapReached("day", caps.per_day or 0.0, spending.seconds_left)
    else:
        reached = CapReached("run", caps.per_run or 0.0, 0.0)
    return Overdraft(min(max(day, run), reserved), reached)


def cap_of_day(caps: Mapping[str, float], provider: str) -> float | None:
    """Return the day's cap of a provider, None for none; the caps are by name, or for every one."""
    return caps.get(provider, caps.get(ANY_PROVIDER))


def nearly_spent(spent: float, cap: float) -> bool:
    """Return whether most of a day's cap is used up."""
    return spent >= _NEARLY * cap - _NOTHING


def _too_many(cap: float | None, total: float, credits_each: float) -> int:
    if cap is None or credits_each <= 0:
        return 0
    return max(0, math.ceil((total - cap - _NOTHING) / credits_each))
