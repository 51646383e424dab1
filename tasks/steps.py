"""What all steps of the chain share: their retries, and how they travel."""

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from enrichment.errors import TransientError, sealed

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_RETRIES = 3


class Parcel(Generic[T]):
    """
    Carries a chunk from task to task unopened.

    Prefect looks for futures inside everything that it hands to a task; in a chunk it would visit every field of every
    contact, which took a third of a run's time. A parcel is a plain object, so it isn't looked into.
    """

    __slots__ = ("contents",)

    def __init__(self, contents: T) -> None:
        self.contents = contents


class Step(Task[P, R]):
    """
    A task that travels by its name, and not with all that its module holds.

    A worker in another process takes the step from its own copy of the module, with that process's own locks.
    """

    def __reduce__(self) -> str:
        return str(self.fn.__name__)


def step(**options: Any) -> Callable[[Callable[P, R]], Task[P, R]]:
    """
    Make a task of a step of the chain.

    Results stay in memory, because they may hold contacts. Only a TransientError is retried: every step may be repeated
    without harm, but repeating a bug is noise.
    """

    def decorate(function: Callable[P, R]) -> Task[P, R]:
        return Step(
            sealed(function),
            retries=_RETRIES,
            retry_delay_seconds=exponential_backoff(backoff_factor=2),
            retry_jitter_factor=0.5,
            retry_condition_fn=_may_heal,
            persist_result=False,
            cache_policy=NO_CACHE,
            **options,
        )

    return decorate


def _may_heal(_: "Task[Any, Any]", __: TaskRun, state: "State[Any]") -> bool:
    try:
        state.result()
    except TransientError:
        return True
    except Exception:  # noqa: BLE001 - any other failure is final, whatever it is
        return False
    return False
