"""Repeats a verb of a warehouse whose transaction had to give way to another one."""

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from enrichment.errors import TransientError

_MOST_REPLAYS = 6

P = ParamSpec("P")
T = TypeVar("T")


class ConflictError(TransientError):
    """Another transaction was in the way; nothing of ours was kept, so the same again may do."""


def replayed(verb: Callable[P, T]) -> Callable[P, T]:
    """Repeat the whole verb after a conflict, a few times, with growing pauses and full jitter."""

    @functools.wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(_MOST_REPLAYS):
            try:
                return verb(*args, **kwargs)
            except ConflictError:
                time.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311 - jitter
        return verb(*args, **kwargs)

    return run
