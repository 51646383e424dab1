"""The whole chain of one chunk in one go, for a worker in another process."""

from blocks.calls.pacing import split_rates
from enrichment.plan import RunPlan
from enrichment.records import ChunkSummary, Claim
from tasks.look_up import look_up
from tasks.settle import settle
from tasks.steps import Parcel, step
from tasks.store import store
from tasks.write_back import write_back


@step(name="carry-chunk")
def carry_chunk(plan: RunPlan, claimed: Parcel[Claim]) -> ChunkSummary:
    """Take a chunk through all of its steps here; only counts go back to where it came from."""
    split_rates(plan.processes)
    return settle(plan, write_back(plan, store(plan, look_up(plan, claimed))))
