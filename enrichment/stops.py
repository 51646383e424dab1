"""What an error that concerns a whole chunk means for its records and for the run."""

from collections.abc import Iterable

from enrichment.errors import (
    EnrichmentError,
    PostponedError,
    QuotaExhaustedError,
    RequestRefusedError,
    RunStoppedError,
)
from enrichment.records import CANCELLED, NEEDS_APPROVAL, Outcome, Returned, StagedRecord, Stop

#: Kinds of stops that are failures; also the reasons of replies and updates that every further one would share.
QUOTA_EXHAUSTED = "quota_exhausted"
CREDENTIALS_REJECTED = "credentials_rejected"
REQUEST_REFUSED = "request_refused"
STOP_KINDS = frozenset({QUOTA_EXHAUSTED, CREDENTIALS_REJECTED, REQUEST_REFUSED})


def stop_kind(error: EnrichmentError) -> str:
    """Return the kind of stop that an error stands for: one of unknown kind concerns the credentials."""
    match error:
        case QuotaExhaustedError():
            return QUOTA_EXHAUSTED
        case RequestRefusedError():
            return REQUEST_REFUSED
        case _:
            return CREDENTIALS_REJECTED


def stop_kind_of_reply(outcome: Outcome, *, credentials: bool) -> str:
    """Return the kind of stop that a provider's reply stands for; empty if further requests may end otherwise."""
    if outcome is Outcome.QUOTA_EXHAUSTED:
        return QUOTA_EXHAUSTED
    if outcome is Outcome.REJECTED:
        return CREDENTIALS_REJECTED if credentials else REQUEST_REFUSED
    return ""


def stop_message(provider: str, kind: str, reason: str) -> str:
    """Return what to say of a provider's reply that stops the run."""
    if kind != REQUEST_REFUSED:
        return f"{provider}: {reason}"
    return (
        f"{provider} refuses every call ({reason}): check with the provider whether the account may use this API and "
        "its output fields, and with `enrich doctor` whether it is the right address"
    )


def stop_of(error: EnrichmentError) -> Stop | None:
    """Return why the run must stop, or None if only this chunk is concerned."""
    if not isinstance(error, RunStoppedError):
        return None
    return Stop(stop_kind(error), str(error))


def graver(first: Stop | None, second: Stop | None) -> Stop | None:
    """Return the stop that counts: a failure, then what people have to know of, then what ends the run."""
    if first is None or (second is not None and _gravity(second) > _gravity(first)):
        return second
    return first


def _gravity(stop: Stop) -> int:
    if not stop.wished:
        return 4
    return {CANCELLED: 3, NEEDS_APPROVAL: 2}.get(stop.kind, int(stop.ends_run))


def give_back(records: Iterable[StagedRecord], error: RunStoppedError | PostponedError) -> tuple[Returned, ...]:
    """Return the records to the queue with their attempt, after the wait that was asked for."""
    if isinstance(error, PostponedError):
        return hand_back(records, "postponed", error.seconds)
    return hand_back(records, "run_stopped")


def hand_back(records: Iterable[StagedRecord], reason: str, wait_seconds: float = 0.0) -> tuple[Returned, ...]:
    """Return the records to the queue with their attempt."""
    return tuple(Returned(record.record_id, reason, wait_seconds, costs_attempt=False) for record in records)
