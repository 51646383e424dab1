"""Whether a run may pay: not once it is cancelled, and not while another run may have its locks."""

import pytest

from enrichment.errors import TransientError
from enrichment.estimate import Terms
from enrichment.records import Returned
from lookup.buying import GROUP_SECONDS
from lookup.permit import CLAIM_LOST, RUN_CANCELLED, Permit
from tests.unit.lookup.world import World, match


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_run_may_pay_for_half_a_lease_after_each_renewal() -> None:
    """Then a call could last longer than the locks; a renewal counts from when it began."""
    clock = Clock()
    permit = Permit(60, clock)
    clock.seconds = 30.0
    assert permit.refusal() == ""
    clock.seconds = 31.0
    assert permit.refusal() == CLAIM_LOST

    def slowly() -> bool:
        clock.seconds = 50.0
        return True

    permit.renew(slowly)
    assert permit.refusal() == ""
    clock.seconds = 62.0
    assert permit.refusal() == CLAIM_LOST


def test_what_was_made_sure_of_before_a_lapse_counts_no_more() -> None:
    """The process stood still for longer than its locks last: its timer renews what others haven't taken meanwhile."""
    clock = Clock()
    permit = Permit(60, clock)
    sure = permit.lapses
    for clock.seconds, refusal in ((60.0, ""), (121.0, CLAIM_LOST)):
        permit.renew(lambda: True)
        assert permit.refusal(sure) == refusal
    assert permit.refusal() == permit.refusal(permit.lapses) == ""


def test_a_renewal_that_fails_changes_nothing() -> None:
    """The warehouse can't be reached: the locks end when they would have ended."""
    clock = Clock()
    permit = Permit(60, clock)

    def fail() -> bool:
        raise TransientError("locked")

    with pytest.raises(TransientError, match="locked"):
        permit.renew(fail)
    assert permit.refusal() == ""
    clock.seconds = 31.0
    assert permit.refusal() == CLAIM_LOST


def test_a_run_that_another_process_has_ended_pays_no_more() -> None:
    """Its totals are closed: it is cancelled, and waits for nothing."""
    permit = Permit(60)
    permit.renew(lambda: False)
    assert (permit.cancelled, permit.refusal()) == (True, RUN_CANCELLED)
    permit.pause(3600.0)


@pytest.mark.parametrize("groups", [1, 3], ids=["within a group of calls", "between two groups"])
def test_a_cancelled_run_makes_no_further_call(world: World, groups: int) -> None:
    """What is answered is kept and used, the rest goes back at no attempt and without a wait."""
    seller = world.sell()
    seller.otherwise, seller.terms = match(), Terms(1.0, 1, 12 / groups / GROUP_SECONDS)
    world.stage(*(f"p{number:02}" for number in range(12)))
    buyer = world.buyer()

    def cancel(_: object) -> None:
        if len(seller.asked) == 4:
            buyer.permit.cancel()

    seller.between = cancel
    done = world.look_up(buyer)
    back = {(one.reason, one.wait_seconds, one.costs_attempt) for one in done.settlements if isinstance(one, Returned)}
    assert (len(seller.asked), len(done.found), len(done.settlements)) == (4, 4, 8)
    assert back == {(RUN_CANCELLED, 0.0, False)}


def test_a_cancelled_run_waits_for_no_other(world: World) -> None:
    """What another batch is being answered for goes back at once."""
    world.sell(ada=match())
    world.stage("ada", "ben", ben="ada@firm.example")
    plan = world.plan()
    buyer = world.buyer(plan)
    key = world.providers["first"].key("ada@firm.example")
    world.warehouse.open_requests("first", [key], token="other", lease_seconds=600, reply_days=1, miss_days=1)
    buyer.permit.cancel()
    done = world.look_up(buyer)
    assert {(one.reason, one.wait_seconds) for one in done.settlements if isinstance(one, Returned)} == {
        ("asked_elsewhere", 0.0)
    }
