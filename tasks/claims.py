"""Taking staged records, and looking at the queue."""

import uuid

from blocks.log import event
from blocks.warehouses.base import open_warehouse
from enrichment.plan import RunPlan
from enrichment.records import Claim
from tasks.steps import Parcel, step

#: Global concurrency limits on runs at work, over all workers; made by setup. One each, so that live runs never queue
#: behind backfills.
RUN_LIMITS = ("enrichment-live", "enrichment-backfill")


def run_limit(lane: str) -> str:
    """Return the limit that a run of this lane counts against; both lanes together count as live."""
    return RUN_LIMITS[lane == "backfill"]


@step(name="claim-chunks")
def claim_chunks(plan: RunPlan, chunks: int, budget: int) -> list[Parcel[Claim]]:
    """Claim up to so many chunks, and no more records than the budget; fewer if the queue has less."""
    claims: list[Claim] = []
    with open_warehouse(plan.warehouse) as warehouse:
        while len(claims) < chunks and budget > 0:
            claim = warehouse.claim(
                plan.run_id,
                origin=plan.origin,
                lane=plan.lane,
                limit=min(plan.chunk_size, budget),
                lease_seconds=plan.lease_seconds,
                make_token=lambda: uuid.uuid4().hex,
            )
            if not claim.records:
                break
            claims.append(claim)
            budget -= len(claim.records)
    event("chunks_claimed", chunks=len(claims), records=sum(len(claim.records) for claim in claims))
    return [Parcel(claim) for claim in claims]


@step(name="count-queue")
def count_queue(plan: RunPlan) -> int:
    """Return how many records the queue holds now, claimed ones included."""
    with open_warehouse(plan.warehouse) as warehouse:
        counts = warehouse.count_queue()
    return sum(count.records for count in counts if plan.lane in {"", count.lane})
