"""Staged records: their states, how they may end, and what each step says of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from enrichment.errors import IllegalMoveError
from enrichment.write_policy import Refusal


class Outcome(StrEnum):
    """
    The meaning of one reply for one contact.

    The mapping from a provider's answer to an outcome is data: the ordered rules of its spec.
    """

    MATCHED = "matched"
    PARTIAL = "partial"
    UNMATCHED = "unmatched"
    SUPPRESSED = "suppressed"
    INVALID_INPUT = "invalid_input"
    PENDING = "pending"
    RETRYABLE = "retryable"
    QUOTA_EXHAUSTED = "quota_exhausted"
    REJECTED = "rejected"


#: The provider has the contact: something can be stored and written back.
ENRICHED = frozenset({Outcome.MATCHED, Outcome.PARTIAL})

#: The provider has spoken; another call would be paid for or useless. Only these count when read from the journal.
CONCLUSIVE = ENRICHED | {Outcome.UNMATCHED, Outcome.SUPPRESSED, Outcome.INVALID_INPUT}

#: Every further call would end the same way.
STOPS_RUN = frozenset({Outcome.QUOTA_EXHAUSTED, Outcome.REJECTED})


class State(StrEnum):
    """Where a staged record stands."""

    WAITING = "waiting"
    """In the queue; nothing is known yet."""
    CLAIMED = "claimed"
    """A run works on it until its claim expires."""
    ENRICHED = "enriched"
    """The result is in the warehouse; only the CRM lacks it."""


class Disposition(StrEnum):
    """How a staged record ended; exactly one each."""

    WRITTEN = "written"
    """The CRM confirmed the new values."""
    UNCHANGED = "unchanged"
    """The CRM held these values already, or the write policy forbade every change."""
    UNMATCHED = "unmatched"
    """The provider doesn't know the contact."""
    SUPPRESSED = "suppressed"
    """The contact must not be looked up, or must not be stored."""
    INVALID = "invalid"
    """The contact has nothing that a lookup could use, or no longer exists."""
    SKIPPED_FRESH = "skipped_fresh"
    """The contact was enriched recently enough."""
    FAILED = "failed"
    """Every attempt failed; it is a dead letter."""


#: From which state a record may leave the queue with which disposition.
ENDINGS: Mapping[State, frozenset[Disposition]] = {
    State.WAITING: frozenset(),
    State.CLAIMED: frozenset(
        {
            Disposition.UNMATCHED,
            Disposition.SUPPRESSED,
            Disposition.INVALID,
            Disposition.SKIPPED_FRESH,
            Disposition.FAILED,
        }
    ),
    State.ENRICHED: frozenset(
        {
            Disposition.WRITTEN,
            Disposition.UNCHANGED,
            Disposition.SUPPRESSED,
            Disposition.INVALID,
            Disposition.FAILED,
        }
    ),
}

#: How a record may move while it is in the queue; an enriched record stays so when its claim ends.
MOVES: Mapping[State, frozenset[State]] = {
    State.WAITING: frozenset({State.CLAIMED}),
    State.CLAIMED: frozenset({State.WAITING, State.ENRICHED}),
    State.ENRICHED: frozenset(),
}

#: The disposition of a reply that ends the matter without a write-back.
DISPOSITION_OF_OUTCOME: Mapping[Outcome, Disposition] = {
    Outcome.UNMATCHED: Disposition.UNMATCHED,
    Outcome.SUPPRESSED: Disposition.SUPPRESSED,
    Outcome.INVALID_INPUT: Disposition.INVALID,
}


#: The one type of CRM record that is enriched so far.
CONTACT = "contact"

#: Stands in a staged record for the address of a person who was erased, which isn't kept again.
ERASED_ADDRESS = "erased"


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A CRM and the type of its records, since CRMs number object types independently."""

    crm: str
    object_type: str = CONTACT


@dataclass(frozen=True, slots=True)
class Contact:
    """What a lookup may use of a CRM record; `crm_id` is the id that the CRM knows it by today."""

    crm_id: str
    email: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    company_name: str | None = None


#: What stages contacts that the CRM itself has named; the ids of others come from people and may be wrong.
NAMED_BY_CRM = frozenset({"webhook", "platform_event", "schedule", "backfill"})


#: What stages contacts whose saved replies are to be read again: nothing is paid for them, whatever run takes them.
REMAP = "remap"


@dataclass(frozen=True, slots=True)
class StagedRecord:
    """
    One claimed row of `enrichment_staging`.

    Args:
        record_id: of the row.
        crm, crm_id, object_type: of the contact.
        email_address: that it was staged with, if any.
        state: where it stands.
        attempts: this claim included.
        refresh: whether it is looked up even if it is fresh.
        source: what staged it.
        age_seconds: since it was staged, by the warehouse's clock.
        request_key: of the request on which its stored result rests, if there is one.
    """

    record_id: str
    crm: str
    crm_id: str
    email_address: str | None
    state: State
    attempts: int
    refresh: bool = False
    object_type: str = CONTACT
    source: str = "schedule"
    age_seconds: float = 0.0
    request_key: str | None = None

    @property
    def origin(self) -> Origin:
        """Return the CRM and the type of the record."""
        return Origin(self.crm, self.object_type)

    @property
    def named_by_crm(self) -> bool:
        """Return whether the CRM itself named the contact, so that it is known to exist."""
        return self.source in NAMED_BY_CRM

    @classmethod
    def as_if_claimed(cls, crm: str, crm_id: str, email_address: str | None, source: str) -> Self:
        """Return the record that a contact would be in a run; one that the CRM lacks counts as gone."""
        return cls(crm_id, crm, crm_id, email_address, State.CLAIMED, 1, source=source, age_seconds=math.inf)

    @property
    def is_remap(self) -> bool:
        """Return whether only its saved replies are to be read again."""
        return self.source == REMAP


@dataclass(frozen=True, slots=True)
class Claim:
    """A run's temporary right to some staged records; `number` says which one of the run it is, from 1."""

    token: str
    run_id: str
    records: tuple[StagedRecord, ...]
    number: int = 0

    @property
    def label(self) -> str:
        """Return what people read of it in the names of task runs."""
        many = "" if len(self.records) == 1 else "s"
        return f"batch {self.number} ({len(self.records):,} contact{many})"


