"""Asking every configured system for a sign of life."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from prefect.settings import get_current_settings

from blocks.crms.base import open_crm
from blocks.notifiers.base import load_notifier
from blocks.providers.block import load_provider
from blocks.server import require_server
from blocks.settings import load_settings
from blocks.variables import unknown_variables
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
        *([("prefect", _prefect)] if get_current_settings().api.url else []),
        *((f"notifier {name}", partial(_notifier, name)) for name in settings.notifier_references),
    ]
    findings = [*_misspelt(), *(_examine(system, check) for system, check in systems)]
    return _each_cause_once(findings)


def _misspelt() -> list[Finding]:
    return [Finding("settings", well=False, says=sentence) for sentence in unknown_variables()]


def _each_cause_once(findings: list[Finding]) -> list[Finding]:
    """Join the findings that report the same, such as a server that several systems' settings are in."""
    causes: dict[tuple[bool, str], list[str]] = {}
    for finding in findings:
        causes.setdefault((finding.well, finding.says), []).append(finding.system)
    return [Finding(", ".join(dict.fromkeys(systems)), well, says) for (well, says), systems in causes.items()]


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
    require_server()
    return "the server answers"
