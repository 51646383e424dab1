"""The seam to a provider."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from enrichment.estimate import Terms
from enrichment.outcomes import Outcome
from enrichment.records import Contact


@dataclass(frozen=True, slots=True)
class Request:
    """One contact to ask for: the journal's key, and the identifiers by canonical name."""

    key: str
    lookup_input: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """
    What a provider answered for one contact.

    Args:
        key: of the request.
        outcome: what the reply means by the spec's rules.
        body: the item as received (JSON), or None where there was no answer.
        reason: a short code.
        credits: what the reply is billed at, by the spec; of a lost answer, what it may have been billed at.
        api_version: as stated by the answer, else of the path.
        request_id: of the answer.
        wait_seconds: how long the provider asked us to wait; such a reply costs no attempt.
    """

    key: str
    outcome: Outcome
    body: Any = None
    reason: str = ""
    credits: float = 0.0
    api_version: str = ""
    request_id: str = ""
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A reply's meaning: the outcome with its reason, and the canonical fields of a contact that the provider has."""

    outcome: Outcome
    reason: str
    provider_record_id: str | None
    confidence: float | None
    fields: Mapping[str, Any]


class Provider(Protocol):
    """What the pipeline asks of a provider."""

    name: str
    terms: Terms

    def choose_input(self, contact: Contact) -> dict[str, str] | None:
        """Return the identifiers to ask with, or None if the contact has too few."""

    def request_key(self, lookup_input: Mapping[str, str]) -> str:
        """Return the journal's key of a request."""

    async def ask(self, requests: Sequence[Request], keep: Callable[[Sequence[Reply]], None]) -> list[Reply]:
        """
        Ask for contacts in native batches, concurrently, under the shared rate limit.

        Args:
            requests: with distinct keys.
            keep: called with the replies of each answer before anything is made of them; durable when it returns.

        Returns:
            one reply for every request, in any order; what was not asked because the run must stop says so.
        """

    def read(self, body: Any) -> Reading:
        """Say what a journalled reply means by today's spec."""

    def share(self, runs: int) -> None:
        """Pace for so many runs at work."""

    def check(self) -> str:
        """Make one free call, and return a line that says which account answered and what is left."""
