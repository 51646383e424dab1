"""For how long saved replies are reused: by the settings, and by what a provider bills."""

from dataclasses import dataclass

import pytest

from enrichment.plan import RunPlan
from lookup.cases import reuse_days


@dataclass
class Asked:
    """What matters of a provider or a follow-up here."""

    cache_days: int | None = None
    miss_days: int | None = None


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(), (180, 30)),
        (Asked(miss_days=90), (180, 90)),
        (Asked(cache_days=20), (20, 20)),
        (Asked(cache_days=365, miss_days=365), (180, 180)),
    ],
)
def test_misses_have_a_time_of_their_own(asked: Asked, expected: tuple[int, int]) -> None:
    """A miss is never reused for longer than a match; what bills misses may keep them longer than the setting."""
    plan = RunPlan("run", "zoominfo", "hubspot", "sqlite")
    days = reuse_days(asked, plan)  # type: ignore[arg-type]
    assert (days["reply_days"], days["miss_days"]) == expected
