"""The work of a run: its batches on their way through the chain, between the opening and the closing of its books."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, cast

from prefect import unmapped
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.states import Cancelled, Completed

from blocks.log import event
from blocks.settings import MOST_CHUNKS_IN_FLIGHT, Settings
from enrichment.books import Books, check_books
from enrichment.change_plans import PlanSummary
from enrichment.errors import (
    CredentialsRejectedError,
    EnrichmentError,
    QuotaExhaustedError,
    RequestRefusedError,
    RunStoppedError,
    cause,
)
from enrichment.plan import RunPlan
from enrichment.records import CANCELLED, ChunkSummary, Claim, Disposition, Stop
from enrichment.stops import graver, stop_of
from enrichment.summary import RunReport, cancelled_in_words, in_one_sentence
from flows.signals import cancelled_by_signals
from flows.task_runner import other_processes
from lookup.permit import Permit
from tasks.artifacts import publish_progress
from tasks.books import close_books, describe_fields, open_books, publish_report
from tasks.change_plans import ask_for_approval, waiting_plan
from tasks.chunk import carry_chunk, finish_writes, look_up, release_chunk, settle, store, write_back
from tasks.dead_runs import marked_alive
from tasks.locks import locks_kept
from tasks.present_run import local_run
from tasks.queue import claim_chunks, count_queue, run_slot
from tasks.steps import Parcel

#: A mapped task waits for its input in a thread, so a chunk in flight may occupy one for each task of its chain.
MOST_THREADS = 4 * MOST_CHUNKS_IN_FLIGHT

#: The name of a run's state if more contacts failed than the threshold permits.
WITH_FAILURES = "CompletedWithFailures"

#: After how much more of the work, in per cent, a run without Prefect's UI logs its progress.
_LOGGED_PERCENT = 10.0

_STOP_ERRORS: dict[str, type[RunStoppedError]] = {
    "quota_exhausted": QuotaExhaustedError,
    "credentials_rejected": CredentialsRejectedError,
    "request_refused": RequestRefusedError,
}


class Carried(NamedTuple):
    """
    What has become of a run.

    Args:
        report: its counts.
        cancelled: whether it was cancelled.
        held: what a guard has held, of which people were told; None if it is nothing.
    """

    report: RunReport
    cancelled: bool
    held: PlanSummary | None


def carry_out(plan: RunPlan, settings: Settings, limit: int = 0) -> Carried:
    """
    Take what waits through the chain, with books of its own.

    Raises:
        RunStoppedError, RunCancelledError, BooksUnbalancedError, EnrichmentError: see `enrich_contacts`.
    """
    # A cluster that doesn't answer is reported before the books open.
    plan = replace(plan, processes=other_processes(settings))
    with marked_alive(plan):
        open_books(plan)
        # Its sign of life is kept up from here on: a run that waits for its slot for hours isn't dead.
        with locks_kept(plan) as permit, run_slot(plan.lane), cancelled_by_signals(partial(_cancel, permit)):
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
    held = _ask_about_held(plan, settings)
    _judge(report)
    return Carried(report, permit.cancelled, held)


def _ask_about_held(plan: RunPlan, settings: Settings) -> PlanSummary | None:
    """Ask people for their approval of what a guard has held, whatever else the run ended with."""
    if not plan.guard.is_on or waiting_plan(plan) is None:
        return None
    return ask_for_approval(plan, [] if local_run() else settings.notifier_references)


@dataclass
class _Run:
    stop: Stop | None = None
    crashed: int = 0
    settled: int = 0
    returned: int = 0
    claimed: int = 0
    batches: int = 0
    planned: Counter[str] = field(default_factory=Counter)
    flying: "deque[_Flight]" = field(default_factory=deque)


@dataclass(frozen=True)
class _Flight:
    """A chunk on its way through the chain: its claim, and the task runs in their order."""

    claim: Parcel[Claim]
    steps: "tuple[PrefectFuture[Any], ...]"

    def unload(self) -> None:
        """
        Let go of the contacts, and of what Prefect notes of each result.

        Its task runs refer to themselves, and would keep the contacts for long; what it notes tells which task run
        gave a value that another one gets, and would be kept until the run ends.
        """
        handed_on = (future.result() for future in self.steps[:-1])
        for parcel in {self.claim, *handed_on}:  # some steps hand on what they were given
            parcel.empty()
        if run := FlowRunContext.get():
            run.run_results.clear()


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
    except BaseException:
        _land(plan, run, permit)
        raise
    finally:
        finish_writes(plan)
    if permit.cancelled:
        run.stop = graver(run.stop, Stop(CANCELLED, "cancelled; the remaining contacts wait in the queue"))
    return run


def _land(plan: RunPlan, run: _Run, permit: Permit) -> None:
    """
    Await the chunks in flight of a run that fails; they pay for nothing more.

    Once the run has failed, its claims are free: what still worked on them would pay beside the run that takes them.
    """
    permit.cancel()
    while run.flying:
        try:
            _end(plan, run.flying.popleft(), run)
        except Exception as error:  # noqa: BLE001 - the first error is the run's, and the other chunks are awaited too
            event("chunk_not_released", error=cause(error))


def _progress(plan: RunPlan, total: int) -> Callable[[float], object]:
    """
    Return what shows how much of the work is done, in per cent: in Prefect's UI, or without it in a few log lines.

    A single batch has no progress to show, and a live contact no time to lose.
    """
    if total <= plan.chunk_size:
        return lambda _: None
    if local_run():
        return partial(_log_progress, total, [0.0])
    return publish_progress(f"{total:,} contacts", key="enrichment-progress")


def _log_progress(total: int, logged: list[float], percent: float) -> None:
    """Log how much is done if it is ten per cent more than in the last such line, which `logged` has."""
    if percent >= logged[-1] + _LOGGED_PERCENT:
        logged.append(percent)
        event("progress", percent=int(percent), contacts=total)


def _chunks(plan: RunPlan, settings: Settings, budget: int, run: _Run, permit: Permit) -> Iterator[ChunkSummary]:
    """Keep chunks in flight until nothing is left to claim, and yield each one's summary."""
    most = settings.chunks_in_flight
    while True:
        plan = replace(plan, processes=other_processes(settings))
        ends = permit.cancelled or (run.stop is not None and run.stop.ends_run)
        begun = [] if ends else _begin(plan, most - len(run.flying), budget, run.batches)
        claimed = sum(len(flight.claim.contents.records) for flight in begun)
        run.claimed += claimed
        run.batches += len(begun)
        budget -= claimed
        run.flying.extend(begun)
        if not run.flying:
            return
        if not begun or len(run.flying) == most:
            summary = _end(plan, run.flying[0], run)
            run.flying.popleft()
            run.stop = graver(run.stop, summary.stop)
            yield summary


