"""
Writing contacts to HubSpot: every input ends as confirmed, refused or unconfirmed.

HubSpot answers a batch with 200 and leaves out records that were merged away, or with 400 for all because of one. So
nothing counts as written unless the answer names it.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from blocks.crms.base import Update, UpdateResult
from blocks.crms.hubspot.answers import (
    OBJECT_NOT_FOUND,
    Complaint,
    RefusedError,
    complaints,
    has_records,
    is_complete,
)
from blocks.crms.hubspot.api import Call, HubSpotApi
from blocks.crms.hubspot.contacts import BATCH_SIZE, ContactReader, Wanted, batches, is_record_id
from enrichment.errors import (
    ConfigurationError,
    EnrichmentError,
    PostponedError,
    QuotaExhaustedError,
    RunStoppedError,
)

WRITE_SCOPE = "crm.objects.contacts.write"

CREDENTIALS_REJECTED = "credentials_rejected"
QUOTA_EXHAUSTED = "quota_exhausted"
NOT_FOUND = "not_found"
NOT_CONFIRMED = "not_confirmed"
POSTPONED = "postponed"
UNAVAILABLE = "unavailable"

#: Statuses that one record's values can bring upon a whole batch.
_STATUSES_OF_A_BAD_RECORD = frozenset({400, 409, 413, 422})
#: Codes that no value of the property could avoid: whoever carries it fails.
_HOPELESS_CODES = frozenset({"PROPERTY_DOESNT_EXIST", "READ_ONLY_VALUE"})
_PERMANENT_CATEGORIES = frozenset({"VALIDATION_ERROR", OBJECT_NOT_FOUND})


@dataclass(frozen=True, slots=True)
class _Input:
    """One record of a batch: all updates of one contact, later values over earlier ones."""

    crm_id: str
    trace_id: str
    properties: Mapping[str, str]
    answers: tuple[str, ...]

    def on_wire(self) -> dict[str, Any]:
        return {"id": self.crm_id, "objectWriteTraceId": self.trace_id, "properties": dict(self.properties)}


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What became of one input."""

    input: _Input
    reason: str = ""
    detail: str = ""
    permanent: bool = False
    gone: bool = False
    wait_seconds: float | None = None

    def results(self) -> list[UpdateResult]:
        return [
            UpdateResult(trace_id, self.reason, self.detail, self.permanent, self.gone, self.wait_seconds)
            for trace_id in self.input.answers
        ]


class UpdateWriter:
    """Sends one call's updates; a new one is made for each call of `write`."""

    def __init__(self, api: HubSpotApi, reader: ContactReader, pool: Executor) -> None:
        self._api = api
        self._reader = reader
        self._pool = pool
        self._stop: EnrichmentError | None = None

    def write(self, updates: Sequence[Update]) -> list[UpdateResult]:
        """Send the updates; the answer has one result for every update."""
        empty = [UpdateResult(update.trace_id) for update in updates if not update.changes]
        inputs = _merged(_input(update) for update in updates if update.changes)
        absent = [_gone(each) for each in inputs if not is_record_id(each.crm_id)]
        sendable = batches([each for each in inputs if is_record_id(each.crm_id)], BATCH_SIZE)
        parts = self._pool.map(self._send, sendable)
        return empty + [result for part in (absent, *parts) for verdict in part for result in verdict.results()]

    def _send(self, batch: Sequence[_Input], *, follow_merges: bool = True) -> list[_Verdict]:
        try:
            body = self._ask(batch)
        except RefusedError as refusal:
            if _blames_a_record(refusal):
                return self._divide(batch, refusal.complaint, follow_merges=follow_merges)
            return self._fail(batch, refusal)
        except EnrichmentError as error:
            return self._fail(batch, error)
        verdicts, omitted, unattributed = _reconcile(batch, body)
        if not omitted or not is_complete(body):
            return verdicts + [_unconfirmed(each, body) for each in omitted]
        if unattributed:
            return verdicts + self._divide(omitted, unattributed[0], follow_merges=follow_merges)
        if not follow_merges:
            return verdicts + [_unconfirmed(each, body) for each in omitted]
        return verdicts + self._follow(omitted)

    def _ask(self, batch: Sequence[_Input]) -> Any:
        if self._stop is not None:
            raise self._stop  # another batch has learnt that no call can succeed any more
        inputs = {"inputs": [each.on_wire() for each in batch]}
        path = self._api.contacts("/batch/update")
        return self._api.ask(Call("POST", path, WRITE_SCOPE, body=inputs, accept=has_records)).body

    def _divide(self, batch: Sequence[_Input], complaint: Complaint, *, follow_merges: bool) -> list[_Verdict]:
        """Part the batch until exactly the bad records are left."""
        if len(batch) == 1:
            return [_refused(batch[0], complaint)]
        doomed = _carriers(batch, complaint)
        middle = len(batch) // 2
        parts = (
            [[each for each in batch if each not in doomed]] if doomed else [list(batch[:middle]), list(batch[middle:])]
        )
        verdicts = [_refused(each, complaint) for each in doomed]
        for part in filter(None, parts):
            verdicts += self._send(part, follow_merges=follow_merges)
        return verdicts

    def _follow(self, omitted: Sequence[_Input]) -> list[_Verdict]:
        """Send what HubSpot left out once more, to the records into which those contacts were merged."""
        try:
            found = self._reader.read_batch([each.crm_id for each in omitted], Wanted())
        except EnrichmentError as error:
            return self._fail(omitted, error)
        verdicts: list[_Verdict] = []
        moved: list[_Input] = []
        for each in omitted:
            survivor = found[each.crm_id].contact.crm_id if each.crm_id in found else ""
            if survivor and survivor != each.crm_id:
                moved.append(replace(each, crm_id=survivor))
            else:
                verdicts.append(_unconfirmed(each) if survivor else _gone(each))
        return verdicts + (self._send(_merged(moved), follow_merges=False) if moved else [])

    def _fail(self, batch: Sequence[_Input], error: EnrichmentError) -> list[_Verdict]:
        if isinstance(error, RunStoppedError | ConfigurationError):
            self._stop = error
        wait = error.seconds if isinstance(error, PostponedError) else None
        return [_Verdict(each, _reason_of(error), str(error), wait_seconds=wait) for each in batch]


