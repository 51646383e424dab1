"""
Writing contacts to Salesforce.

Salesforce answers a collection with 200 even if every record of it failed, and says by place what became of which. So
nothing counts as written unless its place in the answer says so.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from itertools import groupby
from typing import Any

from blocks.calls.messages import Call
from blocks.crms.salesforce.api import COLLECTIONS, Complaint, SalesforceApi, read_complaint, refused
from blocks.crms.salesforce.bulk import BulkWriter
from blocks.crms.salesforce.contacts import ContactReader
from blocks.crms.salesforce.ids import is_contact_id, short
from blocks.crms.updates import Ending, Input, UpdateWriter, batches, unconfirmed
from enrichment.errors import RequestRefusedError

logger = logging.getLogger(__name__)

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
    """

    def __init__(
        self,
        api: SalesforceApi,
        reader: ContactReader,
        pool: Executor,
        types: Callable[[], Mapping[str, str]],
        bulk: BulkWriter,
    ) -> None:
        super().__init__(pool, "Salesforce")
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
        endings = self._bulk.write(self._bulk.choose(inputs))
        done = {ending.input.crm_id for ending in endings}
        endings += self.send_all(self._lots([each for each in inputs if each.crm_id not in done], BATCH_SIZE))
        for attempt, size in enumerate(SMALLER, 1):
            again = [ending.input for ending in endings if ending.passing]
            if not again or self.stop is not None:
                break
            logger.warning("records_sent_again service=salesforce records=%s attempt=%s", len(again), attempt)
            self._api.pause(attempt)
            settled = [ending for ending in endings if not ending.passing]
            endings = settled + self.send_all(self._lots(again, size))
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
        body = {"allOrNone": False, "records": records}
        return self._api.ask(Call("PATCH", COLLECTIONS, body=body), lambda body: isinstance(body, list)).body

    def blames_a_record(self, refusal: RequestRefusedError) -> bool:
        """Return whether one record can have brought a refusal upon its whole batch."""
        return refusal.status == 400

    def refused(self, each: Input, complaint: Complaint) -> Ending:
        """Return the ending of an input that Salesforce finds fault with."""
        return refused(each, complaint)

    def account_for(self, batch: Sequence[Input], body: Any) -> list[Ending]:
        """Return what an answer says of each input of a batch, by its place."""
        if len(body) != len(batch):
            return [unconfirmed(each, "Salesforce's answer has a different length from the batch") for each in batch]
        return [_ending(each, entry) for each, entry in zip(batch, body, strict=True)]

    def _lots(self, inputs: Sequence[Input], size: int) -> list[list[Input]]:
        """Return the inputs in batches, those of one account together: else they would lock each other out."""

        def account(each: Input) -> str:
            return self._reader.account_of(each.crm_id)

        lots: list[list[Input]] = []
        for name, members in groupby(sorted(inputs, key=account), account):
            for part in batches(list(members), size if name else 1):
                if not lots or len(lots[-1]) + len(part) > size:
                    lots.append([])
                lots[-1] += part
        return lots


def _ending(each: Input, entry: Any) -> Ending:
    if not isinstance(entry, Mapping):
        return unconfirmed(each, "Salesforce's answer doesn't mention the contact")
    if entry.get("success") is not True:
        return refused(each, read_complaint(entry.get("errors")))
    if short(str(entry.get("id"))) != short(each.crm_id):
        return unconfirmed(each, "Salesforce's answer has another contact in its place")
    return Ending(each)


def typed(text: str, kind: str) -> Any:
    """Return a field's value as Salesforce's JSON wants it; what isn't of its type stays as it is, to be refused."""
    if kind == "bool":
        return {"true": True, "false": False}.get(text, text)
    if kind != "number":
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):  # JSON has no such numbers
        return text
    return int(number) if number.is_integer() else number
