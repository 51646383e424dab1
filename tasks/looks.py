"""
What a look found, remembered until the next one, so that a schedule learns for free that there is nothing to do.

It is kept in a Prefect Variable, which costs no warehouse anything. What is missing, too old or can't be read means
that there may be something.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import get_client
from prefect.variables import Variable

from blocks.log import event
from blocks.settings import load_settings
from blocks.warehouses.base import Warehouse, open_warehouse
from enrichment.errors import cause
from enrichment.moments import read_moment
from enrichment.plan import RunPlan
from tasks.steps import step

_PREFIX, _AT = "enrichment-look", "looked_at"
_OTHER = re.compile(r"[^a-z0-9-]+")


@step(name="look-first", task_run_name="see whether a contact waits")
def nothing_waits(plan: RunPlan) -> bool:
    """Return whether there is nothing to claim now; a sleeping warehouse isn't woken if nothing has changed."""
    known = recall(*_queue_of(plan))
    with open_warehouse(plan.warehouse) as warehouse:
        if known and known.get("mark") == warehouse.change_mark() and not _is_due(known.get("due_at", "")):
            return True
        return not look(plan, warehouse)


def look(plan: RunPlan, warehouse: Warehouse) -> bool:
    """Return whether there is something to claim now; if not, remember when there will be."""
    mark = warehouse.change_mark()  # before the look: what comes in meanwhile has changed it
    wait = warehouse.next_due(origin=plan.origin, lane=plan.lane)
    if mark and wait != 0:
        due_at = "" if wait is None else (datetime.now(UTC) + timedelta(seconds=wait)).isoformat()
        remember(*_queue_of(plan), mark=mark, due_at=due_at)
    return wait == 0


def recall(*what: str) -> dict[str, Any]:
    """Return what was remembered of something; empty if it has to be looked at."""
    oldest = datetime.now(UTC) - timedelta(hours=load_settings().look_hours)
    try:
        known = Variable.get(_name(what))
        return known if isinstance(known, dict) and read_moment(known[_AT]) > oldest else {}
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it is looked at
        event("look_not_recalled", error=cause(error))
        return {}


def remember(*what: str, **found: str) -> None:
    """Keep what a look has found."""
    try:
        Variable.set(_name(what), {_AT: datetime.now(UTC).isoformat(), **found}, overwrite=True)
    except Exception as error:  # noqa: BLE001 - then the next run looks again
        event("look_not_remembered", error=cause(error))


def forget_looks() -> None:
    """Forget all that looks have found: the tables that they were about are new."""
    with get_client(sync_client=True) as client:
        for known in client.read_variables():
            if known.name.startswith(_PREFIX):
                client.delete_variable_by_name(known.name)


def _queue_of(plan: RunPlan) -> tuple[str, ...]:
    return ("queue", plan.warehouse, plan.crm, plan.lane or "both")


def _name(what: tuple[str, ...]) -> str:
    return _OTHER.sub("-", "-".join((_PREFIX, *what)).lower())


def _is_due(moment: str) -> bool:
    try:
        return bool(moment) and read_moment(moment) <= datetime.now(UTC)
    except ValueError:
        return True
