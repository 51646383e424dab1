"""Count what is older than the settings permit, in the warehouse and of Prefect's runs, and delete it if asked to."""

from prefect import flow

from blocks.settings import load_settings
from flows.forms import WarehouseName
from tasks.cleanup import clean_up_step, publish_cleanup
from tasks.failed_runs import alert_failure
from tasks.present_run import run_parameters


def run_name() -> str:
    """Return the run's name."""
    return "count what is old" if run_parameters().get("dry_run", True) else "delete what is old"


@flow(
    name="clean-up",
    flow_run_name=run_name,
    description=__doc__,
    persist_result=False,
    on_failure=[alert_failure],
    on_crashed=[alert_failure],
)
def clean_up(dry_run: bool = True, warehouse: WarehouseName = "") -> dict[str, int]:
    """
    Count what is older than ENRICHMENT_KEEP_…_DAYS, and delete it if this is no dry run.

    Args:
        dry_run: Only count what would be deleted.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.

    Returns:
        the number of rows by table, and of Prefect's runs.
    """
    counted = clean_up_step(warehouse or load_settings().warehouse, delete=not dry_run)
    publish_cleanup(counted, deleted=not dry_run)
    return counted
