"""The run that code is a part of: Prefect's flow run, or a local run, which has no server."""

import getpass
import os
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from prefect.context import FlowRunContext
from prefect.runtime import flow_run
from prefect.settings import get_current_settings

from blocks.settings import MOST_CHUNKS_IN_FLIGHT


@dataclass
class LocalRun:
    """
    A run without Prefect's server.

    Args:
        id: of the run.
        name: of the run.
        parameters: that its flow was given.
        threads: in which its batches are worked on.
    """

    id: str
    name: str
    parameters: Mapping[str, Any]
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(MOST_CHUNKS_IN_FLIGHT))


_present: ContextVar[LocalRun | None] = ContextVar("local_run", default=None)


@contextmanager
def entered(run: LocalRun) -> Iterator[None]:
    """Make a local run the present one."""
    token = _present.set(run)
    try:
        yield
    finally:
        _present.reset(token)


def local_run() -> LocalRun | None:
    """Return the present run if it is a local one."""
    return _present.get()


def run_id() -> str:
    """Return the present run's id; empty outside a run."""
    run = _present.get()
    return run.id if run else flow_run.get_id() or ""


def totals_id() -> str:
    """Return the id under which the present run's totals are kept; empty outside a run."""
    context = FlowRunContext.get()
    attempts = context.flow_run.run_count if context and context.flow_run else 1
    return attempt_id(run_id(), attempts)


def attempt_id(flow_run_id: str, attempts: int) -> str:
    """Return the id of a flow run's totals: the run's own, and one for each time that it is repeated, since then."""
    return str(uuid.uuid5(uuid.UUID(flow_run_id), str(attempts))) if flow_run_id and attempts > 1 else flow_run_id


def who() -> str:
    """Return who acts: a flow run, or the user of this machine."""
    if flow_run_id := run_id():
        return f"flow run {flow_run_id}"
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def run_name() -> str:
    """Return the present run's name; empty outside a run."""
    run = _present.get()
    return run.name if run else flow_run.get_name() or ""


def run_label(name: str, flow_run_id: object, totals: object) -> str:
    """
    Return what messages say of a run: its name, in Markdown a link into Prefect's UI if there is one, and an id.

    The link needs the id that Prefect knows, and what people do about the run the id of its totals.
    """
    url = get_current_settings().ui_url
    return f"flow run {f'[{name}]({url}/runs/flow-run/{flow_run_id})' if url else name} ({totals})"


def present_label(totals: str) -> str:
    """Return what messages say of the present run, whose totals have this id."""
    return run_label(run_name(), run_id(), totals)


def run_parameters() -> Mapping[str, Any]:
    """Return the parameters that the present run was given; none outside a run."""
    run = _present.get()
    return run.parameters if run else flow_run.get_parameters()


def was_suspended() -> bool:
    """Return whether the present run goes on after it was suspended."""
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.empirical_policy.pause_keys)


def by_schedule() -> bool:
    """Return whether a schedule has started the present run: neither a person, nor an event."""
    context = FlowRunContext.get()
    return bool(context and context.flow_run and context.flow_run.auto_scheduled)
