"""What a run was asked to do, as its tasks receive it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from enrichment.change_plans import Guard
from enrichment.credits import CreditCaps, cap_of_day
from enrichment.errors import ConfigurationError
from enrichment.names import names_in
from enrichment.records import Origin
from enrichment.wire import FieldDescription


@dataclass(frozen=True, slots=True)
class Reference:
    """
    A vendor and, perhaps, the Prefect document that configures it.

    Args:
        name: by which records are known; what follows a colon in it keeps contacts of several files apart.
        document: its name in Prefect; empty for the default.
    """

    name: str
    document: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `<vendor>` or `<vendor>/<document>` stands for."""
        name, _, document = text.strip().partition("/")
        return cls(name, document)

    @property
    def vendor(self) -> str:
        """Return the name of the vendor alone."""
        return self.name.partition(":")[0]

    def __str__(self) -> str:
        return f"{self.name}/{self.document}" if self.document else self.name


@dataclass(frozen=True, slots=True)
class RunPlan:
    """
    Names and numbers only, never clients or secrets, so that a task may run anywhere.

    Args:
        run_id: the flow run's id.
        provider, crm, warehouse: references to blocks; several providers are separated by commas.
        absent_seconds: for how long after it was staged a contact may be absent from the CRM before it is gone.
        address_policies: what to do about addresses of a kind, by the kind; of others, they are asked about.
        doubtful_matches_count: whether an answer that contradicts the question is used all the same.
        required_fields: canonical fields without which the next provider is queried.
        lane: `live`, `backfill`, or empty for both.
        live_share: part of every rate that live runs get together while backfills are at work.
        max_credits: that the run may spend at most, at all providers; None for no cap.
        credits_per_day: that all runs of a day may spend at a provider, by its name, or by no name for every one.
        processes: others that work on the run's chunks, each at its part of the run's rate; 0: the run's own threads.
        descriptions: the CRM's description of the mapped fields, read once per run.
        guard: what may be written without a person's approval.
        source: only contacts that this has queued; empty: any.
        change_plan: id of the plan that is applied: of its contacts and changes, and by saved replies alone.
    """

    run_id: str
    provider: str
    crm: str
    warehouse: str
    lane: str = ""
    live_share: float = 0.8
    chunk_size: int = 1000
    lease_seconds: int = 600
    max_attempts: int = 5
    fresh_days: int = 30
    reply_days: int = 180
    miss_days: int = 30
    absent_seconds: float = 900.0
    address_policies: Mapping[str, str] = field(default_factory=dict)
    doubtful_matches_count: bool = False
    required_fields: tuple[str, ...] = ()
    max_credits: float | None = None
    credits_per_day: Mapping[str, float] = field(default_factory=dict)
    processes: int = 0
    descriptions: Mapping[str, FieldDescription] = field(default_factory=dict)
    guard: Guard = field(default_factory=Guard)
    source: str = ""
    change_plan: str = ""

    @property
    def crm_name(self) -> str:
        """Return the CRM's name, by which contacts are known."""
        return Reference.parse(self.crm).name

    @property
    def origin(self) -> Origin:
        """Return whose records the run enriches."""
        return Origin(self.crm_name)

    @property
    def providers(self) -> tuple[str, ...]:
        """Return the references of the providers, in the order in which they are queried."""
        return tuple(names_in(self.provider))

    def caps(self, provider: str) -> CreditCaps:
        """Return what may be spent at a provider."""
        return CreditCaps(self.max_credits, cap_of_day(self.credits_per_day, provider))

    @property
    def lanes(self) -> frozenset[str]:
        """Return the lanes that the run takes records from."""
        return frozenset({self.lane} if self.lane else {"live", "backfill"})

    @property
    def provider_names(self) -> str:
        """Return the providers' names, by which unmatched contacts are filed."""
        return ",".join(Reference.parse(reference).name for reference in self.providers)


#: A lock lasts for so many of the slowest calls: one begins within half of the lock's time after a renewal, and what
#: remains after it is for saving its answer.
_CALLS_PER_LEASE = 3


def check_lease(lease_seconds: int, provider: str, longest_seconds: float) -> None:
    """
    Raise ConfigurationError if a lock could end while a call is under way, which another run would pay for again.

    Args:
        lease_seconds: how long a lock lasts unless it is renewed.
        provider: its name.
        longest_seconds: how long a call to it may take.
    """
    least = math.ceil(_CALLS_PER_LEASE * longest_seconds)
    if lease_seconds < least:
        raise ConfigurationError(
            f"ENRICHMENT_LEASE_SECONDS is {lease_seconds}: a lock must outlast the slowest calls to {provider}, which "
            f"may take {longest_seconds:g} seconds; set it to {least} or more"
        )


BACKFILL = "backfill"


def rate_share(lane: str, at_work: Mapping[str, int], live_share: float) -> float:
    """
    Return the part of a rate that one run may use, more than 0 and at most 1.

    A lane that is alone has all of the rate; else live runs have `live_share` together, and backfills the rest. Within
    a lane all runs get the same.

    Args:
        lane: of this run: `live`, `backfill`, or empty for both, which counts as live.
        at_work: runs at work by their lane, this run included or not.
        live_share: what live runs get together beside backfills, between 0 and 1.
    """
    backfills = at_work.get(BACKFILL, 0)
    lives = sum(at_work.values()) - backfills
    mine, others = (backfills, lives) if lane == BACKFILL else (lives, backfills)
    of_lane = live_share if lane != BACKFILL else 1.0 - live_share
    return (of_lane if others else 1.0) / max(1, mine)
