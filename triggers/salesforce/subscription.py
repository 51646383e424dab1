"""
One stream of events, from its opening to its end.

The server sends only what was asked for: at most 100 events may be outstanding, and a stream that asks for nothing more
is closed after a minute. So a separate thread takes what arrives and asks again at once, whether or not the warehouse
is quick; it stops asking while too many events wait to be staged.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import grpc

from triggers.salesforce.client import Action, Failure, Stream, StreamFailedError, failure_of
from triggers.salesforce.pubsub_pb2 import FetchRequest, FetchResponse, ReplayPreset

#: The most that Salesforce lets be outstanding.
MOST_OUTSTANDING = 100
#: Asked again when fewer are outstanding, so that the stream seldom runs dry.
_FEW_OUTSTANDING = 50
#: Events that may wait in memory; they are staged together.
MOST_WAITING = 500
_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Start:
    """Where a stream begins; `replay_id` only with CUSTOM, and what comes after it is sent."""

    preset: ReplayPreset
    replay_id: bytes = b""


class Subscription:
    """
    A stream as batches of responses. Use it as a context, so that it is closed before another one is opened.

    Args:
        open_stream: opens it; is given the requests, which never end before `close`.
        topic: its name.
        start: where to begin.
    """

    def __init__(self, open_stream: Callable[[Iterator[FetchRequest]], Stream], topic: str, start: Start) -> None:
        self._lock = threading.Lock()
        self._topic = topic
        self._outstanding, self._waiting = MOST_OUTSTANDING, 0
        self._requests = queue.SimpleQueue[FetchRequest | None]()
        self._arrived = queue.SimpleQueue[FetchResponse | Failure]()
        self._end: Failure | None = None
        first = FetchRequest(topic_name=topic, replay_preset=start.preset, replay_id=start.replay_id)
        first.num_requested = MOST_OUTSTANDING
        self._requests.put(first)
        self._stream = open_stream(iter(self._requests.get, None))
        self._reader = threading.Thread(target=self._read, name="salesforce-events", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
        self._reader.join(_END_SECONDS)

    def take(self, silence_seconds: float) -> list[FetchResponse]:
        """
        Wait for a message, and return it with all others that have arrived.

        Raises:
            StreamFailedError: the stream has ended, or no message came within that time.
        """
        batch: list[FetchResponse] = []
        deadline = time.monotonic() + silence_seconds
        while self._end is None:
            try:
                item = self._arrived.get(timeout=0 if batch else max(deadline - time.monotonic(), 0.001))
            except queue.Empty:
                break
            if isinstance(item, Failure):
                self._end = item
            else:
                batch.append(item)
        if batch:
            self._forget(sum(len(response.events) for response in batch))
            return batch
        silence = Failure(Action.RECONNECT, f"no message within {silence_seconds:.0f} seconds")
        raise StreamFailedError(self._end or silence)

    def close(self) -> None:
        """End the stream; safe to call from any thread, and more than once."""
        self._stream.cancel()
        self._requests.put(None)

    def _read(self) -> None:
        try:
            for response in self._stream:
                self._count(len(response.events))
                self._arrived.put(response)
                self._ask()
            end = Failure(Action.RECONNECT, "the server closed the stream")
        except grpc.RpcError as error:
            end = failure_of(error)
        self._arrived.put(end)

    def _count(self, events: int) -> None:
        with self._lock:
            self._outstanding -= events
            self._waiting += events

    def _forget(self, events: int) -> None:
        with self._lock:
            self._waiting -= events
        self._ask()

    def _ask(self) -> None:
        """Ask for as many events as may be outstanding, if that is due."""
        with self._lock:
            room = MOST_WAITING - self._waiting - self._outstanding
            wanted = min(MOST_OUTSTANDING - self._outstanding, room)
            if self._outstanding > _FEW_OUTSTANDING or wanted <= 0:
                return
            self._outstanding += wanted
            self._requests.put(FetchRequest(topic_name=self._topic, num_requested=wanted))
