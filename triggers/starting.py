"""From staged rows to a run: many commits lead to few runs, and the last commit is always followed by one."""

import contextvars
import functools
import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from blocks.settings import load_settings
from enrichment.errors import EnrichmentError, where
from tasks.run_starts import ask_for_run, check_way

_LONGEST_PAUSE_SECONDS = 60.0
_CLOSE_SECONDS = 10.0

log = logging.getLogger(__name__)


class RunStarter:
    """
    Asks for a run some seconds after contacts were staged, once for all that were staged meanwhile.

    A request that fails is retried with growing pauses and reported in one log line; the contacts wait in the queue,
    where the next scheduled run would find them, too. A thread sends the requests, so that no listener waits for them.

    Args:
        ask: asks for a run, given how often contacts were staged since the last time; may raise.
        interval_seconds: how long to collect before asking.
    """

    def __init__(self, ask: Callable[[int], None], interval_seconds: float) -> None:
        self._ask = ask
        self._interval_seconds = interval_seconds
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
        return cls(ask_for_run, load_settings().start_interval_seconds)

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
        self._thread.join(_CLOSE_SECONDS)

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
                log.info("run_asked_for commits=%d", commits)

    def _collect(self) -> int:
        """Wait for a commit and for the interval after it; return how many there were, 0 at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._commits or self._closed)
            self._changed.wait_for(lambda: self._closed, self._pause())
            commits, self._commits = self._commits, 0
            return commits

    def _pause(self) -> float:
        grown = self._interval_seconds * 2.0 ** min(self._failures, 10)
        return max(self._interval_seconds, min(_LONGEST_PAUSE_SECONDS, grown))

    def _keep(self, commits: int, error: Exception) -> None:
        """Put commits back that no run was asked for; only the first failure in a row is logged."""
        with self._changed:
            if not self._closed:  # else no thread is left to try again
                self._commits += commits
        if not self._failures:
            detail = str(error) if isinstance(error, EnrichmentError) else where(error)
            log.warning(
                "run_not_requested commits=%d error=%s; the contacts wait in the queue, and the request is retried",
                commits,
                detail,
            )
        self._failures += 1
