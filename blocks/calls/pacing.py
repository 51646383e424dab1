"""
One rate limiter per service and credential in each process, shared by all threads and event loops.

Prefect's global limits cost about 50 ms per acquire, too slow to pace single calls with; they bound runs and chunks.
"""

import asyncio
import bisect
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator

from enrichment.errors import PostponedError
from enrichment.retry import LONGEST_INLINE_WAIT_SECONDS
from enrichment.summary import RateUse

logger = logging.getLogger(__name__)

#: Calls arrive a little later than they left, now and then by so many seconds, and a 429 stops all of them: so much of
#: a window stays free. Of a longer one it is this share, since what a 429 costs is as long as the window.
_JITTER_SECONDS = 0.03
_JITTER_SHARE = 0.015

_FIRST_IN_FLIGHT = 16
#: So many calls must have been allowed before it says anything what share of them was made.
_FEWEST_ALLOWED = 50.0

#: Calls that woke late may follow each other faster than the rate, so that a stall costs no throughput ...
_LEAST_SPACING = 0.5
#: ... but no more of them arrive in the service's window than the rate allows; of one that is longer than so many
#: seconds, in a second: others may apply within it.
_LONGEST_WINDOW_SECONDS = 10.0
_SECOND = 1.0
#: Which part of such a window may be made up for if no call was due meanwhile; a second is spaced evenly.
_CREDIT = 0.1
#: A call whose answer took longer than most of so many did may itself have arrived later than others do. To within how
#: many seconds that can be told depends on how alike they are, and is at best this.
_FEWEST_ANSWERS, _MOST_ANSWERS = 10, 50
_LEAST_JITTER_SECONDS = 0.004


