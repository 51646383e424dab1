"""The locks of the runs in this process, which a timer renews for as long as the process works on them."""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass, field

from blocks.log import event
from blocks.warehouses.base import open_warehouse
from enrichment.errors import TransientError, cause
from enrichment.plan import RunPlan
from lookup.permit import Permit

#: A renewal is due so many times within a lease ...
_RENEWALS = 3
#: ... and one that failed is tried again after so many seconds at the latest.
_SOON_SECONDS = 5.0
#: How often processes that share a run look whether it was cancelled in one of them.
_LOOK_SECONDS = 3.0


@dataclass
class _Kept:
    permit: Permit
    users: int = 0
    timer: ExitStack = field(default_factory=ExitStack)


_kept: dict[str, _Kept] = {}
_lock = threading.Lock()


@contextmanager
def locks_kept(plan: RunPlan) -> Iterator[Permit]:
    """
    Renew a run's locks as long as the block lasts, and give what says whether it may pay.

    In one process a run has one timer: the flow's own lasts from the first batch to the last one. What works on a
    batch of the run in another process has its own there.
    """
    with _lock:
        kept = _kept.setdefault(plan.run_id, _Kept(Permit(plan.lease_seconds)))
        kept.users += 1
        first = kept.users == 1
    try:
        if first:
            kept.timer.enter_context(_timer(plan, kept.permit))
        yield kept.permit
    finally:
        with _lock:
            kept.users -= 1
            last = not kept.users
            if last:
                del _kept[plan.run_id]
        if last:  # who came first may have left long before
            kept.timer.close()


@contextmanager
def _timer(plan: RunPlan, permit: Permit) -> Iterator[None]:
    """Renew the locks in a thread of its own; in another process at once, too, since they were made a while ago."""
    ended, work = threading.Event(), [_renew_until]
    if plan.processes:
        _renew(plan, permit)
        work.append(_share_end)
    # With the caller's context, so that its log lines reach the run's log.
    threads = [
        threading.Thread(target=copy_context().run, args=(one, ended, plan, permit), daemon=True) for one in work
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _share_end(ended: threading.Event, plan: RunPlan, permit: Permit) -> None:
    """Let the other processes of a run know that it was cancelled here, and learn it from them."""
    while not ended.wait(_LOOK_SECONDS):
        with suppress(TransientError), open_warehouse(plan.warehouse) as warehouse:
            run = warehouse.find_run(plan.run_id)
            if run and run.state != "open":
                permit.cancel()
            elif permit.cancelled:
                warehouse.cancel_run(plan.run_id)


def _renew_until(ended: threading.Event, plan: RunPlan, permit: Permit) -> None:
    pause = interval = plan.lease_seconds / _RENEWALS
    while not ended.wait(pause):
        pause = interval if _renew(plan, permit) else min(interval, _SOON_SECONDS)


def _renew(plan: RunPlan, permit: Permit) -> bool:
    """Renew a run's locks, and return whether that went well."""
    try:
        with open_warehouse(plan.warehouse) as warehouse:
            permit.renew(lambda: warehouse.renew_run(plan.run_id, lease_seconds=plan.lease_seconds))
    except Exception as error:  # noqa: BLE001 - whatever it is, the next renewal may go well
        event("locks_not_renewed", level=logging.WARNING, run=plan.run_id, error=cause(error))
        return False
    return True


def cancel_runs() -> None:
    """Cancel the runs of this process."""
    with _lock:
        for kept in _kept.values():
            kept.permit.cancel()
