"""Many commits, few requests for a run, and none forgotten."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from enrichment.errors import ConfigurationError, TransientError
from triggers.starting import RunStarter

LONG = 3600.0
SHORT = 0.01


class Asked:
    """Takes requests: fails as often as set, and waits while its gate is closed."""

    def __init__(self, failures: int = 0) -> None:
        self.commits: list[int] = []
        self.tries = 0
        self.gate = threading.Event()
        self.gate.set()
        self._failures = failures

    def __call__(self, commits: int) -> None:
        self.tries += 1
        self.gate.wait(30)
        if self.tries <= self._failures:
            raise TransientError("Prefect's server can't be reached (ConnectError)")
        self.commits.append(commits)


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_first_commit_is_asked_for_at_once_and_many_more_once() -> None:
    """A single contact waits for no interval; what several threads stage within it is one request, with its number."""
    asked = Asked()
    starter = RunStarter(asked, LONG)
    starter.staged()
    eventually(lambda: asked.commits == [1])
    with ThreadPoolExecutor(8) as pool:
        for _ in range(200):
            pool.submit(starter.staged)
    assert asked.commits == [1]
    starter.close()
    assert asked.commits == [1, 200]


def test_nothing_staged_asks_for_nothing() -> None:
    """A listener that got no contact starts no run, not even at its end."""
    asked = Asked()
    RunStarter(asked, SHORT).close()
    assert asked.tries == 0


def test_a_commit_is_followed_by_a_request_without_a_further_one() -> None:
    """The interval's end asks, no further event is needed."""
    asked = Asked()
    with RunStarter(asked, SHORT) as starter:
        starter.staged()
        eventually(lambda: asked.commits == [1])


def test_what_is_staged_while_a_request_is_under_way_leads_to_the_next_one() -> None:
    """A commit may come too late for the run that is being asked for; no sender waits meanwhile."""
    asked = Asked()
    asked.gate.clear()
    with RunStarter(asked, SHORT) as starter:
        starter.staged()
        eventually(lambda: asked.tries == 1)
        starter.staged()
        starter.staged()
        asked.gate.set()
        eventually(lambda: asked.commits == [1, 2])


def test_a_request_that_fails_is_repeated_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """However long the server is away: one line, and no commit is forgotten."""
    asked = Asked(failures=4)
    with RunStarter(asked, SHORT) as starter:
        starter.staged()
        eventually(lambda: asked.commits == [1])
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "can't be reached" in line
    assert "commits=1" in line


def test_each_outage_is_logged_again(caplog: pytest.LogCaptureFixture) -> None:
    """A line a day old doesn't stand for today's trouble."""
    asked = Asked(failures=1)
    with RunStarter(asked, SHORT) as starter:
        starter.staged()
        eventually(lambda: asked.commits == [1])
        asked._failures = 3
        starter.staged()
        eventually(lambda: asked.commits == [1, 1])
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 2


def test_a_foreign_error_is_logged_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever breaks, the thread lives on, and the log says where it broke and not with what."""

    def broken(commits: int) -> None:
        raise ValueError("ada@acme.example")

    with RunStarter(broken, SHORT) as starter:
        starter.staged()
        eventually(lambda: starter._failures >= 2)
    assert "ValueError at test_starting.py" in caplog.text
    assert "ada@" not in caplog.text


def test_closing_tries_once_more_and_ends() -> None:
    """A server that is away doesn't keep a listener from stopping."""
    asked = Asked(failures=2)
    starter = RunStarter(asked, LONG)
    starter.staged()
    eventually(lambda: starter._failures == 1)
    starter.close()
    assert asked.tries == 2
    assert not starter._thread.is_alive()


def test_pauses_grow_to_a_bound() -> None:
    """After a night of failures it is still tried every minute."""
    starter = RunStarter(Asked(), 4.0)
    pauses = []
    for starter._failures in (0, 1, 3, 4, 10_000):
        pauses.append(starter._pause())
    starter.close()
    assert pauses == [4.0, 8.0, 32.0, 60.0, 60.0]


def test_a_server_that_is_not_named_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reported at the start, with the way out."""
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        with pytest.raises(ConfigurationError, match=r"PREFECT_API_URL.*ENRICHMENT_START_RUNS_BY=schedule"):
            RunStarter.from_settings()
        monkeypatch.setenv("ENRICHMENT_START_RUNS_BY", "schedule")
        with RunStarter.from_settings() as starter:
            starter.staged()
