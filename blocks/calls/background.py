"""
The event loop on which all calls to providers of this process are made, in a thread of its own.

Batches that are worked on at the same time share it, and so their connections: a connection of each batch's own would
cost a handshake for nearly every call.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_starting = threading.Lock()
_loops: list[asyncio.AbstractEventLoop] = []


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the loop, with the caller's context, and return what it returns once it has ended."""
    return asyncio.run_coroutine_threadsafe(coroutine, _running()).result()


def _running() -> asyncio.AbstractEventLoop:
    with _starting:
        if not _loops:
            _loops.append(asyncio.new_event_loop())
            threading.Thread(target=_loops[0].run_forever, name="provider-calls", daemon=True).start()
        return _loops[0]
