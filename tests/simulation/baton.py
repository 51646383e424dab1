"""Logical runs, of which one moves at a time: each stops at every seam until it is its turn, or dies there."""

from asyncio import events
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

from greenlet import getcurrent, greenlet


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
    #: What it was answered and lost on the way, and hasn't booked yet.
    unbooked: Counter[str] = field(default_factory=Counter)
    #: Whether it may be about to repeat a call.
    repeats: bool = False
    #: The contacts that it had locked when it last made sure of it before it asks for them.
    may_ask_for: set[str] = field(default_factory=set)
    #: Whether it has read contacts of the CRM that it may be about to write.
    reads_crm: bool = False
    #: Whether a person has cancelled it.
    cancelled: bool = False
    #: The most contacts that it may take; 0 for all.
    limit: int = 0
    #: The most that it may spend, and what it was billed.
    cap: float | None = None
    billed: int = 0
    #: How many seams of others it doesn't move for.
    stands_still: int = 0
    #: What its process keeps.
    own: dict[int, dict[Any, Any]] = field(default_factory=dict)
    _meets: Exception | None = None
    _own_stack: greenlet | None = None

    def begin(self) -> None:
        """Let it come to its first seam."""
        # One thread moves all of them: to wake another one for each step would take most of the time.
        self._own_stack = greenlet(self._live, getcurrent())
        # With this one's context, in which Prefect has the history's settings.
        self._own_stack.gr_context = copy_context()
        self._own_stack.switch()

    def move(self, error: Exception | None = None) -> None:
        """Let it come to its next seam, or to its end; with an error, that is what it meets where it stands."""
        assert self._own_stack, f"{self.name} hasn't begun"
        self._meets = error
        self._own_stack.switch()

    def kill(self) -> None:
        """End its process where it stands."""
        self.killed = True
        while not self.ended:
            self.move()

    def stop(self, seam: Seam) -> None:
        """Wait for the turn, having come to a seam."""
        if self.killed:
            raise KilledError
        self.seam = seam
        self._let_others_move()
        if self.killed:
            raise KilledError
        if self._meets:
            raise self._meets

    def _let_others_move(self) -> None:
        assert self._own_stack
        assert self._own_stack.parent
        loop = events._get_running_loop()
        events._set_running_loop(None)  # others may run theirs
        self._own_stack.parent.switch()
        events._set_running_loop(loop)

    def _live(self) -> None:
        _present.set(self)
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it ended this run
            self.error = None if self.killed else error
        self.seam, self.ended = None, True


_present: ContextVar[Run | None] = ContextVar("simulated_run", default=None)


def present() -> Run | None:
    """Return the run that moves now; None outside of one."""
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
