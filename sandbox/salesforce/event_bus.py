"""The event bus of an org: topics whose events are kept for a while, and the calls that are refused on purpose."""

import bisect
import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.clock import Clock
from sandbox.salesforce.event_schemas import EventSchema, schema_of
from sandbox.settings import SalesforceSettings

_LENGTH = 10
#: Replay ids aren't contiguous.
_STEP = 3


class BusError(Exception):
    """
    A call or a stream that ends with an error.

    Args:
        status: the name of gRPC's status code.
        code: the error code of Salesforce, without its prefix; empty for none.
    """

    def __init__(self, status: str, code: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Event:
    """One event; it has either values or, if a test published it, a payload."""

    number: int
    id: str
    schema_id: str
    at: float
    values: Mapping[str, Any] | None = None
    payload: bytes = b""


class EventBus:
    """
    Keeps events; safe to share between threads.

    Args:
        clock: of the world.
        options: returns the present settings of the org.
    """

    def __init__(self, clock: Clock, options: Callable[[], SalesforceSettings]) -> None:
        #: Held while the bus is looked at or changed; notifies of every event and every change.
        self.changed = threading.Condition(threading.RLock())
        self.totals: Counter[str] = Counter()
        self.schemas: dict[str, EventSchema] = {}
        self.generation = 0
        self.end: BusError | None = None
        self._clock = clock
        self._options = options
        self._topics: defaultdict[str, list[Event]] = defaultdict(list)
        self._known: dict[int, float] = {}
        self._number = 1000
        self._refusals: list[tuple[str, BusError]] = []
        self._version = 1

    def schema(self, topic: str) -> EventSchema:
        """
        Return the present schema of a topic.

        Raises:
            BusError: there is no such topic.
        """
        with self.changed:
            schema = schema_of(topic, self._version)
            if schema is None or (topic.startswith("/data/") and not self._options().change_events):
                raise BusError("NOT_FOUND", "topic.not.found")
            self.schemas[schema.id] = schema
            return schema

    def change_schemas(self) -> None:
        """Give change events a further field, as an administrator does; those of before keep their schema."""
        with self.changed:
            self._version += 1

    def publish(self, topic: str, values: Mapping[str, Any] | None = None, payload: bytes = b"") -> Event:
        """Add an event to a topic."""
        with self.changed:
            event = Event(self.mark(), str(uuid.uuid4()), self.schema(topic).id, self._clock.seconds(), values, payload)
            self._topics[topic].append(event)
            self.totals["published"] += 1
            self.changed.notify_all()
            return event

    def mark(self) -> int:
        """Return the number of this moment, from which a stream may go on for as long as events are kept."""
        with self.changed:
            self._number += _STEP
            self._known[self._number] = self._clock.seconds()
            return self._number

    def earliest(self) -> int:
        """Return the number before all events that are kept."""
        return 0

    def find(self, replay_id: bytes) -> int:
        """
        Return the number of a replay id.

        Raises:
            BusError: the replay id isn't valid, or older than the events that are kept.
        """
        number = int.from_bytes(replay_id) if len(replay_id) == _LENGTH else -1
        with self.changed:
            at = self._known.get(number)
            if at is None or not self._is_kept(at):
                self.totals["unknown_places"] += 1
                raise BusError("INVALID_ARGUMENT", "subscription.fetch.replayid.corrupted")
        return number

    def before(self, topic: str, number: int, events: int) -> int:
        """Return the number that many events earlier."""
        with self.changed:
            numbers = [0, *(event.number for event in self._topics[topic] if event.number <= number)]
        return numbers[max(len(numbers) - 1 - events, 0)] if events else number

    def after(self, topic: str, number: int, most: int) -> list[Event]:
        """Return the events that come after a number and are still kept."""
        with self.changed:
            events = self._topics[topic]
            start = bisect.bisect_right(events, number, key=lambda event: event.number)
            return [event for event in events[start : start + most] if self._is_kept(event.at)]

    def refuse(self, call: str, status: str, code: str = "", times: int = 1) -> None:
        """Let this many calls, such as `Subscribe`, end with an error."""
        with self.changed:
            self._refusals += [(call, BusError(status, code))] * times

    def meet(self, call: str) -> None:
        """Raise the error that a call of this name meets, if any."""
        with self.changed:
            found = next((each for each in self._refusals if each[0] == call), None)
            if found:
                self._refusals.remove(found)
                raise found[1]

    def break_streams(self, status: str, code: str = "") -> None:
        """End every stream that is open with an error."""
        with self.changed:
            self.generation += 1
            self.end = BusError(status, code)
            self.changed.notify_all()

    def _is_kept(self, at: float) -> bool:
        return self._clock.seconds() - at <= self._options().events_kept_seconds


def replay_id(number: int) -> bytes:
    """Return the bytes that stand for a number."""
    return number.to_bytes(_LENGTH)
