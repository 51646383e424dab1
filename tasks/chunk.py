"""The chain of one chunk: look up, store, write back, settle; and what is left to do for a chunk whose chain broke."""

import random
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

from blocks.calls.pacing import split_rates
from blocks.crms.base import open_crm
from blocks.log import event
from blocks.memory import bound_memory
from blocks.warehouses.base import Settled, open_warehouse
from enrichment.division import divide
from enrichment.errors import PostponedError, RunStoppedError
from enrichment.plan import RunPlan
from enrichment.records import (
    Chunk,
    ChunkSummary,
    Claim,
    Disposition,
    Finished,
    Found,
    OpenWrite,
    Returned,
    Settlement,
    Unmatched,
    check_endings,
)
from enrichment.retry import refused_record, settle_failure
from enrichment.stops import give_back, graver, hand_back, stop_of
from lookup.buying import Buyer, save_left_over
from lookup.journal import JournalReader
from lookup.permit import RUN_CANCELLED
from lookup.walk import LookUp, load_providers
from tasks.locks import locks_kept
from tasks.run_events import report_spending
from tasks.steps import PATIENT_RETRIES, Parcel, step
from tasks.write_back import WriteBack

#: Why a contact isn't looked up by a run that pays for nothing.
REPLY_NOT_SAVED = "reply_not_saved"

# Enough to keep the provider busy while one of them reads its contacts. If all looked up at once, they would end
# together and leave the provider idle; for the same reason, one that only waits for what others have asked makes room.
_AT_ONCE = threading.BoundedSemaphore(3)


@step(name="look-up", task_run_name="look up {claimed.contents.label} with {plan.provider_names}")
def look_up(plan: RunPlan, claimed: Parcel[Claim]) -> Parcel[Chunk]:
    """Return the chunk with what the providers know of each record, from the journal where it has the reply."""
    claim = claimed.contents
    with (
        locks_kept(plan) as permit,
        ExitStack() as place,
        open_warehouse(plan.warehouse) as warehouse,
        open_crm(plan.crm) as crm,
    ):
        place.enter_context(_AT_ONCE)
        if permit.cancelled:
            return Parcel(Chunk(claim, settlements=hand_back(claim.records, RUN_CANCELLED)))
        buyer = Buyer(plan, claim, warehouse, crm, permit, make_room=place.close)
        asker = JournalReader(plan, warehouse) if plan.change_plan else buyer
        try:
            done = LookUp(plan, warehouse, crm, asker, load_providers(plan)).run(claim.records)
        except (RunStoppedError, PostponedError) as error:
            chunk = Chunk(claim, settlements=give_back(claim.records, error), stop=stop_of(error))
        else:
            settlements = (*done.settlements, *_unanswered(claim, done))
            chunk = Chunk(claim, tuple(done.found), tuple(done.unmatched), settlements, stop=buyer.final_stop)
        report_spending(plan, warehouse)
    event("chunk_looked_up", records=len(claim.records), found=len(chunk.found), settled=len(chunk.settlements))
    return Parcel(chunk)


def _unanswered(claim: Claim, done: LookUp) -> tuple[Settlement, ...]:
    """Settle the records that would need a reply that is to be paid for, where none is; a remap goes without."""
    known = {item.record_id for item in (*done.found, *done.settlements)}
    lacking = [record for record in claim.records if record.record_id not in known]
    remaps = [record for record in lacking if record.is_remap]
    return (
        *hand_back((record for record in lacking if not record.is_remap), REPLY_NOT_SAVED),
        *(Finished(one.record_id, Disposition.SKIPPED_FRESH, REPLY_NOT_SAVED, "look_up") for one in remaps),
    )


@step(name="store", task_run_name="store {looked_up.contents.label}")
def store(plan: RunPlan, looked_up: Parcel[Chunk]) -> Parcel[Chunk]:
    """Keep the results in the warehouse; return the chunk without those records that another run holds by now."""
    chunk = looked_up.contents
    if not chunk.found and not chunk.unmatched:
        return looked_up
    with open_warehouse(plan.warehouse) as warehouse:

        def keep(part: Sequence[Found | Unmatched]) -> frozenset[str]:
            found = [item for item in part if isinstance(item, Found)]
            unmatched = [item for item in part if isinstance(item, Unmatched)]
            return warehouse.store(chunk.claim, plan.origin, found, unmatched, provider=plan.provider_names)

        items: list[Found | Unmatched] = [*chunk.found, *chunk.unmatched]
        stored = divide(items, keep)
    held = frozenset[str]().union(*stored.results)
    refused = {one.record_id: refused_record(one.record_id, "store", error) for one, error in stored.refused}
    kept = tuple(item for item in chunk.found if item.record_id in held)
    lost = [item.record_id for item in chunk.found if item.record_id not in {*held, *refused}]
    event("chunk_stored", found=len(kept), unmatched=len(chunk.unmatched), lost=len(lost), refused=len(refused))
    settlements = [one for one in chunk.settlements if one.record_id not in refused]
    back = [Returned(record_id, "claim_lost") for record_id in lost]
    return Parcel(replace(chunk, found=kept, settlements=(*settlements, *refused.values(), *back)))


