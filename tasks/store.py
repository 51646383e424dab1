"""Step 2 of a chunk: keep the results in the warehouse."""

from dataclasses import replace

from blocks.log import event
from blocks.warehouses.base import open_warehouse
from enrichment.plan import RunPlan
from enrichment.records import Chunk, Returned
from tasks.steps import Parcel, step


@step(name="store")
def store(plan: RunPlan, looked_up: Parcel[Chunk]) -> Parcel[Chunk]:
    """Return the chunk without those records that another run holds by now."""
    chunk = looked_up.contents
    if not chunk.found and not chunk.unmatched:
        return looked_up
    with open_warehouse(plan.warehouse) as warehouse:
        held = warehouse.store(chunk.claim, plan.crm_name, chunk.found, chunk.unmatched, provider=plan.provider_names)
    kept = tuple(item for item in chunk.found if item.record.record_id in held)
    lost = [item.record.record_id for item in chunk.found if item.record.record_id not in held]
    event("chunk_stored", found=len(kept), unmatched=len(chunk.unmatched), lost=len(lost))
    settlements = (*chunk.settlements, *(Returned(record_id, "claim_lost") for record_id in lost))
    return Parcel(replace(chunk, found=kept, settlements=settlements))
