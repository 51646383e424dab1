"""A resident process goes on, whatever comes of one of its runs."""

import pytest

from enrichment.errors import QuotaExhaustedError
from triggers.live_runs import attempt


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (QuotaExhaustedError("zoominfo has no credits left"), "zoominfo has no credits left"),
        (ValueError("ada@acme.example"), "ValueError at test_live_runs.py"),
    ],
)
def test_a_run_that_fails_is_logged_and_not_repeated(
    error: Exception, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Our own errors say what happened; the text of any other may quote a contact."""
    runs = []

    def run() -> None:
        runs.append(1)
        raise error

    attempt(run)(3)
    assert runs == [1]
    assert words in caplog.text
    assert "ada@" not in caplog.text
