"""What crosses the seam to a warehouse, both ways."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from enrichment.credits import CapReached
from enrichment.records import CONTACT, Origin
from enrichment.write_policy import Change


@dataclass(frozen=True, slots=True)
class NewRecord:
    """
    A request to enrich one contact.

    Args:
        crm: that knows the contact.
        crm_id: of the contact in it.
        email_address: to look up with; None: the CRM has it.
        source: what stages it: `webhook`, `platform_event`, `schedule` or `backfill`, with ids from the CRM itself; or
            `submission`, `manual` or `remap`.
        lane: `live` or `backfill`.
        contact_created_at: in the CRM, as ISO-8601 UTC text.
        refresh: whether it is looked up even if it is fresh.
        object_type: of the record in the CRM.
    """

    crm: str
    crm_id: str
    email_address: str | None
    source: str
    lane: str
    contact_created_at: str | None = None
    refresh: bool = False
    object_type: str = CONTACT

    @property
    def origin(self) -> Origin:
        """Return the CRM and the type of the record."""
        return Origin(self.crm, self.object_type)


@dataclass(frozen=True, slots=True)
class QueueCount:
    """How many records of a lane are in a state."""

    lane: str
    state: str
    records: int


@dataclass(frozen=True, slots=True)
class SavedReply:
    """What the journal has of one request; `received_at` is ISO-8601 UTC text."""

    request_key: str
    outcome: str
    body: Any
    credits: float
    api_version: str | None
    request_id: str | None
    received_at: str
    run_id: str


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """What will be sent to the CRM for one staged record."""

    record_id: str
    crm_id: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class NewPlan:
    """A plan that is begun; see `KeptPlan`."""

    plan_id: str
    crm: str
    provider: str
    cause: str
    policy: str
    made_by: str


@dataclass(frozen=True, slots=True)
class MadeFor:
    """For which staged record a request is made; `email_key` is the hashed address that it is made with, if any."""

    record_id: str
    request_key: str
    email_key: str | None = None


@dataclass(frozen=True, slots=True)
class JournalLookup:
    """
    What the journal says of request keys.

    Args:
        replies: those it has.
        granted: keys that the asker may now pay for.
        erased: keys of people who were erased, who must not be looked up.
        refused: keys that no run may pay for now, because a cap on credits is reached.
        reached: that cap.
    """

    replies: Mapping[str, SavedReply]
    granted: frozenset[str]
    erased: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    reached: CapReached | None = None


@dataclass(frozen=True, slots=True)
class Renewal:
    """The records that the claim still holds, and by lane how many runs are at work with this provider, this CRM."""

    held: frozenset[str]
    at_provider: Mapping[str, int]
    at_crm: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Settled:
    """How many records of a chunk ended or went back; `lost` ones are held by another run now."""

    dispositions: Mapping[str, int]
    returned: int
    lost: int


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of each table an erasure removed or, of the replies, blanked."""

    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RunStart:
    """What is known of a run when it opens its books."""

    run_id: str
    flow_run_name: str
    provider: str
    crm: str
    lane: str


@dataclass(frozen=True, slots=True)
class RunEnd:
    """What is known of a run when it closes its books."""

    failure_rate: float
    stop_kind: str = ""
    alert_kind: str = ""
    alert_sent: bool = False
    alert_state: str = ""
    credits: float = 0.0
    api_versions: Sequence[str] = ()
    state: str = "closed"
    invalid: int = 0
    unmatched: int = 0
    known: int = 0


@dataclass(frozen=True, slots=True)
class KeptRun:
    """A run's row of `enrichment_runs`; times are ISO-8601 UTC text."""

    run_id: str
    flow_run_name: str
    provider: str
    crm: str
    lane: str
    state: str
    started_at: str
    seen_at: str
    finished_at: str | None
    claimed: int
    returned: int
    failure_rate: float | None
    credits: float | None
    api_versions: Sequence[str] | None
    stop_kind: str | None
    alert_kind: str | None
    alert_sent: bool | None
    alert_state: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """
    What a person on call looks at first; times are ISO-8601 UTC text by the warehouse's clock.

    Args:
        oldest_at: since when the live contact that waits longest could have been enriched; None: none waits.
        failed: failed contacts that weren't queued again.
        failed_lately: those of the last day.
        good_at: when a run last ended well; None: never.
        read_at: now.
    """

    oldest_at: str | None
    failed: int
    failed_lately: int
    good_at: str | None
    read_at: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run had of a provider with one outcome and API version, and the last of these replies."""

    provider: str
    outcome: str
    api_version: str
    replies: int
    credits: float
    request_id: str | None
    last_reply_at: str


@dataclass(frozen=True, slots=True)
class WrittenField:
    """A CRM field that a run has written, with the value before."""

    crm_id: str
    field: str
    before: str | None
    after: str
