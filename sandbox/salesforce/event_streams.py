"""One subscription's stream: how many events it may be sent, and what comes next."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.salesforce.event_bus import BusError, Event, EventBus
from sandbox.settings import SalesforceSettings

MOST_OUTSTANDING = 100
_LATEST, _EARLIEST, _CUSTOM = range(3)
_WAKE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Wish:
    """A request of the subscriber; `preset` is that of the interface file."""

    topic: str
    preset: int
    replay_id: bytes
    events: int


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: events, or none, and the number of the place that is reached."""

    events: list[Event]
    reached: int
    pending: int


class EventStream:
    """
    A stream on a bus. Waits are those of the real clock, whatever that of the world shows.

    Args:
        bus: has the events.
        options: returns the present settings of the org.
        first: the request that opens it.

    Raises:
        BusError: it isn't opened.
    """

    def __init__(self, bus: EventBus, options: Callable[[], SalesforceSettings], first: Wish) -> None:
        self._bus = bus
        self._options = options
        self._topic = first.topic
        self._pending = 0
        self._generation = bus.generation
        bus.schema(first.topic)
        if not options().subscribable:
            raise BusError("PERMISSION_DENIED", "subscription.topic.cannot.subscribe")
        bus.meet("Subscribe")
        self._number = self._start(first)
        self._sent_at = self._dry_since = time.monotonic()
        self._error: BusError | None = None
        self.over = False
        self.ask(first)

    def ask(self, wish: Wish) -> None:
        """Take a further request into account."""
        with self._bus.changed:
            if wish.events <= 0:
                self._error = BusError("INVALID_ARGUMENT", "subscription.fetch.requested.events.invalid")
            elif wish.topic not in ("", self._topic):
                self._error = BusError("INVALID_ARGUMENT", "subscription.fetch.topic.mismatch")
            asked = self._pending + wish.events
            self._bus.totals["most_asked"] = max(self._bus.totals["most_asked"], asked)
            self._pending = min(asked, MOST_OUTSTANDING)
            self._bus.changed.notify_all()

    def finish(self) -> None:
        """Note that no request will follow."""
        with self._bus.changed:
            self.over = True
            self._bus.changed.notify_all()

    def next(self) -> Message | None:
        """
        Return the next message; None if there is none for now, or the stream is over.

        Raises:
            BusError: the stream ends with an error.
        """
        with self._bus.changed:
            self._check()
            message = None if self._options().events_silent else self._due()
            if message is None and not self.over:
                self._bus.changed.wait(_WAKE_SECONDS)
            return message

    def _check(self) -> None:
        if self._error:
            raise self._error
        if self._bus.generation != self._generation and self._bus.end:
            raise self._bus.end
        if self._pending == 0 and time.monotonic() - self._dry_since > self._options().events_grace_seconds:
            self._bus.totals["starved"] += 1
            self.over = True

    def _due(self) -> Message | None:
        options = self._options()
        if self._pending == 0:
            return None
        events = self._bus.after(self._topic, self._number, min(self._pending, options.events_at_once))
        if events:
            return self._deliver(events, options.events_daily)
        if time.monotonic() - self._sent_at < options.events_idle_seconds:
            return None
        self._sent_at = time.monotonic()
        self._bus.totals["empty"] += 1
        self._number = self._bus.mark()
        return Message([], self._number, self._pending)

    def _deliver(self, events: list[Event], allowance: int) -> Message:
        if self._bus.totals["delivered"] + len(events) > allowance:
            raise BusError("RESOURCE_EXHAUSTED", "subscription.limit.exceeded")
        self._bus.totals["delivered"] += len(events)
        self._pending -= len(events)
        self._number = events[-1].number
        self._sent_at = self._dry_since = time.monotonic()
        return Message(events, self._number, self._pending)

    def _start(self, first: Wish) -> int:
        if first.preset == _LATEST:
            return self._bus.mark()
        if first.preset == _EARLIEST:
            return self._bus.earliest()
        if not first.replay_id:
            raise BusError("INVALID_ARGUMENT", "subscription.fetch.replayid.validation.failed")
        number = self._bus.find(first.replay_id)
        return self._bus.before(self._topic, number, self._options().events_repeated)
