"""A process that works on batches keeps no more memory than it needs."""

import re
import subprocess
import sys

#: What many threads take at once, each from an arena of its own if it may; and large blocks after one was given back.
#: The library's statistics name the arenas, and count the blocks that come from the operating system itself.
PROGRAM = """
import ctypes
import gc
import sys
import threading

if sys.argv[1:]:
    from blocks.memory import bound_memory

    assert bound_memory()
    assert gc.get_freeze_count()
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
bytearray(1_000_000)
blocks = [bytearray(1_000_000) for _ in range(8)]
ctypes.CDLL(None).malloc_stats()
"""


def statistics(*arguments: str) -> tuple[int, int]:
    """Return how many arenas there are, and how many blocks came from the operating system itself."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    (blocks,) = re.findall(r"max mmap regions += +(\d+)", done.stderr)
    return done.stderr.count("Arena "), int(blocks)


def test_threads_share_two_arenas_and_large_blocks_go_back() -> None:
    """Otherwise each thread would keep what it needed at its busiest, and large blocks would be cut from that."""
    arenas, blocks = statistics()
    assert arenas > 2
    assert blocks < 8
    arenas, blocks = statistics("bound")
    assert arenas == 2
    assert blocks >= 8
