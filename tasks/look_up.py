"""Step 1 of a chunk: decide who needs a lookup, and ask one provider after the other until enough is known."""

import random
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from blocks.crms.base import Crm, load_crm
from blocks.log import event
from blocks.providers.base import FollowUp, Provider, Reply
from blocks.providers.block import load_provider
from blocks.warehouses.base import Warehouse, open_warehouse
from enrichment.errors import PostponedError, RunStoppedError
from enrichment.identifiers import suppression_keys, why_invalid
from enrichment.outcomes import ENRICHED, STOPS_RUN, Outcome
from enrichment.plan import RunPlan
from enrichment.records import (
    DISPOSITION_OF_OUTCOME,
    Chunk,
    Claim,
    Contact,
    Disposition,
    Enrichment,
    Finished,
    Found,
    Returned,
    Settlement,
    StagedRecord,
    State,
    Stop,
    Unmatched,
)
from enrichment.retry import settle_failure
from enrichment.stops import give_back, graver, stop_of
from enrichment.waterfall import complete, is_complete, lacking, merge
from tasks.asking import Answer, Asking, Wanted
from tasks.follow_ups import FollowingUp, plan_of
from tasks.steps import Parcel, step

_PENDING_WAIT_SECONDS = 120.0

# Two chunks keep the provider busy. More would share its rate, finish together, and leave it idle meanwhile.
_AT_ONCE = threading.BoundedSemaphore(2)


@step(name="look-up")
def look_up(plan: RunPlan, claimed: Parcel[Claim]) -> Parcel[Chunk]:
    """Return the chunk with what the providers know of each record, from the journal where it has the reply."""
    claim = claimed.contents
    with _AT_ONCE, open_warehouse(plan.warehouse) as warehouse:
        crm = load_crm(plan.crm)
        try:
            chunk = _LookUp(plan, claim, warehouse, crm).run()
        except (RunStoppedError, PostponedError) as error:
            chunk = Chunk(claim, settlements=give_back(claim.records, error), stop=stop_of(error))
        finally:
            crm.close()
    event("chunk_looked_up", records=len(claim.records), found=len(chunk.found), settled=len(chunk.settlements))
    return Parcel(chunk)


@dataclass(frozen=True, slots=True)
class _Miss:
    """A provider's answer that it doesn't have the contact, or what it was asked with."""

    disposition: Disposition
    reason: str
    identifier: str
    request_key: str


@dataclass(eq=False, slots=True)
class _Case:
    """A record that needs a lookup, and what the providers so far have said of it; `replies` are those of matches."""

    record: StagedRecord
    contact: Contact
    found: list[Enrichment] = field(default_factory=list)
    misses: list[_Miss] = field(default_factory=list)
    replies: dict[str, Any] = field(default_factory=dict)
    request_key: str = ""
    closed: bool = False


