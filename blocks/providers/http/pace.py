"""At which rate to call, by the spec's windows and by what the last answer says is left: pure."""

import json
from collections.abc import Mapping

from blocks.providers.spec.sections import Rate, Window

#: While more than this share of a long window is left, only the shortest one sets the pace.
PLENTY = 0.2

#: Of the shortest window this share is used: evenly spaced calls arrive unevenly, and each 429 stops everybody.
HEADROOM = 0.94

#: A window so small that it would ask for less than this is used up instead: its end is then told by the server.
SLOWEST = 1.0


def first_pace(rate: Rate) -> float:
    """Return the calls per second to begin with."""
    return pace_after(rate, {}, None)


def pace_after(rate: Rate, headers: Mapping[str, str], ceiling: float | None) -> float:
    """
    Return the calls per second to go on with.

    A window that runs low is paced at its own rate, at which a sliding window never empties: better than to use it up
    and be shut out for hours.

    Args:
        rate: the spec's windows.
        headers: of the last answer, names in lower case.
        ceiling: the rate that the user allows, or None.
    """
    shortest = _shortest(rate)
    binding = [window for window in rate.windows if _unseen(window) or window is shortest or _low(window, headers)]
    paces = [_pace(window, headers, shortest) for window in binding]
    return min([*paces, ceiling] if ceiling else paces)


def _pace(window: Window, headers: Mapping[str, str], shortest: Window) -> float:
    pace = _limit(window, headers) / window.per_seconds
    return pace * HEADROOM if _unseen(window) or window is shortest else max(pace, SLOWEST)


def _unseen(window: Window) -> bool:
    """Tell whether no header says what is left of the window, so that only pacing keeps us within it."""
    return not window.remaining_header


def _shortest(rate: Rate) -> Window:
    return min(rate.windows, key=lambda window: window.per_seconds)


def _limit(window: Window, headers: Mapping[str, str]) -> float:
    stated = _number(headers, window.limit_header, window.member)
    return stated if stated is not None and stated > 0 else window.limit


def _low(window: Window, headers: Mapping[str, str]) -> bool:
    left = _number(headers, window.remaining_header, window.member)
    return left is not None and left < PLENTY * _limit(window, headers)


def _number(headers: Mapping[str, str], name: str, member: str) -> float | None:
    """Return a header's number; a negative one or none at all means that nobody knows, or that there is no limit."""
    text = headers.get(name.lower(), "")
    try:
        value = float(json.loads(text)[member] if member else text)
    except (ValueError, TypeError, KeyError):
        return None
    return value if value >= 0 else None