def _begin(plan: RunPlan, places: int, budget: int, begun: int) -> list[_Flight]:
    """Claim up to this many chunks, and send each on its way."""
    claims = claim_chunks(plan, places, budget, begun)
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
    flight.unload()
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


def nothing_done(plan: RunPlan, message: str) -> RunReport:
    """Return an empty report, as Prefect's state of the run, whose message says why nothing was done."""
    return cast(RunReport, Completed(message=message, data=RunReport(plan.run_id, Books(), crm=plan.crm_name)))


def ended(report: RunReport, threshold: float) -> RunReport:
    """
    Return the report, as Prefect's state of the run, whose message says what was done, or why contacts failed.

    Above the threshold the state has a name of its own, by which people filter runs and automations react. It isn't a
    failed state: the run did all of its work, and running it again would change nothing.
    """
    if report.stop and report.stop.kind == CANCELLED:
        return cast(RunReport, Cancelled(message=cancelled_in_words(report.books)))
    failed = report.books.count(Disposition.FAILED)
    if not failed:
        return cast(RunReport, Completed(message=in_one_sentence(report), data=report))
    causes = "; ".join(f"{cause.count:,} x {cause.reason} at {cause.step}" for cause in report.causes)
    message = f"{failed:,} of {report.books.claimed:,} contacts failed: {causes}"
    name = WITH_FAILURES if report.books.failure_rate > threshold else None
    # Prefect gives the caller the data of a state that is returned.
    return cast(RunReport, Completed(name=name, message=message, data=report))
