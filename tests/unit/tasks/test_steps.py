"""Steps in a run without Prefect's server: functions that are retried as Prefect retries them."""

import threading
from collections.abc import Callable, Iterator

import pytest
from prefect import unmapped
from prefect.tasks import Task

from enrichment.errors import ConfigurationError, TransientError, UnexpectedError
from tasks.present_run import LocalRun, entered, local_run, run_id, run_name, run_parameters
from tasks.steps import step


@pytest.fixture
def run() -> Iterator[LocalRun]:
    """Be in a local run."""
    run = LocalRun("run-7", "enrich contacts", {"limit": 3})
    with run.threads, entered(run):
        yield run


def failing(errors: list[Exception]) -> tuple[Task[[], str], list[Exception]]:
    """Return a step that fails with each of these errors before it succeeds, without pauses, and what is left."""

    @step(name="shaky")
    def shaky() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    shaky.retry_delay_seconds = [0.0] * shaky.retries
    return shaky, errors


def test_a_step_is_retried_after_what_may_heal(run: LocalRun) -> None:
    """Three times, as on Prefect's server; the fourth error ends it."""
    shaky, _ = failing([TransientError("busy")] * 3)
    assert shaky() == "done"
    shaky, left = failing([TransientError("busy")] * 5)
    with pytest.raises(TransientError):
        shaky()
    assert len(left) == 1


@pytest.mark.parametrize(
    ("error", "raised"),
    [(lambda: ConfigurationError("wrong"), ConfigurationError), (lambda: ValueError("of ada@acme"), UnexpectedError)],
    ids=["ours", "foreign"],
)
def test_any_other_error_is_final(run: LocalRun, error: Callable[[], Exception], raised: type[Exception]) -> None:
    """It is raised at once, and a foreign one without its text."""
    shaky, left = failing([error(), error()])
    with pytest.raises(raised) as caught:
        shaky()
    assert len(left) == 1
    assert "ada@" not in str(caught.value)


def test_a_mapped_step_works_in_the_threads_of_its_run(run: LocalRun) -> None:
    """Once for each value, several at once, and each knows its run."""
    together = threading.Barrier(3, timeout=60)

    @step(name="mapped")
    def mapped(fixed: str, value: int) -> str:
        together.wait()
        present = local_run()
        return f"{fixed}{value} of {present.id if present else 'no run'}"

    futures = mapped.map(unmapped("n"), [1, 2, 3])
    assert [future.result() for future in futures] == ["n1 of run-7", "n2 of run-7", "n3 of run-7"]


def test_the_present_run_is_known(run: LocalRun) -> None:
    """Its id, name and parameters, as those of a flow run are."""
    assert (run_id(), run_name(), run_parameters()) == ("run-7", "enrich contacts", {"limit": 3})


def test_outside_a_run_there_is_none() -> None:
    """Nothing is asked of a server for it."""
    assert (local_run(), run_id(), run_name(), dict(run_parameters())) == (None, "", "", {})
