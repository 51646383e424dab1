"""How the lanes share a rate."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.plan import rate_share


@pytest.mark.parametrize(
    ("lane", "at_work", "share"),
    [
        ("live", {"live": 1}, 1.0),
        ("backfill", {"backfill": 1}, 1.0),
        ("", {"": 1}, 1.0),
        ("live", {"live": 2}, 0.5),
        ("backfill", {"backfill": 4}, 0.25),
        ("live", {"live": 1, "backfill": 3}, 0.8),
        ("live", {"live": 1, "": 1, "backfill": 1}, 0.4),
        ("", {"live": 1, "": 1, "backfill": 1}, 0.4),
        ("backfill", {"live": 5, "backfill": 1}, 0.2),
        ("backfill", {"": 1, "backfill": 2}, 0.1),
        ("live", {}, 1.0),
        ("live", {"backfill": 1}, 0.8),
        ("backfill", {"live": 1}, 0.2),
    ],
)
def test_a_run_gets_its_part_of_its_lane_s_part(lane: str, at_work: dict[str, int], share: float) -> None:
    """Alone, a lane has all; beside the other, live runs have their share together; in a lane all get the same."""
    assert rate_share(lane, at_work, 0.8) == pytest.approx(share)


@given(
    st.lists(st.sampled_from(["live", "backfill", ""]), min_size=1, max_size=30),
    st.floats(min_value=0.05, max_value=0.95),
)
def test_all_runs_together_use_the_whole_rate_and_no_more(lanes: list[str], live_share: float) -> None:
    """Whichever runs are at work, the parts add up to one, and none is zero."""
    shares = [rate_share(lane, Counter(lanes), live_share) for lane in lanes]
    assert sum(shares) == pytest.approx(1.0)
    assert min(shares) > 0