@dataclass
class _LookUp:
    """The chunk's state while its records are sorted into results."""

    plan: RunPlan
    claim: Claim
    warehouse: Warehouse
    crm: Crm
    found: list[Found] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    stop: Stop | None = None
    capped: Stop | None = None

    def run(self) -> Chunk:
        undone = self._resume_enriched(self._refuse_exhausted(self.claim.records))
        cases = [_Case(record, contact) for record, contact in self._drop_unwanted(self._contacts(undone))]
        for reference in self.plan.providers:
            self._consult(reference, [case for case in cases if self._is_open(case)])
        for case in cases:
            self._conclude(case)
        stop = graver(self.stop, self.capped)
        return Chunk(self.claim, tuple(self.found), tuple(self.unmatched), tuple(self.settlements), stop=stop)

    def _is_open(self, case: _Case) -> bool:
        return not case.closed and not is_complete(case.found, self.plan.required_fields)

    def _finish(self, record: StagedRecord, disposition: Disposition, reason: str) -> None:
        self.settlements.append(Finished(record.record_id, disposition, reason, "look_up"))

    def _refuse_exhausted(self, records: Iterable[StagedRecord]) -> list[StagedRecord]:
        """Make dead letters of records whose every run so far died: they may be what kills them."""
        kept = []
        for record in records:
            if record.attempts <= self.plan.max_attempts:
                kept.append(record)
                continue
            detail = f"{record.attempts - 1} runs claimed the record and none finished it"
            finished = Finished(record.record_id, Disposition.FAILED, "attempts_exhausted", "look_up", detail)
            self.settlements.append(finished)
        return kept

    def _resume_enriched(self, records: Sequence[StagedRecord]) -> list[StagedRecord]:
        """Take the stored result of records that only the CRM lacks; return the others."""
        resumed = [record for record in records if record.state is State.ENRICHED]
        if not resumed:
            return list(records)
        stored = self.warehouse.read_enriched(self.plan.crm_name, [record.crm_id for record in resumed])
        done = {record.record_id for record in resumed if record.crm_id in stored}
        self.found += [Found(r, stored[r.crm_id], "") for r in resumed if r.record_id in done]
        return [record for record in records if record.record_id not in done]

    def _contacts(self, records: Sequence[StagedRecord]) -> list[tuple[StagedRecord, Contact]]:
        """Return the contacts' identifiers; the CRM is asked only for those that were staged without an address."""
        bare = [record.crm_id for record in records if not record.email_address]
        read = self.crm.read(bare, []) if bare else {}
        contacts = []
        for record in records:
            if record.email_address:
                contacts.append((record, Contact(record.crm_id, record.email_address)))
            elif record.crm_id in read:
                contacts.append((record, read[record.crm_id].contact))
            else:
                self._finish(record, Disposition.INVALID, "contact_gone")
        return contacts

    def _drop_unwanted(self, contacts: Sequence[tuple[StagedRecord, Contact]]) -> list[tuple[StagedRecord, Contact]]:
        keys = {record.record_id: suppression_keys(contact, record.crm) for record, contact in contacts}
        fresh, suppressed = self.warehouse.screen(
            self.plan.crm_name,
            [record.crm_id for record, _ in contacts],
            [key for of_record in keys.values() for key in of_record],
            fresh_days=self.plan.fresh_days,
        )
        kept = []
        for record, contact in contacts:
            if suppressed.intersection(keys[record.record_id]):
                self._finish(record, Disposition.SUPPRESSED, "suppression_list")
            elif record.crm_id in fresh:
                self._finish(record, Disposition.SKIPPED_FRESH, f"within_{self.plan.fresh_days}_days")
            else:
                kept.append((record, contact))
        return kept

    def _consult(self, reference: str, cases: Sequence[_Case]) -> None:
        """Let one provider say what it knows of these contacts."""
        provider = load_provider(reference)
        if self.stop:
            for case in cases:
                self._give_up(case, Reply("", Outcome.QUOTA_EXHAUSTED, reason=self.stop.kind), provider.name)
            return
        inputs, by_key = _group(provider, cases)
        asking = Asking(self.plan, self.claim, self.warehouse, reference, provider, self.crm)
        asking.ask(
            {key: Wanted(inputs[key], frozenset(case.record.record_id for case in by_key[key])) for key in by_key}
        )
        self.stop, self.capped = asking.stop, graver(self.capped, asking.capped)
        for key, lookup_input in inputs.items():
            self._hear(provider.name, by_key[key], asking, key, lookup_input)
        for further in provider.follow_ups:
            known = [case for case in cases if provider.name in case.replies and not case.closed]
            self._follow_up(reference, further, known)

    def _hear(
        self, provider: str, cases: Sequence[_Case], asking: Asking, key: str, lookup_input: Mapping[str, str]
    ) -> None:
        """Take what came of one request for those who waited for it."""
        for case in cases:
            if key in asking.answers:
                self._learn(case, provider, lookup_input, asking.answers[key])
            elif key in asking.unsettled:
                self._give_up(case, asking.unsettled[key], provider)
            else:  # erased meanwhile
                case.closed = True
                self._finish(case.record, Disposition.SUPPRESSED, "suppression_list")

    def _follow_up(self, reference: str, further: FollowUp, cases: Sequence[_Case]) -> None:
        """Let one of the provider's follow-ups fill what is still lacking of contacts that it knows."""
        lacked = {case.record.record_id: case for case in cases if lacking(case.found, further.fills)}
        plan = plan_of(further, self.plan)
        asking = Asking(plan, self.claim, self.warehouse, reference, further, self.crm, stop=self.stop)
        following = FollowingUp(self.plan, further, asking)
        missed = 0
        for record_id, told in following.ask({one: case.replies[further.name] for one, case in lacked.items()}).items():
            case = lacked[record_id]
            case.found[-1] = complete(case.found[-1], further.step, told.fields, told.keys, told.received_at)
            missed += self._postpone(case, following.why_missing(told), further.name)
        self.stop = self.stop or following.stop
        self.capped = graver(self.capped, asking.capped)
        if missed:
            event("follow_up_missed", provider=further.name, step=further.step, records=missed)

    def _postpone(self, case: _Case, reply: Reply | None, provider: str) -> bool:
        """Put a record back that waits for a follow-up; return whether it has no attempt left, and goes on without."""
        settlement = self._settlement(case.record, reply, provider) if reply else None
        if isinstance(settlement, Returned):
            case.closed = True
            self.settlements.append(settlement)
        return isinstance(settlement, Finished)

    def _learn(self, case: _Case, provider: str, lookup_input: Mapping[str, str], answer: Answer) -> None:
        reading, key = answer.reading, answer.row["request_key"]
        case.request_key = case.request_key or key
        if reading.outcome in ENRICHED:
            case.replies[provider] = answer.row["reply"]
            case.found.append(
                Enrichment(
                    provider,
                    reading.provider_record_id,
                    reading.confidence,
                    reading.fields,
                    answer.row["received_at"],
                )
            )
            return
        disposition = DISPOSITION_OF_OUTCOME.get(reading.outcome)
        if disposition is None:  # today's spec reads an old reply otherwise than the one of its day
            self._give_up(case, Reply(key, reading.outcome, reason=reading.reason), provider)
            return
        case.misses.append(_Miss(disposition, reading.reason, ", ".join(lookup_input.values()), key))
        if disposition is Disposition.SUPPRESSED:  # an opt-out holds whatever the others know
            case.found.clear()
            self._conclude(case)

    def _conclude(self, case: _Case) -> None:
        """Settle a case by all that was said of it."""
        if case.closed:
            return
        case.closed = True
        if case.found:
            self.found.append(Found(case.record, merge(case.found), case.request_key))
        elif case.misses:
            self._miss(case.record, case.misses[-1])
        else:
            self._finish(case.record, Disposition.INVALID, why_invalid(case.contact))

    def _miss(self, record: StagedRecord, miss: _Miss) -> None:
        identifier = None if miss.disposition is Disposition.SUPPRESSED else miss.identifier
        self.unmatched.append(Unmatched(record.record_id, record.crm_id, identifier, miss.reason))
        self.settlements.append(
            Finished(record.record_id, miss.disposition, miss.reason, "look_up", request_key=miss.request_key)
        )

    def _give_up(self, case: _Case, reply: Reply, provider: str) -> None:
        """Put a record back, unless this was its last attempt and another provider knows something."""
        settlement = self._settlement(case.record, reply, provider)
        if isinstance(settlement, Finished) and case.found:
            self._conclude(case)
            return
        case.closed = True
        self.settlements.append(settlement)

    def _settlement(self, record: StagedRecord, reply: Reply, provider: str) -> Settlement:
        reason = reply.reason or reply.outcome
        if reply.outcome in STOPS_RUN or reply.wait_seconds is not None:
            # A wait that the provider asked for is not the contact's fault.
            pending = reply.outcome is Outcome.PENDING
            return Returned(record.record_id, reason, reply.wait_seconds or 0.0, costs_attempt=pending)
        if reply.outcome is Outcome.PENDING:
            return Returned(record.record_id, reason, _PENDING_WAIT_SECONDS)
        return settle_failure(
            record,
            reason=reason,
            step="look_up",
            detail=f"{provider} gave no usable answer: {reason} (request {reply.request_id})",
            max_attempts=self.plan.max_attempts,
            chance=random.random(),  # noqa: S311 - jitter
        )


def _group(provider: Provider, cases: Iterable[_Case]) -> tuple[dict[str, Mapping[str, str]], dict[str, list[_Case]]]:
    """Return by request key what to ask with and for whom; contacts with the same identifiers share a request."""
    inputs: dict[str, Mapping[str, str]] = {}
    by_key: dict[str, list[_Case]] = {}
    for case in cases:
        lookup_input = provider.choose_input(case.contact)
        if lookup_input is not None:
            key = provider.request_key(lookup_input)
            inputs[key] = lookup_input
            by_key.setdefault(key, []).append(case)
    return inputs, by_key
