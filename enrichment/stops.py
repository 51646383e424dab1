"""What an error that concerns a whole chunk means for its records and for the run."""

from collections.abc import Iterable

from enrichment.errors import EnrichmentError, PostponedError, QuotaExhaustedError, RunStoppedError
from enrichment.records import Returned, StagedRecord, Stop


def stop_of(error: EnrichmentError) -> Stop | None:
    """Return why the run must stop, or None if only this chunk is concerned."""
    if not isinstance(error, RunStoppedError):
        return None
    kind = "quota_exhausted" if isinstance(error, QuotaExhaustedError) else "credentials_rejected"
    return Stop(kind, str(error))


def graver(first: Stop | None, second: Stop | None) -> Stop | None:
    """Return the stop that counts: a failure rather than a wish, what ends the run rather than what doesn't."""
    if first is None or (second is not None and _gravity(second) > _gravity(first)):
        return second
    return first


def _gravity(stop: Stop) -> int:
    return 2 if not stop.wished else int(stop.ends_run)


def give_back(records: Iterable[StagedRecord], error: RunStoppedError | PostponedError) -> tuple[Returned, ...]:
    """Return the records to the queue with their attempt, after the wait that was asked for."""
    wait = error.seconds if isinstance(error, PostponedError) else 0.0
    reason = "postponed" if isinstance(error, PostponedError) else "run_stopped"
    return tuple(Returned(record.record_id, reason, wait, costs_attempt=False) for record in records)
