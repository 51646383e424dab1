"""
Log lines: an event's name with ids and counts, never a contact's data.

Every module of ours may log through the standard library. Inside a flow or task run the line also reaches that run's
log in Prefect, which by itself takes only what its own loggers say.
"""

import logging

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

#: Top-level packages whose loggers are ours.
PACKAGES = ("blocks", "lookup", "tasks", "flows", "triggers")


def event(name: str, *, level: int = logging.INFO, **facts: object) -> None:
    """Log what happened, as an event name with ids and counts."""
    logging.getLogger("tasks").log(level, "%s", " ".join([name, *(f"{key}={value}" for key, value in facts.items())]))


class _RunLog(logging.Handler):
    """Hands a line on to the Prefect run that it arose in, if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            run_logger = get_run_logger()
        except MissingContextError:
            return
        run_logger.log(record.levelno, "%s", record.getMessage())


def reach_runs() -> None:
    """Let what our packages log reach the log of the run that it arises in; safe to repeat."""
    for package in PACKAGES:
        logger = logging.getLogger(package)
        if not any(isinstance(handler, _RunLog) for handler in logger.handlers):
            logger.addHandler(_RunLog())
            logger.setLevel(logging.INFO)
