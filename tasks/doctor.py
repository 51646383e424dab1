"""Asking every configured system for a sign of life."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from prefect import get_client
from prefect.settings import get_current_settings

from blocks.crms.base import open_crm
from blocks.notifiers.base import load_notifier
from blocks.providers.block import load_provider
from blocks.settings import load_settings
from blocks.warehouses.base import open_warehouse
from enrichment.errors import EnrichmentError, sealed


@dataclass(frozen=True, slots=True)
class Finding:
    """What one system said."""

    system: str
    well: bool
    says: str


def examine() -> list[Finding]:
    """Return one finding for each configured system; only free calls are made."""
    settings = load_settings()
    systems: list[tuple[str, Callable[[], str]]] = [
        (f"warehouse {settings.warehouse}", partial(_warehouse, settings.warehouse)),
        *((f"provider {name.strip()}", partial(_provider, name.strip())) for name in settings.provider.split(",")),
        (f"crm {settings.crm}", partial(_crm, settings.crm)),
        ("prefect", _prefect),
        *((f"notifier {name}", partial(_notifier, name)) for name in settings.notifier_references),
    ]
    return [_examine(system, check) for system, check in systems]


def _examine(system: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(system, well=True, says=sealed(check)())
    except EnrichmentError as error:
        return Finding(system, well=False, says=str(error))


def _warehouse(reference: str) -> str:
    with open_warehouse(reference) as warehouse:
        return warehouse.check()


def _provider(reference: str) -> str:
    return load_provider(reference).check()


def _notifier(reference: str) -> str:
    return load_notifier(reference).check()


def _crm(reference: str) -> str:
    with open_crm(reference) as crm:
        return crm.check()


def _prefect() -> str:
    if not get_current_settings().api.url:
        return "PREFECT_API_URL is not set; each command starts a temporary server"
    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()
    if error:
        raise EnrichmentError(f"the server at PREFECT_API_URL doesn't answer ({type(error).__name__})")
    return "the server answers"