def _reason_of(error: EnrichmentError) -> str:
    match error:
        case QuotaExhaustedError():
            return QUOTA_EXHAUSTED
        case RunStoppedError() | ConfigurationError():
            return CREDENTIALS_REJECTED
        case PostponedError():
            return POSTPONED
        case _:
            return UNAVAILABLE


def _input(update: Update) -> _Input:
    properties = {change.field: change.after for change in update.changes}
    return _Input(update.crm_id, update.trace_id, properties, (update.trace_id,))


def _merged(inputs: Iterable[_Input]) -> list[_Input]:
    """Return one input for each contact: what HubSpot does to an id that is twice in a batch isn't documented."""
    by_id: dict[str, _Input] = {}
    for each in inputs:
        earlier = by_id.get(each.crm_id)
        by_id[each.crm_id] = each if earlier is None else _laid_over(earlier, each)
    return list(by_id.values())


def _laid_over(earlier: _Input, later: _Input) -> _Input:
    properties = {**earlier.properties, **later.properties}
    return replace(earlier, properties=properties, answers=(*earlier.answers, *later.answers))


def _reconcile(
    batch: Sequence[_Input], body: Mapping[str, Any]
) -> tuple[list[_Verdict], list[_Input], list[Complaint]]:
    """Return what the answer says of its inputs, those that it leaves out, and the errors that name none of them."""
    errors = complaints(body)
    known = {name for each in batch for name in (each.crm_id, each.trace_id)}
    unattributed = [error for error in errors if not error.ids & known]
    written = _named(body["results"]) if is_complete(body) else frozenset()
    verdicts: list[_Verdict] = []
    omitted: list[_Input] = []
    for each in batch:
        names = {each.crm_id, each.trace_id}
        error = next((e for e in errors if e.ids & names), None)
        if error is not None:
            verdicts.append(_refused(each, error))
        elif names & written:
            verdicts.append(_Verdict(each))
        else:
            omitted.append(each)
    return verdicts, omitted, unattributed


def _named(results: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(str(record[key]) for record in results for key in ("id", "objectWriteTraceId") if record.get(key))


def _blames_a_record(refusal: RefusedError) -> bool:
    # A 404 without this category means the path itself, which no division of the batch would mend.
    return refusal.status in _STATUSES_OF_A_BAD_RECORD or refusal.complaint.category == OBJECT_NOT_FOUND


def _carriers(batch: Sequence[_Input], complaint: Complaint) -> list[_Input]:
    hopeless = {flaw.field for flaw in complaint.flaws if flaw.code in _HOPELESS_CODES}
    return [each for each in batch if hopeless & each.properties.keys()]


def _refused(each: _Input, complaint: Complaint) -> _Verdict:
    if complaint.category == OBJECT_NOT_FOUND:
        return _gone(each, str(complaint))
    reason = complaint.category.lower() or "refused"
    # Without a category it was a 400 for this very record: the same values would be refused again.
    permanent = not complaint.category or complaint.category in _PERMANENT_CATEGORIES
    return _Verdict(each, reason, str(complaint), permanent=permanent)


def _gone(each: _Input, detail: str = "HubSpot has no such contact") -> _Verdict:
    return _Verdict(each, NOT_FOUND, detail, permanent=True, gone=True)


def _unconfirmed(each: _Input, body: Mapping[str, Any] | None = None) -> _Verdict:
    if body is None or is_complete(body):
        return _Verdict(each, NOT_CONFIRMED, "HubSpot's answer names the contact neither as written nor as failed")
    return _Verdict(each, NOT_CONFIRMED, "HubSpot's answer says that the batch is not complete")
