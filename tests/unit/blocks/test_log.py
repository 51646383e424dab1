"""Where a line goes that our packages log: once to people, wherever it arose."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings

from blocks.log import event, reach_runs


class _Lines(logging.Handler):
    """Keeps what a handler of the process, such as that of the terminal, gets."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture
def terminal() -> Iterator[_Lines]:
    handler = _Lines()
    logging.getLogger().addHandler(handler)
    with temporary_settings({PREFECT_LOGGING_TO_API_ENABLED: False}):  # else it starts a server
        yield handler
    logging.getLogger().removeHandler(handler)


@flow
def nothing() -> None:
    """Do nothing."""


@pytest.mark.parametrize("in_run", [False, True])
def test_a_line_is_shown_once(terminal: _Lines, in_run: bool) -> None:
    """Outside of a run by the process, inside of one by Prefect's logger of the run; also of a module of a package."""
    reach_runs()
    run = FlowRun(flow_id=uuid.uuid4(), name="a run")
    context: Any = FlowRunContext  # as Prefect enters it, without what only its engine needs
    with context.model_construct(flow=nothing, flow_run=run) if in_run else nullcontext():
        event("batch_settled", returned=0)
        logging.getLogger("blocks.crms.hubspot").info("hubspot_contacts_updated updates=%s", 2)
    assert terminal.lines == ["batch_settled returned=0", "hubspot_contacts_updated updates=2"]
