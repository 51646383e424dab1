"""Asking one provider for some contacts or companies: the journal first, then money, and never twice at once."""

import asyncio
import contextlib
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from blocks.crms.base import Crm
from blocks.providers.base import Asked, Reading, Reply, Request
from blocks.warehouses.base import JournalLookup, MadeFor, Row, Warehouse
from enrichment.errors import TransientError
from enrichment.identifiers import email_key, is_about_person
from enrichment.lanes import rate_share
from enrichment.outcomes import CONCLUSIVE, STOPS_RUN, Outcome
from enrichment.plan import RunPlan
from enrichment.records import CREDIT_CAP_REACHED, Claim, Stop
from enrichment.stops import graver

#: Contacts that are asked for between two renewals of the claim.
GROUP_SIZE = 250

#: At a slow provider a group takes long; so often, those who are at work are counted again while answers arrive.
_SHARE_SECONDS = 2.0

#: Pauses in seconds while another chunk asks for the same person.
_PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)
_BUSY_WAIT_SECONDS = 30.0
#: For fewer requests than these, the last credits under a cap aren't worth another look.
_FEW = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request: the identifiers to ask with, and the staged records that wait for its reply."""

    lookup_input: Mapping[str, str]
    record_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """A journalled reply, and what today's spec makes of it."""

    row: Row
    reading: Reading


