"""
Sending updates, the same for every CRM: every input ends as confirmed, refused or unconfirmed.

Where the CRM names the fields that it finds fault with, the others are sent once more without them: the update is
confirmed, and its result names what was refused. An update of which nothing was taken is confirmed as well.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from blocks.crms.base import CrmContact, Update, UpdateResult
from blocks.crms.outcomes import EditedError, Ending, Input, edited, failed, gone, merged
from enrichment.errors import (
    ConfigurationError,
    EnrichmentError,
    RequestRefusedError,
    RunStoppedError,
    ServerFailedError,
)
from enrichment.write_policy import NO_SUCH_FIELD, READ_ONLY, STAMP, Refusal

#: How long a field that the CRM said is gone is left out: about as long as a run.
LOST_FOR_SECONDS = 900.0

#: Named by the refusal of a whole request, these hold for every record: no value of the field could avoid them.
_LASTING = frozenset({NO_SUCH_FIELD, READ_ONLY})

#: If so many batches or parts of them in a row are answered with 500, it is no record's fault.
_MOST_IN_VAIN = 12


def _halves(batch: Sequence[Input]) -> list[Sequence[Input]]:
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]


class LostFields:
    """
    Fields of one account that no update can write any more, since the CRM said so, and why.

    They are known to every adapter of the process, so that a field that is archived during a run costs one call and
    not one for each batch. They are forgotten when fields are described again, which each run does at its start, and
    after a while where a process serves several runs.
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[Refusal, float]] = {}

    def note(self, refusals: Iterable[Refusal]) -> None:
        """Learn that fields are lost."""
        now = time.monotonic()
        self._found |= {refusal.field: (replace(refusal, value=""), now) for refusal in refusals}

    def among(self, fields: Iterable[str]) -> list[Refusal]:
        """Return the refusals of those of the fields that are lost."""
        since = time.monotonic() - LOST_FOR_SECONDS
        found = [self._found.get(field) for field in fields]
        return [each[0] for each in found if each and each[1] >= since]

    def forget(self) -> None:
        """Forget all: the CRM describes its fields again."""
        self._found.clear()


_lost_fields: dict[Hashable, LostFields] = {}


def lost_fields(account: Hashable) -> LostFields:
    """Return what this process knows of the lost fields of an account."""
    return _lost_fields.setdefault(account, LostFields())