class _AnswerTimes:
    """How long the last calls took to be answered: it tells how much later than others one may have arrived."""

    def __init__(self) -> None:
        self._took: deque[float] = deque(maxlen=_MOST_ANSWERS)
        self._spread = math.inf

    def add(self, took: float) -> float:
        """Note an answer, and return the seconds by which its call may have arrived late."""
        self._took.append(took)
        if len(self._took) < _FEWEST_ANSWERS:
            return 0.0
        ordered = sorted(self._took)
        # By the quicker half: a stall of the machine holds many of the others back at once.
        usual = ordered[len(ordered) // 2]
        self._spread = usual - ordered[len(ordered) // 4]
        return max(0.0, took - usual) if self._spread <= _JITTER_SECONDS else 0.0

    def jitter(self) -> float:
        """Return by how many seconds calls may arrive later than is known."""
        return min(max(_LEAST_JITTER_SECONDS, self._spread), _JITTER_SECONDS)


class Pacer:
    """
    Hands out evenly spaced slots; a hold asked for by the server stops all callers.

    Args:
        name: of the service, for messages.
        per_second: calls that the service allows.
        window_seconds: in which it counts them.
    """

    def __init__(self, name: str, per_second: float, window_seconds: float = 1.0) -> None:
        self._name = name
        self._per_second = per_second
        self._window_seconds = window_seconds
        self._calls, self._allowed, self._counted_at = 0, 0.0, 0.0
        self._share = 1.0
        self._processes = 1
        self._next_slot = 0.0
        self._last_start = -math.inf
        self._arrivals: list[float] = []
        self._unsent: deque[float] = deque()
        self._answers = _AnswerTimes()
        self._held_until = 0.0
        self._lock = threading.Lock()

    def allow(self, per_second: float, window_seconds: float = 1.0) -> None:
        """Adopt the rate that the service itself states."""
        with self._lock:
            adopted = self._per_second != per_second
            self._per_second, self._window_seconds = per_second, window_seconds
        if adopted:
            logger.info("rate_adopted service=%r per_second=%.1f", self._name, per_second)

    def share(self, fraction: float) -> None:
        """Use this part of the rate (more than 0, at most 1), since others are at work too."""
        with self._lock:
            self._share = fraction

    def split(self, processes: int) -> None:
        """Take one part of a run's rate, since the run works in that many processes."""
        with self._lock:
            self._processes = max(1, processes)

    def hold(self, seconds: float) -> None:
        """Make every caller wait, because the server asked for it."""
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + seconds)

    def reserve(self) -> float:
        """
        Take the next slot.

        Returns:
            seconds to sleep until the slot.

        Raises:
            PostponedError: the slot is later than a caller should sleep.
        """
        with self._lock:
            now = time.monotonic()
            slot = max(now, self._next_slot, self._held_until)
            self._refuse_long(slot - now)
            # Before the first call, another process may have used the whole rate.
            credit = _CREDIT * (self._kept_window - _SECOND) if self._next_slot else 0.0
            self._next_slot = max(self._next_slot, slot - credit) + self._spacing
            return slot - now

    def start(self) -> float:
        """
        Begin a call whose slot has come.

        Returns:
            0 if it may begin now, else seconds to wait: a pause was asked for meanwhile, or others that also woke late
            began a moment ago. Else a stall of the machine would send a burst, which draws a 429 for every caller.
            What a stall held back is made up for within the window that the rate allows.

        Raises:
            PostponedError: the pause is longer than a caller should sleep.
        """
        with self._lock:
            now = time.monotonic()
            wait = max(self._held_until, self._earliest_start()) - now
            self._refuse_long(wait)
            if wait <= 0:
                self._last_start = now
                bisect.insort(self._arrivals, now)
                self._unsent.append(now)
                self._count(now)
            return max(wait, 0.0)

    def sent(self) -> float:
        """
        Note that a call that began has left just now; which one doesn't matter.

        A busy process may take a while in between, and the service counts from when the call reaches it. Calls of
        which this isn't noted count from when they began.

        Returns:
            the moment, by which `answered` knows the call.
        """
        with self._lock:
            now = time.monotonic()
            if self._unsent:
                self._correct(self._unsent.popleft(), now)
            return now

    def answered(self, sent: float) -> None:
        """Note that the answer to a call that left then arrives: as much as it is late, the call may have been."""
        with self._lock:
            if late := self._answers.add(time.monotonic() - sent):
                self._correct(sent, sent + late)

    def _correct(self, arrival: float, better: float) -> None:
        place = bisect.bisect_left(self._arrivals, arrival)
        if self._arrivals[place : place + 1] == [arrival]:  # else a whole window has passed since
            del self._arrivals[place]
            bisect.insort(self._arrivals, better)

    def _count(self, now: float) -> None:
        self._allowed += (now - self._counted_at) * self._rate if self._calls else 0.0
        self._calls, self._counted_at = self._calls + 1, now

    def begin_counting(self) -> None:
        """Forget what was used so far."""
        with self._lock:
            self._calls, self._allowed = 0, 0.0

    def use(self) -> RateUse | None:
        """Return what was used of the rate since counting began; None if too few calls were allowed to tell."""
        with self._lock:
            if self._allowed < _FEWEST_ALLOWED:
                return None
            share = min(1.0, (self._calls - 1) / self._allowed)
            allowed = self._window_seconds * self._rate
            return RateUse(self._name, round(allowed, 1), self._window_seconds, round(share, 3))

    def _earliest_start(self) -> float:
        """Return from when on one more call keeps to the rate, whichever window of the last calls one looks at."""
        spacing = self._spacing
        most = math.ceil(self._kept_window / spacing)
        del self._arrivals[:-most]
        while self._unsent and self._unsent[0] < self._arrivals[0]:  # it never left
            self._unsent.popleft()
        after_last = self._last_start + _LEAST_SPACING * spacing
        return max(after_last, self._arrivals[0] + most * spacing) if len(self._arrivals) == most else after_last

    def room(self) -> float:
        """Return how many callers may wait for a slot, so that the last one waits half as long as a caller should."""
        with self._lock:
            return LONGEST_INLINE_WAIT_SECONDS / 2 / self._spacing

    @property
    def held(self) -> bool:
        """Return whether the server's pause still lasts."""
        with self._lock:
            return self._held_until > time.monotonic()

    @property
    def _rate(self) -> float:
        """Return this process's part of the rate, in calls per second."""
        return self._per_second * self._share / self._processes

    @property
    def _spacing(self) -> float:
        """Return the seconds between two calls of this process."""
        window = self._window_seconds
        free = max(_JITTER_SHARE * window, _JITTER_SECONDS) if window > _SECOND else self._answers.jitter()
        return (window + free) / window / self._rate

    @property
    def _kept_window(self) -> float:
        """Return the window, in seconds, that holds no more calls than the rate allows, whenever one looks at it."""
        return max(self._window_seconds, _SECOND) if self._window_seconds <= _LONGEST_WINDOW_SECONDS else _SECOND

    def _refuse_long(self, wait: float) -> None:
        if wait > LONGEST_INLINE_WAIT_SECONDS:
            raise PostponedError(f"{self._name} has no free slot soon enough", wait)

    def waits(self) -> Iterator[float]:
        """
        Yield the seconds to sleep, one after the other, until the caller's turn has come.

        Raises:
            PostponedError: it comes later than a caller should sleep.
        """
        yield self.reserve()
        while wait := self.start():
            yield wait


class InFlight:
    """
    Bounds the calls that are under way at once, on one event loop.

    The rate is the pacer's: a slow service needs more calls under way for it than a quick one. So the bound goes up
    while it is what holds calls back, and is halved when the service fails.

    Args:
        most: calls at once, whatever happens.
    """

    def __init__(self, most: int, room: Callable[[], float] = lambda: math.inf) -> None:
        self._most = most
        self._room = room
        self._allowed = float(min(_FIRST_IN_FLIGHT, most))
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def allowed(self) -> int:
        """Return how many may be under way at once by now."""
        return max(1, int(min(self._allowed, self._room())))

    async def __aenter__(self) -> None:
        """Wait in line until one more may be under way."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn had come already
                await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        """Let the next one in."""
        self._busy -= 1
        self._let_in()

    def more(self) -> None:
        """Note a call that went well: if others wait, one more may be under way once as many did as there are."""
        if self._waiting:
            self._allowed = min(self._allowed + 1 / self._allowed, float(self._most))
            self._let_in()

    def fewer(self) -> None:
        """Note that the service fails."""
        self._allowed = max(self._allowed / 2, 1.0)

    def _let_in(self) -> None:
        while self._waiting and self._busy < self.allowed:
            turn = self._waiting.popleft()
            if not turn.done():  # else its call was cancelled
                self._busy += 1
                turn.set_result(None)


class _Pacers:
    """The pacers of this process, by service and credential."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Pacer] = {}
        self._processes = 1
        self._lock = threading.Lock()

    def get(self, name: str, credential: Hashable, per_second: float, window_seconds: float) -> Pacer:
        with self._lock:
            key = (name, credential)
            if key not in self._made:
                self._made[key] = Pacer(name, per_second, window_seconds)
                self._made[key].split(self._processes)
            return self._made[key]

    def all(self) -> list[Pacer]:
        with self._lock:
            return list(self._made.values())

    def split(self, processes: int) -> None:
        with self._lock:
            self._processes = processes
            for pacer in self._made.values():
                pacer.split(processes)


_pacers = _Pacers()


def pacer_for(name: str, credential: Hashable, per_second: float, window_seconds: float = 1.0) -> Pacer:
    """Return this process's pacer of a service and credential, made at the first call."""
    return _pacers.get(name, credential, per_second, window_seconds)


def begin_counting() -> None:
    """Forget what this process has used of the rates of its services."""
    for pacer in _pacers.all():
        pacer.begin_counting()


def rates_used() -> list[RateUse]:
    """Return what this process has used of the rates of its services since counting began."""
    return [use for pacer in _pacers.all() if (use := pacer.use())]


def split_rates(processes: int) -> None:
    """Pace everything in this process at one part of a run's rate, since the run works in that many processes."""
    _pacers.split(processes)