@dataclass
class Asking:
    """
    One provider's part in a chunk, or that of one of its follow-ups.

    Args:
        plan: of the run.
        claim: of the chunk.
        warehouse: keeps the journal.
        reference: of the provider's block; runs that name it share its rate.
        provider: is asked.
        crm: paced alike.
    """

    plan: RunPlan
    claim: Claim
    warehouse: Warehouse
    reference: str
    provider: Asked
    crm: Crm
    answers: dict[str, Answer] = field(default_factory=dict)
    unsettled: dict[str, Reply] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    stop: Stop | None = None
    capped: Stop | None = None
    _asked_for: list[str] = field(default_factory=list)
    _renewed_at: float = 0.0

    def ask(self, wanted: Mapping[str, Wanted]) -> None:
        """Fill `answers`, `unsettled` and `erased` by request key; every key ends in one of them."""
        open_keys = set(wanted)
        pauses = [0.0, *_PATIENCE]
        while open_keys and pauses:
            time.sleep(pauses.pop(0))
            self._pay_for(open_keys, wanted)
            self._read_journal(open_keys - self.unsettled.keys() - self.erased)
            settled = open_keys & (self.unsettled.keys() | self.answers.keys() | self.erased)
            open_keys -= settled
            # While others' answers come in, it is worth waiting for the rest of them.
            pauses = [] if self.stop else [*_PATIENCE] if settled else pauses
        wait = 0.0 if self.stop else _BUSY_WAIT_SECONDS
        for key in open_keys:
            self.unsettled[key] = Reply(key, Outcome.RETRYABLE, reason="asked_elsewhere", wait_seconds=wait)

    def _pay_for(self, keys: Collection[str], wanted: Mapping[str, Wanted]) -> None:
        """Ask for keys that the journal lacks, that nobody else is asking for, and for which the caps have room."""
        looked = self._open(keys, wanted)
        enough = max(self.provider.terms.batch_size, _FEW)
        while self._ask_granted(looked, wanted) >= enough and looked.refused and self.stop is None:
            looked = self._open(looked.refused, wanted)  # replies that cost nothing have made room again
        self._turn_back(looked)

    def _open(self, keys: Iterable[str], wanted: Mapping[str, Wanted]) -> JournalLookup:
        return self.warehouse.open_requests(
            self.provider.name,
            list(keys),
            token=self.claim.token,
            lease_seconds=self.plan.lease_seconds,
            reply_days=self.plan.reply_days,
            made_for=[made for key in keys for made in _made_for(key, wanted[key])],
            run_id=self.plan.run_id,
            credits_each=self.provider.terms.credits,
            caps=self.plan.caps(self.provider.name),
        )

    def _ask_granted(self, looked: JournalLookup, wanted: Mapping[str, Wanted]) -> int:
        """Ask for what was granted, and return how much that was."""
        self.erased |= looked.erased
        granted = sorted(looked.granted)
        for start in range(0, len(granted), GROUP_SIZE):
            for reply in self._ask_group(granted[start : start + GROUP_SIZE], wanted):
                if reply.outcome not in CONCLUSIVE:
                    self.unsettled[reply.key] = reply
        return len(granted)

    def _turn_back(self, looked: JournalLookup) -> None:
        """Send back what a cap has no room for, at no attempt; the run's own cap ends it with what it has in flight."""
        if looked.reached is None:
            return
        for key in looked.refused:
            wait = looked.reached.wait_seconds
            self.unsettled[key] = Reply(key, Outcome.RETRYABLE, reason=CREDIT_CAP_REACHED, wait_seconds=wait)
        message = f"{looked.reached} at {self.provider.name}; what it has no room for waits in the queue"
        self.capped = Stop(CREDIT_CAP_REACHED, message, ends_run=looked.reached.cap == "run")
        if self.capped.ends_run:
            self.stop = graver(self.stop, self.capped)

    def _ask_group(self, keys: Sequence[str], wanted: Mapping[str, Wanted]) -> list[Reply]:
        if self.stop:
            return [Reply(key, Outcome.QUOTA_EXHAUSTED, reason=self.stop.kind) for key in keys]
        held = self._still_held(keys, wanted)
        lost = [Reply(key, Outcome.RETRYABLE, reason="claim_lost", wait_seconds=0.0) for key in set(keys) - set(held)]
        requests = [Request(key, wanted[key].lookup_input) for key in held]
        replies = asyncio.run(self.provider.ask(requests, self._keep))
        self._note_stop(replies)
        self._note_doubt(replies)
        return [*replies, *lost]

    def _still_held(self, keys: Sequence[str], wanted: Mapping[str, Wanted]) -> list[str]:
        """Renew the claim just before money is spent: a run that lost it must not pay."""
        self._asked_for = [record_id for key in keys for record_id in wanted[key].record_ids]
        held = self._renew()
        return [key for key in keys if wanted[key].record_ids & held]

    def _renew(self) -> frozenset[str]:
        """Prolong the claim of what is asked for, and share both rates with those who are at work by now."""
        renewal = self.warehouse.renew(
            self.claim,
            self._asked_for,
            provider=self.reference,
            crm=self.plan.crm,
            lease_seconds=self.plan.lease_seconds,
        )
        self.provider.share(rate_share(self.plan.lane, renewal.at_provider, self.plan.live_share))
        self.crm.share(rate_share(self.plan.lane, renewal.at_crm, self.plan.live_share))
        self._renewed_at = time.monotonic()
        return renewal.held

    def _keep(self, replies: Sequence[Reply]) -> None:
        self.warehouse.keep_replies(self.provider.name, self.plan.run_id, replies)
        if time.monotonic() - self._renewed_at > _SHARE_SECONDS:
            with contextlib.suppress(TransientError):  # what was paid for is kept; the next answer brings another look
                self._renew()

    def _note_stop(self, replies: Iterable[Reply]) -> None:
        for reply in replies:
            if reply.outcome in STOPS_RUN and self.stop is None:
                quota = reply.outcome is Outcome.QUOTA_EXHAUSTED
                kind = "quota_exhausted" if quota else "credentials_rejected"
                self.stop = Stop(kind, f"{self.provider.name}: {reply.reason}")

    def _note_doubt(self, replies: Iterable[Reply]) -> None:
        """Count what may have been billed for lost answers, which aren't in the journal."""
        doubtful = sum(reply.credits for reply in replies if reply.outcome not in CONCLUSIVE and reply.body is None)
        if doubtful:
            self.warehouse.note_doubt(self.provider.name, self.plan.run_id, doubtful)

    def _read_journal(self, keys: Iterable[str]) -> None:
        """Read replies back from the journal, so that only what is kept counts."""
        rows = self.warehouse.read_replies(self.provider.name, list(keys), reply_days=self.plan.reply_days)
        for key, row in rows.items():
            self.answers[key] = Answer(row, self.provider.read(row["reply"]))


def _made_for(key: str, wanted: Wanted) -> list[MadeFor]:
    """Return for whom a request is made; one about a company is nobody's own."""
    if not is_about_person(wanted.lookup_input):
        return []
    hashed = email_key(wanted.lookup_input.get("email"))
    return [MadeFor(record_id, key, hashed) for record_id in sorted(wanted.record_ids)]
