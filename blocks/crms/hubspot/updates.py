"""
Writing contacts to HubSpot.

HubSpot answers a batch with 200 and leaves out records that were merged away, or with 400 for all because of one. So
nothing counts as written unless the answer names it.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from blocks.calls.messages import Call
from blocks.crms.base import CrmContact, FieldSet
from blocks.crms.hubspot.api import (
    DOESNT_EXIST,
    OBJECT_NOT_FOUND,
    Complaint,
    HubSpotApi,
    complaints,
    has_records,
    is_complete,
)
from blocks.crms.hubspot.contacts import BATCH_SIZE, ContactReader, is_record_id
from blocks.crms.outcomes import Ending, Input, at_fault, batches, edited, fields_of, gone, merged, unconfirmed
from blocks.crms.updates import UpdateWriter, lost_fields
from enrichment.errors import EnrichmentError, RequestRefusedError
from enrichment.wire import NOT_A_DATE, NOT_A_NUMBER, NOT_AN_OPTION, TOO_LONG
from enrichment.write_policy import NO_SUCH_FIELD, READ_ONLY, Refusal

WRITE_SCOPE = "crm.objects.contacts.write"

#: Statuses that one record's values can bring upon a whole batch.
_STATUSES_OF_A_BAD_RECORD = frozenset({400, 409, 413, 422})
#: Our reasons by HubSpot's codes.
_REASONS: Mapping[str, str] = {
    DOESNT_EXIST: NO_SUCH_FIELD,
    "READ_ONLY_VALUE": READ_ONLY,
    "INVALID_OPTION": NOT_AN_OPTION,
    "VALUE_TOO_LONG": TOO_LONG,
    "INVALID_LENGTH": TOO_LONG,
    "INVALID_DATE": NOT_A_DATE,
    **dict.fromkeys(("INVALID_LONG", "INVALID_INTEGER", "INVALID_DOUBLE", "INVALID_NUMBER"), NOT_A_NUMBER),
}
#: They concern the property, whichever value it has.
_NO_RECORDS_FAULT = frozenset({DOESNT_EXIST, "READ_ONLY_VALUE"})
_PERMANENT_CATEGORIES = frozenset({"VALIDATION_ERROR", OBJECT_NOT_FOUND})


class HubSpotWriter(UpdateWriter):
    """
    Sends updates to HubSpot.

    Args:
        api: answers the calls.
        reader: finds out into which records contacts were merged.
        pool: runs batches concurrently.
        stamps: properties that are written together with others only.
        follows_merges: whether what HubSpot leaves out is sent once more, to the record that survived.
    """

    def __init__(
        self,
        api: HubSpotApi,
        reader: ContactReader,
        pool: Executor,
        stamps: frozenset[str],
        *,
        follows_merges: bool = True,
    ) -> None:
        super().__init__(pool, "HubSpot", lost_fields(api.account_key), stamps)
        self._api = api
        self._reader = reader
        self._follows_merges = follows_merges

    def is_sendable(self, each: Input) -> bool:
        """Return whether an input's id could be that of a record."""
        return is_record_id(each.crm_id)

    def deliver(self, inputs: Sequence[Input]) -> list[Ending]:
        """Send inputs in batches."""
        return self.send_all([batch] for batch in batches(inputs, BATCH_SIZE))

    def ask(self, batch: Sequence[Input]) -> Any:
        """Return HubSpot's answer to a batch."""
        inputs = [
            {"id": each.crm_id, "objectWriteTraceId": each.trace_ids[0], "properties": dict(each.fields)}
            for each in batch
        ]
        call = Call("POST", self._api.contacts("/batch/update"), body={"inputs": inputs})
        return self._api.ask(call, WRITE_SCOPE, has_records, before_repeat=lambda: self.look_again(batch)).body

    def read_again(self, batch: Sequence[Input]) -> Mapping[str, CrmContact]:
        """Return the fields of a batch as HubSpot has them now, by the id that was asked for."""
        return self._reader.read_batch([each.crm_id for each in batch], FieldSet(fields_of(batch)))

    def blames_a_record(self, refusal: RequestRefusedError) -> bool:
        """Return whether one record can have brought a refusal upon its whole batch."""
        codes = {flaw.code for flaw in refusal.complaint.flaws}
        if codes and codes <= _NO_RECORDS_FAULT:
            return False
        # A 404 without this category means the path itself, which no division of the batch would fix.
        return refusal.status in _STATUSES_OF_A_BAD_RECORD or refusal.complaint.category == OBJECT_NOT_FOUND

    def faults(self, each: Input, complaint: Complaint) -> tuple[Refusal, ...]:
        """Return the properties of an input that a complaint names."""
        return at_fault(each, [(flaw.field, flaw.code) for flaw in complaint.flaws], _REASONS)

    def refused(self, each: Input, complaint: Complaint) -> Ending:
        """Return the ending of an input that HubSpot finds fault with."""
        if complaint.category == OBJECT_NOT_FOUND:
            return gone(each, str(complaint))
        reason = complaint.category.lower() or "refused"
        # Without a category it was a 400 for this very record: the same values would be refused again.
        permanent = not complaint.category or complaint.category in _PERMANENT_CATEGORIES
        return Ending(each, reason, str(complaint), permanent=permanent, faults=self.faults(each, complaint))

    def account_for(self, batch: Sequence[Input], body: Any) -> list[Ending]:
        """Return what an answer says of each input of a batch, and follow up what it leaves out."""
        endings, omitted, unattributed = self._reconcile(batch, body)
        if not is_complete(body):
            return endings + [
                unconfirmed(each, "HubSpot's answer says that the batch is not complete") for each in omitted
            ]
        if omitted and unattributed:
            return endings + self.divide(omitted, unattributed[0])
        return endings + (self._follow(omitted) if omitted else [])

    def _reconcile(
        self, batch: Sequence[Input], body: Mapping[str, Any]
    ) -> tuple[list[Ending], list[Input], list[Complaint]]:
        """Return what the answer says of its inputs, those that it leaves out, and the errors that name none."""
        errors = complaints(body)
        known = {name for each in batch for name in (each.crm_id, each.trace_ids[0])}
        unattributed = [error for error in errors if not error.ids & known]
        written = _named(body["results"]) if is_complete(body) else frozenset()
        endings: list[Ending] = []
        omitted: list[Input] = []
        for each in batch:
            names = {each.crm_id, each.trace_ids[0]}
            error = next((e for e in errors if e.ids & names), None)
            if error is not None:
                endings.append(self.refused(each, error))
            elif names & written:
                endings.append(Ending(each))
            else:
                omitted.append(each)
        return endings, omitted, unattributed

    def _follow(self, omitted: Sequence[Input]) -> list[Ending]:
        """Send what HubSpot left out once more, to the records into which those contacts were merged."""
        unnamed = "HubSpot's answer lists the contact neither as written nor as failed"
        if not self._follows_merges:
            return [unconfirmed(each, unnamed) for each in omitted]
        try:
            found = self.read_again(omitted)
        except EnrichmentError as error:
            return self.fail(omitted, error)
        endings: list[Ending] = []
        moved: list[Input] = []
        for each in omitted:
            survivor = found[each.crm_id].contact.crm_id if each.crm_id in found else ""
            if survivor and survivor != each.crm_id:
                if each.is_edited(found[each.crm_id].values):  # the survivor has values of its own
                    endings.append(edited(each))
                else:
                    moved.append(replace(each, crm_id=survivor))
            else:
                absent = gone(each, "HubSpot doesn't have this contact")
                endings.append(unconfirmed(each, unnamed) if survivor else absent)
        if not moved:
            return endings
        again = HubSpotWriter(self._api, self._reader, self.pool, self.stamps, follows_merges=False)
        again.stop = self.stop
        endings += again.send(merged(moved, self.identity))
        self.stop = again.stop
        return endings


def _named(results: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(str(record[key]) for record in results for key in ("id", "objectWriteTraceId") if record.get(key))
