"""One Prefect task per step with an effect; each fetches its adapter, calls it and logs one event."""

from blocks.log import reach_runs

reach_runs()
