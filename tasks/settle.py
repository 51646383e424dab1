"""Step 4 of a chunk: end it, in one transaction; and what is left to do for a chunk whose chain broke."""

import random

from blocks.log import event
from blocks.warehouses.base import open_warehouse
from enrichment.plan import RunPlan
from enrichment.records import Chunk, ChunkSummary, Claim, check_endings
from enrichment.retry import settle_failure
from tasks.steps import Parcel, step


@step(name="settle")
def settle(plan: RunPlan, written: Parcel[Chunk]) -> ChunkSummary:
    """Write the ledger, clear the queue of what ended, and put the rest back."""
    chunk = written.contents
    check_endings(chunk)
    with open_warehouse(plan.warehouse) as warehouse:
        settled = warehouse.settle(chunk.claim, plan.crm_name, chunk.settlements, chunk.confirmed)
    event("chunk_settled", returned=settled.returned, lost=settled.lost, **settled.dispositions)
    return ChunkSummary(settled.dispositions, settled.returned, settled.lost, chunk.stop)


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
        settled = warehouse.settle(claim, plan.crm_name, settlements, [])
    event("chunk_released", returned=settled.returned, lost=settled.lost)
    return ChunkSummary(settled.dispositions, settled.returned, settled.lost)