@dataclass(frozen=True, slots=True)
class Enrichment:
    """
    The canonical fields of one contact, as one provider knows them.

    Args:
        provider: that knows the contact.
        provider_record_id: of the contact, there.
        confidence: from 0 to 100.
        fields: the values, by canonical field.
        received_at: when they were received.
        left_out: why the provider's value of another field couldn't be used, by canonical field; not stored.
    """

    provider: str
    provider_record_id: str | None
    confidence: float | None
    fields: Mapping[str, Any]
    received_at: str
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finished:
    """
    The record leaves the queue.

    Args:
        record_id: of the staged record.
        disposition: how it ended.
        reason: why, in one word.
        step: at which it ended.
        detail: the full error of a failure.
        request_key: leads to its reply.
        refusals: values that the CRM's fields didn't take.
        lookups: what each provider that was asked said, see `lookups_of`; empty: none was, or it is kept already.
        email_domain: of the address that the contact was looked up with, if any.
        filled_before: mapped CRM fields that had a value, enclosed and separated by commas; empty: they were not read.
    """

    record_id: str
    disposition: Disposition
    reason: str = ""
    step: str = ""
    detail: str = ""
    request_key: str = ""
    refusals: tuple[Refusal, ...] = ()
    lookups: str = ""
    email_domain: str = ""
    filled_before: str = ""


@dataclass(frozen=True, slots=True)
class Returned:
    """The record goes back to the queue; a postponed one gives its attempt back."""

    record_id: str
    reason: str
    wait_seconds: float = 0.0
    costs_attempt: bool = True


Settlement = Finished | Returned


@dataclass(frozen=True, slots=True)
class Found:
    """A claimed record with the provider's knowledge of it; `lookups` and `email_domain` as in `Finished`."""

    record: StagedRecord
    enrichment: Enrichment
    request_key: str
    lookups: str = ""
    email_domain: str = ""

    @property
    def record_id(self) -> str:
        """Return the id of the staged record."""
        return self.record.record_id


@dataclass(frozen=True, slots=True)
class Unmatched:
    """One row of `unmatched_records`; no identifier is kept of a suppressed contact."""

    record_id: str
    crm_id: str
    lookup_identifier: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class OpenWrite:
    """One field's write that a run planned and that the CRM hasn't confirmed yet; an empty `after` clears the field."""

    crm_id: str
    field: str
    after: str
    run_id: str


@dataclass(frozen=True, slots=True)
class EarlierWrites:
    """
    What some contacts were sent before.

    Args:
        unconfirmed: changes of which it isn't known whether they arrived.
        changed: CRM ids of the contacts that the present run has changed already.
    """

    unconfirmed: tuple[OpenWrite, ...]
    changed: frozenset[str]


CREDIT_CAP_REACHED = "credit_cap_reached"
PAUSED = "paused"
CANCELLED = "cancelled"
NEEDS_APPROVAL = "needs_approval"
WISHED_STOPS = frozenset({NEEDS_APPROVAL, CREDIT_CAP_REACHED, PAUSED, CANCELLED})


@dataclass(frozen=True, slots=True)
class Stop:
    """
    Why a run leaves something in the queue.

    Args:
        kind: `quota_exhausted`, `credentials_rejected` or `request_refused`; or, as a user wished,
            `credit_cap_reached`, `paused` or `cancelled`.
        message: the other side's words, or ours.
        ends_run: whether no further chunk is claimed; a day's cap leaves others to be finished without it.
    """

    kind: str
    message: str
    ends_run: bool = True

    @property
    def wished(self) -> bool:
        """Return whether a user wants it so: then the run ends well, and no alert is sent."""
        return self.kind in WISHED_STOPS


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    What one chain of task runs knows of its claim so far.

    Every record of the claim is either in `found`, still to be written back, or has one of the `settlements`. `planned`
    counts by CRM field the values that were to be written to the finished contacts, refused ones included.
    """

    claim: Claim
    found: tuple[Found, ...] = ()
    unmatched: tuple[Unmatched, ...] = ()
    settlements: tuple[Settlement, ...] = ()
    confirmed: tuple[OpenWrite, ...] = ()
    stop: Stop | None = None
    planned: Mapping[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Return what people read of it in the names of task runs."""
        return self.claim.label


@dataclass(frozen=True, slots=True)
class ChunkSummary:
    """What a settled chunk adds to the run's progress: counts only."""

    dispositions: Mapping[str, int]
    returned: int
    lost: int
    stop: Stop | None = None
    planned: Mapping[str, int] = field(default_factory=dict)


def check_endings(chunk: Chunk) -> None:
    """Raise IllegalMoveError if a record of the chunk ends as it can't from the state that it has reached."""
    for item in chunk.settlements:
        if isinstance(item, Finished):
            # What is written back has been stored before; of what ends earlier, no stored result was taken up.
            check_ending(State.ENRICHED if item.step == "write_back" else State.CLAIMED, item.disposition)


def check_ending(state: State, disposition: Disposition) -> None:
    """Raise IllegalMoveError if a record in this state can't end with this disposition."""
    if disposition not in ENDINGS[state]:
        raise IllegalMoveError(f"a record that is {state} can't end as {disposition}")
