"""A Prefect server for tests that call flows and tasks in their own process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.context import _temporary_global_settings_context, get_settings_context
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW,
    temporary_settings,
)

from sandbox.place import prefect_server

#: What a server does all the time, and no test looks at what comes of it.
_BACKGROUND = ("EVENT_LOGGER", "FOREMAN", "LATE_RUNS", "TASK_RUN_RECORDER")


def without(*services: str) -> dict[str, str]:
    """Return the settings of a server that leaves out these services, and those that no test needs."""
    return {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in (*_BACKGROUND, *services)}


@contextmanager
def connected(folder: Path) -> Iterator[None]:
    """
    Run a server with an empty database, and let this process use it.

    Prefect's own test harness does the same, but imports the whole server into this process too, which takes as long
    as all else together, and leaves its server behind when this process is killed.
    """
    with prefect_server(folder, without("SCHEDULER", "TRIGGERS")) as settings:
        changes = {
            PREFECT_API_URL: settings["PREFECT_API_URL"],
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # at the end of every flow run it would be waited for
            PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore",  # some tests call a task alone
        }
        # The settings are those of this thread; others find the global ones.
        with temporary_settings(changes), _temporary_global_settings_context(get_settings_context()):
            yield
            APILogWorker.instance().drain()  # while there is a server to send to
            EventsWorker.drain_all()
