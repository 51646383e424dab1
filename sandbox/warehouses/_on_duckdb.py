"""
Makes a stand-in on DuckDB faster; executed by the Python of its own environment, not by ours.

Emulators parse a statement up to twenty times on its way; a copy of its tree costs less. And DuckDB shares the work of
each statement among all cores, which takes longer than the work where tables are as small as here.
"""

import gc
from functools import lru_cache
from typing import Any

import duckdb
from sqlglot.dialects.dialect import Dialect

_KEPT_STATEMENTS = 5_000


def install() -> None:
    """
    Keep the trees of statements, and look for garbage less often, since trees are many small objects.

    DuckDB does without threads of its own.
    """
    connect = duckdb.connect

    def connect_single(*args: Any, **options: Any) -> Any:
        connection = connect(*args, **options)
        connection.execute("SET threads TO 1")
        return connection

    duckdb.connect = connect_single
    parse = Dialect.parse
    trees = lru_cache(_KEPT_STATEMENTS)(parse)

    def copies(self: Dialect, sql: str, **options: Any) -> list[Any]:
        if options:  # which may be of any kind
            return parse(self, sql, **options)
        return [tree and tree.copy() for tree in trees(self, sql)]

    Dialect.parse = copies  # type: ignore[method-assign]
    gc.set_threshold(100_000, 50, 50)
