"""What an error that concerns a whole chunk means for its records and for the run."""

import pytest

from enrichment.errors import (
    ClaimLostError,
    ConfigurationError,
    ContractError,
    CredentialsRejectedError,
    EnrichmentError,
    PostponedError,
    QuotaExhaustedError,
    RunStoppedError,
    TransientError,
)
from enrichment.records import Returned, StagedRecord, State, Stop
from enrichment.stops import give_back, stop_of

RECORDS = [StagedRecord(f"r{n}", "hubspot", str(n), None, State.CLAIMED, n) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("error", "stop"),
    [
        (QuotaExhaustedError("no credits"), Stop("quota_exhausted", "no credits")),
        (CredentialsRejectedError("401 twice"), Stop("credentials_rejected", "401 twice")),
        (RunStoppedError("stopped"), Stop("credentials_rejected", "stopped")),
        (PostponedError("asked for a pause", 90.0), None),
        (TransientError("timeout"), None),
        (ConfigurationError("no token"), None),
        (ContractError("what is this?"), None),
        (ClaimLostError("gone"), None),
    ],
)
def test_only_what_every_record_would_meet_stops_the_run(error: EnrichmentError, stop: Stop | None) -> None:
    """Quota and credentials stop the run with the other side's words; anything else concerns the chunk."""
    assert stop_of(error) == stop


@pytest.mark.parametrize(
    ("error", "reason", "wait"),
    [
        (PostponedError("asked for a pause", 86_400.0), "postponed", 86_400.0),
        (QuotaExhaustedError("no credits"), "run_stopped", 0.0),
        (CredentialsRejectedError("401 twice"), "run_stopped", 0.0),
    ],
)
def test_the_records_go_back_with_their_attempt(
    error: RunStoppedError | PostponedError, reason: str, wait: float
) -> None:
    """Nobody's attempt is used up by a stop or a pause, and the wait that was asked for is kept whole."""
    back = give_back(RECORDS, error)
    assert back == tuple(Returned(one.record_id, reason, wait, costs_attempt=False) for one in RECORDS)


def test_no_records_no_settlements() -> None:
    """An empty chunk gives nothing back."""
    assert give_back([], QuotaExhaustedError("no credits")) == ()
