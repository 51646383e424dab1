"""Opening and closing a run's books, and what people see of a run."""

import uuid
from collections import Counter, UserDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from prefect.client.orchestration import get_client

from blocks.calls.pacing import begin_counting, rates_used
from blocks.crms.base import Crm, open_crm
from blocks.log import event
from blocks.memory import bound_memory
from blocks.notifiers.base import notify
from blocks.providers.block import load_provider
from blocks.settings import load_settings, read_price_book
from blocks.warehouses.base import RunEnd, RunStart, Usage, Warehouse, open_warehouse
from enrichment.alerts import (
    Concern,
    Limits,
    concerns_of,
    gravest,
    judge,
    pack_known,
    unpack_known,
)
from enrichment.books import Books
from enrichment.errors import ConfigurationError
from enrichment.lists import ListFilter, shown
from enrichment.messages import Occasion, compose_alert, compose_version_notice
from enrichment.plan import RunPlan, check_lease
from enrichment.records import CANCELLED, NEEDS_APPROVAL, Disposition, Stop
from enrichment.stops import graver
from enrichment.summary import ProviderUse, RunReport, in_one_sentence, summary_markdown
from enrichment.wire import FieldDescription
from tasks.artifacts import publish_markdown, publish_table
from tasks.contact_pages import find_page
from tasks.dead_runs import end_dead_runs, end_of
from tasks.lists import read_failed, read_refused
from tasks.present_run import local_run, present_label, run_id, run_name
from tasks.queue import pause_of
from tasks.run_events import report_end, report_stale
from tasks.steps import step

#: How many contacts of a refused field an alert names, and how many rows a table in Prefect has.
_CONTACTS_NAMED, _CONTACTS_SHOWN = 10, 200
#: Neither errors nor values, which may quote a contact, leave the warehouse.
_FAILED_COLUMNS = ("words", "command", "link", "attempts", "first_at", "last_at", "step", "fix")
_REFUSED_COLUMNS = ("field", "words", "command", "link", "first_at", "fix")


@step(name="open-books", task_run_name="open the totals")
def open_books(plan: RunPlan) -> None:
    """Open the run's books, once it is known that its blocks can be built and that the tables are this version's."""
    bound_memory()
    for reference in plan.providers:
        provider = load_provider(reference)
        check_lease(plan.lease_seconds, provider.name, provider.terms.longest_seconds)
    with open_crm(plan.crm), open_warehouse(plan.warehouse) as warehouse:
        warehouse.check_schema()
        end_dead_runs(warehouse)
        start = RunStart(plan.run_id, run_name() or plan.run_id, plan.provider, plan.crm, plan.lane)
        warehouse.open_run(start, lease_seconds=plan.lease_seconds)
        warehouse.note_prices(read_price_book(load_settings().price_book))
    begin_counting()
    event("books_opened", run=plan.run_id, provider=plan.provider, crm=plan.crm, warehouse=plan.warehouse)


@step(name="describe-fields", task_run_name="read the fields of {plan.crm_name}")
def describe_fields(plan: RunPlan) -> Mapping[str, FieldDescription]:
    """
    Return the CRM's description of the fields that its mapping names.

    It is no dict, since Prefect would look for futures in each field's options at each task of each chunk.

    Raises:
        ConfigurationError: a mapped field doesn't exist.
    """
    with open_crm(plan.crm) as crm:
        return UserDict(mapped_fields(crm))


def mapped_fields(crm: Crm) -> dict[str, FieldDescription]:
    """Return the description of the fields that a CRM's mapping names; raise ConfigurationError if one is missing."""
    known = crm.describe_fields()
    missing = sorted({rule.field for rule in crm.rules} - set(known))
    if missing:
        raise ConfigurationError(
            f"{crm.name} has no contact field {', '.join(missing)}: run `enrich setup`, or fix the field mapping"
        )
    return {rule.field: known[rule.field] for rule in crm.rules}


