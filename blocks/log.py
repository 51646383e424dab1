"""
Log lines: an event's name with ids and counts, never a contact's data.

Every module of ours may log through the standard library. Inside a flow or task run the line also reaches that run's
log in Prefect, which by itself takes only what its own loggers say.
"""

import logging

from prefect.exceptions import CancelledRun, MissingContextError
from prefect.logging import get_run_logger

from enrichment.errors import EnrichmentError

#: Top-level packages whose loggers are ours.
PACKAGES = ("blocks", "lookup", "tasks", "flows", "triggers")


def event(name: str, *, level: int = logging.INFO, **facts: object) -> None:
    """Log what happened, as an event name with ids and counts."""
    logging.getLogger("tasks").log(level, "%s", " ".join([name, *(f"{key}={value}" for key, value in facts.items())]))


class _RunLog(logging.Handler):
    """
    Hands a line on to the Prefect run that it arose in, if there is one.

    That run's logger also shows it at the terminal, so the handlers that come after this one leave it out.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            run_logger = get_run_logger()
        except MissingContextError:
            return
        record.__dict__[_HANDED_ON] = True
        for handler in logging.getLogger().handlers:  # Prefect makes its own one late
            if NOT_TWICE not in handler.filters:
                handler.addFilter(NOT_TWICE)
        run_logger.log(record.levelno, "%s", record.getMessage())


_HANDED_ON = "handed_on_to_run"


class _NotTwice(logging.Filter):
    """Leaves out what a run's own logger shows."""

    def filter(self, record: logging.LogRecord) -> bool:
        return _HANDED_ON not in record.__dict__


#: For handlers of lines that may belong to a run.
NOT_TWICE = _NotTwice()


class _OneSentence(logging.Filter):
    """Leaves the traceback out where Prefect logs an error of ours, whose message says all; safe to add again."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, EnrichmentError | CancelledRun):
            record.exc_info = record.exc_text = None
        return True


def reach_runs() -> None:
    """Let what our packages log reach the log of the run that it arises in; safe to repeat."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        if not any(isinstance(each, _OneSentence) for each in logging.getLogger(name).filters):
            logging.getLogger(name).addFilter(_OneSentence())
    for package in PACKAGES:
        logger = logging.getLogger(package)
        if not any(isinstance(handler, _RunLog) for handler in logger.handlers):
            logger.addHandler(_RunLog())
            logger.setLevel(logging.INFO)
