"""Step 1 of a chunk: decide who needs a lookup, ask the journal, pay for the rest."""

import asyncio
import random
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from blocks.crms.base import Crm, load_crm
from blocks.providers.base import Provider, Reading, Reply, Request
from blocks.providers.block import load_provider
from blocks.warehouses.base import Row, Warehouse, open_warehouse
from enrichment.errors import PostponedError, RunStoppedError
from enrichment.identifiers import suppression_keys, why_invalid
from enrichment.outcomes import CONCLUSIVE, ENRICHED, STOPS_RUN, Outcome
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
from enrichment.stops import give_back, stop_of
from tasks.steps import Parcel, event, step

#: Contacts that are asked for between two renewals of the claim.
GROUP_SIZE = 250

#: Pauses in seconds while another chunk asks for the same person.
_PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)
_BUSY_WAIT_SECONDS = 30.0
_PENDING_WAIT_SECONDS = 120.0

# Two chunks keep the provider busy. More would share its rate, finish together, and leave it idle meanwhile.
_AT_ONCE = threading.BoundedSemaphore(2)

#: A staged record with the identifiers that it is looked up by.
Asker = tuple[StagedRecord, Mapping[str, str]]

#: The records behind each request key: contacts with the same identifiers share one request.
Wanted = Mapping[str, Sequence[Asker]]


@step(name="look-up")
def look_up(plan: RunPlan, claimed: Parcel[Claim]) -> Parcel[Chunk]:
    """Return the chunk with what the provider knows of each record, from the journal where it has the reply."""
    claim = claimed.contents
    with _AT_ONCE, open_warehouse(plan.warehouse) as warehouse:
        crm = load_crm(plan.crm)
        try:
            chunk = _LookUp(plan, claim, warehouse, load_provider(plan.provider), crm).run()
        except (RunStoppedError, PostponedError) as error:
            chunk = Chunk(claim, settlements=give_back(claim.records, error), stop=stop_of(error))
        finally:
            crm.close()
    event("chunk_looked_up", records=len(claim.records), found=len(chunk.found), settled=len(chunk.settlements))
    return Parcel(chunk)


