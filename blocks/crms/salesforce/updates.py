"""
Writing contacts to Salesforce.

Salesforce answers a collection with 200 even if every record of it failed, and says by place what became of which. So
nothing counts as written unless its place in the answer says so.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from itertools import groupby
from typing import Any

from blocks.calls.messages import Call
from blocks.crms.base import CrmContact, FieldSet
from blocks.crms.outcomes import Ending, Input, batches, fields_of, unconfirmed
from blocks.crms.salesforce.api import (
    COLLECTIONS,
    DUPLICATES,
    INVALID_FIELD,
    Complaint,
    SalesforceApi,
    faults,
    read_complaints,
    refused,
    refused_record,
)
from blocks.crms.salesforce.bulk import BulkWriter
from blocks.crms.salesforce.contacts import ContactReader
from blocks.crms.salesforce.ids import is_contact_id, short
from blocks.crms.updates import UpdateWriter, lost_fields
from enrichment.errors import EnrichmentError, RequestRefusedError
from enrichment.wire import NOT_A_BOOLEAN, NOT_A_NUMBER, read_number
from enrichment.write_policy import Refusal

logger = logging.getLogger(__name__)

_BOOLEANS = {"true": True, "false": False}

BATCH_SIZE = 200
#: Sizes of the batches in which records are sent once more that failed for the moment.
SMALLER = (50, 10, 1)


class SalesforceWriter(UpdateWriter):
    """
    Sends updates to Salesforce.

    Args:
        api: answers the calls.
        reader: knows the accounts of the contacts that it has read.
        pool: runs batches concurrently.
        types: gives the fields' types.
        bulk: takes over where there are many.
        stamps: fields that are written together with others only.
    """

    def __init__(
        self,
        api: SalesforceApi,
        reader: ContactReader,
        pool: Executor,
        types: Callable[[], Mapping[str, str]],
        bulk: BulkWriter,
        stamps: frozenset[str],
    ) -> None:
        super().__init__(pool, "Salesforce", lost_fields(api.credential), stamps)
        self._api = api
        self._reader = reader
        self._types = types
        self._bulk = bulk

    def identity(self, each: Input) -> str:
        """Return what the short and the long form of an id have in common."""
        return short(each.crm_id)

    def is_sendable(self, each: Input) -> bool:
        """Return whether an input's id could be that of a contact."""
        return is_contact_id(each.crm_id)

    def deliver(self, inputs: Sequence[Input]) -> list[Ending]:
        """Send inputs as a job or in batches, and again, in smaller ones, what failed for the moment."""
        # Jobs pay no heed to our wish to pass rules for duplicates that only warn; collections do.
        bulk = self._bulk.write(self._bulk.choose(inputs))
        endings = [ending for ending in bulk if ending.reason != DUPLICATES.lower()]
        done = {ending.input.crm_id for ending in endings}
        left = [each for each in inputs if each.crm_id not in done]
        endings += self.send_all(self._rows(left, BATCH_SIZE), repeated=bool(bulk) or self._bulk.in_doubt)
        for attempt, size in enumerate(SMALLER, 1):
            again = [ending.input for ending in endings if ending.passing]
            if not again or self.stop is not None:
                break
            logger.warning("records_sent_again service=salesforce records=%s attempt=%s", len(again), attempt)
            self._api.pause(attempt)
            settled = [ending for ending in endings if not ending.passing]
            endings = settled + self.send_all(self._rows(again, size), repeated=True)
        return endings

    def ask(self, batch: Sequence[Input]) -> Any:
        """Return Salesforce's answer to a batch."""
        types = self._types()
        records = [
            {
                "attributes": {"type": "Contact"},
                "id": each.crm_id,
                **{field: typed(text, types.get(field, "")) for field, text in each.fields.items()},
            }
            for each in batch
        ]
        call = Call("PATCH", COLLECTIONS, body={"allOrNone": False, "records": records})
        return self._api.ask(
            call, lambda body: isinstance(body, list), before_repeat=lambda: self.look_again(batch)
        ).body

    def read_again(self, batch: Sequence[Input]) -> Mapping[str, CrmContact]:
        """Return the fields of a batch as Salesforce has them now, by the id that was asked for."""
        return self._reader.read_batch([each.crm_id for each in batch], FieldSet(fields_of(batch)))

    def blames_a_record(self, refusal: RequestRefusedError) -> bool:
        """Return whether one record can have brought a refusal upon its whole batch."""
        # A column that isn't there is no record's fault.
        return refusal.status == 400 and refusal.complaint.code != INVALID_FIELD

    def refused(self, each: Input, complaint: Complaint) -> Ending:
        """Return the ending of an input that Salesforce finds fault with."""
        return refused(each, complaint)

    def faults(self, each: Input, complaint: Complaint) -> tuple[Refusal, ...]:
        """Return the fields of an input that a complaint names."""
        return faults(each, complaint)

    def unfit(self, each: Input) -> list[Refusal]:
        """Return the fields whose value can't be read as their type: JSON has no form for it."""
        try:
            types = self._types()
        except EnrichmentError:
            return []  # the call that sends the input fails alike, and says so
        return [
            Refusal(name, reason)
            for name, text in each.fields.items()
            if (reason := _why_unfit(text, types.get(name, "")))
        ]

    def account_for(self, batch: Sequence[Input], body: Any) -> list[Ending]:
        """Return what an answer says of each input of a batch, by its place."""
        if len(body) != len(batch):
            return [unconfirmed(each, "Salesforce's answer has a different length from the batch") for each in batch]
        return [_ending(each, entry) for each, entry in zip(batch, body, strict=True)]

    def _rows(self, inputs: Sequence[Input], size: int) -> list[list[list[Input]]]:
        """Return the inputs in rows of batches, those of an account in one row: else they would lock each other out."""

        def account(each: Input) -> str:
            return self._reader.account_of(each.crm_id)

        rows: list[list[list[Input]]] = []
        for name, members in groupby(sorted(inputs, key=account), account):
            for group in [list(members)] if name else ([each] for each in members):
                if rows and len(rows[-1]) == 1 and len(rows[-1][0]) + len(group) <= size:
                    rows[-1][0] += group
                else:
                    rows.append([list(part) for part in batches(group, size)])
        return rows


def _ending(each: Input, entry: Any) -> Ending:
    if not isinstance(entry, Mapping):
        return unconfirmed(each, "Salesforce's answer doesn't mention the contact")
    if entry.get("success") is not True:
        return refused_record(each, read_complaints(entry.get("errors")))
    if short(str(entry.get("id"))) != short(each.crm_id):
        return unconfirmed(each, "Salesforce's answer has another contact in its place")
    return Ending(each)


def _why_unfit(text: str, kind: str) -> str:
    if not text:
        return ""
    if kind == "number":
        return "" if read_number(text) is not None else NOT_A_NUMBER
    return NOT_A_BOOLEAN if kind == "bool" and text not in _BOOLEANS else ""


def typed(text: str, kind: str) -> Any:
    """Return a field's value as Salesforce's JSON wants it; null clears the field."""
    if not text:
        return None
    if kind == "bool":
        return _BOOLEANS.get(text, text)
    number = read_number(text) if kind == "number" else None
    if number is None:
        return text
    return int(number) if number == int(number) else float(number)
