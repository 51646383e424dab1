"""Logical runs, of which one moves at a time: each stops at every seam until it is its turn, or dies there."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

#: A run that doesn't come to the next seam within so many seconds hangs.
_HANGS_SECONDS = 60.0


class KilledError(BaseException):
    """The process of the run is gone: nothing that it does from now on has an effect."""


@dataclass(frozen=True, slots=True)
class Seam:
    """
    Where a run stands.

    Args:
        kind: `warehouse`, `provider` or `crm`.
        verb: what it does there.
        phase: `before` or `after` it takes effect.
    """

    kind: str
    verb: str
    phase: str


@dataclass
class Run:
    """A logical run."""

    name: str
    #: The id of the flow run.
    run_id: str
    work: Callable[[], None]
    seam: Seam | None = None
    error: BaseException | None = None
    killed: bool = False
    ended: bool = False
    #: What it was answered at a price, by input, and hasn't saved yet.
    unsaved: Counter[str] = field(default_factory=Counter)
    #: Whether it has read contacts of the CRM that it may be about to write.
    reads_crm: bool = False
    #: What its process keeps.
    own: dict[int, dict[Any, Any]] = field(default_factory=dict)
    _meets: Exception | None = None
    _turn: threading.Event = field(default_factory=threading.Event)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def begin(self) -> None:
        """Let it come to its first seam."""
        # With this thread's context, in which Prefect has the history's settings.
        self._thread = threading.Thread(target=copy_context().run, args=(self._live,), name=self.name, daemon=True)
        self._thread.start()
        self._await_stop()

    def move(self, error: Exception | None = None) -> None:
        """Let it come to its next seam, or to its end; with an error, that is what it meets where it stands."""
        self._meets = error
        self._turn.set()
        self._await_stop()

    def kill(self) -> None:
        """End its process where it stands."""
        self.killed = True
        while not self.ended:
            self.move()

    def stop(self, seam: Seam) -> None:
        """Wait for the turn, as a thread of the run that has come to a seam."""
        if self.killed:
            raise KilledError
        self.seam = seam
        self._stopped.set()
        self._turn.wait()
        self._turn.clear()
        if self.killed:
            raise KilledError
        if self._meets:
            raise self._meets

    def _live(self) -> None:
        _present.set(self)
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it ended this run
            self.error = None if self.killed else error
        self.seam, self.ended = None, True
        self._stopped.set()

    def _await_stop(self) -> None:
        if not self._stopped.wait(_HANGS_SECONDS):
            raise AssertionError(f"{self.name} hangs behind {self.seam}")
        self._stopped.clear()


_present: ContextVar[Run | None] = ContextVar("simulated_run", default=None)


def present() -> Run | None:
    """Return the run that this thread works for; None outside of one."""
    return _present.get()


@contextmanager
def seam(kind: str, verb: str) -> Iterator[None]:
    """Stop before and after what the block does; outside a run, just do it."""
    run = present()
    if run:
        run.stop(Seam(kind, verb, "before"))
    yield
    if run:
        run.stop(Seam(kind, verb, "after"))
