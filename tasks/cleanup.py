"""Deleting what is older than people want to keep: rows of the warehouse, and Prefect's own runs."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from prefect import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings

from blocks.log import event
from blocks.server import require_server
from blocks.settings import load_settings
from blocks.warehouses.base import open_warehouse
from enrichment.errors import sealed
from tasks.artifacts import publish_table
from tasks.deployments import TAG
from tasks.steps import step

#: The flows of prefect.yaml, by name; of their runs only those are deleted that have the tag of our deployments.
FLOWS = (
    "audit",
    "clean-up",
    "enrich-contacts",
    "erase-contact",
    "estimate-backfill",
    "ingest-contacts",
    "mapping-review",
    "preview-contacts",
    "profile-contacts",
    "remap-contacts",
    "weekly-review",
)
#: How many runs are deleted by one cleanup, and how many are asked for at once; each is one call.
MOST_RUNS = 10_000
_PAGE = 200
_ENDED = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]

#: The name under which Prefect's runs are counted beside the tables.
FLOW_RUNS = "flow runs"


@sealed
def clean_up(warehouse: str, *, delete: bool) -> dict[str, int]:
    """
    Delete what is older than the settings `keep_…_days` permit, or only count it.

    Args:
        warehouse: reference of the warehouse.
        delete: whether to delete.

    Returns:
        the number of rows by table, and of Prefect's runs if a server is named; only of what has a limit.
    """
    settings, server = load_settings(), get_current_settings().api.url
    require_server()
    counted = _clean_tables(warehouse, settings.kept_days, delete=delete)
    if server and settings.keep_flow_runs_days:
        counted[FLOW_RUNS] = clean_flow_runs(settings.keep_flow_runs_days, delete=delete)
    event(
        "cleaned_up" if delete else "cleanup_counted",
        **{name.replace(" ", "_"): count for name, count in counted.items()},
    )
    return counted


@step(name="clean-up", task_run_name="go through what is old")
def clean_up_step(warehouse: str, *, delete: bool) -> dict[str, int]:
    """Do the same as a task; a repeated one finishes what the first one left."""
    return clean_up(warehouse, delete=delete)


@step(name="publish-cleanup", task_run_name="publish what was found")
def publish_cleanup(counted: Mapping[str, int], *, deleted: bool) -> None:
    """Publish what was deleted, or would be, as an artifact."""
    label = "deleted" if deleted else "would be deleted"
    publish_table(
        [{"what": name, label: count} for name, count in counted.items()],
        key="enrichment-cleanup",
        description="Rows older than ENRICHMENT_KEEP_…_DAYS",
    )


def _clean_tables(warehouse: str, days: Mapping[str, int], *, delete: bool) -> dict[str, int]:
    with open_warehouse(warehouse) as target:
        work: Callable[[str, int], int] = target.delete_old if delete else target.count_old
        return {table: work(table, days[table]) for table in target.growing if table in days}


def clean_flow_runs(days: int, *, delete: bool) -> int:
    """Delete or count the runs of our deployments that ended more than this many days ago; a bounded number."""
    flows = FlowFilter(name=FlowFilterName(any_=list(FLOWS)))
    runs = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[TAG]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_ENDED)),
        end_time=FlowRunFilterEndTime(before_=datetime.now(UTC) - timedelta(days=days)),
    )
    with get_client(sync_client=True) as client:
        if not delete:
            return client.count_flow_runs(flow_filter=flows, flow_run_filter=runs)
        deleted = 0
        while deleted < MOST_RUNS and (
            page := client.read_flow_runs(flow_filter=flows, flow_run_filter=runs, limit=_PAGE)
        ):
            for run in page:
                with suppress(ObjectNotFound):  # another cleanup was faster
                    client.delete_flow_run(run.id)
            deleted += len(page)
        return deleted
