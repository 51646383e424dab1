"""Check on the warehouse's tables, and on a sample of the CRM, that everything was kept that is promised."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.forms import WarehouseName
from tasks.audit import Audit, audit_step, check_kept, publish_audit
from tasks.failed_runs import alert_failure


@flow(
    name="audit",
    flow_run_name="audit of the last {days} days",
    description=__doc__,
    persist_result=False,
    on_failure=[alert_failure],
    on_crashed=[alert_failure],
)
def audit(
    days: Annotated[int, Field(ge=1, le=366)] = 30,
    sample: Annotated[int, Field(ge=0, le=1000)] = 20,
    warehouse: WarehouseName = "",
) -> Audit:
    """
    Check every promise, and fail if one is broken, which alerts people; nothing is changed.

    Args:
        days: How many days to look back.
        sample: Of how many contacts the CRM is read, those written to last; 0: none.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.

    Returns:
        what was found: ids and counts only.

    Raises:
        PromiseBrokenError: a promise is broken.
    """
    done = audit_step(warehouse, days=days, sample=sample)
    publish_audit(done)
    check_kept(done)
    return done
