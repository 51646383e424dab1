"""
Runs without a Prefect server, since to start one for a command takes ten times as long as most commands.

The flow and its steps are called as functions in this process. What Prefect's engine does for a run is done here, and
in `tasks`: it has an id, a name and its parameters, steps are retried, batches are worked on in threads, few runs work
at once on a machine, and a run that fails or is interrupted calls the hooks of its flow, which close the totals and
alert people.
"""

import logging
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any, ParamSpec, TypeVar, cast

from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import CancelledRun
from prefect.flows import Flow
from prefect.settings import get_current_settings
from prefect.states import Cancelled, Failed

from blocks.log import event
from blocks.settings import load_settings
from enrichment.errors import RunCancelledError, cause
from tasks.present_run import LocalRun, entered
from tasks.setup import ensure_server

P = ParamSpec("P")
R = TypeVar("R")


def needs_server() -> bool:
    """Return whether flows run on Prefect's server: one is set, or a cluster of processes works on the batches."""
    return bool(get_current_settings().api.url) or load_settings().task_runner != "threads"


def run_flow(flow: Flow[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """
    Run a flow, on Prefect's server if it needs one, else in this process alone.

    Raises:
        TransientError: the server doesn't answer, or a temporary one isn't up in time.
        RunCancelledError: the run was cancelled.
    """
    try:
        if needs_server():
            ensure_server()
            return flow(*args, **kwargs)
        return _run_here(flow, signature(flow.fn).bind(*args, **kwargs).arguments)
    except CancelledRun as error:
        raise RunCancelledError(str(error)) from None


def _run_here(flow: Flow[..., R], parameters: Mapping[str, Any]) -> R:
    run = LocalRun(str(uuid.uuid4()), flow.name, parameters)
    with entered(run), _sigterm_interrupts():
        if callable(flow.flow_run_name):
            run.name = flow.flow_run_name()
        try:
            with run.threads:  # batches in flight end before the totals are closed
                returned: Any = flow.fn(**parameters)
        except Exception as error:
            _call(flow.on_failure_hooks, flow, run, Failed(message=cause(error), data=error))
            raise
        except KeyboardInterrupt:  # before its work, or again during it
            _call(flow.on_cancellation_hooks, flow, run, Cancelled(message="the run was interrupted"))
            raise RunCancelledError("the run was interrupted; its contacts wait in the queue") from None
    return cast(R, returned.result() if isinstance(returned, State) else returned)


def _call(hooks: Sequence[Callable[..., object]], flow: Flow[..., Any], run: LocalRun, state: State[Any]) -> None:
    flow_run = FlowRun(id=uuid.UUID(run.id), flow_id=uuid.uuid4(), name=run.name, parameters=dict(run.parameters))
    for hook in hooks:
        try:
            hook(flow, flow_run, state)
        except Exception as error:  # noqa: BLE001 - the run's own error is what people are to read
            event("hook_failed", level=logging.ERROR, error=cause(error))


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
