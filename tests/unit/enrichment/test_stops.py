"""What an error that concerns a whole chunk means for its records and for the run."""

import pytest

from enrichment.errors import (
    ConfigurationError,
    ContractError,
    CredentialsRejectedError,
    EnrichmentError,
    PostponedError,
    QuotaExhaustedError,
    RequestRefusedError,
    RunStoppedError,
    TransientError,
)
from enrichment.records import (
    CANCELLED,
    CREDIT_CAP_REACHED,
    NEEDS_APPROVAL,
    PAUSED,
    STOPS_RUN,
    Outcome,
    Returned,
    StagedRecord,
    State,
    Stop,
)
from enrichment.stops import STOP_KINDS, give_back, graver, stop_kind_of_reply, stop_of

RECORDS = [StagedRecord(f"r{n}", "hubspot", str(n), None, State.CLAIMED, n) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("error", "stop"),
    [
        (QuotaExhaustedError("no credits"), Stop("quota_exhausted", "no credits")),
        (CredentialsRejectedError("401 twice"), Stop("credentials_rejected", "401 twice")),
        (RequestRefusedError("no such field", 400), Stop("request_refused", "no such field")),
        (RunStoppedError("stopped"), Stop("credentials_rejected", "stopped")),
        (PostponedError("asked for a pause", 90.0), None),
        (TransientError("timeout"), None),
        (ConfigurationError("no token"), None),
        (ContractError("what is this?"), None),
    ],
)
def test_only_what_every_record_would_meet_stops_the_run(error: EnrichmentError, stop: Stop | None) -> None:
    """Quota and credentials stop the run with the other side's words; anything else concerns the chunk."""
    assert stop_of(error) == stop


@pytest.mark.parametrize(
    ("outcome", "credentials", "kind"),
    [
        (Outcome.QUOTA_EXHAUSTED, False, "quota_exhausted"),
        (Outcome.REJECTED, True, "credentials_rejected"),
        (Outcome.REJECTED, False, "request_refused"),
        *((outcome, False, "") for outcome in Outcome if outcome not in STOPS_RUN),
    ],
)
def test_a_reply_that_stops_the_run_says_of_which_kind_it_is(outcome: Outcome, credentials: bool, kind: str) -> None:
    """A refused request isn't taken for rejected credentials, which would be renewed in vain."""
    assert stop_kind_of_reply(outcome, credentials=credentials) == kind
    assert not kind or kind in STOP_KINDS


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
    """No contact's attempt is used up by a stop or a pause, and the wait that was asked for is kept whole."""
    back = give_back(RECORDS, error)
    assert back == tuple(Returned(one.record_id, reason, wait, costs_attempt=False) for one in RECORDS)


def test_no_records_no_settlements() -> None:
    """An empty chunk gives nothing back."""
    assert give_back([], QuotaExhaustedError("no credits")) == ()


CAPPED, HELD, FAILED = Stop(CREDIT_CAP_REACHED, "c"), Stop(PAUSED, "p"), Stop("quota_exhausted", "q")
APPROVAL, ENDED = Stop(NEEDS_APPROVAL, "held"), Stop(CANCELLED, "by a person")
NOTED = Stop(CREDIT_CAP_REACHED, "n", ends_run=False)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (None, None, None),
        (None, CAPPED, CAPPED),
        (CAPPED, None, CAPPED),
        (CAPPED, HELD, CAPPED),
        (CAPPED, FAILED, FAILED),
        (FAILED, CAPPED, FAILED),
        (NOTED, CAPPED, CAPPED),
        (CAPPED, NOTED, CAPPED),
        (NOTED, FAILED, FAILED),
        (CAPPED, APPROVAL, APPROVAL),
        (APPROVAL, HELD, APPROVAL),
        (APPROVAL, ENDED, ENDED),
        (APPROVAL, FAILED, FAILED),
    ],
)
def test_a_failure_outranks_a_requested_stop(first: Stop | None, second: Stop | None, expected: Stop | None) -> None:
    """Else a cap or a pause would hide that the credentials are refused."""
    assert graver(first, second) == expected


def test_only_caps_and_pauses_are_wished() -> None:
    """They end a run well; everything else fails it."""
    assert [stop.wished for stop in (CAPPED, HELD, FAILED, Stop("credentials_rejected", ""))] == [
        True,
        True,
        False,
        False,
    ]
