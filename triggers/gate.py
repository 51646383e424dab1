"""How much is let in: requests at once, requests a second, bytes of a body."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request


class RefusedError(Exception):
    """
    A request is answered without being done.

    Args:
        status: of HTTP.
        reason: a short code, for the answer and the log.
        retry_after_seconds: when it may be repeated, if it may.
    """

    def __init__(self, status: int, reason: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Gate:
    """
    Lets so many requests in at once.

    Each endpoint has gates of its own, so that none can keep another one's callers out.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Let a request in until the block ends, or raise RefusedError."""
        if self._free <= 0:
            raise RefusedError(503, "too_many_at_once", retry_after_seconds=1)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class Pace:
    """Lets so many requests pass a second on the average; as many may come in one moment."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._tokens = self._most_tokens = max(1.0, per_second)
        self._filled_at = time.monotonic()

    def take(self) -> None:
        """Let a request pass, or raise RefusedError."""
        now = time.monotonic()
        self._tokens = min(self._most_tokens, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now
        if self._tokens < 1:
            wait = (1 - self._tokens) / self._per_second
            raise RefusedError(429, "too_many_per_second", retry_after_seconds=int(wait) + 1)
        self._tokens -= 1


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body, or raise RefusedError as soon as it is longer than the limit."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced) > limit:
        raise RefusedError(413, "body_too_large")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise RefusedError(413, "body_too_large")
        parts.append(part)
    return b"".join(parts)
