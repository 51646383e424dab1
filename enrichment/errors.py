"""
The error tree.

EnrichmentError
├── ConfigurationError            a setting, a block or an input is wrong: stop before the first claim
├── RunCancelledError             a person, or Prefect, ended the run; what it had taken is back in the queue
├── RunStoppedError               every further record would fail too: stop the run, keep the queue
│   ├── CredentialsRejectedError  401 twice, or 403 because of the credentials
│   ├── RequestRefusedError       the form of our request, or an entitlement, is refused
│   └── QuotaExhaustedError       the allowance is used up
├── TransientError                try this record again; uses up an attempt
│   ├── PostponedError            the other side said when; uses up no attempt
│   └── ServerFailedError         the other side fails at this very request, perhaps because of one record in it
├── RecordRefusedError            a warehouse can't store a value: no repetition helps, the record's neighbours are fine
├── ContractError                 the other side answered something that our parser doesn't know
├── IllegalMoveError              a staged record can't end this way from the state that it is in
├── BooksUnbalancedError          records claimed are not all accounted for
└── PromiseBrokenError            the audit found rows that break what always holds
"""

import copyreg
import functools
import traceback
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar


class EnrichmentError(Exception):
    """Any failure that this project names; the message says what to do and holds no personal data."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it arrive from another process as it was, whatever its class is made from."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class ConfigurationError(EnrichmentError):
    """A setting, a block or an input is wrong, and the message says how to fix it."""


class RunCancelledError(EnrichmentError):
    """A person, or Prefect, ended the run before it was done; the message says what became of its contacts."""


class RunStoppedError(EnrichmentError):
    """Every further record would fail the same way; the rest stays in the queue."""


class CredentialsRejectedError(RunStoppedError):
    """The other side refuses our credentials; the message names the setting to look at."""


class RequestRefusedError(RunStoppedError):
    """
    The other side refuses the form of our request, or our account lacks an entitlement; the message says what to do.

    Args:
        reason: what was refused and why.
        status: of the answer, 0 if there is none.
        complaint: what the other side finds fault with, as its adapter reads it; free of personal data.
    """

    def __init__(self, reason: str, status: int = 0, complaint: Any = None) -> None:
        super().__init__(reason)
        self.status = status
        self.complaint = complaint


class QuotaExhaustedError(RunStoppedError):
    """The allowance (credits, records, daily calls) is used up."""


class TransientError(EnrichmentError):
    """The call failed in a way that a retry may fix; the record uses up an attempt."""


class PostponedError(TransientError):
    """
    The other side asked for a wait that is too long to sleep.

    Args:
        reason: what was asked for and by whom.
        seconds: how long to wait; never shortened.
    """

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


class ServerFailedError(TransientError):
    """The other side answers 500 to this request, again and again: one record in it may be what it fails at."""


class RecordRefusedError(EnrichmentError):
    """A warehouse can't store a value of a record, now or later; the message names the column, never the value."""


class ContractError(EnrichmentError):
    """The other side answered something that our parser doesn't know."""


class IllegalMoveError(EnrichmentError):
    """A staged record can't end this way from the state that it is in."""


class BooksUnbalancedError(EnrichmentError):
    """Records claimed are not all accounted for."""


class PromiseBrokenError(EnrichmentError):
    """The audit found rows that break what always holds; the message names the promises."""


P = ParamSpec("P")
R = TypeVar("R")

_STACK_DEPTH = 6


class UnexpectedError(EnrichmentError):
    """
    An unforeseen error; says where it arose, not what it said, since that may quote a contact.

    Args:
        place: class and places of the error.
        kind: the full name of its class.
    """

    def __init__(self, place: str, kind: str = "") -> None:
        super().__init__(place)
        self.kind = kind


def sealed(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function so that foreign errors come out as where they arose, without their text."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except EnrichmentError as error:
            raise error.with_traceback(None) from None
        except Exception as error:  # noqa: BLE001 - a driver's text may quote the row that it refused
            raise UnexpectedError(where(error), f"{type(error).__module__}.{type(error).__name__}") from None

    return wrapper


def cause(error: BaseException) -> str:
    """Return an error's message if it is one of ours, which holds no personal data, else where it arose."""
    return str(error) if isinstance(error, EnrichmentError) else where(error)


def where(error: BaseException) -> str:
    """Return an error's class and the last places it passed, without its text."""
    frames = traceback.extract_tb(error.__traceback__)[-_STACK_DEPTH:]
    places = " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
    return f"{type(error).__name__} at {places}"
