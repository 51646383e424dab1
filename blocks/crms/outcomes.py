"""
What was to be written to a contact and what became of it, the same for every CRM.

Besides the CRM's own codes in lower case, a result of `write` has one of these reasons:

* `CREDENTIALS_REJECTED`, `REQUEST_REFUSED`, `QUOTA_EXHAUSTED`: no further call can succeed; the caller stops the run.
  They are reported and not raised, so that what other batches achieved isn't lost;
* `NOT_FOUND`: the contact no longer exists;
* `NOT_CONFIRMED`: the answer doesn't say what became of the contact; a repetition is harmless;
* `UNPROCESSED`: a bulk job ended without having come to the contact;
* `POSTPONED`: the CRM asked for a wait that is too long to sleep;
* `EDITED`: the contact was changed between two attempts, so that its update is to be planned again;
* `UNAVAILABLE`: the CRM couldn't be reached, or every attempt failed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from blocks.crms.base import Update, UpdateResult
from enrichment.errors import ConfigurationError, EnrichmentError, PostponedError, RunStoppedError
from enrichment.stops import stop_kind
from enrichment.wire import NOT_AN_OPTION
from enrichment.write_policy import Refusal

NOT_FOUND = "not_found"
NOT_CONFIRMED = "not_confirmed"
UNPROCESSED = "unprocessed"
POSTPONED = "postponed"
EDITED = "edited_meanwhile"
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
        before: what the fields held when the updates were planned.
        refused: fields of the updates that are no longer sent.
    """

    crm_id: str
    fields: Mapping[str, str]
    trace_ids: tuple[str, ...]
    before: Mapping[str, str | None]
    refused: tuple[Refusal, ...] = ()

    @classmethod
    def of(cls, update: Update) -> "Input":
        """Return what is sent for an update."""
        after = {change.field: change.after for change in update.changes}
        before = {change.field: change.before for change in update.changes}
        return cls(update.crm_id, after, (update.trace_id,), before)

    def laid_over(self, later: "Input") -> "Input":
        """Return this with the values of a later update of the same contact over its own."""
        return replace(
            self,
            fields={**self.fields, **later.fields},
            trace_ids=(*self.trace_ids, *later.trace_ids),
            before={**later.before, **self.before},
            refused=tuple(dict.fromkeys((*self.refused, *later.refused))),
        )

    def without(self, refused: Iterable[Refusal]) -> "Input":
        """Return this without the fields that were refused."""
        dropped = {refusal.field: refusal for refusal in refused if refusal.field in self.fields}
        fields = {name: value for name, value in self.fields.items() if name not in dropped}
        return replace(self, fields=fields, refused=(*self.refused, *dropped.values()))

    def is_edited(self, values: Mapping[str, str | None]) -> bool:
        """Return whether one of the fields holds neither what it did before nor what was sent."""
        return any((values.get(name) or "") not in (self.before[name] or "", self.fields[name]) for name in self.fields)


class EditedError(Exception):
    """Contacts of a batch that is about to be repeated were changed since it was planned; `inputs` are these."""

    def __init__(self, inputs: Sequence[Input]) -> None:
        super().__init__()
        self.inputs = inputs


@dataclass(frozen=True, slots=True)
class Ending:
    """
    What became of one input: as an update's result says it.

    Args:
        passing: whether it should be tried again at once.
        faults: the fields that the CRM finds fault with; the others should be sent without them.
    """

    input: Input
    reason: str = ""
    detail: str = ""
    permanent: bool = False
    gone: bool = False
    wait_seconds: float | None = None
    passing: bool = False
    faults: tuple[Refusal, ...] = ()

    def results(self) -> list[UpdateResult]:
        """Return the result of each update that went into the input."""
        return [
            UpdateResult(
                trace_id, self.reason, self.detail, self.permanent, self.gone, self.wait_seconds, self.input.refused
            )
            for trace_id in self.input.trace_ids
        ]


def gone(each: Input, detail: str) -> Ending:
    """Return the ending of an input whose contact no longer exists."""
    return Ending(each, NOT_FOUND, detail, permanent=True, gone=True)


def unconfirmed(each: Input, detail: str) -> Ending:
    """Return the ending of an input of which the answer says nothing; a repetition is harmless."""
    return Ending(each, NOT_CONFIRMED, detail)


def edited(each: Input) -> Ending:
    """Return the ending of an input whose contact isn't what it was when its update was planned."""
    return Ending(each, EDITED, "the contact was edited before its update could be repeated", wait_seconds=0.0)


def failed(each: Input, error: EnrichmentError) -> Ending:
    """Return the ending of an input whose call failed."""
    match error:
        case RunStoppedError() | ConfigurationError():
            return Ending(each, stop_kind(error), str(error))
        case PostponedError():
            return Ending(each, POSTPONED, str(error), wait_seconds=error.seconds)
        case _:
            return Ending(each, UNAVAILABLE, str(error))


def at_fault(each: Input, named: Iterable[tuple[str, str]], reasons: Mapping[str, str]) -> tuple[Refusal, ...]:
    """
    Return the fields of an input that are named, each once.

    Args:
        each: the input.
        named: fields, with the CRM's code for what is wrong with them.
        reasons: our codes by the CRM's; another one is taken over in lower case.
    """
    found: dict[str, Refusal] = {}
    for name, code in named:
        if name in each.fields and name not in found:
            reason = reasons.get(code, code.lower() or "refused")
            found[name] = Refusal(name, reason, each.fields[name] if reason == NOT_AN_OPTION else "")
    return tuple(found.values())


def merged(inputs: Iterable[Input], key: Callable[[Input], str]) -> list[Input]:
    """Return one input for each contact: what a CRM does to an id that is twice in a batch isn't to be relied on."""
    by_key: dict[str, Input] = {}
    for each in inputs:
        earlier = by_key.get(key(each))
        by_key[key(each)] = each if earlier is None else earlier.laid_over(each)
    return list(by_key.values())


def fields_of(batch: Iterable[Input]) -> tuple[str, ...]:
    """Return the names of all fields that a batch writes."""
    return tuple(dict.fromkeys(name for each in batch for name in each.fields))


def batches(items: Sequence[ItemT], size: int) -> list[Sequence[ItemT]]:
    """Return the items in parts of at most this size."""
    return [items[start : start + size] for start in range(0, len(items), size)]
