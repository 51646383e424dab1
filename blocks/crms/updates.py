"""
What became of updates, the same for every CRM: every input ends as confirmed, refused or unconfirmed.

Besides the CRM's own codes in lower case, a result of `write` has one of these reasons:

* `CREDENTIALS_REJECTED`, `REQUEST_REFUSED`, `QUOTA_EXHAUSTED`: no further call can succeed; the caller stops the run.
  They are reported and not raised, so that what other batches achieved isn't lost;
* `NOT_FOUND`: the contact no longer exists;
* `NOT_CONFIRMED`: the answer doesn't say what became of the contact; a repetition is harmless;
* `UNPROCESSED`: a bulk job ended without having come to the contact;
* `POSTPONED`: the CRM asked for a wait that is too long to sleep;
* `UNAVAILABLE`: the CRM couldn't be reached, or every attempt failed.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from blocks.crms.base import Update, UpdateResult
from enrichment.errors import (
    ConfigurationError,
    EnrichmentError,
    PostponedError,
    RequestRefusedError,
    RunStoppedError,
)
from enrichment.stops import stop_kind
from enrichment.write_policy import Refusal

NOT_FOUND = "not_found"
NOT_CONFIRMED = "not_confirmed"
UNPROCESSED = "unprocessed"
POSTPONED = "postponed"
UNAVAILABLE = "unavailable"

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Input:
    """
    One record to write: all updates of one contact, later values over earlier ones.

    Args:
        crm_id: of the contact.
        fields: the new values.
        trace_ids: of the updates; the first one stands for the record in its batch.
    """

    crm_id: str
    fields: Mapping[str, str]
    trace_ids: tuple[str, ...]

    @classmethod
    def of(cls, update: Update) -> "Input":
        """Return what is sent for an update."""
        return cls(update.crm_id, {change.field: change.after for change in update.changes}, (update.trace_id,))

    def laid_over(self, later: "Input") -> "Input":
        """Return this with the values of a later update of the same contact over its own."""
        return replace(self, fields={**self.fields, **later.fields}, trace_ids=(*self.trace_ids, *later.trace_ids))


@dataclass(frozen=True, slots=True)
class Ending:
    """
    What became of one input: as an update's result says it.

    Args:
        passing: whether it should be tried again at once.
    """

    input: Input
    reason: str = ""
    detail: str = ""
    permanent: bool = False
    gone: bool = False
    wait_seconds: float | None = None
    passing: bool = False
    refused: tuple[Refusal, ...] = ()

    def results(self) -> list[UpdateResult]:
        """Return the result of each update that went into the input."""
        return [
            UpdateResult(trace_id, self.reason, self.detail, self.permanent, self.gone, self.wait_seconds, self.refused)
            for trace_id in self.input.trace_ids
        ]


def gone(each: Input, detail: str) -> Ending:
    """Return the ending of an input whose contact no longer exists."""
    return Ending(each, NOT_FOUND, detail, permanent=True, gone=True)


def unconfirmed(each: Input, detail: str) -> Ending:
    """Return the ending of an input of which the answer says nothing; a repetition is harmless."""
    return Ending(each, NOT_CONFIRMED, detail)


def failed(each: Input, error: EnrichmentError) -> Ending:
    """Return the ending of an input whose call failed."""
    match error:
        case RunStoppedError() | ConfigurationError():
            return Ending(each, stop_kind(error), str(error))
        case PostponedError():
            return Ending(each, POSTPONED, str(error), wait_seconds=error.seconds)
        case _:
            return Ending(each, UNAVAILABLE, str(error))


def merged(inputs: Iterable[Input], key: Callable[[Input], str]) -> list[Input]:
    """Return one input for each contact: what a CRM does to an id that is twice in a batch isn't to be relied on."""
    by_key: dict[str, Input] = {}
    for each in inputs:
        earlier = by_key.get(key(each))
        by_key[key(each)] = each if earlier is None else earlier.laid_over(each)
    return list(by_key.values())


