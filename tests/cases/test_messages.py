"""Errors reach people as one sentence, without a traceback and without a place in our files."""

import io
import logging
import re

import httpx
import prefect.exceptions
import pytest
import typer
from prefect.settings import PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW, temporary_settings

from commands.terminal import reported_errors
from enrichment.errors import ConfigurationError, EnrichmentError, TransientError, sealed
from tasks.setup import ensure_server  # noqa: F401 - what a command imports, and with it how runs log


def fail(error: Exception) -> None:
    raise error


FOREIGN: list[tuple[Exception, str]] = [
    (httpx.ConnectError("[Errno 111] refused"), "Prefect's server can't be reached"),
    (httpx.ReadTimeout("timed out"), "Prefect's server can't be reached"),
    (prefect.exceptions.ObjectNotFound(KeyError("x")), "Prefect's server can't be reached, or refused what was asked"),
    (RuntimeError("Failed to reach API at http://127.0.0.1:4200/api/"), "Prefect's server can't be reached"),
    (PermissionError(13, "Permission denied", "out.csv"), "Permission denied: out.csv"),
    (OSError(28, "No space left on device", "out.csv"), "No space left on device: out.csv"),
    (KeyError("ada@acme.example"), "an unexpected error (KeyError): run the command again with ENRICHMENT_TRACE=1"),
]


@pytest.mark.parametrize("by_task", [False, True], ids=["in a command", "in a task"])
@pytest.mark.parametrize(("error", "sentence"), FOREIGN, ids=[type(error).__name__ for error, _ in FOREIGN])
def test_a_foreign_error_is_one_sentence(
    capsys: pytest.CaptureFixture[str], error: Exception, sentence: str, *, by_task: bool
) -> None:
    """It says what to do; nothing of a contact, no traceback and no line of a file is shown."""
    with pytest.raises(typer.Exit) as ended, reported_errors():
        (sealed(fail) if by_task else fail)(error)
    said = " ".join(capsys.readouterr().err.split())
    assert ended.value.exit_code == 1
    if not (by_task and isinstance(error, OSError | RuntimeError)):  # a task doesn't repeat what a foreign error says
        assert sentence in said
    assert not re.search(r"Traceback|\.py:\d|ada@", said)


def test_the_place_of_a_foreign_error_is_shown_on_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ENRICHMENT_TRACE, for a report; still without what the error said."""
    monkeypatch.setenv("ENRICHMENT_TRACE", "1")
    with pytest.raises(typer.Exit), reported_errors():
        sealed(fail)(KeyError("ada@acme.example"))
    said = capsys.readouterr().err
    assert re.search(r"KeyError at test_messages\.py:\d+ fail", said)
    assert "ada@" not in said


@pytest.mark.parametrize("stop", [typer.Exit(3), typer.Abort()])
def test_an_end_that_was_meant_stays_as_it_is(stop: Exception) -> None:
    """An exit code of a command, and a question that was answered with no."""
    with pytest.raises(type(stop)), reported_errors():
        fail(stop)


@pytest.mark.parametrize("name", ["prefect.flow_runs", "prefect.task_runs"])
@pytest.mark.parametrize(
    "ours", [ConfigurationError("wrong list id"), TransientError("HubSpot can't be reached")], ids=repr
)
def test_prefect_logs_our_errors_without_a_traceback(name: str, ours: EnrichmentError) -> None:
    """Their message says all; a foreign error keeps its traceback, which only Prefect's log has."""
    logger, lines = logging.getLogger(name), io.StringIO()
    handler = logging.StreamHandler(lines)
    logger.addHandler(handler)
    with temporary_settings({PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore"}):
        for error in (ours, KeyError("x")):
            try:
                fail(error)
            except (EnrichmentError, KeyError) as caught:
                logger.exception("Encountered exception during execution: %r", caught)  # noqa: TRY401 - as Prefect does
    logger.removeHandler(handler)
    first, _, rest = lines.getvalue().partition("\n")
    assert str(ours) in first
    assert rest.startswith("Encountered exception during execution: KeyError")
    assert rest.count("Traceback") == 1
