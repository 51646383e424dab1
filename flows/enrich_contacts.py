"""Lock queued contacts, look them up, store the results, write them back to the CRM, and clear the queue."""

import logging
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated, Any, Literal, cast

from prefect import flow, unmapped
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.flow_runs import suspend_flow_run
from prefect.futures import PrefectFuture
from prefect.input import RunInput
from prefect.runtime import deployment
from prefect.states import Cancelled, Completed
from pydantic import Field

from blocks.log import event
from blocks.settings import MOST_CHUNKS_IN_FLIGHT, Settings, load_settings
from enrichment.books import Books, check_books
from enrichment.change_plans import PlanSummary
from enrichment.errors import (
    ConfigurationError,
    CredentialsRejectedError,
    EnrichmentError,
    QuotaExhaustedError,
    RequestRefusedError,
    RunStoppedError,
    cause,
)
from enrichment.intake import NOBODY, Selection
from enrichment.plan import RunPlan
from enrichment.records import CANCELLED, NEEDS_APPROVAL, ChunkSummary, Claim, Disposition, Stop
from enrichment.stops import graver, stop_of
from enrichment.summary import RunReport, cancelled_in_words
from flows.plan import asked_for, plan_run
from flows.signals import cancelled_by_signals
from flows.task_runner import RunnerOfChoice, other_processes
from lookup.permit import Permit
from tasks.backfill import stage_selection
from tasks.books import close_books, describe_fields, open_books, publish_report
from tasks.change_plans import ask_for_approval, decide_plan, waiting_plan
from tasks.chunk import carry_chunk, finish_writes, look_up, release_chunk, settle, store, write_back
from tasks.dead_runs import marked_alive
from tasks.failed_runs import cancel_books, fail_books
from tasks.locks import locks_kept
from tasks.looks import nothing_waits
from tasks.present_run import begun_before, by_schedule, local_run
from tasks.queue import claim_chunks, count_queue, run_slot
from tasks.run_starts import look_again
from tasks.steps import Parcel

#: A mapped task waits for its input in a thread, so a chunk in flight may occupy one for each task of its chain.
_THREADS = 4 * MOST_CHUNKS_IN_FLIGHT

#: The name of a run's state if more contacts failed than the threshold permits.
WITH_FAILURES = "CompletedWithFailures"

#: After how much more of the work, in per cent, a run without Prefect's UI logs its progress.
_LOGGED_PERCENT = 10.0

_STOP_ERRORS: dict[str, type[RunStoppedError]] = {
    "quota_exhausted": QuotaExhaustedError,
    "credentials_rejected": CredentialsRejectedError,
    "request_refused": RequestRefusedError,
}


def run_name() -> str:
    """Return the run's name while it works; at its end the name says what was done."""
    return asked_for("enrich")


@flow(
    name="enrich-contacts",
    flow_run_name=run_name,
    description=__doc__,
    task_runner=RunnerOfChoice(max_workers=_THREADS),  # type: ignore[arg-type]
    persist_result=False,
    on_failure=[fail_books],
    on_crashed=[fail_books],
    on_cancellation=[cancel_books],
)
def enrich_contacts(
    provider: str = "",
    crm: str = "",
    warehouse: str = "",
    lane: Literal["", "live", "backfill"] = "",
    limit: Annotated[int, Field(ge=0)] = 0,
    select: Selection = NOBODY,
    refresh: bool = False,
    max_credits: Annotated[float | None, Field(ge=0)] = None,
) -> RunReport:
    """
    Enrich what waits in the queue; with a selection, put its contacts into the backfill lane first.

    Prefect's form shows what is said here of each parameter; it doesn't show the descriptions of annotations.

    Args:
        provider: Provider, `<name>` or `<name>/<block>`, or several in order, comma-separated; empty: the setting.
        crm: CRM, `<name>` or `<name>/<block>`; empty: the setting.
        warehouse: Warehouse, `<name>` or `<name>/<block>`; empty: the setting.
        lane: Queue, `live` or `backfill`; empty: both, live first.
        limit: The most queued contacts to enrich; 0: all that wait.
        select: Contacts to put into the backfill queue first; no condition: none.
        refresh: Also look up selected contacts that were enriched recently; saved replies are reused.
        max_credits: The most credits that the run may spend; empty: no cap.

    Returns:
        the run's report: counts only.

    Raises:
        ConfigurationError: a setting, a parameter or the selection makes no sense.
        RunStoppedError: quota or credentials ended the run early; the rest waits in the queue.
        RunCancelledError: a person, or Prefect, ended the run; the rest waits in the queue.
        BooksUnbalancedError: a record claimed is not accounted for.
    """
    settings = load_settings()
    if lane == "live" and not select.is_empty:
        raise ConfigurationError("selected contacts go to the backfill queue: leave `lane` empty")
    if refresh and select.is_empty:
        raise ConfigurationError(
            "`refresh` applies to selected contacts: give a selection, or queue the contacts with `refresh`"
        )
    lane = lane if select.is_empty else "backfill"
    plan = plan_run(settings, provider=provider, crm=crm, warehouse=warehouse, lane=lane, max_credits=max_credits)
    if begun_before() and (waiting := waiting_plan(plan)):
        return _after_approval(plan, settings, waiting)
    if by_schedule() and select.is_empty and nothing_waits(plan):
        nothing = RunReport(plan.run_id, Books(), crm=plan.crm_name)
        return cast(RunReport, Completed(message="no contact waits in the queue", data=nothing))
    if not select.is_empty:
        stage_selection(plan.crm, plan.warehouse, plan.lane, select, refresh=refresh)
    report, permit = carry_out(plan, settings, limit)
    if deployment.id and plan.lane != "backfill" and not limit and not permit.cancelled:
        look_again(plan)
    if report.stop and report.stop.kind == NEEDS_APPROVAL:
        return _held(plan, settings, report)
    return ended(report, settings.alert_threshold)