def batches(items: Sequence[ItemT], size: int) -> list[Sequence[ItemT]]:
    """Return the items in parts of at most this size."""
    return [items[start : start + size] for start in range(0, len(items), size)]


class UpdateWriter(ABC):
    """
    Sends one call's updates; a new one is made for each call of `write`.

    A CRM's own writer says how a batch is asked for, what its answer means, and which refusals are one record's fault.

    Args:
        pool: runs batches concurrently.
        title: the CRM's name, for people.
    """

    def __init__(self, pool: Executor, title: str) -> None:
        self.pool = pool
        self.title = title
        self.stop: EnrichmentError | None = None

    def write(self, updates: Sequence[Update]) -> list[UpdateResult]:
        """Send the updates; the answer has one result for every update."""
        empty = [UpdateResult(update.trace_id) for update in updates if not update.changes]
        inputs = merged((Input.of(update) for update in updates if update.changes), self.identity)
        absent = [gone(each, f"{self.title} has no such contact") for each in inputs if not self.is_sendable(each)]
        endings = self.deliver([each for each in inputs if self.is_sendable(each)])
        return empty + [result for ending in (*absent, *endings) for result in ending.results()]

    def send_all(self, groups: Iterable[Sequence[Input]]) -> list[Ending]:
        """Send batches concurrently, and return how each input ended."""
        return [ending for part in self.pool.map(self.send, groups) for ending in part]

    def send(self, batch: Sequence[Input]) -> list[Ending]:
        """Send one batch, and part it where one record's fault made all of it fail."""
        try:
            if self.stop is not None:
                raise self.stop  # another batch has learnt that no call can succeed any more
            body = self.ask(batch)
        except RequestRefusedError as refusal:
            return self.divide(batch, refusal.complaint) if self.blames_a_record(refusal) else self.fail(batch, refusal)
        except EnrichmentError as error:
            return self.fail(batch, error)
        return self.account_for(batch, body)

    def divide(self, batch: Sequence[Input], complaint: Any) -> list[Ending]:
        """Part a batch that was refused as a whole until exactly the bad records are left."""
        if len(batch) == 1:
            return [self.refused(batch[0], complaint)]
        doomed = self.doomed(batch, complaint)
        middle = len(batch) // 2
        rest = [each for each in batch if each not in doomed]
        parts = [rest] if doomed else [batch[:middle], batch[middle:]]
        endings = [self.refused(each, complaint) for each in doomed]
        return endings + [ending for part in parts if part for ending in self.send(part)]

    def fail(self, batch: Sequence[Input], error: EnrichmentError) -> list[Ending]:
        """Return the endings of a batch whose call failed; nothing more is sent if that holds for every call."""
        if isinstance(error, RunStoppedError | ConfigurationError):
            self.stop = error
        return [failed(each, error) for each in batch]

    def identity(self, each: Input) -> str:
        """Return what identifies an input's contact."""
        return each.crm_id

    def doomed(self, _batch: Sequence[Input], _complaint: Any) -> list[Input]:
        """Return which inputs of a refused batch are known to be at fault without sending them again."""
        return []

    @abstractmethod
    def is_sendable(self, each: Input) -> bool:
        """Return whether an input's id could be that of a contact; one that isn't would fail its whole batch."""

    @abstractmethod
    def deliver(self, inputs: Sequence[Input]) -> list[Ending]:
        """Send inputs in batches, by `send_all`."""

    @abstractmethod
    def ask(self, batch: Sequence[Input]) -> Any:
        """Return what the CRM answers to a batch."""

    @abstractmethod
    def blames_a_record(self, refusal: RequestRefusedError) -> bool:
        """Return whether one record can have brought a refusal upon its whole batch."""

    @abstractmethod
    def refused(self, each: Input, complaint: Any) -> Ending:
        """Return the ending of an input that the CRM finds fault with."""

    @abstractmethod
    def account_for(self, batch: Sequence[Input], body: Any) -> list[Ending]:
        """Return what an answer says of each input of a batch."""
