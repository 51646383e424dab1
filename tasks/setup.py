"""Preparing the outside for the pipeline, Prefect's server included, and checking cheaply that it is prepared."""

from typing import Any

import httpx
from prefect.settings import get_current_settings

from blocks.base import environment_values
from blocks.crms.base import open_crm
from blocks.listeners.receiver import Receiver
from blocks.notifiers.base import load_notifier
from blocks.providers.block import load_provider
from blocks.server import require_server
from blocks.settings import Settings, load_settings
from blocks.warehouses.base import open_warehouse
from enrichment.errors import TransientError, sealed
from enrichment.names import names_in
from enrichment.plan import Reference, check_lease
from tasks.contact_pages import keep_page
from tasks.deployments import deploy_missing, read_deployments


def ensure_server() -> None:
    """
    Start a temporary server if none is set; each process has at most one, which ends with it.

    Raises:
        TransientError: it isn't up in time, or the one that is set doesn't answer; the message says what to do instead.
    """
    require_server()
    settings = get_current_settings()
    if settings.api.url or not settings.server.ephemeral.enabled:
        return
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - takes seconds to import

    try:
        SubprocessASGIServer().start()
    except (RuntimeError, httpx.HTTPError):
        seconds = settings.server.ephemeral.startup_timeout_seconds
        raise TransientError(
            f"Prefect's temporary server did not start within {seconds} seconds. Start a server of your own with "
            "`prefect server start`, set PREFECT_API_URL=http://127.0.0.1:4200/api, and run this command again; "
            "or allow more time with PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
        ) from None


_WITHOUT_PREFECT = "not prepared: commands run without it until PREFECT_API_URL is set; then run this again"
#: The work pool that prefect.yaml names.
WORK_POOL = "enrichment"


@sealed
def set_up(*, save: bool, runs: int, deploy: bool = False) -> dict[str, Any]:
    """
    Prepare warehouse, CRM and, if a server is set, Prefect; every part may be repeated.

    Args:
        save: save the present configuration as Prefect's default blocks.
        runs: of a lane that may be at work at once; only used when the limit is made.
        deploy: create the deployments of prefect.yaml that are missing.

    Returns:
        what was done, by part.
    """
    settings = load_settings()
    deployments = read_deployments() if deploy else {}
    on_prefect = save or bool(get_current_settings().api.url)  # blocks are also kept where no server runs
    if on_prefect:
        ensure_server()
    with open_warehouse(settings.warehouse) as warehouse:
        migrations = warehouse.migrate()
    if migrations and on_prefect:
        from tasks.looks import forget_looks  # noqa: PLC0415 - as below

        forget_looks()
    with open_crm(settings.crm) as crm, open_warehouse(settings.warehouse) as warehouse:
        fields = crm.ensure_fields()
        keep_page(crm, warehouse)
    prefect = _prepare_prefect(settings, save, runs) if on_prefect else {"Prefect": _WITHOUT_PREFECT}
    done = {"migrations applied": migrations, "CRM fields created": fields, **prefect}
    return {**done, "deployments created": deploy_missing(deployments)} if deploy else done


@sealed
def check_ready(provider: str = "") -> None:
    """Raise a ConfigurationError if a run could not start, before Prefect is started for it."""
    settings = load_settings()
    with open_warehouse(settings.warehouse) as warehouse:
        warehouse.check_schema()
    with open_crm(settings.crm):
        pass
    for reference in names_in(provider or settings.provider):
        vendor = load_provider(reference)
        check_lease(settings.lease_seconds, vendor.name, vendor.terms.longest_seconds)
    for reference in settings.notifier_references:
        load_notifier(reference)


def _prepare_prefect(settings: Settings, save: bool, runs: int) -> dict[str, Any]:
    from blocks.automations import make_automations  # noqa: PLC0415 - as below
    from blocks.registration import (  # noqa: PLC0415 - starts a server if none runs
        make_limit,
        make_work_pool,
        register_blocks,
        save_blocks,
    )
    from tasks.queue import RUN_LIMITS  # noqa: PLC0415

    done: dict[str, Any] = {"block types": register_blocks()}
    done["concurrency limits created"] = [name for name in RUN_LIMITS if make_limit(name, runs)]
    done["work pools created"] = [WORK_POOL] if make_work_pool(WORK_POOL) else []
    if save:
        chosen = [*names_in(settings.provider), settings.crm, settings.warehouse, *settings.notifier_references]
        if environment_values(Receiver):
            chosen.append(Receiver.vendor)
        done["blocks saved"] = save_blocks({Reference.parse(reference).name for reference in chosen})
    done["automations created or updated"] = make_automations(settings.notifier_references, save=save)
    return done
