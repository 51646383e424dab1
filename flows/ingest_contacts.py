"""Put contacts into the queue: new contacts, all contacts, or a list."""

from typing import Literal, cast

from prefect import flow
from prefect.runtime import deployment
from prefect.states import Completed

from blocks.settings import load_settings
from enrichment.errors import ConfigurationError
from enrichment.intake import (
    INTAKE_LABELS,
    EveryContact,
    FailedContacts,
    Intake,
    ListedContacts,
    MissedContacts,
    NewContacts,
    SelectedContacts,
    intake_kind,
)
from enrichment.wording import contacts
from flows.forms import CrmName, WarehouseName
from flows.plan import chosen
from tasks.backfill import stage_selection
from tasks.failed_runs import alert_failure
from tasks.intake import stage_everything, stage_failed, stage_listed, stage_missed, stage_new
from tasks.present_run import by_schedule, run_parameters
from tasks.run_events import report_staged
from tasks.run_starts import follow_up


def run_name() -> str:
    """Return the run's name."""
    asked = run_parameters()
    what = INTAKE_LABELS.get(intake_kind(asked.get("intake")), "contacts")
    return f"queue {what} of {chosen('crm')}"


@flow(
    name="ingest-contacts",
    flow_run_name=run_name,
    description=__doc__,
    persist_result=False,
    on_failure=[alert_failure],
    on_crashed=[alert_failure],
)
def ingest_contacts(
    intake: Intake = NewContacts(),  # noqa: B008 - frozen
    lane: Literal["live", "backfill"] = "live",
    refresh: bool = False,
    crm: CrmName = "",
    warehouse: WarehouseName = "",
) -> int:
    """
    Queue contacts and return how many were added; a contact that is already queued stays as it is.

    Prefect's form shows what is said here of each parameter; it doesn't show the descriptions of annotations.

    Args:
        intake: Which contacts: new, missed, all, listed, selected by conditions, or failed.
        lane: Queue that the contacts are put into.
        refresh: Also look up contacts that were enriched recently; saved replies are reused.
        crm: CRM, `<name>` or `<name>/<block>`; empty: the setting.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.

    Raises:
        ConfigurationError: a setting or a parameter makes no sense.
    """
    if refresh and isinstance(intake, NewContacts | MissedContacts | FailedContacts):
        raise ConfigurationError(
            f"`refresh` looks up enriched contacts again, which {INTAKE_LABELS[intake.what]} aren't: "
            "leave it out, or give a list or a selection"
        )
    settings = load_settings()
    crm, warehouse = crm or settings.crm, warehouse or settings.warehouse
    staged = _stage(intake, crm, warehouse, lane, refresh=refresh)
    report_staged(lane, staged)
    if staged and lane == "live" and deployment.id:
        follow_up()
    return cast(int, Completed(message=f"{contacts(staged)} added to the queue", data=staged))


def _stage(intake: Intake, crm: str, warehouse: str, lane: str, *, refresh: bool) -> int:
    match intake:
        case NewContacts():
            return stage_new(crm, warehouse, lane, intake.since, only_news=by_schedule())
        case MissedContacts():
            return stage_missed(crm, warehouse, lane, intake.days)
        case EveryContact():
            return stage_everything(crm, warehouse, lane, refresh=refresh)
        case ListedContacts():
            return stage_listed(crm, warehouse, lane, intake.crm_ids, intake.csv_path, refresh=refresh)
        case SelectedContacts():
            return stage_selection(crm, warehouse, lane, intake.select, refresh=refresh)
        case FailedContacts():
            return stage_failed(crm, warehouse, lane, intake)
