"""The pacer's slots, read from what `reserve` returns: nothing here waits, or takes a clock's word for a speed."""

import asyncio
import itertools
import math
import threading
import time
from collections.abc import Callable

import pytest

from blocks.calls import pacing
from blocks.calls.pacing import InFlight, Pacer, pacer_for, split_rates
from enrichment.errors import PostponedError
from enrichment.retry import LONGEST_INLINE_WAIT_SECONDS

#: Slots lie so much further apart than the rate would allow, as long as no answer says how late calls arrive.
APART = 1.03


def reservations(pacer: Pacer, number: int) -> tuple[list[float], float]:
    """Return so many waits, and how long taking them has lasted."""
    start = time.monotonic()
    waits = [pacer.reserve() for _ in range(number)]
    return waits, time.monotonic() - start


@pytest.mark.parametrize("per_second", [0.5, 1.0, 25.0, 190.0])
def test_slots_are_evenly_spaced(per_second: float) -> None:
    """The n-th slot lies (n-1)/rate seconds after the first, and a little more, since calls may arrive late."""
    waits, elapsed = reservations(Pacer("s", per_second), 20)
    for place, wait in enumerate(waits):
        assert wait >= place / per_second * APART - elapsed
        assert wait <= place / per_second * APART + 1e-6


@pytest.mark.parametrize(("window", "share"), [(1.0, 0.971), (10.0, 0.985), (86_400.0, 0.985)])
def test_of_each_window_a_part_stays_free(window: float, share: float) -> None:
    """Of a short one as much as calls may be late, which is a larger share of it."""
    waits, elapsed = reservations(Pacer("s", 10.0, window), 11)
    assert 1.0 / share - elapsed - 0.001 <= waits[-1] <= 1.0 / share + 0.001


def test_the_first_call_of_an_idle_service_waits_for_nothing() -> None:
    """An idle pacer keeps no caller waiting, and its unused slots are not a credit for a burst."""
    pacer = Pacer("s", 10.0)
    assert pacer.reserve() == 0
    assert not pacer.held


