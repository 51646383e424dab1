"""Where the pipeline stands: the queue, the locks on it, today's runs and credits, and what needs attention."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """How many contacts a lane holds, how many of them runs have locked, and since when the oldest is there."""

    lane: str
    records: int
    locked: int
    oldest_at: str


@dataclass(frozen=True, slots=True)
class HeldLock:
    """How many contacts a run holds, and until when; name and state are unknown of a run whose totals are gone."""

    run_id: str | None
    flow_run_name: str | None
    state: str | None
    records: int
    claim_expires_at: str


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run, as its totals have it; times are ISO-8601 UTC text."""

    run_id: str
    flow_run_name: str
    provider: str
    crm: str
    lane: str
    state: str
    started_at: str
    finished_at: str | None
    claimed: int
    returned: int
    credits: float | None
    failure_rate: float | None
    stop_kind: str | None
