"""The asker of a run: the journal first, then money, and never twice at once."""

import contextlib
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from blocks.crms.base import Crm
from blocks.log import event
from blocks.providers.base import CREDENTIALS_REJECTED, Asked, Reply, Request
from blocks.warehouses.base import JournalLookup, MadeFor, Warehouse
from enrichment.division import divide
from enrichment.errors import TransientError, cause
from enrichment.identifiers import email_key, is_about_person
from enrichment.plan import RunPlan, rate_share
from enrichment.records import CONCLUSIVE, CREDIT_CAP_REACHED, STOPS_RUN, Claim, Outcome, Returned, Settlement, Stop
from enrichment.retry import settle_failure
from enrichment.stops import graver, stop_message
from enrichment.text import escaped
from lookup.cases import Case, Heard, Known, Pending, reuse_days
from lookup.journal import read_journal
from lookup.permit import CLAIM_LOST, Permit

#: How long, at the provider's pace, the calls take that are made between two renewals of the claim.
GROUP_SECONDS = 20.0

#: How often the runs at work are counted again during a group, which takes long at a slow provider.
_SHARE_SECONDS = 2.0

#: Pauses in seconds while another chunk queries the same person.
_PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)
_BUSY_WAIT_SECONDS = 30.0
#: For fewer requests than these, the last credits under a cap aren't worth another look.
_FEW = 10

_PENDING_WAIT_SECONDS = 120.0

#: Replies that the journal couldn't take yet, by provider and claim.
_unkept: dict[tuple[str, str], list[Reply]] = {}

#: Follow-ups that the account lacks, by run: what one chunk has learned, the next doesn't try.
_withheld: dict[tuple[str, str, str], Stop] = {}


@dataclass
class Buyer:
    """
    Gets a chunk's replies, from the journal or for money.

    Args:
        plan: of the run.
        claim: of the chunk.
        warehouse: keeps the journal.
        crm: paced like the provider.
        permit: says whether the run may pay.
        pause: waits so many seconds, for a journal that can't be written.
        make_room: called before a wait for what others have asked: meanwhile another chunk may make its calls.
        clock: gives the time in seconds, from anywhere.
        shuffle: brings keys into another order each time, so that a contact that spoils a batch meets others next time.
        stop: why the run must leave something in the queue, once it must.
    """

    plan: RunPlan
    claim: Claim
    warehouse: Warehouse
    crm: Crm
    permit: Permit
    pause: Callable[[float], None] = time.sleep
    make_room: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    shuffle: Callable[[list[str]], None] = random.shuffle
    stop: Stop | None = None
    _capped: Stop | None = None

    @property
    def final_stop(self) -> Stop | None:
        """Return why something stays in the queue, a day's cap included, which doesn't end the run."""
        return graver(self.stop, self._capped)

    def ask(self, reference: str, asked: Asked, requests: Mapping[str, Pending]) -> Heard:
        """Return what came of these requests; every one ends as known, missing or erased."""
        step = (self.plan.run_id, asked.name, asked.step)
        if self.stop and not asked.step:
            return Heard(missing={key: _not_made(key, self.stop) for key in requests})
        purchase = Purchase(self, reference, asked, requests, self.stop or _withheld.get(step))
        purchase.run()
        if asked.step:
            _note_refusal(step, purchase.missing.values())
        withheld = step in _withheld
        if not withheld:
            self.stop = self.stop or purchase.stop
        self._capped = graver(self._capped, purchase.capped)
        return Heard(purchase.known, purchase.missing, withheld)

    def settle_missing(self, case: Case, asked: Asked, reply: Reply) -> Settlement:
        """Put the record back: for another attempt, or at none where a wait or a stop isn't the contact's fault."""
        record, reason = case.record, reply.reason or reply.outcome
        if reply.outcome is Outcome.PENDING and record.attempts < self.plan.max_attempts:
            wait = _PENDING_WAIT_SECONDS if reply.wait_seconds is None else reply.wait_seconds
            return Returned(record.record_id, reason, wait)
        if reply.outcome in STOPS_RUN or (reply.wait_seconds is not None and reply.outcome is not Outcome.PENDING):
            return Returned(record.record_id, reason, reply.wait_seconds or 0.0, costs_attempt=False)
        return settle_failure(
            record,
            reason=reason,
            step="look_up",
            detail=reply.detail or _unusable(asked.name, reason, reply.request_id),
            max_attempts=self.plan.max_attempts,
            # What may be billed again is asked for once more at most.
            permanent=reply.final or (reply.doubt > 0 and record.attempts > 1),
            chance=random.random(),  # noqa: S311 - jitter
        )


