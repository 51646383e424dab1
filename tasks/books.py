"""Opening and closing a run's books, and what people see of a run."""

import uuid
from collections import Counter
from collections.abc import Sequence

from prefect import get_client
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run

from blocks.crms.base import load_crm
from blocks.providers.block import load_provider
from blocks.warehouses.base import Row, RunEnd, RunStart, Warehouse, open_warehouse
from enrichment.alerts import Cause, alert_kind, compose_alert
from enrichment.errors import ConfigurationError
from enrichment.plan import RunPlan
from enrichment.records import Disposition, Stop
from enrichment.summary import RunReport, failure_rows, summary_markdown
from enrichment.write_policy import FieldDescription
from tasks.steps import event, step
from tasks.telling import tell_people

REPLAY = "enrich stage --failed"


@step(name="open-books")
def open_books(plan: RunPlan) -> None:
    """Open the run's books, once it is known that its blocks can be built."""
    for reference in plan.providers:
        load_provider(reference)
    load_crm(plan.crm).close()
    with open_warehouse(plan.warehouse) as warehouse:
        start = RunStart(plan.run_id, flow_run.get_name() or plan.run_id, plan.provider, plan.crm, plan.lane)
        warehouse.open_run(start, lease_seconds=plan.lease_seconds)
    event("books_opened", run=plan.run_id, provider=plan.provider, crm=plan.crm, warehouse=plan.warehouse)


@step(name="describe-fields")
def describe_fields(plan: RunPlan) -> dict[str, FieldDescription]:
    """
    Return the CRM's description of the fields that its mapping names.

    Raises:
        ConfigurationError: a mapped field doesn't exist.
    """
    crm = load_crm(plan.crm)
    try:
        known = crm.describe_fields()
    finally:
        crm.close()
    missing = sorted({rule.field for rule in crm.rules} - set(known))
    if missing:
        raise ConfigurationError(
            f"{crm.name} has no contact field {', '.join(missing)}: run `enrich setup`, or mend the field mapping"
        )
    return {rule.field: known[rule.field] for rule in crm.rules}


@step(name="close-books")
def close_books(
    plan: RunPlan, stop: Stop | None, crashed: int, threshold: float, notifiers: Sequence[str]
) -> RunReport:
    """Count the run from the ledger, tell people if needed, and close the books whether they balance or not."""
    with open_warehouse(plan.warehouse) as warehouse:
        last = _last_run(plan, warehouse)
        report = _count(plan, warehouse, stop, crashed, last)
        broken = crashed > 0 or not report.books.balanced
        stop_kind = stop.kind if stop else "crashed" if broken else ""
        kind = alert_kind(report.books, threshold=threshold, stop_kind=stop_kind)
        sent = _tell(plan, report, kind, last.get("alert_kind") or "", notifiers)
        end = RunEnd(
            failure_rate=report.books.failure_rate,
            stop_kind=stop.kind if stop else "",
            alert_kind=kind,
            alert_sent=sent,
            credits=report.credits,
            api_versions=report.api_versions,
            state="failed" if stop_kind else "closed",
        )
        warehouse.close_run(plan.run_id, end)
    if report.version_changed:
        before, now = ",".join(report.versions_before), ",".join(report.api_versions)
        event("api_version_changed", provider=plan.provider, before=before, now=now)
    event("books_closed", run=plan.run_id, claimed=report.books.claimed, returned=report.books.returned)
    return report


def _count(plan: RunPlan, warehouse: Warehouse, stop: Stop | None, crashed: int, last: Row) -> RunReport:
    replies = warehouse.query("summarise_replies", run_id=plan.run_id)
    lookups: Counter[str] = Counter()
    for row in replies:
        lookups[row["outcome"]] += row["replies"]
    return RunReport(
        plan.run_id,
        warehouse.read_books(plan.run_id),
        credits=sum(row["credits"] for row in replies),
        lookups=dict(lookups),
        api_versions=sorted({row["api_version"] for row in replies if row["api_version"]}),
        versions_before=last.get("api_versions") or (),
        causes=[_cause(row) for row in warehouse.query("count_failures", run_id=plan.run_id)],
        stop=stop,
        crashed=crashed,
    )


def _cause(row: Row) -> Cause:
    return Cause(row["reason"], row["step"], row["records"], row["example"])


def _last_run(plan: RunPlan, warehouse: Warehouse) -> Row:
    """Return the last run whose state people know, or nothing."""
    rows = warehouse.query("read_last_run", provider=plan.provider, crm=plan.crm, run_id=plan.run_id)
    return rows[0] if rows else {}


def _tell(plan: RunPlan, report: RunReport, kind: str, previous: str, notifiers: Sequence[str]) -> bool:
    """Send one message if the state changed; return whether people know the present state."""
    if not report.books.claimed and not kind:
        return True
    alert = compose_alert(
        kind,
        previous,
        run=f"flow run {flow_run.get_name() or ''} ({plan.run_id})",
        books=report.books,
        causes=report.causes,
        stop=report.stop.message if report.stop else "",
        replay=REPLAY,
    )
    if alert is None:
        return True
    # A dead notifier must not fail the run; the next run tries again.
    return tell_people(alert.subject, alert.body, notifiers, kind=alert.kind or "recovered") > 0


@step(name="publish-report")
def publish_report(plan: RunPlan, report: RunReport) -> None:
    """Publish the run's summary and its failures by cause as artifacts, and let the run's name say what was done."""
    create_markdown_artifact(
        summary_markdown(report),
        key="enrichment-summary",
        description="Books of the run",
    )
    if report.causes:
        create_table_artifact(failure_rows(report.causes, REPLAY), key="enrichment-failures", description="By cause")
    _rename(plan, report)


def _rename(plan: RunPlan, report: RunReport) -> None:
    written = report.books.count(Disposition.WRITTEN)
    if run_id := flow_run.get_id():
        with get_client(sync_client=True) as client:
            client.update_flow_run(
                uuid.UUID(run_id),
                name=f"enriched {report.books.claimed:,} contacts, wrote {written:,} to {plan.crm_name}",
            )