def carry_out(plan: RunPlan, settings: Settings, limit: int = 0) -> tuple[RunReport, Permit]:
    """
    Take what waits through the chain, with books of its own.

    Returns:
        the run's report, and whether it was cancelled.

    Raises:
        RunStoppedError, RunCancelledError, BooksUnbalancedError, EnrichmentError: see `enrich_contacts`.
    """
    # A cluster that doesn't answer is reported before the books open.
    plan = replace(plan, processes=other_processes(settings))
    with marked_alive(plan):
        open_books(plan)
        with run_slot(plan.lane), locks_kept(plan) as permit, cancelled_by_signals(partial(_cancel, permit)):
            run = _work(plan, settings, limit, permit)
        report = close_books(
            plan,
            run.stop,
            run.crashed,
            run.claimed,
            run.returned,
            settings.limits,
            settings.notifier_references,
            dict(run.planned),
        )
    publish_report(plan, report)
    _judge(report)
    return report, permit


class Approval(RunInput):
    """What a person says in Prefect of changes that a guard has held."""

    approve: bool = Field(description="Write these changes? No: they are dropped, and the contacts leave the queue.")
    who: str = Field(min_length=1, description="Your name; it is kept with the decision.")
    note: str = Field("", description="Why, if you like; it is kept, too.")


def _held(plan: RunPlan, settings: Settings, report: RunReport) -> RunReport:
    """Ask people for their approval; the run of a deployment waits for it, any other one ends and says what to do."""
    summary = ask_for_approval(plan, [] if local_run() else settings.notifier_references)
    return _after_approval(plan, settings, summary) if deployment.id else ended(report, settings.alert_threshold)


def _after_approval(plan: RunPlan, settings: Settings, summary: PlanSummary) -> RunReport:
    """Suspend the run until a person has decided; it begins again then, and comes back here."""
    words = f"{summary}. By rule: {_counted(summary.by_rule)}. By field: {_counted(summary.by_field)}."
    form = Approval.with_initial_data(description=words)
    answer = suspend_flow_run(wait_for_input=form, key="approval", timeout=int(3600 * settings.plan_hours))
    decide_plan(plan.warehouse, plan.run_id, approve=answer.approve, by=answer.who, note=answer.note)
    # With totals of its own: those of the first part are closed.
    applied = replace(plan, run_id=str(uuid.uuid4()), change_plan=plan.run_id)
    return ended(carry_out(applied, settings)[0], settings.alert_threshold)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


@dataclass
class _Run:
    stop: Stop | None = None
    crashed: int = 0
    settled: int = 0
    returned: int = 0
    claimed: int = 0
    planned: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Flight:
    """A chunk on its way through the chain: its claim, and the task runs in their order."""

    claim: Parcel[Claim]
    steps: "tuple[PrefectFuture[Any], ...]"


def _cancel(permit: Permit) -> None:
    event("run_cancelled", level=logging.WARNING, next="answers under way are awaited, and the rest goes back")
    permit.cancel()


def _work(plan: RunPlan, settings: Settings, limit: int, permit: Permit) -> _Run:
    run = _Run()
    try:
        plan = replace(plan, descriptions=describe_fields(plan))
    except RunStoppedError as error:  # nothing is claimed yet, but people are alerted as later
        run.stop = stop_of(error)
        return run
    waiting = count_queue(plan)
    total = min(waiting, limit) if limit else waiting
    show_progress = _progress(plan, total)
    try:
        for summary in _chunks(plan, settings, limit or 2**62, run, permit):
            run.returned += summary.returned + summary.lost
            run.planned.update(summary.planned)
            run.settled += sum(summary.dispositions.values()) + summary.returned + summary.lost
            show_progress(min(100.0, 100.0 * run.settled / max(total, 1)))
    finally:
        finish_writes(plan)
    if permit.cancelled:
        run.stop = graver(run.stop, Stop(CANCELLED, "cancelled; the remaining contacts wait in the queue"))
    return run


