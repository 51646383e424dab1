"""Asking every configured system for a sign of life."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import httpx
from prefect.settings import get_current_settings

from blocks.base import environment_values
from blocks.calls.tls import tls
from blocks.crms.base import open_crm
from blocks.crms.hubspot import HubSpot
from blocks.notifiers.base import load_notifier
from blocks.providers.block import load_provider
from blocks.settings import load_settings
from blocks.variables import unknown_variables
from blocks.warehouses.base import open_warehouse
from enrichment.errors import EnrichmentError, sealed
from enrichment.names import names_in
from enrichment.plan import check_lease
from enrichment.status import between, failed_lately, gone_quiet, no_good_run, waits_too_long
from tasks.books import mapped_fields

_LEAST_FREE_BYTES = 500_000_000
_LISTENER_SECONDS = 5
#: What our receiver answers to a call that isn't HubSpot's.
_LISTENING = (401, 405)
_LISTENER = "check `enrich listen hubspot` and what stands before it"


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
        ("queue", partial(_queue, settings.warehouse)),
        ("runs", partial(_runs, settings.warehouse)),
        ("locks", partial(_locks, settings.warehouse)),
        *((f"provider {name}", partial(_provider, name)) for name in names_in(settings.provider)),
        (f"crm {settings.crm}", partial(_crm, settings.crm)),
        *_runtime(),
        *((f"notifier {name}", partial(_notifier, name)) for name in settings.notifier_references),
    ]
    findings = [*_misspelt(), *(_examine(system, check) for system, check in systems)]
    return _each_cause_once(findings)


def examine_runtime() -> list[Finding]:
    """Return what starts runs: Prefect with its workers and schedules, and the listener, where they are configured."""
    return [_examine(system, check) for system, check in _runtime()]


def _runtime() -> list[tuple[str, Callable[[], str]]]:
    return [
        *([("prefect", _prefect)] if get_current_settings().api.url else []),
        *([("listener", _listener)] if environment_values(HubSpot).get("target_url") else []),
    ]


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
        warehouse.check_schema()
        said = warehouse.check()
        warehouse.check_writes()
        free = warehouse.free_bytes()
    if free is not None and free < _LEAST_FREE_BYTES:
        raise EnrichmentError(
            f"{said}; only {free // 1_000_000:,} MB are free on its disk: make room before it is full"
        )
    return said


def _queue(reference: str) -> str:
    with open_warehouse(reference) as warehouse:
        health = warehouse.read_health()
    if trouble := waits_too_long(health.oldest_at, health.read_at):
        raise EnrichmentError(trouble)
    if health.oldest_at is None:
        return "no live contact waits"
    minutes = between(health.oldest_at, health.read_at).total_seconds() / 60
    return f"the live contact that waits longest has waited for {minutes:,.0f} minutes"


def _runs(reference: str) -> str:
    with open_warehouse(reference) as warehouse:
        health = warehouse.read_health()
    good = f"the last run that ended well did so at {health.good_at}" if health.good_at else "no run has ended well yet"
    if trouble := failed_lately(health.failed_lately):
        raise EnrichmentError(f"{trouble}; {good}")
    if trouble := no_good_run(health.oldest_at, health.good_at, health.read_at):
        raise EnrichmentError(trouble)
    return f"{good}; {health.failed:,} failed contacts wait for a decision" if health.failed else good


def _locks(reference: str) -> str:
    with open_warehouse(reference) as warehouse:
        locks = warehouse.read_locks()
    lease = load_settings().lease_seconds
    quiet = (gone_quiet(one, lease) for one in locks)
    if dead := [sentence for sentence in quiet if sentence]:
        raise EnrichmentError("; ".join(dead))
    locked = sum(one.contacts for one in locks)
    return f"{locked:,} contacts are locked by runs at work" if locked else "no contact is locked"


def _prefect() -> str:
    from tasks.doctor_prefect import check_prefect  # noqa: PLC0415 - imports more of Prefect than all else here

    return check_prefect()


def _listener() -> str:
    """Call the receiver at its public address, where an unsigned call is refused."""
    url = environment_values(HubSpot).get("target_url")
    try:
        status = httpx.get(str(url), timeout=_LISTENER_SECONDS, verify=tls()).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise EnrichmentError(f"the receiver at {url} can't be reached ({type(error).__name__}): {_LISTENER}") from None
    if status not in _LISTENING:
        raise EnrichmentError(f"the receiver at {url} answers {status}: {_LISTENER}")
    return f"the receiver at {url} answers"


def _provider(reference: str) -> str:
    provider = load_provider(reference)
    check_lease(load_settings().lease_seconds, provider.name, provider.terms.longest_seconds)
    return provider.check()


def _notifier(reference: str) -> str:
    return load_notifier(reference).check()


def _crm(reference: str) -> str:
    with open_crm(reference) as crm:
        said = crm.check()
        mapped_fields(crm)
        return said
