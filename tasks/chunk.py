"""The chain of one chunk: look up, store, write back, settle; and what is left to do for a chunk whose chain broke."""

import random
import threading
from dataclasses import replace

from blocks.calls.pacing import split_rates
from blocks.crms.base import open_crm
from blocks.log import event
from blocks.warehouses.base import open_warehouse
from enrichment.errors import PostponedError, RunStoppedError
from enrichment.plan import RunPlan
from enrichment.records import Chunk, ChunkSummary, Claim, Returned, check_endings
from enrichment.retry import settle_failure
from enrichment.stops import give_back, graver, stop_of
from lookup.buying import Buyer
from lookup.walk import LookUp, load_providers
from tasks.steps import Parcel, step
from tasks.write_back import WriteBack

# Two chunks keep the provider busy. More would share its rate, finish together, and leave it idle meanwhile.
_AT_ONCE = threading.BoundedSemaphore(2)


@step(name="look-up")
def look_up(plan: RunPlan, claimed: Parcel[Claim]) -> Parcel[Chunk]:
    """Return the chunk with what the providers know of each record, from the journal where it has the reply."""
    claim = claimed.contents
    with _AT_ONCE, open_warehouse(plan.warehouse) as warehouse, open_crm(plan.crm) as crm:
        buyer = Buyer(plan, claim, warehouse, crm)
        try:
            done = LookUp(plan, warehouse, crm, buyer, load_providers(plan)).run(claim.records)
        except (RunStoppedError, PostponedError) as error:
            chunk = Chunk(claim, settlements=give_back(claim.records, error), stop=stop_of(error))
        else:
            chunk = Chunk(
                claim, tuple(done.found), tuple(done.unmatched), tuple(done.settlements), stop=buyer.final_stop
            )
    event("chunk_looked_up", records=len(claim.records), found=len(chunk.found), settled=len(chunk.settlements))
    return Parcel(chunk)


@step(name="store")
def store(plan: RunPlan, looked_up: Parcel[Chunk]) -> Parcel[Chunk]:
    """Keep the results in the warehouse; return the chunk without those records that another run holds by now."""
    chunk = looked_up.contents
    if not chunk.found and not chunk.unmatched:
        return looked_up
    with open_warehouse(plan.warehouse) as warehouse:
        held = warehouse.store(chunk.claim, plan.origin, chunk.found, chunk.unmatched, provider=plan.provider_names)
    kept = tuple(item for item in chunk.found if item.record.record_id in held)
    lost = [item.record.record_id for item in chunk.found if item.record.record_id not in held]
    event("chunk_stored", found=len(kept), unmatched=len(chunk.unmatched), lost=len(lost))
    settlements = (*chunk.settlements, *(Returned(record_id, "claim_lost") for record_id in lost))
    return Parcel(replace(chunk, found=kept, settlements=settlements))


@step(name="write-back")
def write_back(plan: RunPlan, stored: Parcel[Chunk]) -> Parcel[Chunk]:
    """Write into the CRM what the write policy permits; every record that had something to write is settled then."""
    chunk = stored.contents
    if not chunk.found:
        return stored
    with open_warehouse(plan.warehouse) as warehouse, open_crm(plan.crm) as crm:
        try:
            done = WriteBack(plan, chunk, warehouse, crm).run()
        except (RunStoppedError, PostponedError) as error:
            back = give_back((item.record for item in chunk.found), error)
            done = replace(
                chunk, found=(), settlements=(*chunk.settlements, *back), stop=graver(chunk.stop, stop_of(error))
            )
    event("chunk_written_back", records=len(chunk.found), confirmed=len(done.confirmed))
    return Parcel(done)


@step(name="settle")
def settle(plan: RunPlan, written: Parcel[Chunk]) -> ChunkSummary:
    """Write the ledger, clear the queue of what ended, and put the rest back, in one transaction."""
    chunk = written.contents
    check_endings(chunk)
    with open_warehouse(plan.warehouse) as warehouse:
        settled = warehouse.settle(chunk.claim, plan.origin, chunk.settlements, chunk.confirmed)
    event("chunk_settled", returned=settled.returned, lost=settled.lost, **settled.dispositions)
    return ChunkSummary(settled.dispositions, settled.returned, settled.lost, chunk.stop, chunk.planned)


@step(name="carry-chunk")
def carry_chunk(plan: RunPlan, claimed: Parcel[Claim]) -> ChunkSummary:
    """Take a chunk through its whole chain in another process; only counts go back to where it came from."""
    split_rates(plan.processes)
    return settle(plan, write_back(plan, store(plan, look_up(plan, claimed))))


@step(name="release-chunk")
def release_chunk(plan: RunPlan, claimed: Parcel[Claim], reason: str, detail: str) -> ChunkSummary:
    """Put the records of a broken chain back, or file them as dead letters at their last attempt."""
    claim = claimed.contents
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
    with open_warehouse(plan.warehouse) as warehouse:
        settled = warehouse.settle(claim, plan.origin, settlements, [])
    event("chunk_released", returned=settled.returned, lost=settled.lost)
    return ChunkSummary(settled.dispositions, settled.returned, settled.lost)
