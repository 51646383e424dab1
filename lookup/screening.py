"""Who needs a lookup: everything that ends a record, or brings its result, before a provider is queried."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from blocks.crms.base import Crm, read_apart
from blocks.log import event
from blocks.providers.base import Provider
from blocks.warehouses.base import Warehouse
from enrichment.addresses import AddressPolicy, policy_of
from enrichment.identifiers import normalise_email, suppression_keys, valid_addresses
from enrichment.moments import read_moment
from enrichment.plan import RunPlan
from enrichment.records import (
    ERASED_ADDRESS,
    Contact,
    Disposition,
    Enrichment,
    Finished,
    Found,
    Settlement,
    StagedRecord,
    State,
)
from enrichment.retry import settle_absent, settle_unread
from lookup.cases import Case, reuse_days

#: For how long an address that the CRM has given counts as its present one, where no event says otherwise.
_ADDRESS_SECONDS = 86_400.0


@dataclass
class Screening:
    """
    Sorts records into those that need a lookup and those that don't.

    Args:
        plan: of the run.
        warehouse: knows results, suppressions and the ledger.
        crm: knows the contacts.
        providers: that may be queried.
    """

    plan: RunPlan
    warehouse: Warehouse
    crm: Crm
    providers: Sequence[Provider]
    found: list[Found] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    _absent: set[str] = field(default_factory=set)

    def screen(self, records: Iterable[StagedRecord]) -> list[Case]:
        """Return the records that need a lookup; `found` and `settlements` have the others."""
        present = self._drop_absent(self._drop_suppressed(self._read(self._refuse_exhausted(records))))
        undone = self._resume_enriched(present)
        return [Case(record, contact) for record, contact in self._drop_fresh(self._drop_skipped(undone))]

    def _finish(self, record: StagedRecord, disposition: Disposition, reason: str, detail: str = "") -> None:
        self.settlements.append(Finished(record.record_id, disposition, reason, "look_up", detail))

    def _refuse_exhausted(self, records: Iterable[StagedRecord]) -> list[StagedRecord]:
        """Make dead letters of records whose every run so far died: they may be what kills them."""
        kept = []
        for record in records:
            if record.attempts <= self.plan.max_attempts:
                kept.append(record)
            else:
                detail = f"{record.attempts - 1} runs started on the contact, and none finished it"
                self._finish(record, Disposition.FAILED, "attempts_exhausted", detail)
        return kept

    def _resume_enriched(self, contacts: Sequence[tuple[StagedRecord, Contact]]) -> list[tuple[StagedRecord, Contact]]:
        """Take the stored result of records that only the CRM lacks; return the others."""
        enriched = [(record, contact) for record, contact in contacts if record.state is State.ENRICHED]
        if not enriched:
            return list(contacts)
        stored = self.warehouse.read_enriched(self.plan.origin, [record.crm_id for record, _ in enriched])
        behind = self._behind_their_results([record for record, _ in enriched], stored)
        resumed = [
            record
            for record, contact in enriched
            if record.crm_id in stored
            and record.record_id not in behind
            and self._is_about(record, contact, stored[record.crm_id].provider)
        ]
        done = {record.record_id for record in resumed}
        self.found += [Found(record, stored[record.crm_id], "") for record in resumed]
        return [(record, contact) for record, contact in contacts if record.record_id not in done]

    def _behind_their_results(self, records: Sequence[StagedRecord], stored: Mapping[str, Enrichment]) -> set[str]:
        """
        Return the records whose own saved reply is older than the stored result, and so never replaced it.

        Theirs is a reply that was bought earlier, for another contact, while the result may be about whom the contact
        was before its address changed.
        """
        if self.plan.change_plan:
            return set()  # what people have approved is the stored result
        keys = [record.request_key for record in records if record.request_key]
        replies = {
            key: reply
            for one in self.providers
            for key, reply in self.warehouse.read_replies(one.name, keys, **reuse_days(one, self.plan)).items()
        }
        return {
            record.record_id
            for record in records
            if record.request_key in replies
            and record.crm_id in stored
            and read_moment(replies[record.request_key].received_at) < read_moment(stored[record.crm_id].received_at)
        }

    def _is_about(self, record: StagedRecord, contact: Contact, provider: str) -> bool:
        """
        Return whether a record's stored result is about the person that the contact is today.

        What people have approved is written as it is, and so is what another provider was paid for: only of today's
        ones it is known what they would be asked.
        """
        known = record.request_key and not self.plan.change_plan and provider in {one.name for one in self.providers}
        return not known or record.request_key in self._request_keys(contact)

    def _read(self, records: Sequence[StagedRecord]) -> list[tuple[StagedRecord, Contact]]:
        """
        Return the contacts' identifiers, of absent ones by what they were staged with.

        The CRM is queried only for those whose address says too little, for those that have waited so long that it may
        have changed, and for those that the CRM hasn't named itself: an id from a list or a form may belong to no
        contact, and nothing is to be paid for it.
        """
        for record in records:
            if record.email_address == ERASED_ADDRESS:
                self._finish(record, Disposition.SUPPRESSED, "suppression_list")
        kept = [record for record in records if record.email_address != ERASED_ADDRESS]
        unsure = [r.crm_id for r in kept if not self._is_known(r)]
        read, failed = read_apart(self.crm, list(dict.fromkeys(unsure)), []) if unsure else ({}, {})
        self._absent = set(unsure) - read.keys() - failed.keys()
        self.settlements += [
            settle_unread(
                record,
                failed[record.crm_id],
                step="look_up",
                max_attempts=self.plan.max_attempts,
                chance=random.random(),  # noqa: S311 - jitter
            )
            for record in kept
            if record.crm_id in failed
        ]
        contacts = [
            (record, self._with_address(read[record.crm_id].contact, record))
            if record.crm_id in read
            else (record, Contact(record.crm_id, record.email_address))
            for record in kept
            if record.crm_id not in failed
        ]
        _note_several(contact for _, contact in contacts)
        return contacts

    def _may_ask_with(self, address: str | None) -> bool:
        policy, _ = policy_of(address, self.plan.address_policies)
        return normalise_email(address) is not None and policy is not AddressPolicy.SKIP

    def _is_known(self, record: StagedRecord) -> bool:
        """Return whether a lookup can be made of what was staged, without another look at the CRM."""
        recent = record.age_seconds < _ADDRESS_SECONDS
        return record.named_by_crm and recent and self._may_ask_with(record.email_address)

    def _with_address(self, contact: Contact, record: StagedRecord) -> Contact:
        """Return the CRM's contact with the address of the list or form that named it, if there is a usable one."""
        staged = record.email_address
        given = (contact.email, staged) if record.named_by_crm else (staged, contact.email)
        usable = next((one for one in given if self._may_ask_with(one)), None)
        return replace(contact, email=usable or staged or contact.email)

    def _drop_suppressed(self, contacts: Sequence[tuple[StagedRecord, Contact]]) -> list[tuple[StagedRecord, Contact]]:
        keys = {record.record_id: _suppression_keys(record, contact) for record, contact in contacts}
        suppressed = self.warehouse.read_suppressed([key for of_record in keys.values() for key in of_record])
        kept = []
        for record, contact in contacts:
            if suppressed.intersection(keys[record.record_id]):
                self._finish(record, Disposition.SUPPRESSED, "suppression_list")
            else:
                kept.append((record, contact))
        return kept

    def _drop_absent(self, contacts: Sequence[tuple[StagedRecord, Contact]]) -> list[tuple[StagedRecord, Contact]]:
        """Drop contacts that the CRM doesn't have: those that may still appear go back to the queue."""
        patience = self.plan.absent_seconds
        self.settlements += [
            settle_absent(record, step="look_up", patience_seconds=patience)
            for record, _ in contacts
            if record.crm_id in self._absent
        ]
        return [(record, contact) for record, contact in contacts if record.crm_id not in self._absent]

    def _drop_skipped(self, contacts: Sequence[tuple[StagedRecord, Contact]]) -> list[tuple[StagedRecord, Contact]]:
        """Take away addresses that aren't to be asked with, and drop contacts that can't be looked up without."""
        kept = []
        for record, contact in contacts:
            policy, kind = policy_of(contact.email, self.plan.address_policies)
            asked = replace(contact, email=None) if policy is AddressPolicy.SKIP else contact
            if kind and asked is not contact and not self._request_keys(asked):
                self._finish(record, Disposition.INVALID, kind)
            else:
                kept.append((record, asked))
        return kept

    def _drop_fresh(self, contacts: Sequence[tuple[StagedRecord, Contact]]) -> list[tuple[StagedRecord, Contact]]:
        """Drop contacts that were answered lately under today's identity, unless they are refreshed on purpose."""
        keys_of = {
            record.crm_id: self._request_keys(contact)
            for record, contact in contacts
            if not (record.refresh or record.is_remap)
        }
        fresh = self.warehouse.read_fresh(self.plan.origin, keys_of, fresh_days=self.plan.fresh_days)
        for record, _ in contacts:
            if record.crm_id in fresh:
                self._finish(record, Disposition.SKIPPED_FRESH, f"within_{self.plan.fresh_days}_days")
        return [(record, contact) for record, contact in contacts if record.crm_id not in fresh]

    def _request_keys(self, contact: Contact) -> set[str]:
        """Return the keys of the requests that would be made for a contact today, at any of the providers."""
        inputs = [(provider, provider.choose_input(contact)) for provider in self.providers]
        return {provider.request_key(one) for provider, one in inputs if one is not None}


def _suppression_keys(record: StagedRecord, contact: Contact) -> list[str]:
    """Return the keys of a contact, also those of the id under which it was staged before the CRM merged it."""
    keys = suppression_keys(contact, record.origin)
    merged = contact.crm_id != record.crm_id
    return keys + suppression_keys(Contact(record.crm_id), record.origin) if merged else keys


def _note_several(contacts: Iterable[Contact]) -> None:
    several = sum(1 for contact in contacts if len(valid_addresses(contact.email)) > 1)
    if several:
        event("first_of_several_addresses_used", contacts=several)
