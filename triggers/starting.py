"""From staged rows to a run: many commits lead to few requests, and the last commit is always followed by one."""

import contextvars
import functools
import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from enrichment.errors import cause
from tasks.run_starts import ask_for_run, check_way

#: Between two requests; the trigger in prefect.yaml makes one run of several requests.
_SPACING_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_CLOSE_SECONDS = 10.0

logger = logging.getLogger(__name__)


class RunStarter:
    """
    Asks for a run at once when contacts were staged, and then once for all that were staged within the spacing.

    A request that fails is retried with growing pauses and reported in one log line; the contacts wait in the queue,
    where the next scheduled run would find them, too. A thread sends the requests, so that no listener waits for them.

    Args:
        ask: asks for a run, given how often contacts were staged since the last time; may raise.
        spacing_seconds: the least time between two requests.
        close_seconds: the longest wait for the last request.
    """

    def __init__(
        self,
        ask: Callable[[int], None],
        spacing_seconds: float = _SPACING_SECONDS,
        close_seconds: float = _CLOSE_SECONDS,
    ) -> None:
        self._ask = ask
        self._spacing_seconds = spacing_seconds
        self._close_seconds = close_seconds
        self._not_before = 0.0
        self._commits = 0
        self._failures = 0
        self._closed = False
        self._changed = threading.Condition()
        # Prefect keeps its settings in the context.
        work = functools.partial(contextvars.copy_context().run, self._work)
        self._thread = threading.Thread(target=work, name="run-starter", daemon=True)
        self._thread.start()

    @classmethod
    def from_settings(cls) -> Self:
        """
        Return a starter that asks in the way that the settings choose.

        Raises:
            ConfigurationError: a setting is wrong, or no Prefect server is named.
        """
        check_way()
        return cls(ask_for_run)

    def staged(self) -> None:
        """Note that contacts were committed to the queue; returns at once, from any thread."""
        with self._changed:
            self._commits += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Ask at once for what is still collected, and end; waits some seconds at most."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(self._close_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self) -> None:
        while commits := self._collect():
            try:
                self._ask(commits)
            except Exception as error:  # noqa: BLE001 - whatever went wrong, the contacts wait and it is tried again
                self._keep(commits, error)
            else:
                self._failures = 0
                logger.info("run_asked_for commits=%d", commits)
            self._not_before = time.monotonic() + self._pause()

    def _collect(self) -> int:
        """Wait for a commit, and until a request may follow the last one; return how many there were, 0 at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._commits or self._closed)
            self._changed.wait_for(lambda: self._closed, self._not_before - time.monotonic())
            commits, self._commits = self._commits, 0
            return commits

    def _pause(self) -> float:
        return min(self._spacing_seconds * 2.0 ** min(self._failures, 10), _LONGEST_PAUSE_SECONDS)

    def _keep(self, commits: int, error: Exception) -> None:
        """Put commits back that no run was asked for; only the first failure in a row is logged."""
        with self._changed:
            if not self._closed:  # else no thread is left to try again
                self._commits += commits
        if not self._failures:
            logger.warning(
                "run_not_requested commits=%d error=%s; the contacts wait in the queue, and the request is retried",
                commits,
                cause(error),
            )
        self._failures += 1