def _unusable(provider: str, reason: str, request_id: str) -> str:
    return f"{provider} gave no usable reply: {reason}" + (f" (request {request_id})" if request_id else "")


def _not_made(key: str, stop: Stop) -> Reply:
    return Reply(key, Outcome.QUOTA_EXHAUSTED, reason=stop.kind)


def _note_refusal(step: tuple[str, str, str], missing: Iterable[Reply]) -> None:
    """Remember and say once that the account lacks a follow-up, unless it is refused because of the credentials."""
    refused = [one.reason for one in missing if one.outcome is Outcome.REJECTED]
    if refused and CREDENTIALS_REJECTED not in refused and step not in _withheld:
        _withheld[step] = Stop("withheld", refused[0])
        event("follow_up_withheld", provider=step[1], step=step[2], reason=refused[0])


@dataclass
class Purchase:
    """
    One provider's part in a chunk, or that of one of its follow-ups.

    Args:
        buyer: whose plan, claim, warehouse and CRM it is made with.
        reference: of the provider's block; runs that name it share its rate.
        asked: is queried.
        requests: by their keys.
        stop: why nothing may be paid for, if so; the journal is read anyway.
    """

    buyer: Buyer
    reference: str
    asked: Asked
    requests: Mapping[str, Pending]
    stop: Stop | None
    known: dict[str, Known] = field(default_factory=dict)
    missing: dict[str, Reply] = field(default_factory=dict)
    capped: Stop | None = None
    _erased: set[str] = field(default_factory=set)
    _queried_for: list[str] = field(default_factory=list)
    _renewed_at: float = 0.0
    _lapses: int = 0

    def run(self) -> None:
        """Fill `known` and `missing`; a key that ends in neither was erased."""
        self._keep_late()
        open_keys = self.requests.keys() - self.missing.keys()
        pauses = [0.0, *_PATIENCE]
        while open_keys and pauses:
            if seconds := pauses.pop(0):
                self.buyer.make_room()
                self.buyer.permit.pause(seconds)
            self._pay_for(open_keys)
            left = open_keys - self.missing.keys() - self._erased
            # Read back, so that only what is kept counts.
            self.known |= read_journal(self.buyer.warehouse, self.asked, list(left), self.buyer.plan)
            settled = open_keys & (self.missing.keys() | self.known.keys() | self._erased)
            open_keys -= settled
            # While others' answers come in, it is worth waiting for the rest of them.
            pauses = [] if self._ends else [*_PATIENCE] if settled else pauses
        wait = 0.0 if self._ends else _BUSY_WAIT_SECONDS
        for key in open_keys:
            self.missing[key] = Reply(key, Outcome.RETRYABLE, reason="asked_elsewhere", wait_seconds=wait)

    @property
    def _ends(self) -> bool:
        """Return whether nothing more is to be paid for."""
        return self.stop is not None or bool(self.buyer.permit.refusal())

    def _pay_for(self, keys: Collection[str]) -> None:
        """Query for keys that the journal lacks, that no other claim has reserved, and for which the caps have room."""
        self._lapses = self.buyer.permit.lapses
        looked = self._open(keys)
        enough = max(self.asked.terms.batch_size, _FEW)
        while self._query_granted(looked) >= enough and looked.refused and self.stop is None:
            looked = self._open(looked.refused)  # replies that cost nothing have made room again
        self._turn_back(looked)

    def _open(self, keys: Iterable[str]) -> JournalLookup:
        plan = self.buyer.plan
        return self.buyer.warehouse.open_requests(
            self.asked.name,
            list(keys),
            token=self.buyer.claim.token,
            lease_seconds=plan.lease_seconds,
            made_for=[made for key in keys for made in _made_for(self.requests[key])],
            run_id=plan.run_id,
            credits_each=self.asked.terms.credits,
            caps=plan.caps(self.asked.name),
            **reuse_days(self.asked, plan),
        )

    def _query_granted(self, looked: JournalLookup) -> int:
        """Query for what was granted, and return how much that was."""
        self._erased |= looked.erased
        granted = sorted(looked.granted)
        self.buyer.shuffle(granted)
        size = max(1, round(GROUP_SECONDS * self.asked.terms.per_second)) * self.asked.terms.batch_size
        for start in range(0, len(granted), size):
            for reply in self._query_group(granted[start : start + size]):
                if reply.outcome not in CONCLUSIVE:
                    self.missing.setdefault(reply.key, reply)
        return len(granted)

    def _turn_back(self, looked: JournalLookup) -> None:
        """Send back what a cap has no room for, at no attempt; the run's own cap ends it with what it has in flight."""
        if looked.reached is None:
            return
        for key in looked.refused:
            wait = looked.reached.wait_seconds
            self.missing[key] = Reply(key, Outcome.RETRYABLE, reason=CREDIT_CAP_REACHED, wait_seconds=wait)
        message = f"{looked.reached} at {self.asked.name}; contacts beyond the cap wait in the queue"
        self.capped = Stop(CREDIT_CAP_REACHED, message, ends_run=looked.reached.cap == "run")
        if self.capped.ends_run:
            self.stop = graver(self.stop, self.capped)

    def _query_group(self, keys: Sequence[str]) -> list[Reply]:
        if self.stop:
            return [_not_made(key, self.stop) for key in keys]
        refusal = partial(self.buyer.permit.refusal, self._lapses)
        if refused := refusal():
            return [Reply(key, Outcome.RETRYABLE, reason=refused, wait_seconds=0.0) for key in keys]
        held = self._still_held(keys)
        lost = [Reply(key, Outcome.RETRYABLE, reason=CLAIM_LOST, wait_seconds=0.0) for key in set(keys) - set(held)]
        replies = self.asked.ask([self.requests[key].request for key in held], self._keep, refusal)
        self._note_stop(replies)
        return [*replies, *lost]

    def _still_held(self, keys: Sequence[str]) -> list[str]:
        """Renew the claim just before money is spent: a run that lost it must not pay."""
        self._queried_for = [record_id for key in keys for record_id in self.requests[key].record_ids]
        held = self._renew()
        return [key for key in keys if self.requests[key].record_ids & held]

    def _renew(self) -> frozenset[str]:
        """Prolong the claim of what is queried for, and share both rates with the runs that are at work by now."""
        plan = self.buyer.plan
        renewal = self.buyer.warehouse.renew(
            self.buyer.claim,
            self._queried_for,
            provider=self.reference,
            crm=plan.crm,
            lease_seconds=plan.lease_seconds,
        )
        self.asked.share(rate_share(plan.lane, renewal.at_provider, plan.live_share))
        self.buyer.crm.share(rate_share(plan.lane, renewal.at_crm, plan.live_share))
        self._renewed_at = self.buyer.clock()
        return renewal.held

    def _keep(self, replies: Sequence[Reply]) -> None:
        """Keep what was paid for, whatever it holds, and book what may have been billed."""
        _unkept.setdefault(self._debt, []).extend(replies)
        self._keep_late()
        if self.buyer.clock() - self._renewed_at > _SHARE_SECONDS:
            with contextlib.suppress(TransientError):  # what was paid for is kept; the next answer brings another look
                self._renew()

    @property
    def _debt(self) -> tuple[str, str]:
        return self.asked.name, self.buyer.claim.token

    def _keep_late(self) -> None:
        """Keep replies, and those that couldn't be kept before, patiently: they can't be had again for nothing."""
        pauses = list(_PATIENCE)
        while waiting := _unkept.pop(self._debt, []):
            try:
                self._keep_now(waiting)
            except Exception as error:
                _unkept.setdefault(self._debt, []).extend(waiting)
                if not isinstance(error, TransientError):
                    raise
                event("replies_not_saved", provider=self.asked.name, replies=len(waiting), because=cause(error))
                if not pauses:
                    raise
                self.buyer.pause(pauses.pop(0))

    def _keep_now(self, replies: Sequence[Reply]) -> None:
        for reply, error in _save(self.buyer.warehouse, self.asked.name, self.buyer.plan.run_id, replies):
            self._keep_escaped(reply, error)

    def _keep_escaped(self, reply: Reply, error: Exception) -> None:
        """Keep a reply that the journal can't store as it is, and end its contact: it would be the same next time."""
        reason, detail = "reply_not_storable", f"{self.asked.name}'s reply can't be used: {cause(error)}"
        event("reply_not_storable", provider=self.asked.name, because=cause(error))
        _save_escaped(self.buyer.warehouse, self.asked.name, self.buyer.plan.run_id, reply)
        self.missing[reply.key] = Reply(
            reply.key, Outcome.RETRYABLE, reason=reason, request_id=reply.request_id, final=True, detail=detail
        )

    def _note_stop(self, replies: Iterable[Reply]) -> None:
        for reply in replies:
            if reply.stop and self.stop is None:
                self.stop = Stop(reply.stop, stop_message(self.asked.name, reply.stop, reply.reason))


