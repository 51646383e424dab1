"""Checking that everything was kept that is promised: in the warehouse's tables, and in a sample of the CRM."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from blocks.crms.base import Crm, crm_name, open_crm, read_apart
from blocks.log import event
from blocks.providers.block import load_provider
from blocks.providers.spec.model import load_spec
from blocks.settings import Settings, load_settings
from blocks.warehouses.base import Warehouse, open_warehouse
from enrichment.comparisons import Booked, Held, check_policy, compare
from enrichment.errors import EnrichmentError, PromiseBrokenError, sealed
from enrichment.names import names_in
from enrichment.plan import Reference
from enrichment.promises import Sighting, Verdict, judge
from enrichment.records import Origin
from tasks.artifacts import publish_table
from tasks.steps import step


@dataclass(frozen=True)
class Audit:
    """
    What an audit found.

    Args:
        days: how far it looked back.
        verdicts: one for each promise that was checked.
        notes: what it saw besides, and what it couldn't check.
    """

    days: int
    verdicts: Sequence[Verdict]
    notes: Sequence[str] = field(default_factory=list)

    @property
    def broken(self) -> list[Verdict]:
        """Return the promises that are broken."""
        return [one for one in self.verdicts if not one.kept]


@sealed
def audit(warehouse: str = "", *, days: int, sample: int) -> Audit:
    """
    Check every promise; nothing is changed, and nothing costs a credit.

    Args:
        warehouse: reference of the warehouse; empty: the setting.
        days: how far to look back; no further than the cleanup leaves rows.
        sample: of how many contacts the CRM is read, those written to last; 0: neither it nor a provider is called.
    """
    settings = load_settings()
    days = min([days, *settings.kept_days.values()])
    notes: list[str] = []
    with open_warehouse(warehouse or settings.warehouse) as target:
        found = target.read_broken(
            days=days,
            reply_days=settings.reply_days,
            threshold=settings.alert_threshold,
            notifiers=settings.notifiers,
        )
        found |= _ask_crm(target, settings, days, sample, notes)
        if sample:
            notes += _usage(target, settings, days)
    done = Audit(days, judge(found), notes)
    event("audited", promises=len(done.verdicts), broken=len(done.broken), days=days)
    return done


def _ask_crm(
    warehouse: Warehouse, settings: Settings, days: int, sample: int, notes: list[str]
) -> Mapping[str, Sighting]:
    """Judge the writes by the CRM's mapping, and compare a sample; a CRM that can't be used is noted."""
    found: dict[str, Sighting] = {}
    origin = Origin(crm_name(settings.crm))
    try:
        with open_crm(settings.crm) as crm:
            found |= check_policy(crm.rules, crm.protected, warehouse.written_fields(origin, days=days))
            if sample:
                found["write_not_there"], said = _compare(warehouse, crm, origin, days, sample)
                notes.append(f"crm {settings.crm}: {said}")
    except EnrichmentError as error:
        notes.append(f"crm {settings.crm}: not checked: {error}")
    return found


def _compare(warehouse: Warehouse, crm: Crm, origin: Origin, days: int, sample: int) -> tuple[Sighting, str]:
    described = crm.describe_fields()
    writes = [one for one in warehouse.confirmed_writes(origin, days=days, contacts=sample) if one.field in described]
    names = list(dict.fromkeys(one.field for one in writes))
    contacts, unread = read_apart(crm, list(dict.fromkeys(one.crm_id for one in writes)), names, history=names)
    held = {crm_id: Held(one.values, one.changed_at) for crm_id, one in contacts.items()}
    counts, missing = compare([one for one in writes if one.crm_id not in unread], held, described)
    said = (
        f"{len(contacts):,} contacts read: {counts['ours']:,} values are ours, {counts['changed']:,} were changed "
        f"since, {counts['gone']:,} are of contacts that are gone"
    )
    return missing, said


def _usage(warehouse: Warehouse, settings: Settings, days: int) -> list[str]:
    """Say what is booked of each provider, and beside it the provider's own figure if there is one."""
    booked = warehouse.credits_booked(days=days)
    references = {Reference.parse(one).name: one for one in names_in(settings.provider)}
    return [
        f"provider {name}: {_booked(booked.get(name, Booked()))} in {days} days{_figure(references.get(name))}"
        for name in dict.fromkeys([*references, *booked])
    ]


def _booked(booked: Booked) -> str:
    doubt = f", and {booked.doubtful:,.10g} in doubt," if booked.doubtful else ""
    return f"{booked.credits:,.10g} credits booked{doubt}"


def _figure(reference: str | None) -> str:
    if reference is None or load_spec(Reference.parse(reference).name).usage is None:
        return ""
    try:
        return f"; {load_provider(reference).check()}"
    except EnrichmentError as error:
        return f"; its own figure isn't known: {error}"


@step(name="audit", task_run_name="check the promises of {days} days")
def audit_step(warehouse: str, *, days: int, sample: int) -> Audit:
    """Do the same as a task."""
    return audit(warehouse, days=days, sample=sample)


@step(name="publish-audit", task_run_name="publish what was found")
def publish_audit(done: Audit) -> None:
    """Publish what was found as an artifact."""
    publish_table(
        [row_of(one) for one in done.verdicts],
        key="enrichment-audit",
        description=f"Promises, checked over the last {done.days} days",
    )


def row_of(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as a row of a table."""
    found = "; ".join(f"{one.count:,} x {one.rule} {', '.join(one.examples)}" for one in verdict.breaches)
    return {"promise": verdict.text, "result": "ok" if verdict.kept else "BROKEN", "found": found}


def check_kept(done: Audit) -> None:
    """Raise PromiseBrokenError if a promise is broken."""
    if done.broken:
        names = ", ".join(one.promise for one in done.broken)
        raise PromiseBrokenError(f"the audit found broken promises ({names}): `enrich audit` shows the ids")
