"""What to do about an answer: one pure decision, so that it can be tested as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from blocks.providers.http.interpret import Answer, Meaning, answer_meaning, error_code, refused_fields
from blocks.providers.spec.model import ProviderSpec
from enrichment.outcomes import Outcome
from enrichment.retry import Fault, fault_of_status


class Action(StrEnum):
    """What follows an answer."""

    READ = "read"
    """The answer has items."""
    SETTLE = "settle"
    """The answer means the same for all its contacts."""
    DROP_FIELDS = "drop_fields"
    """The account lacks some output fields: ask again without them."""
    SPLIT = "split"
    """Smaller batches may pass."""
    DOUBT = "doubt"
    """Refused and nobody says why: either one contact is poisoned, or the form of the request is wrong."""
    REPEAT = "repeat"
    """The call failed in a way that may heal."""


_AGAIN = Meaning(Outcome.RETRYABLE)


@dataclass(frozen=True, slots=True)
class Step:
    """An action with what it needs to know."""

    action: Action
    meaning: Meaning = _AGAIN
    fault: Fault = Fault.LOST_ANSWER
    fields: tuple[str, ...] = ()


def next_step(spec: ProviderSpec, answer: Answer, asked_fields: Sequence[str]) -> Step:
    """
    Decide what follows an answer.

    Args:
        spec: the provider's.
        answer: a whole answer.
        asked_fields: the output fields that the call asked for.
    """
    refused = refused_fields(spec, answer, asked_fields)
    if refused and len(refused) < len(asked_fields):
        return Step(Action.DROP_FIELDS, fields=tuple(refused))
    meaning = answer_meaning(spec, answer)
    if meaning and meaning.outcome is not Outcome.RETRYABLE:
        return Step(Action.SETTLE, meaning)
    # A status that others use otherwise is a throttle where the spec calls it retryable (403 at one provider).
    fault = fault_of_status(answer.status) or (Fault.THROTTLED if meaning else None)
    if fault:
        return Step(Action.REPEAT, meaning or Meaning(Outcome.RETRYABLE, _reason(spec, answer)), fault)
    return _read_or_doubt(spec, answer)


def _read_or_doubt(spec: ProviderSpec, answer: Answer) -> Step:
    if answer.success:
        unreadable = Step(Action.REPEAT, Meaning(Outcome.RETRYABLE, "unreadable_answer"), Fault.LOST_ANSWER)
        return Step(Action.READ) if answer.readable else unreadable
    refusal = Meaning(Outcome.REJECTED, _reason(spec, answer))
    if answer.status in {400, 422} and spec.request.probe:
        return Step(Action.DOUBT, refusal)
    return Step(Action.SPLIT if answer.status in spec.batch.split_on else Action.SETTLE, refusal)


def _reason(spec: ProviderSpec, answer: Answer) -> str:
    return error_code(spec, answer) or f"status_{answer.status}"
