"""How many requests fit under the caps."""

import pytest

from enrichment.credits import CapReached, CreditCaps, Overdraft, Spending, cap_of_day, nearly_spent, overdraft
from enrichment.plan import RunPlan

SECONDS = 3600.0


@pytest.mark.parametrize(
    ("caps", "day", "run", "each", "requests", "cap"),
    [
        (CreditCaps(), 1e9, 1e9, 1.0, 0, ""),
        (CreditCaps(per_day=10), 10, 0, 1.0, 0, ""),
        (CreditCaps(per_day=10), 10.5, 0, 1.0, 1, "day"),
        (CreditCaps(per_day=10), 13, 0, 2.0, 2, "day"),
        (CreditCaps(per_run=10), 999, 12, 1.0, 2, "run"),
        (CreditCaps(per_run=10, per_day=10), 12, 13, 1.0, 3, "run"),
        (CreditCaps(per_run=10, per_day=10), 13, 12, 1.0, 3, "day"),
        (CreditCaps(per_run=0), 0, 5, 1.0, 5, "run"),
        (CreditCaps(per_day=10), 99, 0, 1.0, 5, "day"),
        (CreditCaps(per_day=10), 99, 0, 0.0, 0, ""),
        (CreditCaps(per_day=0.3), 0.1 + 0.1 + 0.1, 0, 0.1, 0, ""),
    ],
)
def test_what_does_not_fit_is_given_up(
    caps: CreditCaps, day: float, run: float, each: float, requests: int, cap: str
) -> None:
    """As many as exceed the tighter cap, and never more than were reserved; what costs nothing always fits."""
    found = overdraft(caps, Spending(day, run, SECONDS), credits_each=each, reserved=5)
    assert found.requests == requests
    assert (found.reached.cap if found.reached else "") == cap


def test_a_day_s_cap_says_when_it_ends_and_a_run_s_has_no_wait() -> None:
    """The next run may go on at once, the next day begins at midnight UTC."""
    spending = Spending(9, 9, SECONDS)
    day = overdraft(CreditCaps(per_day=5), spending, credits_each=1, reserved=9)
    run = overdraft(CreditCaps(per_run=5), spending, credits_each=1, reserved=9)
    assert day == Overdraft(4, CapReached("day", 5, SECONDS))
    assert run == Overdraft(4, CapReached("run", 5, 0.0))
    assert str(day.reached) == "credit cap reached: 5 credits per day"


def test_a_day_s_caps_are_those_of_the_provider_or_of_all() -> None:
    """A named provider's own cap counts, also if it is larger."""
    assert cap_of_day({"": 5.0, "hunter": 9.0}, "hunter") == 9.0
    assert cap_of_day({"": 5.0}, "zoominfo") == 5.0
    assert cap_of_day({"hunter": 9.0}, "zoominfo") is None
    plan = RunPlan("r", "hunter", "hubspot", "sqlite", max_credits=0.0, credits_per_day={"hunter": 9.0})
    assert plan.caps("hunter") == CreditCaps(0.0, 9.0)
    assert bool(plan.caps("zoominfo"))
    assert not RunPlan("r", "hunter", "hubspot", "sqlite").caps("hunter")


@pytest.mark.parametrize(("spent", "said"), [(79.9, False), (80, True), (0.1 * 800, True), (120, True)])
def test_people_want_to_know_at_four_fifths_of_a_cap(spent: float, said: bool) -> None:
    """Parts of credits add up to it in spite of rounding."""
    assert nearly_spent(spent, 100) is said
