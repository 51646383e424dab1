"""A seal that lets no foreign error text out: a driver's or a server's words may quote a contact or a secret."""

import functools
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from enrichment.errors import EnrichmentError

P = ParamSpec("P")
R = TypeVar("R")

_STACK_DEPTH = 6


class UnexpectedError(EnrichmentError):
    """An error that nobody foresaw; says where it arose, not what it said, since that may quote a contact."""


def sealed(function: Callable[P, R]) -> Callable[P, R]:
    """Wrap a function so that foreign errors come out as where they arose, without their text."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except EnrichmentError as error:
            raise error.with_traceback(None) from None
        except Exception as error:  # noqa: BLE001 - a driver's text may quote the row that it refused
            raise UnexpectedError(where(error)) from None

    return wrapper


def where(error: BaseException) -> str:
    """Return an error's class and the last places it passed, without its text."""
    frames = traceback.extract_tb(error.__traceback__)[-_STACK_DEPTH:]
    places = " < ".join(
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
    return f"{type(error).__name__} at {places}"
