"""The walk: one provider after the other, with its follow-ups, until enough is known of each contact."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from blocks.crms.base import Crm
from blocks.log import event
from blocks.providers.base import BELOW_MIN_CONFIDENCE, FollowUp, Provider, Reading, Reply, Request
from blocks.providers.block import load_provider
from blocks.warehouses.base import Warehouse
from enrichment.addresses import COMPANY_OF_MAIL_HOST, theirs
from enrichment.identifiers import why_invalid
from enrichment.matching import doubt
from enrichment.plan import RunPlan
from enrichment.records import (
    DISPOSITION_OF_OUTCOME,
    ENRICHED,
    Disposition,
    Enrichment,
    Finished,
    Found,
    Outcome,
    Settlement,
    StagedRecord,
    Unmatched,
)
from enrichment.waterfall import complete, is_complete, lacking, merge
from lookup.cases import Asker, Case, Heard, Known, Miss, Pending
from lookup.follow_ups import follow
from lookup.journal import UNREADABLE, JournalReader
from lookup.screening import Screening


def load_providers(plan: RunPlan) -> dict[str, Provider]:
    """
    Return the run's providers by reference, in the order in which they are queried.

    Raises:
        ConfigurationError: there is no such provider or block, or a credential is missing.
    """
    return {reference: load_provider(reference) for reference in plan.providers}


@dataclass
class LookUp:
    """
    Sorts records into results; with an asker that doesn't pay, some of them stay open.

    Args:
        plan: of the run.
        warehouse: keeps the journal.
        crm: knows the contacts.
        asker: gets the replies.
        providers: by reference, in the order in which they are queried.
        left_out: how many values weren't usable, by provider, canonical field and reason.
    """

    plan: RunPlan
    warehouse: Warehouse
    crm: Crm
    asker: Asker
    providers: Mapping[str, Provider]
    found: list[Found] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    left_out: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def run(self, records: Iterable[StagedRecord]) -> "LookUp":
        """Look the records up, and return this; of those that are remapped, the saved replies are read, however old."""
        given = list(records)
        remaps = [one for one in given if one.is_remap]
        self.walk([one for one in given if not one.is_remap])
        if remaps:  # into the same lists
            replace(self, asker=JournalReader(self.plan, self.warehouse, any_age=True)).walk(remaps)
        for (name, field_name, reason), contacts in sorted(self.left_out.items()):
            event("values_left_out", provider=name, field=field_name, reason=reason, contacts=contacts)
        return self

    def walk(self, records: Sequence[StagedRecord]) -> None:
        """Do so with this asker for all."""
        screening = Screening(self.plan, self.warehouse, self.crm, list(self.providers.values()))
        cases = screening.screen(records)
        self.found += screening.found
        self.settlements += screening.settlements
        for reference, provider in self.providers.items():
            self._consult(reference, provider, [case for case in cases if self._needs_more(case)])
        for case in cases:
            if case.open and not case.unanswered:
                self._conclude(case)

    def _needs_more(self, case: Case) -> bool:
        return case.open and not is_complete(case.found, self.plan.required_fields)

    def _consult(self, reference: str, provider: Provider, cases: Sequence[Case]) -> None:
        """Let one provider say what it knows of these contacts, and its follow-ups what their companies add."""
        requests = _requests(provider, cases)
        heard = self.asker.ask(reference, provider, requests)
        for pending in requests.values():
            for case in pending.cases:
                self._hear(case, provider, pending.request, heard)
        for further in provider.follow_ups:
            known = [case for case in cases if provider.name in case.replies and case.open]
            self._follow_up(reference, further, known)

    def _hear(self, case: Case, provider: Provider, request: Request, heard: Heard) -> None:
        """Take what came of one request for a case that waited for it."""
        if request.key in heard.known:
            self._learn(case, provider, request, heard.known[request.key])
        elif request.key in heard.missing:
            self._miss_reply(case, provider, heard.missing[request.key])
        else:  # erased meanwhile
            self._end(case, Finished(case.record.record_id, Disposition.SUPPRESSED, "suppression_list", "look_up"))

    def _learn(self, case: Case, provider: Provider, request: Request, known: Known) -> None:
        reading = known.reading
        case.request_key = case.request_key or known.key
        identifier = ", ".join(request.lookup_input.values())
        if reading.outcome in ENRICHED:
            fields, contradiction = self._accepted(case, request, reading)
            if contradiction:  # the reply is kept, and another provider may know better
                case.misses.append(
                    Miss(provider.name, Disposition.UNMATCHED, contradiction, identifier, known.key, doubtful=True)
                )
                return
            if fields is reading.fields:  # else the company isn't theirs, and nothing more is to be paid for it
                case.replies[provider.name] = known.body
            self.left_out.update((provider.name, name, reason) for name, reason in reading.left_out.items())
            case.found.append(
                Enrichment(
                    provider.name,
                    reading.provider_record_id,
                    reading.confidence,
                    fields,
                    known.received_at,
                    reading.left_out,
                )
            )
            return
        disposition = DISPOSITION_OF_OUTCOME.get(reading.outcome)
        if disposition is None:  # today's spec reads an old reply otherwise than the one of its day
            # Another attempt, in the end a failure: nothing was answered now that could stop a run or ask for a wait.
            reason = reading.reason or reading.outcome
            final = reading.reason == UNREADABLE
            self._miss_reply(case, provider, Reply(known.key, Outcome.RETRYABLE, known.body, reason, final=final))
            return
        doubtful = reading.reason == BELOW_MIN_CONFIDENCE
        case.misses.append(Miss(provider.name, disposition, reading.reason, identifier, known.key, doubtful))
        if disposition is Disposition.SUPPRESSED:  # an opt-out holds whatever the others know
            case.found.clear()
            self._conclude(case)

    def _accepted(self, case: Case, request: Request, reading: Reading) -> tuple[Mapping[str, Any], str]:
        """Return what of an answer may be taken for the contact's, and why nothing may, if so."""
        asked = request.lookup_input
        contradiction = doubt(asked, case.contact, reading.fields, reading.addresses)
        if contradiction and not self.plan.doubtful_matches_count:
            return {}, contradiction
        if "email" not in asked:
            return reading.fields, ""
        fields = theirs(asked["email"], reading.fields, self.plan.address_policies)
        return fields, "" if fields or not reading.fields else COMPANY_OF_MAIL_HOST

    def _miss_reply(self, case: Case, provider: Provider, reply: Reply) -> None:
        """Put a record back, unless this was its last attempt and another provider knows something."""
        settlement = self.asker.settle_missing(case, provider, reply)
        if isinstance(settlement, Finished) and case.found:
            self._conclude(case)
        elif settlement:
            self._end(case, settlement)

    def _follow_up(self, reference: str, further: FollowUp, cases: Sequence[Case]) -> None:
        """Let a follow-up fill what is still lacking of contacts that its provider knows."""
        lacked = [case for case in cases if lacking(case.found, further.fills)]
        missed = 0
        for case, added in follow(further, lacked, lambda requests: self.asker.ask(reference, further, requests)):
            case.found[-1] = complete(case.found[-1], further.step, added.fields, added.keys, added.received_at)
            settlement = self.asker.settle_missing(case, further, added.missing) if added.missing else None
            if isinstance(settlement, Finished):  # no attempt left: it goes on without
                missed += 1
            elif settlement:
                self._end(case, settlement)
        if missed:
            event("follow_up_missed", provider=further.name, step=further.step, records=missed)

    def _conclude(self, case: Case) -> None:
        """Settle a case by all that was said of it."""
        record = case.record
        if case.found:
            case.open = False
            self.found.append(Found(record, merge(case.found), case.request_key, case.lookups, case.email_domain))
        elif case.misses:
            miss = _telling(case.misses)
            identifier = None if miss.disposition is Disposition.SUPPRESSED else miss.identifier
            self.unmatched.append(Unmatched(record.record_id, record.crm_id, identifier, miss.reason))
            self._end(
                case,
                Finished(
                    record.record_id,
                    miss.disposition,
                    miss.reason,
                    "look_up",
                    request_key=miss.request_key,
                    lookups=case.lookups,
                    email_domain=case.email_domain if miss.disposition is not Disposition.SUPPRESSED else "",
                ),
            )
        else:  # no provider could be queried with what there is
            reason = why_invalid(case.contact)
            self._end(case, Finished(record.record_id, Disposition.INVALID, reason, "look_up"))

    def _end(self, case: Case, settlement: Settlement) -> None:
        case.open = False
        self.settlements.append(settlement)


def _telling(misses: Sequence[Miss]) -> Miss:
    """Return the miss that ends a case: an opt-out, else what may have been the contact, else the last one."""
    last = misses[-1]
    return last if last.disposition is Disposition.SUPPRESSED else next((one for one in misses if one.doubtful), last)


def _requests(provider: Provider, cases: Iterable[Case]) -> Mapping[str, Pending]:
    """Return by key what to query a provider with, and for which cases."""
    inputs: dict[str, Request] = {}
    waiting: dict[str, list[Case]] = {}
    for case in cases:
        lookup_input = provider.choose_input(case.contact)
        if lookup_input is not None:
            key = provider.request_key(lookup_input)
            inputs[key] = Request(key, lookup_input)
            waiting.setdefault(key, []).append(case)
    return {key: Pending(inputs[key], tuple(waiting[key])) for key in inputs}
