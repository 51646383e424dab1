"""
Writing contacts to Salesforce: every input ends as confirmed, refused or unconfirmed.

Salesforce answers a collection with 200 even if every record of it failed, and says by place what became of which. So
nothing counts as written unless its place in the answer says so.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from itertools import groupby
from typing import Any

from blocks.crms.base import Update, UpdateResult
from blocks.crms.salesforce.answers import Complaint, RefusedError, read_complaint
from blocks.crms.salesforce.api import COLLECTIONS, SalesforceApi
from blocks.crms.salesforce.bulk import BulkWriter
from blocks.crms.salesforce.contacts import ContactReader, batches, is_contact_id, short
from blocks.crms.salesforce.statuses import Input, Verdict, failed, gone, input_of, refused, typed, unconfirmed
from blocks.crms.salesforce.transport import Call
from enrichment.errors import ConfigurationError, EnrichmentError, RunStoppedError

logger = logging.getLogger(__name__)

BATCH_SIZE = 200
#: Sizes of the batches in which records are sent once more that failed for the moment.
SMALLER = (50, 10, 1)


class UpdateWriter:
    """
    Sends one call's updates; a new one is made for each call of `write`.

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
        self._api = api
        self._reader = reader
        self._pool = pool
        self._types = types
        self._bulk = bulk
        self._stop: EnrichmentError | None = None

    def write(self, updates: Sequence[Update]) -> list[UpdateResult]:
        """Send the updates; the answer has one result for every update."""
        empty = [UpdateResult(update.trace_id) for update in updates if not update.changes]
        inputs = _merged(input_of(update) for update in updates if update.changes)
        absent = [gone(each) for each in inputs if not is_contact_id(each.crm_id)]
        sendable = [each for each in inputs if is_contact_id(each.crm_id)]
        verdicts = self._resend(self._send_all(sendable))
        return empty + [result for verdict in (*absent, *verdicts) for result in verdict.results()]

    def _send_all(self, inputs: Sequence[Input]) -> list[Verdict]:
        verdicts = self._bulk.write(self._bulk.choose(inputs))
        done = {verdict.input.crm_id for verdict in verdicts}
        lots = self._lots([each for each in inputs if each.crm_id not in done], BATCH_SIZE)
        return [*verdicts, *self._send_lots(lots)]

    def _send_lots(self, lots: Iterable[Sequence[Input]]) -> list[Verdict]:
        return [verdict for part in self._pool.map(self._send, lots) for verdict in part]

    def _resend(self, verdicts: list[Verdict]) -> list[Verdict]:
        """Send what failed for the moment again, in smaller batches."""
        for attempt, size in enumerate(SMALLER, 1):
            again = [verdict.input for verdict in verdicts if verdict.passing]
            if not again or self._stop is not None:
                break
            logger.warning("salesforce_records_sent_again records=%s attempt=%s", len(again), attempt)
            self._api.pause(attempt)
            settled = [verdict for verdict in verdicts if not verdict.passing]
            verdicts = settled + self._send_lots(self._lots(again, size))
        return verdicts

    def _lots(self, inputs: Sequence[Input], size: int) -> list[list[Input]]:
        """Return the inputs in batches, those of one account together: else they would lock each other out."""
        ordered = sorted(inputs, key=self._account)
        lots: list[list[Input]] = []
        for account, members in groupby(ordered, self._account):
            for part in batches(list(members), size if account else 1):
                if not lots or len(lots[-1]) + len(part) > size:
                    lots.append([])
                lots[-1] += part
        return lots

    def _account(self, each: Input) -> str:
        return self._reader.account_of(each.crm_id)

    def _send(self, batch: Sequence[Input]) -> list[Verdict]:
        try:
            entries = self._ask(batch)
        except RefusedError as refusal:
            if refusal.status == 400:
                return self._divide(batch, refusal.complaint)
            return self._fail(batch, refusal)
        except EnrichmentError as error:
            return self._fail(batch, error)
        if len(entries) != len(batch):
            return [unconfirmed(each, "Salesforce's answer has another length than the batch") for each in batch]
        return [_verdict(each, entry) for each, entry in zip(batch, entries, strict=True)]

    def _ask(self, batch: Sequence[Input]) -> list[Any]:
        if self._stop is not None:
            raise self._stop  # another batch has learnt that no call can succeed any more
        types = self._types()
        records = [_record(each, types) for each in batch]
        body = {"allOrNone": False, "records": records}
        answer: list[Any] = self._api.ask(Call("PATCH", COLLECTIONS, body=body), _is_list).body
        return answer

    def _divide(self, batch: Sequence[Input], complaint: Complaint) -> list[Verdict]:
        """Part a batch that was refused as a whole until exactly the bad records are left."""
        if len(batch) == 1:
            return [refused(batch[0], complaint)]
        middle = len(batch) // 2
        return self._send(batch[:middle]) + self._send(batch[middle:])

    def _fail(self, batch: Sequence[Input], error: EnrichmentError) -> list[Verdict]:
        if isinstance(error, RunStoppedError | ConfigurationError):
            self._stop = error
        return [failed(each, error) for each in batch]


def _merged(inputs: Iterable[Input]) -> list[Input]:
    """Return one input for each contact: an id that is twice in a batch is refused."""
    by_id: dict[str, Input] = {}
    for each in inputs:
        earlier = by_id.get(short(each.crm_id))
        by_id[short(each.crm_id)] = each if earlier is None else earlier.laid_over(each)
    return list(by_id.values())


def _record(each: Input, types: Mapping[str, str]) -> dict[str, Any]:
    values = {field: typed(text, types.get(field, "")) for field, text in each.fields.items()}
    return {"attributes": {"type": "Contact"}, "id": each.crm_id, **values}


def _verdict(each: Input, entry: Any) -> Verdict:
    if not isinstance(entry, Mapping):
        return unconfirmed(each, "Salesforce's answer says nothing of the contact")
    if entry.get("success") is not True:
        return refused(each, read_complaint(entry.get("errors")))
    if short(str(entry.get("id"))) != short(each.crm_id):
        return unconfirmed(each, "Salesforce's answer names another contact in its place")
    return Verdict(each)


def _is_list(body: Any) -> bool:
    return isinstance(body, list)
