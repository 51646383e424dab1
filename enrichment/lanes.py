"""How the lanes share a rate: live contacts don't wait for a backfill, and a backfill never stands still."""

from collections.abc import Mapping

BACKFILL = "backfill"


def rate_share(lane: str, at_work: Mapping[str, int], live_share: float) -> float:
    """
    Return the part of a rate that one run may use, more than 0 and at most 1.

    A lane that is alone has all of the rate; else live runs have `live_share` together, and backfills the rest. Within
    a lane all runs get the same.

    Args:
        lane: of the run that asks: `live`, `backfill`, or empty for both, which counts as live.
        at_work: runs at work by their lane, the one that asks included or not.
        live_share: what live runs get together beside backfills, between 0 and 1.
    """
    backfills = at_work.get(BACKFILL, 0)
    lives = sum(at_work.values()) - backfills
    mine, others = (backfills, lives) if lane == BACKFILL else (lives, backfills)
    of_lane = live_share if lane != BACKFILL else 1.0 - live_share
    return (of_lane if others else 1.0) / max(1, mine)
