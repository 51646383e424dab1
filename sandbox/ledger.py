"""The requests that each service got, and its answers."""

from collections import Counter, deque
from dataclasses import dataclass

from sandbox.clock import Clock
from sandbox.exchange import Cut, Reply, Request

KEPT = 200_000


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request; the status is 0 if the connection was dropped instead of an answer."""

    method: str
    path: str
    status: int
    inputs: int
    at: float


class RequestLog:
    """The latest requests of one service, and all of them by status."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: deque[RequestRecord] = deque(maxlen=KEPT)
        self._by_status: Counter[int] = Counter()

    def note(self, request: Request, reply: Reply) -> None:
        """Keep what was asked and answered."""
        status = reply.status if reply.cut is Cut.NONE else 0
        at = self._clock.monotonic()
        self._records.append(RequestRecord(request.method, request.path, status, reply.inputs, at))
        self._by_status[status] += 1

    def records(self) -> list[RequestRecord]:
        """Return the latest requests, oldest first."""
        return list(self._records)

    def by_status(self) -> dict[int, int]:
        """Return the number of requests by status."""
        return dict(self._by_status)
