"""What all steps of the chain share: their retries, and how they travel."""

import logging
import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from itertools import repeat
from typing import Any, Generic, ParamSpec, TypeVar

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff
from prefect.utilities.annotations import unmapped

from blocks.log import event
from enrichment.errors import TransientError, cause, sealed
from tasks.present_run import LocalRun, local_run

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_RETRIES = 3
#: Of a step without which something paid for is lost: they outlast four minutes without a warehouse.
PATIENT_RETRIES = 7
_JITTER = 0.5  # share of each pause


class Parcel(Generic[T]):
    """
    Carries a chunk from task to task unopened.

    Prefect looks for futures inside everything that it hands to a task; in a chunk it would visit every field of every
    contact, which took a third of a run's time. A parcel is a plain object, so it isn't looked into.
    """

    __slots__ = ("contents",)

    def __init__(self, contents: T) -> None:
        self.contents = contents

    def __dask_tokenize__(self) -> str:
        """Return a name for Dask, which would pickle and hash the contents to find out whether it has them already."""
        return uuid.uuid4().hex

    def empty(self) -> None:
        """Let go of the contents, which no task needs any more."""
        del self.contents


class Step(Task[P, R]):
    """
    A task that travels by its name, and not with all that its module holds.

    A worker in another process takes the step from its own copy of the module, with that process's own locks. In a
    local run, which has no server, the step is a function that is retried alike.
    """

    def __reduce__(self) -> str:
        return str(self.fn.__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if local_run():
            return self._call_locally(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def map(self, *args: Any, **kwargs: Any) -> Any:
        run = local_run()
        return self._map_locally(run, args) if run else super().map(*args, **kwargs)

    def _call_locally(self, *args: Any, **kwargs: Any) -> Any:
        delays: Any = self.retry_delay_seconds  # one for each retry
        for delay in delays:
            try:
                return self.fn(*args, **kwargs)
            except TransientError as error:
                seconds = delay * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - jitter
                event(
                    "step_retried", level=logging.WARNING, step=self.name, seconds=f"{seconds:.1f}", error=cause(error)
                )
                time.sleep(seconds)
        return self.fn(*args, **kwargs)

    def _map_locally(self, run: LocalRun, args: tuple[Any, ...]) -> list[Future[Any]]:
        """Call the step in the run's threads, once for each value of what isn't `unmapped`."""
        columns = [repeat(each.value) if isinstance(each, unmapped) else each for each in args]
        rows = zip(*columns, strict=False)  # as many as the values
        return [run.threads.submit(copy_context().run, self, *row) for row in rows]


def step(**options: Any) -> Callable[[Callable[P, R]], Task[P, R]]:
    """
    Make a task of a step of the chain; its runs are named in words, by `task_run_name` or else by the step's name.

    Results stay in memory, because they may hold contacts. Only a TransientError is retried: every step may be repeated
    without harm, but repeating a bug is noise.
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        usual: dict[str, Any] = {
            "task_run_name": options["name"].replace("-", " "),
            "retries": _RETRIES,
            "retry_delay_seconds": exponential_backoff(backoff_factor=2),
            "retry_jitter_factor": _JITTER,
            "retry_condition_fn": _may_heal,
            "persist_result": False,
            "cache_policy": NO_CACHE,
        }
        return Step(sealed(function), **{**usual, **options})

    return decorate


def _may_heal(_: "Task[Any, Any]", __: TaskRun, state: "State[Any]") -> bool:
    try:
        state.result()
    except TransientError:
        return True
    except Exception:  # noqa: BLE001 - any other failure is final, whatever it is
        return False
    return False
