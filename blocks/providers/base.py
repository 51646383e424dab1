"""The seam to a provider."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from enrichment.estimate import Terms
from enrichment.records import Contact, Outcome
from enrichment.stops import CREDENTIALS_REJECTED

__all__ = [
    "BELOW_MIN_CONFIDENCE",
    "CREDENTIALS_REJECTED",
    "Asked",
    "FollowUp",
    "Provider",
    "Reading",
    "Reply",
    "Request",
    "unhindered",
]


#: Why an answer is no match that the provider isn't sure enough of: a lower limit makes it one.
BELOW_MIN_CONFIDENCE = "below_min_confidence"


@dataclass(frozen=True, slots=True)
class Request:
    """One contact to ask for, or one company: the journal's key, and the identifiers by canonical name."""

    key: str
    lookup_input: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What a provider answered for one contact or one company.

    Args:
        key: of the request.
        outcome: what the reply means by the spec's rules.
        body: the item as received (JSON), or None where there was no answer.
        reason: a short code.
        credits: what the reply is billed at, by the spec; or may be, until a later reply takes its place.
        api_version: as stated by the answer, else of the path.
        request_id: of the answer.
        wait_seconds: how long the provider asked us to wait; such a reply costs no attempt.
        doubt: what a reply that can't be used may have been billed at, beside what a later one is billed at.
        final: whether another attempt could not help, or would be paid for again.
        detail: what is wrong, in a sentence without personal data; empty if the reason says it.
        stop: the kind of stop, one of `enrichment.stops.STOP_KINDS`, if every further request would end the same way.
    """

    key: str
    outcome: Outcome
    body: Any = None
    reason: str = ""
    credits: float = 0.0
    api_version: str = ""
    request_id: str = ""
    wait_seconds: float | None = None
    doubt: float = 0.0
    final: bool = False
    detail: str = ""
    stop: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """
    A reply's meaning.

    Args:
        outcome: with its reason.
        reason: a short code.
        provider_record_id: of a contact that the provider has.
        confidence: from 0 to 100.
        fields: canonical ones of a contact that the provider has.
        addresses: that it gives the person, normalised.
        left_out: why the provider's value of a canonical field isn't among them, see `why_left_out`.
    """

    outcome: Outcome
    reason: str
    provider_record_id: str | None
    confidence: float | None
    fields: Mapping[str, Any]
    addresses: frozenset[str] = frozenset()
    left_out: Mapping[str, str] = field(default_factory=dict)


def unhindered() -> str:
    """Refuse no call."""
    return ""


class Asked(Protocol):
    """What is queried under keys of the journal: a provider for contacts, or one of its follow-ups."""

    @property
    def name(self) -> str:
        """The provider's name, under which the journal keeps the replies."""

    @property
    def step(self) -> str:
        """The follow-up's name, one of its provider's; empty for contacts."""

    @property
    def terms(self) -> Terms:
        """What one request costs, and how fast they may be made."""

    @property
    def cache_days(self) -> int | None:
        """For how long its replies are reused at most; None for as long as the settings say."""

    @property
    def miss_days(self) -> int | None:
        """For how long its misses are reused, where they are billed; None for as long as the settings say."""

    def ask(
        self,
        requests: Sequence[Request],
        keep: Callable[[Sequence[Reply]], None],
        refusal: Callable[[], str] = unhindered,
    ) -> list[Reply]:
        """
        Send requests in native batches, concurrently, under the shared rate limit.

        Calls under way are awaited whatever happens, since they may be billed.

        Args:
            requests: with distinct keys.
            keep: called, in another thread, with the replies of each answer before anything is made of them, and with
                those of answers that may be billed although they were lost; durable when it returns. While several
                answers wait for it, no further call begins.
            refusal: says, before each call and each repetition, why it isn't to be made; empty if it is.

        Returns:
            one reply for every request, in any order; one that wasn't sent because the run must stop says so.
        """

    def read(self, body: Any) -> Reading:
        """Say what a journalled reply means by today's spec."""

    def share(self, fraction: float) -> None:
        """Use this part of the rate; others are at work too."""


class FollowUp(Asked, Protocol):
    """
    A further call about the company of contacts that the provider knows, for fields that their own replies lack.

    A refusal means that the account lacks this step, and the rest goes on without it, unless its reason is
    CREDENTIALS_REJECTED.
    """

    @property
    def fills(self) -> frozenset[str]:
        """The canonical fields that it may fill."""

    def choose_input(self, contact_reply: Any) -> dict[str, str] | None:
        """Return what to query, by a contact's journalled reply; None if the reply names no company."""

    def request_key(self, lookup_input: Mapping[str, str]) -> str:
        """Return the journal's key: one for all contacts of the same company."""

    def further_pages(self, lookup_input: Mapping[str, str], body: Any) -> list[dict[str, str]]:
        """Return what to query for the pages behind the first one, by the first one's journalled reply."""


class Provider(Asked, Protocol):
    """What the pipeline needs of a provider."""

    @property
    def follow_ups(self) -> Sequence[FollowUp]:
        """The follow-ups that the user has switched on, in their order."""

    def choose_input(self, contact: Contact) -> dict[str, str] | None:
        """Return the identifiers to query with, or None if the contact has too few."""

    def request_key(self, lookup_input: Mapping[str, str]) -> str:
        """Return the journal's key of a request."""

    def check(self) -> str:
        """Make one free call, and return a line that says which account answered and what is left."""
