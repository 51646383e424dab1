"""Groups that fail as a whole: they are divided until each bad record stands alone, and the others go on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from enrichment.errors import (
    ConfigurationError,
    RecordRefusedError,
    RunStoppedError,
    ServerFailedError,
    TransientError,
)

T = TypeVar("T")
R = TypeVar("R")

#: Faults of whatever is called, not of what it is called with.
_NO_RECORDS_FAULT = (TransientError, ConfigurationError, RunStoppedError)

#: If so many records fail without a known reason before any passes, it is not the records' fault.
_MOST_IN_VAIN = 8


@dataclass(frozen=True, slots=True)
class Divided(Generic[T, R]):
    """
    What came of a group.

    Args:
        results: of the parts that passed, in their order.
        refused: the records that failed alone, each with its error.
    """

    results: list[R]
    refused: list[tuple[T, Exception]]


def divide(items: Sequence[T], act: Callable[[Sequence[T]], R]) -> Divided[T, R]:
    """
    Do something with a group, or with ever smaller parts of it where it fails.

    Args:
        items: the group.
        act: is done with the group or a part; wholly or not at all, and may be repeated.

    Raises:
        Exception: an error that is not the fault of single records.
    """
    done: Divided[T, R] = Divided([], [])
    waiting = [items]
    while waiting:
        group = waiting.pop()
        try:
            done.results.append(act(group))
        except Exception as error:
            if isinstance(error, _NO_RECORDS_FAULT) and not isinstance(error, ServerFailedError):
                raise
            if len(group) > 1:
                middle = (len(group) + 1) // 2
                waiting += [group[middle:], group[:middle]]
            elif not group or _is_in_vain(done, error, alone=not waiting):
                raise
            else:
                done.refused.append((group[0], error))
    return done


def _is_in_vain(done: Divided[T, R], error: Exception, *, alone: bool) -> bool:
    """Return whether an unknown error met every record so far, so that it is a bug or an outage and not a value."""
    if isinstance(error, RecordRefusedError) or done.results:
        return False
    # A record that is alone tries again later, whether it or the service is what fails.
    alone = alone and not isinstance(error, ServerFailedError)
    return alone or len(done.refused) + 1 >= _MOST_IN_VAIN
