"""Compare the saved replies of some months with the rules that read them, and the CRM's fields with the mapping."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from blocks.settings import load_settings
from enrichment.drift_page import Drift
from flows.forms import WarehouseName
from tasks.drift import drift_step, publish_drift, send_drift
from tasks.failed_runs import alert_failure


@flow(
    name="mapping-review",
    flow_run_name="review the mapping over {days} days",
    description=__doc__,
    persist_result=False,
    on_failure=[alert_failure],
    on_crashed=[alert_failure],
)
def mapping_review(days: Annotated[int, Field(ge=1, le=366)] = 90, warehouse: WarehouseName = "") -> Drift:
    """
    Publish what has changed with the lines to write instead, and send a message if values are lost.

    Args:
        days: How many days to look back.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.

    Returns:
        what has changed: names, counts, and words that several contacts share.
    """
    done = drift_step(days, warehouse)
    publish_drift(done)
    send_drift(done, load_settings().notifier_references)
    return done