@step(name="close-books", task_run_name="close the totals")
def close_books(
    plan: RunPlan,
    stop: Stop | None,
    crashed: int,
    claimed: int,
    returned: int,
    limits: Limits,
    notifiers: Sequence[str],
    planned: Mapping[str, int],
) -> RunReport:
    """Count the run from the ledger, alert people if needed, and close the books whether they balance or not."""
    with open_warehouse(plan.warehouse) as warehouse:
        stop = graver(stop, pause_of(plan, warehouse))
        # A claim whose answer was lost: the run doesn't know of it, and another one may have taken it over by now.
        released = warehouse.release_run(plan.run_id, costs_attempt=False)
        books = warehouse.read_books(plan.run_id, claimed=claimed + released, returned=returned + released)
        report = _count(plan, warehouse, stop, crashed, books, planned)
        report_stale(plan.lane, warehouse)
        end = _cancelled_or_judged(plan, warehouse, report, limits, notifiers)
        warehouse.close_run(
            plan.run_id,
            replace(
                end,
                stop_kind=stop.kind if stop else "",
                credits=report.credits,
                api_versions=report.api_versions,
            ),
        )
    report_end(plan, report)
    for use in report.providers:
        _note_use(plan, use, notifiers)
    event("books_closed", run=plan.run_id, claimed=report.books.claimed, returned=report.books.returned)
    return report


def _cancelled_or_judged(
    plan: RunPlan, warehouse: Warehouse, report: RunReport, limits: Limits, notifiers: Sequence[str]
) -> RunEnd:
    """
    Return how the run ends, and alert people if needed.

    A cancelled run is neither judged nor alerted of: most of its results are those that come early, such as unmatched.
    """
    ended = _end_of(report)
    if report.stop and report.stop.kind == CANCELLED:
        return end_of(report.books, state=CANCELLED)
    concerns = _concerns(plan, warehouse, report, ended, limits)
    end = alert_and_end(warehouse, plan, concerns, _occasion(plan, report), notifiers)
    return replace(end, state="failed" if ended[0] else "closed")


def _end_of(report: RunReport) -> tuple[str, str]:
    """Return why the run failed, as its kind and message; empty if it didn't."""
    if report.stop and not report.stop.wished:
        return report.stop.kind, report.stop.message
    if report.crashed:
        return "crashed", f"{report.crashed} batches failed unexpectedly; their contacts are back in the queue"
    return ("", "") if report.books.balanced else ("crashed", "the totals don't match")


def _concerns(
    plan: RunPlan, warehouse: Warehouse, report: RunReport, ended: tuple[str, str], limits: Limits
) -> list[Concern]:
    if report.stop and report.stop.kind == NEEDS_APPROVAL:
        limits = replace(limits, jump_factor=0.0)  # those that are held aren't among the known ones yet
    looked_at = [one for one in (Disposition.INVALID, Disposition.UNMATCHED) if report.books.count(one)]
    judged = looked_at if report.books.finished >= limits.minimum else []
    found = concerns_of(
        report.books,
        limits,
        causes=report.causes,
        stop=ended,
        refusals=report.refusals,
        crm=plan.crm_name,
        provider=plan.provider_names,
        before=warehouse.results_before(plan.provider, plan.crm, plan.lane, plan.run_id),
        reasons={one: warehouse.count_reasons(plan.run_id, one) for one in judged},
    )
    return [_with_contacts(warehouse, plan, one) if one.kind == "refused_fields" else one for one in found]


def _with_contacts(warehouse: Warehouse, plan: RunPlan, one: Concern) -> Concern:
    name, _, reason = one.about.partition(" ")
    items = warehouse.list_refused(ListFilter(plan.run_id, reason, name, limit=_CONTACTS_NAMED))
    since = min((item.first_at for item in items), default="")
    return replace(one, contacts=tuple(item.crm_id for item in items), since=since)


def alert_and_end(
    warehouse: Warehouse, plan: RunPlan, concerns: Sequence[Concern], occasion: Occasion, notifiers: Sequence[str]
) -> RunEnd:
    """Alert people of what they don't know yet, and return the end of the run with what they know then."""
    last = warehouse.read_last_run(plan.provider, plan.crm, plan.run_id)
    known = unpack_known(last.alert_state if last else None)
    sent, books = True, occasion.books
    if books.claimed or concerns:
        fresh, after = judge(concerns, known, datetime.now(UTC).isoformat(timespec="seconds"))
        page = find_page(warehouse, plan.crm) if fresh else ""
        alert = compose_alert(fresh, concerns, known, replace(occasion, page=page))
        # A dead notifier must not fail the run; the next run tries again.
        sent = alert is None or notify(alert.subject, alert.body, notifiers, kind=alert.kind or "recovered") > 0
        known = after
    return replace(
        end_of(books, state="closed"),
        alert_kind=gravest(concerns),
        alert_sent=sent,
        alert_state=pack_known(known),
    )