@dataclass
class _LookUp:
    """The chunk's state while its records are sorted into results."""

    plan: RunPlan
    claim: Claim
    warehouse: Warehouse
    provider: Provider
    crm: Crm
    found: list[Found] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    stop: Stop | None = None

    def run(self) -> Chunk:
        undone = self._resume_enriched(self._refuse_exhausted(self.claim.records))
        contacts = self._drop_unwanted(self._contacts(undone))
        wanted: dict[str, list[Asker]] = {}
        for record, contact in contacts:
            self._sort_in(record, contact, wanted)
        self._answer(wanted)
        return Chunk(self.claim, tuple(self.found), tuple(self.unmatched), tuple(self.settlements), stop=self.stop)

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

    def _sort_in(self, record: StagedRecord, contact: Contact, wanted: dict[str, list[Asker]]) -> None:
        lookup_input = self.provider.choose_input(contact)
        if lookup_input is None:
            self._finish(record, Disposition.INVALID, why_invalid(contact))
        else:
            wanted.setdefault(self.provider.request_key(lookup_input), []).append((record, lookup_input))

    def _answer(self, wanted: Wanted) -> None:
        open_keys, unanswered = set(wanted), dict[str, Reply]()
        for pause in (0.0, *_PATIENCE):
            time.sleep(pause)
            unanswered |= self._ask_for(open_keys, wanted)
            open_keys -= unanswered.keys() | self._read_journal(open_keys, wanted)
            if not open_keys or self.stop:
                break
        wait = 0.0 if self.stop else _BUSY_WAIT_SECONDS
        for key in open_keys:
            unanswered[key] = Reply(key, Outcome.RETRYABLE, reason="asked_elsewhere", wait_seconds=wait)
        for key, reply in unanswered.items():
            for record, _ in wanted[key]:
                self._give_up(record, reply)

    def _ask_for(self, keys: Iterable[str], wanted: Wanted) -> dict[str, Reply]:
        """Pay for those keys that nobody asked before us; return the replies that settle nothing."""
        looked = self.warehouse.open_requests(
            self.plan.provider_name,
            list(keys),
            token=self.claim.token,
            lease_seconds=self.plan.lease_seconds,
            reply_days=self.plan.reply_days,
        )
        unsettled: dict[str, Reply] = {}
        granted = sorted(looked.granted)
        for start in range(0, len(granted), GROUP_SIZE):
            for reply in self._ask_group(granted[start : start + GROUP_SIZE], wanted):
                if reply.outcome not in CONCLUSIVE:
                    unsettled[reply.key] = reply
        return unsettled

    def _ask_group(self, keys: Sequence[str], wanted: Wanted) -> list[Reply]:
        if self.stop:
            return [Reply(key, Outcome.QUOTA_EXHAUSTED, reason=self.stop.kind) for key in keys]
        ids = [record.record_id for key in keys for record, _ in wanted[key]]
        # Renewed just before money is spent: a run that lost its claim must not pay for it.
        renewal = self.warehouse.renew(
            self.claim, ids, provider=self.plan.provider, lease_seconds=self.plan.lease_seconds
        )
        self.provider.share(renewal.runs_at_work)
        self.crm.share(renewal.runs_at_work)
        held = [key for key in keys if any(record.record_id in renewal.held for record, _ in wanted[key])]
        lost = [Reply(key, Outcome.RETRYABLE, reason="claim_lost", wait_seconds=0.0) for key in set(keys) - set(held)]
        replies = asyncio.run(self.provider.ask([Request(key, wanted[key][0][1]) for key in held], self._keep))
        self._note_stop(replies)
        return [*replies, *lost]

    def _keep(self, replies: Sequence[Reply]) -> None:
        self.warehouse.keep_replies(self.plan.provider_name, self.plan.run_id, replies)

    def _note_stop(self, replies: Iterable[Reply]) -> None:
        for reply in replies:
            if reply.outcome in STOPS_RUN and self.stop is None:
                quota = reply.outcome is Outcome.QUOTA_EXHAUSTED
                kind = "quota_exhausted" if quota else "credentials_rejected"
                self.stop = Stop(kind, f"{self.plan.provider_name}: {reply.reason}")

    def _read_journal(self, keys: Iterable[str], wanted: Wanted) -> set[str]:
        """Sort the journal's replies into results; they are read back from it, so that only what is kept counts."""
        rows = self.warehouse.read_replies(self.plan.provider_name, list(keys), reply_days=self.plan.reply_days)
        for key, row in rows.items():
            reading = self.provider.read(row["reply"])
            for record, lookup_input in wanted[key]:
                self._use(record, lookup_input, row, reading)
        return set(rows)

    def _use(self, record: StagedRecord, lookup_input: Mapping[str, str], row: Row, reading: Reading) -> None:
        key = row["request_key"]
        if reading.outcome in ENRICHED:
            enrichment = Enrichment(
                self.plan.provider_name,
                reading.provider_record_id,
                reading.confidence,
                reading.fields,
                row["received_at"],
            )
            self.found.append(Found(record, enrichment, key))
            return
        disposition = DISPOSITION_OF_OUTCOME.get(reading.outcome)
        if disposition is None:  # today's spec reads an old reply otherwise than the one of its day
            self._give_up(record, Reply(key, reading.outcome, reason=reading.reason))
            return
        identifier = None if disposition is Disposition.SUPPRESSED else ", ".join(lookup_input.values())
        self.unmatched.append(Unmatched(record.record_id, record.crm_id, identifier, reading.reason))
        self.settlements.append(Finished(record.record_id, disposition, reading.reason, "look_up", request_key=key))

    def _give_up(self, record: StagedRecord, reply: Reply) -> None:
        reason = reply.reason or reply.outcome
        if reply.outcome in STOPS_RUN or reply.wait_seconds is not None:
            wait = reply.wait_seconds or 0.0
            self.settlements.append(Returned(record.record_id, reason, wait, costs_attempt=False))
        elif reply.outcome is Outcome.PENDING:
            self.settlements.append(Returned(record.record_id, reason, _PENDING_WAIT_SECONDS))
        else:
            self.settlements.append(
                settle_failure(
                    record,
                    reason=reason,
                    step="look_up",
                    detail=f"{self.plan.provider_name} gave no usable answer: {reason} (request {reply.request_id})",
                    max_attempts=self.plan.max_attempts,
                    chance=random.random(),  # noqa: S311 - jitter
                )
            )
