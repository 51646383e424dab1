"""Claim staged contacts, look them up, store them, write them back, and clear the queue."""

import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from blocks.settings import Settings, load_settings
from enrichment.books import check_books
from enrichment.errors import CredentialsRejectedError, EnrichmentError, QuotaExhaustedError, RunStoppedError
from enrichment.plan import RunPlan
from enrichment.records import ChunkSummary, Claim, Stop
from enrichment.stops import stop_of
from tasks.books import RunReport, close_books, describe_fields, open_books, publish_report
from tasks.claims import claim_chunks, count_queue
from tasks.look_up import look_up
from tasks.preview import Preview, preview
from tasks.settle import release_chunk, settle
from tasks.steps import event, where
from tasks.store import store
from tasks.write_back import write_back

#: Two waves overlap, so that the provider is asked for one while the other is written back.
_WAVES_IN_FLIGHT = 2

#: Every chunk in flight occupies one thread for each task of its chain, since a mapped task waits for its input there.
_THREADS = 4 * 16 + 4

_STOP_ERRORS: dict[str, type[RunStoppedError]] = {
    "quota_exhausted": QuotaExhaustedError,
    "credentials_rejected": CredentialsRejectedError,
}


@flow(
    name="enrich-contacts",
    flow_run_name="enrich contacts of {crm} by {provider}",
    description=__doc__,
    task_runner=ThreadPoolTaskRunner(max_workers=_THREADS),  # type: ignore[arg-type]
    persist_result=False,
)
def enrich_contacts(
    provider: Annotated[str, Field(description="Provider, `<name>` or `<name>/<block>`; empty: the setting.")] = "",
    crm: Annotated[str, Field(description="CRM, `<name>` or `<name>/<block>`; empty: the setting.")] = "",
    warehouse: Annotated[str, Field(description="Warehouse, `<name>` or `<name>/<block>`; empty: the setting.")] = "",
    lane: Annotated[Literal["", "live", "backfill"], Field(description="Which lane; empty: both, live first.")] = "",
    limit: Annotated[int, Field(ge=0, description="The most records to claim; 0: all that wait.")] = 0,
    dry_run: Annotated[bool, Field(description="Show what would be written; spend and write nothing.")] = False,
) -> RunReport | Preview:
    """
    Enrich what waits in the queue.

    Returns:
        the run's report, or what would be written if `dry_run`.

    Raises:
        RunStoppedError: quota or credentials ended the run early; the rest waits in the queue.
        BooksUnbalancedError: a record claimed is not accounted for.
    """
    settings = load_settings()
    plan = _plan(settings, provider=provider, crm=crm, warehouse=warehouse, lane=lane)
    if dry_run:
        return preview(replace(plan, descriptions=describe_fields(plan)), limit or plan.chunk_size)
    open_books(plan)
    run = _work(plan, settings, limit)
    notifiers = [name for name in settings.notifiers.split(",") if name.strip()]
    report = close_books(plan, run.stop, run.crashed, settings.alert_threshold, notifiers)
    publish_report(plan, report)
    _judge(report)
    return report


@dataclass
class _Run:
    stop: Stop | None = None
    crashed: int = 0
    settled: int = 0


@dataclass(frozen=True)
class _Wave:
    claims: Sequence[Claim]
    futures: Sequence["PrefectFuture[ChunkSummary]"]


def _plan(settings: Settings, **overrides: str) -> RunPlan:
    chosen: dict[str, Any] = {name: value or getattr(settings, name, "") for name, value in overrides.items()}
    return RunPlan(
        str(flow_run.get_id() or uuid.uuid4()),
        chunk_size=settings.chunk_size,
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        fresh_days=settings.fresh_days,
        reply_days=settings.reply_days,
        **chosen,
    )


def _work(plan: RunPlan, settings: Settings, limit: int) -> _Run:
    run = _Run()
    try:
        plan = replace(plan, descriptions=describe_fields(plan))
    except RunStoppedError as error:  # nothing is claimed yet, but people are told as they would be later
        run.stop = stop_of(error)
        return run
    waiting = count_queue(plan)
    total = min(waiting, limit) if limit else waiting
    progress = create_progress_artifact(0.0, key="enrichment-progress", description=f"{total:,} contacts")
    for summary in _waves(plan, settings, limit, run):
        run.settled += sum(summary.dispositions.values()) + summary.returned + summary.lost
        update_progress_artifact(progress, min(100.0, 100.0 * run.settled / max(total, 1)))  # type: ignore[arg-type]
    return run


def _waves(plan: RunPlan, settings: Settings, limit: int, run: _Run) -> Any:
    """Keep waves of chunks in flight until nothing is left to claim, and yield each chunk's summary."""
    wave_size = max(1, settings.chunks_in_flight // _WAVES_IN_FLIGHT)
    budget = limit or 2**62
    waves: deque[_Wave] = deque()
    while True:
        claims = claim_chunks(plan, wave_size, budget) if run.stop is None else []
        budget -= sum(len(claim.records) for claim in claims)
        if claims:
            waves.append(_start(plan, claims))
        if not waves:
            return
        if not claims or len(waves) >= _WAVES_IN_FLIGHT:
            for summary in _finish(plan, waves.popleft(), run):
                run.stop = run.stop or summary.stop
                yield summary


def _start(plan: RunPlan, claims: Sequence[Claim]) -> _Wave:
    """Map the chain over the chunks; each goes through its steps at its own pace."""
    plans = [plan] * len(claims)
    looked_up = look_up.map(plans, claims)
    stored = store.map(plans, looked_up)
    written = write_back.map(plans, stored)
    return _Wave(claims, settle.map(plans, written))


def _finish(plan: RunPlan, wave: _Wave, run: _Run) -> list[ChunkSummary]:
    summaries = []
    for claim, future in zip(wave.claims, wave.futures, strict=True):
        try:
            summaries.append(future.result())
        except Exception as error:  # noqa: BLE001 - whatever broke a chain, its records go back and the run goes on
            run.crashed += 1
            detail = str(error) if isinstance(error, EnrichmentError) else where(error)
            event("chunk_broken", error=type(error).__name__)
            summaries.append(release_chunk(plan, claim, "chunk_broken", detail))
    return summaries


def _judge(report: RunReport) -> None:
    check_books(report.books)
    if report.stop:
        raise _STOP_ERRORS[report.stop.kind](f"{report.stop.message}; the rest waits in the queue")
    if report.crashed:
        raise EnrichmentError(
            f"{report.crashed} chunks broke; their records went back to the queue: see the log of their task runs"
        )
