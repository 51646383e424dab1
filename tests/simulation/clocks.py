"""SQLite with another clock than the machine's."""

import sqlite3
from collections.abc import Callable
from typing import Any


def give_clock(connection: sqlite3.Connection, now: Callable[[], str]) -> None:
    """Let what statements of this connection call `now` be another moment, given as ISO-8601 UTC text."""
    real = sqlite3.connect(":memory:", check_same_thread=False)

    def of_that_moment(function: str) -> Callable[..., Any]:
        def answer(*arguments: str) -> Any:
            given = [now() if each == "now" else each for each in arguments]
            places = ", ".join("?" * len(given))
            return real.execute(f"SELECT {function}({places})", given).fetchone()[0]

        return answer

    for name in ("strftime", "julianday"):
        connection.create_function(name, -1, of_that_moment(name), deterministic=True)