def test_threads_share_one_row_of_slots() -> None:
    """However many threads ask, no two get slots closer than the rate permits."""
    pacer = Pacer("s", 10.0)
    slots: list[float] = []

    def take() -> None:
        for _ in range(10):
            before = time.monotonic()
            wait = pacer.reserve()
            slots.append(before + wait)

    threads = [threading.Thread(target=take) for _ in range(8)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - start
    assert len(slots) == 80
    assert max(slots) >= start + 79 / 10.0 * APART - elapsed


@pytest.mark.parametrize(("fraction", "per_second"), [(1.0, 10.0), (0.5, 5.0), (0.25, 2.5)])
def test_each_run_takes_its_share_of_the_rate(fraction: float, per_second: float) -> None:
    """With half of the rate, slots are twice as far apart."""
    pacer = Pacer("s", 10.0)
    pacer.share(fraction)
    waits, elapsed = reservations(pacer, 10)
    assert 9 / per_second * APART - elapsed <= waits[-1] <= 9 / per_second * APART + 1e-6


def test_the_share_of_a_run_that_has_ended_comes_back() -> None:
    """The rate follows the share both ways."""
    pacer = Pacer("s", 10.0)
    pacer.share(0.2)
    pacer.share(1.0)
    waits, elapsed = reservations(pacer, 10)
    assert 0.9 * APART - elapsed <= waits[-1] <= 0.9 * APART + 1e-6


@pytest.mark.parametrize(("fraction", "processes", "per_second"), [(1.0, 4, 2.5), (0.5, 4, 1.25), (0.5, 0, 5.0)])
def test_each_process_of_a_run_takes_its_part_of_the_run_s_rate(
    fraction: float, processes: int, per_second: float
) -> None:
    """The rate is divided by the runs at work, and a run's part by the processes that it works in."""
    pacer = Pacer("s", 10.0)
    pacer.split(processes)
    pacer.share(fraction)
    waits, elapsed = reservations(pacer, 10)
    assert 9 / per_second * APART - elapsed <= waits[-1] <= 9 / per_second * APART + 1e-6


def test_all_pacers_of_a_process_are_split_alike() -> None:
    """Those made before and those made later; one that works alone again gets the whole rate."""
    before = pacer_for("before", "split", 10.0)
    try:
        split_rates(5)
        for pacer in (before, pacer_for("later", "split", 10.0)):
            waits, elapsed = reservations(pacer, 3)
            assert 2 / 2.0 * APART - elapsed <= waits[-1] <= 2 / 2.0 * APART + 1e-6
    finally:
        split_rates(0)
    waits, elapsed = reservations(pacer_for("alone", "split", 10.0), 3)
    assert 2 / 10.0 * APART - elapsed <= waits[-1] <= 2 / 10.0 * APART + 1e-6


def test_the_service_s_own_rate_is_adopted() -> None:
    """From the next slot on, our share of the rate that the service states counts."""
    pacer = Pacer("s", 1000.0)
    pacer.allow(20.0)
    pacer.share(0.5)
    waits, elapsed = reservations(pacer, 11)
    assert APART - elapsed <= waits[-1] <= APART + 1e-6


def test_a_hold_makes_every_caller_wait() -> None:
    """After a pause that the server asked for, callers come one by one at the old rate, none during it."""
    pacer = Pacer("s", 10.0)
    start = time.monotonic()
    pacer.hold(30.0)
    assert pacer.held
    waits, _ = reservations(pacer, 5)
    elapsed = time.monotonic() - start
    for place, wait in enumerate(waits):
        assert 30.0 + place / 10.0 * APART - elapsed <= wait <= 30.0 + place / 10.0 * APART + 1e-6


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    """Of two pauses asked for, the one that ends later counts."""
    pacer = Pacer("s", 10.0)
    start = time.monotonic()
    pacer.hold(40.0)
    pacer.hold(1.0)
    pacer.hold(0.0)
    wait = pacer.reserve()
    assert wait >= 40.0 - (time.monotonic() - start)


def test_a_hold_at_the_bound_is_waited_for() -> None:
    """The longest pause that is slept is the bound itself."""
    pacer = Pacer("s", 10.0)
    pacer.hold(LONGEST_INLINE_WAIT_SECONDS)
    assert pacer.reserve() <= LONGEST_INLINE_WAIT_SECONDS


@pytest.mark.parametrize("asked", [61.0, 3600.0, 86_400.0])
def test_a_hold_beyond_the_bound_postpones_with_all_that_is_left_of_it(asked: float) -> None:
    """Every caller is sent back with the whole rest of the pause, and takes no slot with it."""
    pacer = Pacer("weather", 10.0)
    start = time.monotonic()
    pacer.hold(asked)
    for _ in range(3):
        with pytest.raises(PostponedError, match="weather") as caught:
            pacer.reserve()
        assert asked - (time.monotonic() - start) <= caught.value.seconds <= asked
    assert pacer.held


def test_a_slot_beyond_the_bound_postpones_and_is_not_taken() -> None:
    """A slow service with many callers sends back those who would sleep too long, and each of them alike."""
    pacer = Pacer("weather", 0.1)
    waits, _ = reservations(pacer, 6)
    assert waits[-1] <= LONGEST_INLINE_WAIT_SECONDS
    for _ in range(3):
        with pytest.raises(PostponedError, match="weather") as caught:
            pacer.reserve()
        assert LONGEST_INLINE_WAIT_SECONDS < caught.value.seconds <= 70.0


def turn_blocking(pacer: Pacer) -> None:
    for seconds in pacer.waits():
        time.sleep(seconds)


async def turn(pacer: Pacer) -> None:
    for seconds in pacer.waits():
        await asyncio.sleep(seconds)


def take_turn(pacer: Pacer) -> None:
    asyncio.run(turn(pacer))


@pytest.mark.parametrize("turn", [take_turn, turn_blocking])
def test_no_turn_comes_during_a_hold(turn: Callable[[Pacer], None]) -> None:
    """A caller that gets a turn gets it after the pause."""
    pacer = Pacer("s", 1e6)
    pacer.hold(0.001)
    turn(pacer)
    assert not pacer.held


@pytest.mark.parametrize("turn", [take_turn, turn_blocking])
def test_no_caller_waits_for_a_turn_through_a_long_hold(turn: Callable[[Pacer], None]) -> None:
    """A pause beyond the bound reaches the caller as what it is."""
    pacer = Pacer("s", 1e6)
    pacer.hold(3600.0)
    with pytest.raises(PostponedError):
        turn(pacer)


def test_a_hold_reaches_those_who_wait_already() -> None:
    """A caller who sleeps towards its slot when the pause begins waits for the end of the pause."""

    async def scene() -> bool:
        pacer = Pacer("s", 1000.0)
        pacer.reserve()
        waiting = asyncio.create_task(turn(pacer))
        await asyncio.sleep(0)
        pacer.hold(0.3)
        await waiting
        return pacer.held

    assert asyncio.run(scene()) is False


def test_a_hold_reaches_a_thread_that_sleeps_already(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that sleeps towards its slot when the pause begins waits for the end of the pause, too."""
    pacer = Pacer("s", 1000.0)
    sleep = time.sleep
    slept: list[float] = []

    def sleep_into_a_hold(seconds: float) -> None:
        if not slept:
            pacer.hold(0.3)
        slept.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", sleep_into_a_hold)
    turn_blocking(pacer)
    assert len(slept) >= 2
    assert not pacer.held


def test_a_long_hold_reaches_those_who_wait_already() -> None:
    """A pause beyond the bound that begins while a caller sleeps is raised when it wakes, not slept."""

    async def scene() -> None:
        pacer = Pacer("s", 1000.0)
        pacer.reserve()
        waiting = asyncio.create_task(turn(pacer))
        await asyncio.sleep(0)
        pacer.hold(3600.0)
        await waiting

    with pytest.raises(PostponedError):
        asyncio.run(scene())


def test_a_service_has_one_pacer_for_each_credential() -> None:
    """All callers of a credential share one pacer, whatever rate they name; another credential has its own."""
    first = pacer_for("test-service", "a", 10.0)
    assert pacer_for("test-service", "a", 99.0) is first
    assert pacer_for("test-service", "b", 10.0) is not first
    assert pacer_for("test-service-2", "a", 10.0) is not first


class StandingClock:
    """A clock that a test sets, in place of the module `time`: what is at work beside the test keeps that."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Return the moment."""
        return self.now


@pytest.mark.parametrize("window_seconds", [1.0, 10.0])
@pytest.mark.parametrize("per_second", [0.4, 2.0, 9.85, 24.625, 190.0])
def test_a_stall_is_made_up_for_within_the_rate(
    per_second: float, window_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that all woke late begin sooner after each other; yet no window holds more of them than the rate allows."""
    clock, pacer, began = StandingClock(), Pacer("s", per_second, window_seconds), []
    monkeypatch.setattr(pacing, "time", clock)
    for number in range(400):
        while wait := pacer.start():
            clock.now += wait
        began.append(clock.now)
        clock.now += 3.0 if number % 50 == 0 else 0.0  # the machine stalls
    window = math.ceil(window_seconds * per_second)
    for first, next_after in zip(began, began[window:], strict=False):
        assert next_after - first >= window / per_second - 1e-6
    assert any(later - one < 0.9 / per_second for one, later in itertools.pairwise(began)) or window == 1


@pytest.mark.parametrize(("window_seconds", "least", "most"), [(1.0, 0.7, 0.75), (10.0, 0.92, 1.0), (60.0, 0.7, 0.75)])
def test_what_no_call_was_due_for_is_made_up_for_in_windows_of_some_seconds(
    window_seconds: float, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten seconds, some without calls are no loss: the others take more, and no window more than the rate allows."""
    clock, pacer, began = StandingClock(), Pacer("s", 10.0, window_seconds), []
    monkeypatch.setattr(pacing, "time", clock)
    for number in range(1, 601):
        for wait in pacer.waits():
            clock.now += wait
        began.append(clock.now)
        pacer.sent()
        clock.now += 0.8 if number % 20 == 0 else 0.0  # a batch has ended, and the next one doesn't call yet
    assert least <= 599 / (began[-1] - began[0]) / 10.0 <= most
    window = 10 * int(window_seconds)
    assert all(after - one >= window_seconds for one, after in zip(began, began[window:], strict=False))


def test_a_call_counts_from_when_it_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that left late counts as late, so that the one that is a window behind it doesn't come too soon."""
    clock, pacer = StandingClock(), Pacer("s", 10.0 * APART)
    monkeypatch.setattr(pacing, "time", clock)
    for _ in range(10):
        clock.now += pacer.start()
        assert pacer.start() > 0
        clock.now += 0.04
        pacer.sent()
        clock.now += 0.06
    first_left = clock.now - 1.0 + 0.04
    assert pacer.start() == pytest.approx(first_left + 1.0 - clock.now)
    pacer.sent()
    pacer.sent()  # one too many changes nothing


class Answering:
    """A pacer whose calls leave one after the other, as far apart as it says, and are answered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.pacer = StandingClock(), Pacer("s", 10.0)
        monkeypatch.setattr(pacing, "time", self.clock)

    def call(self, took: float) -> float:
        """Make a call, and return how long it had to wait."""
        began = self.clock.now
        for wait in self.pacer.waits():
            self.clock.now += wait
        left = self.pacer.sent()
        self.clock.now = left + took
        self.pacer.answered(left)
        self.clock.now = left
        return left - began

    def next_slots(self) -> float:
        """Return how far apart the next slots lie."""
        first = self.pacer.reserve()
        return self.pacer.reserve() - first


@pytest.mark.parametrize(
    ("took", "apart"),
    [
        ([0.2], 0.1004),  # all alike: it is known when each call arrived
        ([*[0.2] * 9, 0.1, 0.9], 0.1004),
        ([0.2, 0.21], 0.101),  # as well as answers tell
        ([0.2, 0.9], 0.103),  # they don't
    ],
)
def test_of_a_second_as_much_stays_free_as_answers_leave_open(
    took: list[float], apart: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a call arrived is known as exactly as answers take equally long."""
    scene = Answering(monkeypatch)
    assert scene.next_slots() == pytest.approx(0.103)
    for each in took * 20:
        scene.call(each)
    assert scene.next_slots() == pytest.approx(apart)


@pytest.mark.parametrize("stalled", [1, 4, 12])
def test_a_call_that_is_answered_late_counts_as_late(stalled: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have arrived late; so those a window behind it wait, however many a stall has held back."""
    scene, arrived = Answering(monkeypatch), []
    for late in [*[0.0] * 30, *[0.15] * stalled, *[0.0] * 30]:
        scene.call(0.1 + late)
        arrived.append(scene.clock.now + late)
    arrived.sort()
    assert min(after - one for one, after in zip(arrived, arrived[10:], strict=False)) >= 1.0


def test_answers_that_differ_much_say_nothing_of_when_calls_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that takes now long and now short is called as often as its rate allows."""
    scene = Answering(monkeypatch)
    waits = [scene.call(took) for took in [0.1, 0.9, 0.3, 0.5] * 20]
    assert max(waits) <= 0.103 + 1e-6


def test_the_share_of_the_rate_that_was_used_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts from the first call to the last; what was made before counting began is forgotten."""
    clock, pacer = StandingClock(), Pacer("s", 25.0)
    monkeypatch.setattr(pacing, "time", clock)
    for spacing, share in ((APART / 25.0, 1 / APART), (1 / 12.5, 0.5)):
        pacer.begin_counting()
        assert pacer.use() is None
        for _ in range(201):
            clock.now += spacing
            while wait := pacer.start():
                clock.now += wait
        use = pacer.use()
        assert use is not None
        assert (use.calls, use.window_seconds) == (25.0, 1.0)
        assert use.share == pytest.approx(share, abs=0.01)


def test_calls_in_flight_go_up_while_all_are_needed_and_down_when_the_service_fails() -> None:
    """The bound begins at 16, grows by its own number of good answers, is halved by a failure, and is never 0."""

    async def scene() -> list[int]:
        bound, under_way, most = InFlight(64), 0, [0]

        async def call(_: int) -> None:
            nonlocal under_way
            async with bound:
                under_way += 1
                most[-1] = max(most[-1], under_way)
                await asyncio.sleep(0)
                bound.more()
                under_way -= 1

        await asyncio.gather(*map(call, range(16)))
        most.append(0)
        await asyncio.gather(*map(call, range(3000)))
        for _ in range(10):
            bound.fewer()
        most.append(0)
        await asyncio.gather(call(0), call(1))
        return most

    first, grown, reduced = asyncio.run(scene())
    assert (first, reduced) == (16, 1)
    assert 32 < grown <= 64


def test_no_more_calls_wait_for_a_slow_rate_than_get_a_slot_in_time() -> None:
    """Each of them sleeps until its slot, which may not be later than a caller should sleep."""
    pacer = Pacer("slow", 0.5)
    bound = InFlight(64, pacer.room)
    assert bound.allowed <= 15
    slots = [pacer.reserve() for _ in range(bound.allowed)]
    assert max(slots) <= 30
    pacer.share(0.01)
    assert bound.allowed == 1


def test_calls_are_let_in_as_they_came() -> None:
    """Whatever changes the bound meanwhile, the batch that came first is served first."""

    async def scene() -> list[int]:
        bound, order = InFlight(64), []

        async def call(number: int) -> None:
            async with bound:
                order.append(number)
                await asyncio.sleep(0)
                bound.fewer() if number % 7 == 0 else bound.more()

        await asyncio.gather(*map(call, range(300)))
        return order

    assert asyncio.run(scene()) == list(range(300))


def test_a_call_that_is_cancelled_gives_its_turn_on() -> None:
    """A caller whose turn came while it was cancelled doesn't keep the others waiting."""

    async def scene() -> bool:
        bound = InFlight(1)
        await bound.__aenter__()

        async def wait() -> bool:
            async with bound:
                return True

        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0)
        await bound.__aexit__()
        first.cancel()
        return await second

    assert asyncio.run(scene())