def _save(
    warehouse: Warehouse, provider: str, run_id: str, replies: Sequence[Reply]
) -> Sequence[tuple[Reply, Exception]]:
    """Save replies, book what may have been billed, and return those that the journal can't store as they are."""
    rows = [one for one in replies if one.outcome in CONCLUSIVE or one.body is not None or one.credits > 0]
    refused = divide(rows, partial(warehouse.keep_replies, provider, run_id)).refused
    doubtful = sum(reply.doubt for reply in replies)
    if doubtful:
        warehouse.note_doubt(provider, run_id, doubtful)
    return refused


def _save_escaped(warehouse: Warehouse, provider: str, run_id: str, reply: Reply) -> None:
    """Save a reply in letters and digits that the journal can't store as it is."""
    kept = replace(reply, outcome=Outcome.RETRYABLE, body={"base64": escaped(reply.body)})
    if divide([kept], partial(warehouse.keep_replies, provider, run_id)).refused:  # it is too long even so
        warehouse.note_doubt(provider, run_id, reply.credits)


def save_left_over(warehouse: Warehouse, claim: Claim) -> None:
    """Save what a chain that broke has paid for and couldn't save, as when the warehouse was away for minutes."""
    for debt in [debt for debt in _unkept if debt[1] == claim.token]:
        replies = _unkept.pop(debt, [])
        try:
            refused = _save(warehouse, debt[0], claim.run_id, replies)
        except Exception:
            _unkept.setdefault(debt, []).extend(replies)
            raise
        for reply, _ in refused:
            _save_escaped(warehouse, debt[0], claim.run_id, reply)


def _made_for(pending: Pending) -> list[MadeFor]:
    """Return for whom a request is made; one about a company belongs to no contact."""
    request: Request = pending.request
    if not is_about_person(request.lookup_input):
        return []
    hashed = email_key(request.lookup_input.get("email"))
    return [MadeFor(record_id, request.key, hashed) for record_id in sorted(pending.record_ids)]