def _count(
    plan: RunPlan, warehouse: Warehouse, stop: Stop | None, crashed: int, books: Books, planned: Mapping[str, int]
) -> RunReport:
    usage = warehouse.count_usage(plan.run_id)
    others = [one for one in warehouse.read_locks() if one.run_id != plan.run_id]
    names = dict.fromkeys([*plan.provider_names.split(","), *(one.provider for one in usage)])
    return RunReport(
        plan.run_id,
        books,
        providers=[
            _use(name, mine, warehouse.versions_before(name, plan.run_id))
            for name in names
            if (mine := [one for one in usage if one.provider == name])
        ],
        causes=warehouse.failed_causes(plan.run_id),
        stop=stop,
        crashed=crashed,
        refusals=[replace(one, planned=planned.get(one.field, 0)) for one in warehouse.count_refusals(plan.run_id)],
        crm=plan.crm_name,
        rates=rates_used(),
        locked=sum(one.contacts for one in others),
        locked_until=max((one.free_at for one in others), default=""),
    )


def _use(provider: str, usage: Sequence[Usage], before: Sequence[str]) -> ProviderUse:
    lookups: Counter[str] = Counter()
    for one in usage:
        lookups[one.outcome] += one.replies
    last = max(usage, key=lambda one: one.last_reply_at)
    return ProviderUse(
        provider,
        dict(lookups),
        credits=sum(one.credits for one in usage),
        api_versions=sorted({one.api_version for one in usage if one.api_version}),
        versions_before=before,
        request_id=last.request_id or "",
    )


def _note_use(plan: RunPlan, use: ProviderUse, notifiers: Sequence[str]) -> None:
    """Log what the run had of a provider, and notify people once that it speaks another version."""
    now, before = ",".join(use.api_versions), ",".join(use.versions_before)
    event(
        "provider_used",
        run=plan.run_id,
        provider=use.provider,
        replies=use.replies,
        credits=use.credits,
        api_version=now,
        request_id=use.request_id,
    )
    if use.version_changed:
        event("api_version_changed", provider=use.provider, before=before, now=now)
        run = present_label(plan.run_id)
        notice = compose_version_notice(use.provider, use.versions_before, use.api_versions, run=run)
        notify(notice.subject, notice.body, notifiers, kind=notice.kind)


def _occasion(plan: RunPlan, report: RunReport) -> Occasion:
    return Occasion(present_label(plan.run_id), f"enrich retry --run {plan.run_id}", report.books)


@step(name="publish-report", task_run_name="publish the summary")
def publish_report(plan: RunPlan, report: RunReport) -> None:
    """Publish the run's summary, what failed and what was not written, and let its name say what was done."""
    if local_run():
        return  # who started it reads the report at the terminal
    page = ""
    if report.causes or report.refusals:
        with open_warehouse(plan.warehouse) as warehouse:
            page = find_page(warehouse, plan.crm)
    mine = ListFilter(plan.run_id, limit=_CONTACTS_SHOWN)
    publish_markdown(summary_markdown(report, page), key="enrichment-summary", description=in_one_sentence(report))
    if report.causes:
        rows = shown(read_failed(mine, plan.warehouse), _FAILED_COLUMNS)
        publish_table(rows, key="enrichment-failures", description="Failed contacts, and what to do")
    if report.refusals:
        rows = shown(read_refused(mine, plan.warehouse), _REFUSED_COLUMNS)
        publish_table(rows, key="enrichment-fields-not-written", description="Fields that were not written, and why")
    _rename(plan, report)


def _rename(plan: RunPlan, report: RunReport) -> None:
    written, failures = report.books.count(Disposition.WRITTEN), report.books.count(Disposition.FAILED)
    failed = f", {failures:,} failed" if failures else ""
    if flow_run_id := run_id():
        with get_client(sync_client=True) as client:
            client.update_flow_run(
                uuid.UUID(flow_run_id),
                name=f"enriched {report.books.claimed:,} contacts, wrote {written:,} to {plan.crm_name}{failed}",
            )
