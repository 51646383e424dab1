"""Where the pipeline stands: the queue, the locks on it, today's runs and credits, and what needs attention."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from enrichment.review import duration
from enrichment.wording import contacts, in_credits

#: How long a live contact may wait, and how long ago a run may have ended well while contacts wait.
LONGEST_WAIT, LONGEST_SINCE_GOOD = timedelta(hours=1), timedelta(days=1)
#: A run renews its locks several times within a lease; one that hasn't for this part of it has probably died.
_QUIET = 0.5


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """How many contacts a lane holds, how many of them runs have locked, and since when the oldest is there."""

    lane: str
    records: int
    locked: int
    oldest_at: str


@dataclass(frozen=True, slots=True)
class LockStatus:
    """How many contacts a run has locked, when it was last seen, when they are free if it died, and what time it is."""

    run_id: str
    name: str
    contacts: int
    seen_at: str
    free_at: str
    read_at: str


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


@dataclass(frozen=True, slots=True)
class CreditStatus:
    """What a provider has cost today (UTC), reserved and doubtful credits included, and the cap; None without one."""

    provider: str
    today: float
    cap: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system says of itself, and whether it is well."""

    system: str
    well: bool
    says: str


@dataclass(frozen=True, slots=True)
class Status:
    """
    Where the pipeline stands; times are ISO-8601 UTC text by the warehouse's clock.

    Args:
        read_at: now.
        oldest_at: since when the live contact that waits longest could have been enriched; None: none waits.
        good_at: when a run last ended well; None: never.
        failed: failed contacts that wait for a retry; `failed_lately` are those of the last day.
        lanes: what each lane holds; `paused` says since when one is paused.
        locks: by run.
        runs: of today, the latest first.
        credits: by provider.
        systems: what else answers: Prefect with its workers and schedules, and the listener.
        lease_seconds: how long a lock lasts that isn't renewed.
        plans: that wait for a person's approval.
    """

    read_at: str
    oldest_at: str | None
    good_at: str | None
    failed: int
    failed_lately: int
    lanes: Sequence[LaneStatus] = ()
    paused: Mapping[str, str] = field(default_factory=dict)
    locks: Sequence[LockStatus] = ()
    runs: Sequence[RunStatus] = ()
    credits: Sequence[CreditStatus] = ()
    systems: Sequence[Answer] = ()
    lease_seconds: int = 600
    plans: int = 0


def attention(status: Status) -> list[str]:
    """Return what needs attention, each in a sentence with what to do; empty if nothing does."""
    troubles = [
        waits_too_long(status.oldest_at, status.read_at),
        no_good_run(status.oldest_at, status.good_at, status.read_at),
        failed_lately(status.failed_lately),
        *(gone_quiet(one, status.lease_seconds) for one in status.locks),
        *(_capped(one) for one in status.credits),
        _unapproved(status.plans),
        *(f"{one.system}: {one.says}" for one in status.systems if not one.well),
    ]
    return [trouble for trouble in troubles if trouble]


def _unapproved(plans: int) -> str:
    return f"plans that wait for a person's approval: {plans:,}; `enrich apply` lists them" if plans else ""


def waits_too_long(oldest_at: str | None, read_at: str) -> str:
    """Return a sentence if a live contact has waited for too long, else nothing."""
    if oldest_at is None or between(oldest_at, read_at) <= LONGEST_WAIT:
        return ""
    return (
        f"the live contact that waits longest has waited for {_ago(oldest_at, read_at)}: check that a worker and the "
        "deployment `live` are there, or use `enrich run`"
    )


def no_good_run(oldest_at: str | None, good_at: str | None, read_at: str) -> str:
    """Return a sentence if contacts wait and no run has ended well for too long, else nothing."""
    if not (oldest_at and good_at) or between(good_at, read_at) <= LONGEST_SINCE_GOOD:
        return ""
    return f"contacts wait, and the last run that ended well did so at {good_at}: read the log of the last run"


def failed_lately(failed: int) -> str:
    """Return a sentence if contacts failed in the last day, else nothing."""
    if not failed:
        return ""
    return (
        f"{contacts(failed)} failed in the last 24 hours: `enrich failures` lists them, with what to do, and "
        "`enrich retry` queues them"
    )


def between(earlier: str, later: str) -> timedelta:
    """Return the time from one moment to another, both as ISO-8601 text."""
    return datetime.fromisoformat(later) - datetime.fromisoformat(earlier)


def gone_quiet(one: LockStatus, lease_seconds: int) -> str:
    """Return a sentence if a run that has locked contacts has probably died, else nothing."""
    if between(one.seen_at, one.read_at).total_seconds() <= _QUIET * lease_seconds:
        return ""
    return (
        f"run {one.run_id} holds {contacts(one.contacts)} and has given no sign of life for "
        f"{_ago(one.seen_at, one.read_at)}: if it died, the next run on its machine frees them at once, and one "
        f"elsewhere finds them free at {one.free_at}"
    )


def _capped(one: CreditStatus) -> str:
    if one.cap is None or one.today < one.cap:
        return ""
    return f"{one.provider} has used up its {in_credits(one.cap)} of today: the rest waits until midnight UTC"


def _ago(earlier: str, later: str) -> str:
    return duration(max(0, int(between(earlier, later).total_seconds())))


def status_lines(status: Status) -> list[tuple[str, str]]:
    """Return the status as label and value, for one screen."""
    return [
        *_queue_lines(status),
        *((f"locked by {one.name}", _lock_line(one)) for one in status.locks),
        ("runs today", _runs_line(status)),
        *((f"  {one.started_at[11:16]} {one.flow_run_name}", _run_line(one)) for one in status.runs[:_RUNS_SHOWN]),
        ("last run that ended well", f"{_ago(status.good_at, status.read_at)} ago" if status.good_at else "none yet"),
        ("failed contacts", f"{status.failed:,}, {status.failed_lately:,} of them in the last 24 hours"),
        *((f"credits of {one.provider} today", _credit_line(one)) for one in status.credits),
        *((one.system, one.says) for one in status.systems),
    ]


#: How many of today's runs stand on the screen; `--json` has all.
_RUNS_SHOWN = 5


def _queue_lines(status: Status) -> Iterator[tuple[str, str]]:
    held = {one.lane: one for one in status.lanes}
    for lane in ("live", "backfill"):
        one = held.get(lane)
        text = "empty"
        if one:
            locked = f", {one.locked:,} of them locked" if one.locked else ""
            text = f"{contacts(one.records)}{locked}, the oldest for {_ago(one.oldest_at, status.read_at)}"
        paused = f"; paused since {status.paused[lane]}" if lane in status.paused else ""
        yield f"{lane} queue", text + paused


def _lock_line(one: LockStatus) -> str:
    return f"{contacts(one.contacts)}, seen {_ago(one.seen_at, one.read_at)} ago"


def _runs_line(status: Status) -> str:
    if not status.runs:
        return "none"
    at_work = sum(1 for one in status.runs if one.state == "open")
    return f"{len(status.runs):,}, {at_work:,} of them at work"


def _run_line(one: RunStatus) -> str:
    stop = f", {one.stop_kind.replace('_', ' ')}" if one.stop_kind else ""
    state = "at work" if one.state == "open" else one.state
    return f"{state}{stop}: {one.claimed:,} taken, {one.returned:,} returned, {in_credits(one.credits or 0)}"


def _credit_line(one: CreditStatus) -> str:
    return f"{one.today:,g}" if one.cap is None else f"{one.today:,g} of {one.cap:,g}"
