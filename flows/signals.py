"""Ctrl-C and SIGTERM while a run is at work: it ends by itself, in order, instead of being broken off anywhere."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def cancelled_by_signals(cancel: Callable[[], None]) -> Iterator[None]:
    """
    Let the first Ctrl-C or SIGTERM call this for as long as the block lasts; a second one has its usual effect.

    Only a process's main thread receives signals; what runs flows in other threads cancels them itself.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def first(_: int, __: FrameType | None) -> None:
        restore()
        cancel()

    for number in _SIGNALS:
        signal.signal(number, first)
    try:
        yield
    finally:
        restore()
