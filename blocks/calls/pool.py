"""Threads for calls that are under way at once."""

import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class CallPool(ThreadPoolExecutor):
    """Runs calls in threads that belong to the task run of whoever submits them, so that their log lines reach it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function in a thread, with a copy of the caller's context."""
        return super().submit(contextvars.copy_context().run, fn, *args, **kwargs)