class UpdateWriter(ABC):
    """
    Sends one call's updates; a new one is made for each call of `write`.

    A CRM's own writer says how a batch is asked for, what its answer means, and which refusals are one record's fault.

    Args:
        pool: runs batches concurrently.
        title: the CRM's name, for people.
        lost: the account's fields that no update can write any more.
        stamps: fields that are written together with others only.
    """

    def __init__(self, pool: Executor, title: str, lost: LostFields, stamps: frozenset[str]) -> None:
        self.pool = pool
        self.title = title
        self.lost = lost
        self.stamps = stamps
        self.stop: EnrichmentError | None = None
        self._in_vain = 0
        self._unfit: dict[tuple[str, str], Refusal] = {}

    def write(self, updates: Sequence[Update]) -> list[UpdateResult]:
        """Send the updates; the answer has one result for every update."""
        empty = [UpdateResult(update.trace_id) for update in updates if not update.changes]
        inputs = merged((Input.of(update) for update in updates if update.changes), self.identity)
        absent = [gone(each, f"{self.title} has no such contact") for each in inputs if not self.is_sendable(each)]
        endings = self._deliver_all([each for each in inputs if self.is_sendable(each)])
        return empty + [result for ending in (*absent, *endings) for result in ending.results()]

    def _deliver_all(self, inputs: Sequence[Input]) -> list[Ending]:
        """Send inputs, and once more without the fields that the CRM finds fault with, until it finds none."""
        ended: list[Ending] = []
        while inputs:
            filled, emptied = self._fit(inputs)
            endings = self.deliver(filled) if filled else []
            self.lost.note(fault for each in endings for fault in each.faults if fault.reason == NO_SUCH_FIELD)
            inputs = [each.input.without(each.faults) for each in endings if each.faults]
            ended += [*emptied, *(each for each in endings if not each.faults)]
        return ended

    def _fit(self, batch: Iterable[Input]) -> tuple[list[Input], list[Ending]]:
        """Return inputs without what is known to be refused, and the endings of those that have nothing left."""
        inputs = [each.without((*self.lost.among(each.fields), *self._known_unfit(each))) for each in batch]
        filled = [each for each in inputs if not each.refused or each.fields.keys() - self.stamps]
        emptied = [each for each in inputs if each.refused and not each.fields.keys() - self.stamps]
        # A mark of time is no change of its own.
        return filled, [Ending(each.without(Refusal(name, STAMP) for name in each.fields)) for each in emptied]

    def _known_unfit(self, each: Input) -> list[Refusal]:
        known = [self._unfit[item] for item in each.fields.items() if item in self._unfit]
        return [*known, *self.unfit(each)]

    def send_all(self, rows: Iterable[Iterable[Sequence[Input]]], *, repeated: bool = False) -> list[Ending]:
        """Send rows of batches concurrently, the batches of a row in turn, and return how each input ended."""

        def send_row(row: Iterable[Sequence[Input]]) -> list[Ending]:
            return [ending for batch in row for ending in self.send(batch, repeated=repeated)]

        return [ending for part in self.pool.map(send_row, rows) for ending in part]

    def send(self, batch: Sequence[Input], *, repeated: bool = False) -> list[Ending]:
        """Send one batch, again if it is repeated, and divide it where one record's fault made all of it fail."""
        filled, emptied = self._fit(batch)
        return emptied + (self._send(filled, repeated=repeated) if filled else [])

    def _send(self, batch: Sequence[Input], *, repeated: bool) -> list[Ending]:
        try:
            if self.stop is not None:
                raise self.stop  # another batch has learnt that no call can succeed any more
            if repeated:
                self.look_again(batch)
            body = self.ask(batch)
        except EditedError as error:
            rest = [each for each in batch if each not in error.inputs]
            return [edited(each) for each in error.inputs] + self.send(rest, repeated=repeated)
        except RequestRefusedError as refusal:
            divisible = self.blames_a_record(refusal) or self._lost_by(batch, refusal.complaint)
            return self.divide(batch, refusal.complaint) if divisible else self.fail(batch, refusal)
        except ServerFailedError as error:
            self._in_vain += 1
            if len(batch) == 1 or self._in_vain > _MOST_IN_VAIN:
                return self.fail(batch, error)
            # Some may have been written for all that, and the first half may take long.
            return [ending for part in _halves(batch) for ending in self.send(part, repeated=True)]
        except EnrichmentError as error:
            return self.fail(batch, error)
        self._in_vain = 0
        return self.account_for(batch, body)

    def look_again(self, batch: Sequence[Input]) -> None:
        """
        Look, before a batch is repeated, whether its contacts were changed meanwhile: no CRM refuses stale updates.

        Raises:
            EditedError: some were; to repeat their updates could overwrite what a person entered.
        """
        found = self.read_again(batch)
        changed = [each for each in batch if each.crm_id in found and each.is_edited(found[each.crm_id].values)]
        if changed:
            raise EditedError(changed)

    def divide(self, batch: Sequence[Input], complaint: Any) -> list[Ending]:
        """Divide a batch that was refused as a whole until exactly the bad records are left."""
        lost = self._lost_by(batch, complaint)
        if lost:
            self.lost.note(lost)
            return self.send(batch)
        if len(batch) == 1:
            ending = self.refused(batch[0], complaint)
            self._unfit |= {(fault.field, batch[0].fields[fault.field]): fault for fault in ending.faults}
            return [ending]
        return [ending for part in self._parts(batch, complaint) for ending in self.send(part)]

    def _lost_by(self, batch: Sequence[Input], complaint: Any) -> list[Refusal]:
        """Return the fields of a batch that no value could save, as a complaint says."""
        return [fault for each in batch for fault in self.faults(each, complaint) if fault.reason in _LASTING]

    def _parts(self, batch: Sequence[Input], complaint: Any) -> list[Sequence[Input]]:
        """Return a batch in two parts, those apart that have nothing of what the complaint names."""
        parts: tuple[list[Input], list[Input]] = ([], [])
        for each in batch:
            parts[bool(self.faults(each, complaint))].append(each)
        return list(parts) if all(parts) else _halves(batch)

    def fail(self, batch: Sequence[Input], error: EnrichmentError) -> list[Ending]:
        """Return the endings of a batch whose call failed; nothing more is sent if that holds for every call."""
        if isinstance(error, RunStoppedError | ConfigurationError):
            self.stop = error
        return [failed(each, error) for each in batch]

    def identity(self, each: Input) -> str:
        """Return what identifies an input's contact."""
        return each.crm_id

    def unfit(self, _each: Input) -> Sequence[Refusal]:
        """Return the fields of an input that this CRM's wire has no form for."""
        return ()

    @abstractmethod
    def faults(self, each: Input, complaint: Any) -> tuple[Refusal, ...]:
        """Return the fields of an input that a complaint names."""

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
    def read_again(self, batch: Sequence[Input]) -> Mapping[str, CrmContact]:
        """Return the fields of a batch as the CRM has them now, by the id that was asked for; in this very thread."""

    @abstractmethod
    def blames_a_record(self, refusal: RequestRefusedError) -> bool:
        """Return whether one record can have brought a refusal upon its whole batch."""

    @abstractmethod
    def refused(self, each: Input, complaint: Any) -> Ending:
        """Return the ending of an input that the CRM finds fault with."""

    @abstractmethod
    def account_for(self, batch: Sequence[Input], body: Any) -> list[Ending]:
        """Return what an answer says of each input of a batch."""
