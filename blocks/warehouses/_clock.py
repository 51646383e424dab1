"""
The clock by which SQLite's locks end: the machine's time since it was started, which no change of its date moves.

A server has one clock for all of its clients. SQLite has the machine's, and that may jump: then locks of living runs
would end, or those of dead ones would last. So the first process after a start of the machine writes down when that
was, and all others count from there.
"""

import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_WRITE_DOWN = """
INSERT INTO event_cursors (name, cursor, updated_at) VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
ON CONFLICT (name) DO NOTHING
"""


def add_clock(connection: sqlite3.Connection) -> None:
    """Give a connection the function `steady(seconds)`: now and so many seconds later, as ISO-8601 UTC text."""
    started_at, since_start = _started_at(connection), _clock()

    def steady(seconds: float) -> str:
        moment = datetime.fromtimestamp(started_at + since_start() + float(seconds), UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"

    # Within a statement it stands still, so that it is called once and not for each row.
    connection.create_function("steady", 1, steady, deterministic=True)


def _clock() -> Callable[[], float]:
    """Return what gives the seconds since the machine was started; where that isn't known, the seconds of the date."""
    return (lambda: time.clock_gettime(time.CLOCK_BOOTTIME)) if _BOOT_ID.exists() else time.time


def _started_at(connection: sqlite3.Connection) -> float:
    """Return when the machine was started, as the first process that asked wrote it down."""
    if not _BOOT_ID.exists():
        return 0.0
    name, started_at = f"start:{_BOOT_ID.read_text().strip()}", time.time() - _clock()()
    try:
        if _written_down(connection, name) is None:
            connection.execute(_WRITE_DOWN, (name, repr(started_at)))
        return _written_down(connection, name) or started_at
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # setup comes to it
            return started_at
        raise


def _written_down(connection: sqlite3.Connection, name: str) -> float | None:
    row = connection.execute("SELECT cursor FROM event_cursors WHERE name = ?", (name,)).fetchone()
    return float(row[0]) if row else None
