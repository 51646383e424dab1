"""Threads share what the C library keeps."""

import subprocess
import sys

#: What many threads take at once, each from an arena of its own if it may; the library's statistics name the arenas.
PROGRAM = """
import ctypes
import sys
import threading

if sys.argv[1:]:
    from blocks.memory import share_arenas

    assert share_arenas()
taken = threading.Barrier(16)


def take():
    block = bytearray(100_000)
    taken.wait()
    del block


threads = [threading.Thread(target=take) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ctypes.CDLL(None).malloc_stats()
"""


def arenas(*arguments: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    return done.stderr.count("Arena ")


def test_many_threads_take_their_memory_from_two_arenas() -> None:
    """Otherwise each would keep what it needed at its busiest."""
    assert arenas() > 2
    assert arenas("share") == 2
