"""Replies on their way to the journal."""

import asyncio
from collections.abc import Callable, Sequence

from blocks.providers.base import Reply
from blocks.providers.http.channel import Shared

Keep = Callable[[Sequence[Reply]], None]


class Keeper:
    """
    Hands replies to the journal, one call at a time: what comes while a call is under way goes together in the next.

    Args:
        keep: durable when it returns.
        shared: counts the answers that wait.
    """

    def __init__(self, keep: Keep, shared: Shared) -> None:
        self._keep = keep
        self._shared = shared
        self._lock = asyncio.Lock()
        self._waiting: list[Reply] = []

    async def keep(self, replies: Sequence[Reply]) -> None:
        """Return when the replies are durable."""
        self._waiting.extend(replies)
        self._shared.unsaved += 1
        try:
            async with self._lock:
                batch, self._waiting = self._waiting, []
                if batch:
                    await asyncio.to_thread(self._keep, batch)
        finally:
            self._shared.unsaved -= 1