def _progress(plan: RunPlan, total: int) -> Callable[[float], object]:
    """
    Return what shows how much of the work is done, in per cent: in Prefect's UI, or without it in a few log lines.

    A single batch has no progress to show, and a live contact no time to lose.
    """
    if total <= plan.chunk_size:
        return lambda _: None
    if local_run():
        return partial(_log_progress, total, [0.0])
    artifact: Any = create_progress_artifact(0.0, key="enrichment-progress", description=f"{total:,} contacts")
    return partial(update_progress_artifact, artifact)


def _log_progress(total: int, logged: list[float], percent: float) -> None:
    """Log how much is done if it is ten per cent more than in the last such line, which `logged` has."""
    if percent >= logged[-1] + _LOGGED_PERCENT:
        logged.append(percent)
        event("progress", percent=int(percent), contacts=total)


def _chunks(plan: RunPlan, settings: Settings, budget: int, run: _Run, permit: Permit) -> Iterator[ChunkSummary]:
    """Keep chunks in flight until nothing is left to claim, and yield each one's summary."""
    flying: deque[_Flight] = deque()
    most = settings.chunks_in_flight
    while True:
        plan = replace(plan, processes=other_processes(settings))
        ends = permit.cancelled or (run.stop is not None and run.stop.ends_run)
        begun = [] if ends else _begin(plan, most - len(flying), budget)
        claimed = sum(len(flight.claim.contents.records) for flight in begun)
        run.claimed += claimed
        budget -= claimed
        flying.extend(begun)
        if not flying:
            return
        if not begun or len(flying) == most:
            summary = _end(plan, flying.popleft(), run)
            run.stop = graver(run.stop, summary.stop)
            yield summary


def _begin(plan: RunPlan, places: int, budget: int) -> list[_Flight]:
    """Claim up to this many chunks, and send each on its way."""
    claims = claim_chunks(plan, places, budget)
    return [_Flight(claim, steps) for claim, steps in zip(claims, _map_chain(plan, claims), strict=True)]


def _map_chain(plan: RunPlan, claims: list[Parcel[Claim]]) -> Iterable[tuple[PrefectFuture[Any], ...]]:
    """Map the chain over chunks, each at its own pace: step by step where Prefect shows each, else as one piece."""
    if plan.processes or local_run():
        return [(carried,) for carried in carry_chunk.map(unmapped(plan), claims)]
    looked_up = look_up.map(unmapped(plan), claims)
    stored = store.map(unmapped(plan), looked_up)
    written = write_back.map(unmapped(plan), stored)
    settled = settle.map(unmapped(plan), written)
    return zip(looked_up, stored, written, settled, strict=True)


def _end(plan: RunPlan, flight: _Flight, run: _Run) -> ChunkSummary:
    try:
        summary: ChunkSummary = flight.steps[-1].result()
    except Exception:  # noqa: BLE001 - after any error, the chain's records go back and the run goes on
        run.crashed += 1
        detail = _first_error(flight)
        event("chunk_failed", error=detail)
        return release_chunk(plan, flight.claim, "chunk_broken", detail)
    return summary


def _first_error(flight: _Flight) -> str:
    """Return what broke the chain; the steps behind it only say that their input is missing."""
    for future in flight.steps:
        try:
            future.result()
        except Exception as error:  # noqa: BLE001 - whatever became of the process that worked on it
            return cause(error)
    return "unknown"


def _judge(report: RunReport) -> None:
    check_books(report.books)
    if report.stop and not report.stop.wished:
        raise _STOP_ERRORS[report.stop.kind](f"{report.stop.message}; the remaining contacts wait in the queue")
    if report.crashed:
        raise EnrichmentError(
            f"{report.crashed} batches failed unexpectedly; their contacts are back in the queue: read the log of "
            "their task runs"
        )


def ended(report: RunReport, threshold: float) -> RunReport:
    """
    Return the report, as Prefect's state of the run if it was cancelled or contacts failed: its message says so.

    Above the threshold the state has a name of its own, by which people filter runs and automations react. It isn't a
    failed state: the run did all of its work, and running it again would change nothing.
    """
    if report.stop and report.stop.kind == CANCELLED:
        return cast(RunReport, Cancelled(message=cancelled_in_words(report.books)))
    failed = report.books.count(Disposition.FAILED)
    if not failed:
        return report
    causes = "; ".join(f"{cause.count:,} x {cause.reason} at {cause.step}" for cause in report.causes)
    message = f"{failed:,} of {report.books.claimed:,} contacts failed: {causes}"
    name = WITH_FAILURES if report.books.failure_rate > threshold else None
    # Prefect gives the caller the data of a state that is returned.
    return cast(RunReport, Completed(name=name, message=message, data=report))
