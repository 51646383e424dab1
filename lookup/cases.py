"""A record on its way through the providers, and what came of a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from blocks.providers.base import Asked, Reading, Reply, Request
from enrichment.identifiers import normalise_email
from enrichment.match_rate import lookups_of
from enrichment.plan import RunPlan
from enrichment.records import Contact, Disposition, Enrichment, Settlement, StagedRecord


@dataclass(frozen=True, slots=True)
class Miss:
    """An answer without the contact: it isn't known, can't be looked up, or what came may be about another person."""

    provider: str
    disposition: Disposition
    reason: str
    identifier: str
    request_key: str
    doubtful: bool = False


@dataclass(eq=False, slots=True)
class Case:
    """
    A record that needs a lookup, and what the providers so far have said of it.

    Args:
        record: the staged record.
        contact: its identifiers.
        found: one enrichment for each provider that knows the contact.
        misses: of the providers that don't.
        replies: of the providers that know it and its company, as received, by provider.
        request_key: of the first reply.
        open: whether the next provider may be queried.
        unanswered: whether a reply is missing that would have to be paid for; only where nothing is paid for.
        chance: how likely the next provider must be queried (0 to 1); only where replies are estimated.
    """

    record: StagedRecord
    contact: Contact
    found: list[Enrichment] = field(default_factory=list)
    misses: list[Miss] = field(default_factory=list)
    replies: dict[str, Any] = field(default_factory=dict)
    request_key: str = ""
    open: bool = True
    unanswered: bool = False
    chance: float = 1.0

    @property
    def lookups(self) -> str:
        """Return what each provider so far has said of the contact itself, as the ledger keeps it; none in a remap."""
        if self.record.is_remap:
            return ""
        unmatched = (one.provider for one in self.misses if one.disposition is Disposition.UNMATCHED)
        return lookups_of(matched=(one.provider for one in self.found), unmatched=unmatched)

    @property
    def email_domain(self) -> str:
        """Return the domain of the contact's address; empty without a valid one."""
        return (normalise_email(self.contact.email) or "").rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Pending:
    """A request, and the cases that wait for its reply; contacts with the same identifiers share one."""

    request: Request
    cases: tuple[Case, ...]

    @property
    def record_ids(self) -> frozenset[str]:
        """Return the ids of the staged records that wait for it."""
        return frozenset(case.record.record_id for case in self.cases)

    @property
    def chance(self) -> float:
        """Return how likely the request must be made (0 to 1)."""
        return max(case.chance for case in self.cases)


@dataclass(frozen=True, slots=True)
class Known:
    """A journalled reply, and what today's spec makes of it."""

    key: str
    body: Any
    received_at: str
    reading: Reading


@dataclass(slots=True)
class Heard:
    """
    What came of some requests; a key that is in neither was erased meanwhile.

    Args:
        known: replies of the journal, by request key.
        missing: why there is none, by request key.
        withheld: whether the account lacks the follow-up, so that the records go on without it.
    """

    known: dict[str, Known] = field(default_factory=dict)
    missing: dict[str, Reply] = field(default_factory=dict)
    withheld: bool = False


class Asker(Protocol):
    """Gets the replies that a walk needs, each in its own way."""

    def ask(self, reference: str, asked: Asked, requests: Mapping[str, Pending]) -> Heard:
        """
        Return what came of requests to a provider or to one of its follow-ups.

        Args:
            reference: of the provider's block.
            asked: the provider or the follow-up.
            requests: by their keys.
        """

    def settle_missing(self, case: Case, asked: Asked, reply: Reply) -> Settlement | None:
        """Return how a case whose reply is missing is settled; None if it isn't, and `Case.open` says if it goes on."""


def reuse_days(asked: Asked, plan: RunPlan) -> dict[str, int]:
    """Return for how many days the journal's replies are reused: matches, and misses, which may be known by now."""
    reply_days = min(plan.reply_days, asked.cache_days or plan.reply_days)
    return {"reply_days": reply_days, "miss_days": min(reply_days, asked.miss_days or plan.miss_days)}
