"""
Runs that died on this machine: the operating system gives back a lock that each holds, so nothing waits for a lease.

Of runs on other machines nothing is known but when they were last seen; their contacts are free when the lease ends.
"""

import fcntl
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from prefect.settings import get_current_settings

from blocks.log import event
from blocks.warehouses.base import RunEnd, Warehouse
from enrichment.alerts import shares_of
from enrichment.books import Books
from enrichment.plan import RunPlan


@contextmanager
def marked_alive(plan: RunPlan) -> Iterator[None]:
    """Hold a lock on a file of the run's name; not if others work on its batches, since they may outlive this one."""
    if plan.processes:
        yield
        return
    path = _folder() / plan.run_id
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def end_dead_runs(warehouse: Warehouse) -> None:
    """Close the books of runs that died on this machine, and put back what they held, which may be why they died."""
    for path in _folder().iterdir():
        with suppress(FileNotFoundError, BlockingIOError), path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            run = warehouse.find_run(path.name)
            if run is None:  # it is another warehouse's
                continue
            if run.state == "open":
                released = end_early(warehouse, run.run_id, "abandoned", costs_attempt=True)
                event("dead_run_ended", run=run.run_id, returned=released)
            path.unlink()


def end_of(books: Books, *, state: str) -> RunEnd:
    """Return the end of a run with these totals, for which no alert goes out."""
    counted = shares_of(books)
    return RunEnd(
        books.failure_rate,
        state=state,
        invalid=counted.invalid,
        unmatched=counted.unmatched,
        known=counted.known,
    )


def end_early(warehouse: Warehouse, run_id: str, state: str, *, costs_attempt: bool) -> int:
    """Put back what a run still holds, close its books, and return how many contacts went back; no alert goes out."""
    released = warehouse.release_run(run_id, costs_attempt=costs_attempt)
    books = warehouse.read_books(run_id)
    usage = warehouse.count_usage(run_id)
    versions = sorted({one.api_version for one in usage if one.api_version})
    cost = sum(one.credits for one in usage)
    end = end_of(books, state=state)
    warehouse.close_run(run_id, replace(end, stop_kind=state, credits=cost, api_versions=versions))
    return released


def _folder() -> Path:
    # Of this machine, since several may share a home, and not every file system shares locks.
    folder = get_current_settings().home / "enrichment" / "runs" / platform.node()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