@step(name="write-back", task_run_name="write {stored.contents.label} to {plan.crm_name}")
def write_back(plan: RunPlan, stored: Parcel[Chunk]) -> Parcel[Chunk]:
    """Write into the CRM what the write policy permits; every record that had something to write is settled then."""
    chunk = stored.contents
    if not chunk.found:
        return stored
    with locks_kept(plan) as permit, open_warehouse(plan.warehouse) as warehouse, open_crm(plan.crm) as crm:
        if permit.cancelled:  # the results are stored, and the next run only has to write them
            back = hand_back((item.record for item in chunk.found), RUN_CANCELLED)
            return Parcel(replace(chunk, found=(), settlements=(*chunk.settlements, *back)))
        try:
            done = WriteBack(plan, chunk, warehouse, crm).run()
        except (RunStoppedError, PostponedError) as error:
            back = give_back((item.record for item in chunk.found), error)
            done = replace(
                chunk, found=(), settlements=(*chunk.settlements, *back), stop=graver(chunk.stop, stop_of(error))
            )
    event("chunk_written_back", records=len(chunk.found), confirmed=len(done.confirmed))
    return Parcel(done)


@step(name="settle", task_run_name="settle {written.contents.label}")
def settle(plan: RunPlan, written: Parcel[Chunk]) -> ChunkSummary:
    """Write the ledger, clear the queue of what ended, and put the rest back, in one transaction."""
    chunk = written.contents
    check_endings(chunk)
    settled = _end(plan, chunk.claim, chunk.settlements, chunk.confirmed)
    event("chunk_settled", returned=settled.returned, lost=settled.lost, **settled.dispositions)
    return ChunkSummary(settled.dispositions, settled.returned, settled.lost, chunk.stop, chunk.planned)


@step(name="finish-writes", task_run_name="finish the writes to {plan.crm_name}")
def finish_writes(plan: RunPlan) -> None:
    """Let the CRM put in its place what isn't there yet: a file is written once, and not with every chunk."""
    with open_crm(plan.crm) as crm:
        crm.finish()


def _end(
    plan: RunPlan, claim: Claim, settlements: Sequence[Settlement], confirmed: Sequence[OpenWrite] = ()
) -> Settled:
    """End records, all in one transaction unless one of them fails it; that one becomes a dead letter."""
    crm_ids = {record.record_id: record.crm_id for record in claim.records}
    with open_warehouse(plan.warehouse) as warehouse:

        def settle_part(part: Sequence[Settlement]) -> Settled:
            mine = {crm_ids[one.record_id] for one in part}
            return warehouse.settle(claim, plan.origin, part, [one for one in confirmed if one.crm_id in mine])

        settled = divide(settlements, settle_part)
        letters = [refused_record(one.record_id, "settle", error) for one, error in settled.refused]
        parts = [*settled.results, *([settle_part(letters)] if letters else [])]
    ended = sum((Counter(part.dispositions) for part in parts), Counter[str]())
    return Settled(ended, sum(part.returned for part in parts), sum(part.lost for part in parts))


@step(name="carry-chunk", task_run_name="carry {claimed.contents.label}")
def carry_chunk(plan: RunPlan, claimed: Parcel[Claim]) -> ChunkSummary:
    """Take a chunk through its whole chain in another process; only counts go back to where it came from."""
    bound_memory()
    split_rates(plan.processes)
    try:
        return settle(plan, write_back(plan, store(plan, look_up(plan, claimed))))
    except Exception:
        save_paid(plan, claimed)  # no other process has it
        raise


@step(name="save-paid", task_run_name="save what {claimed.contents.label} has paid for", retries=PATIENT_RETRIES)
def save_paid(plan: RunPlan, claimed: Parcel[Claim]) -> None:
    """Save the replies that a broken chain holds in this process's memory."""
    with open_warehouse(plan.warehouse) as warehouse:
        save_left_over(warehouse, claimed.contents)


@step(name="release-chunk", task_run_name="put {claimed.contents.label} back", retries=PATIENT_RETRIES)
def release_chunk(plan: RunPlan, claimed: Parcel[Claim], reason: str, detail: str) -> ChunkSummary:
    """Put the records of a broken chain back, or file them as dead letters at their last attempt."""
    claim = claimed.contents
    with open_warehouse(plan.warehouse) as warehouse:
        save_left_over(warehouse, claim)
    settlements = [
        settle_failure(
            record,
            reason=reason,
            step="chunk",
            detail=detail,
            max_attempts=plan.max_attempts,
            chance=random.random(),  # noqa: S311 - jitter
        )
        for record in claim.records
    ]
    settled = _end(plan, claim, settlements)
    event("chunk_released", returned=settled.returned, lost=settled.lost)
    return ChunkSummary(settled.dispositions, settled.returned, settled.lost)
