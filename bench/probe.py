"""
Runs a module as a command and notes what only its own process knows: its peak memory, and the warehouse's statements.

Usage: `python -m bench.probe NOTES [--count] MODULE [ARGUMENTS]`. The peak is the kernel's own count (VmHWM), because
what a parent reads of its child begins with the parent's memory.
"""

import json
import re
import resource
import runpy
import sys
from collections import Counter
from pathlib import Path
from typing import Any

_BYTES_PER_MB = 1_000_000


def main() -> None:
    """Run the module and write the notes, also if it fails."""
    notes, *rest = sys.argv[1:]
    counted: Counter[str] = Counter()
    if rest[0] == "--count":
        rest.pop(0)
        count_statements(counted)
    sys.argv = rest
    try:
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    finally:
        found = {"peak_mb": peak_mb(), "statements": counted}
        Path(notes).write_text(json.dumps(found))


def count_statements(counted: Counter[str]) -> None:
    """Count each named statement of every warehouse that is used from now on."""
    from blocks.warehouses._session import Session  # noqa: PLC0415 - where all statements go through

    def watch(cls: type[Session]) -> None:
        for verb in ("run", "read"):
            setattr(cls, verb, _counting(getattr(cls, verb), counted))

    Session.__init_subclass__ = classmethod(watch)  # type: ignore[assignment]


def _counting(method: Any, counted: Counter[str]) -> Any:
    def run(self: Any, query: str, /, **values: Any) -> Any:
        counted[query] += 1
        return method(self, query, **values)

    return run


def peak_mb() -> float:
    """Return the most memory that this process, or one that it started and that has ended, has had, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    ended, own = (resource.getrusage(who).ru_maxrss * unit for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF))
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        own = int(found[1]) * 1024
    return max(own, ended) / _BYTES_PER_MB


if __name__ == "__main__":
    main()
