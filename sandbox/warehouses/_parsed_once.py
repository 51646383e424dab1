"""
Lets a stand-in parse each statement once; executed by the Python of its own environment, not by ours.

Emulators parse a statement up to twenty times on its way, which takes half of their time; a copy of its tree costs a
tenth of that.
"""

import gc
from functools import lru_cache
from typing import Any

from sqlglot.dialects.dialect import Dialect

_KEPT_STATEMENTS = 5_000


def install() -> None:
    """Keep the trees of statements, and look for garbage less often, since trees are many small objects."""
    parse = Dialect.parse
    trees = lru_cache(_KEPT_STATEMENTS)(parse)

    def copies(self: Dialect, sql: str, **options: Any) -> list[Any]:
        if options:  # which may be of any kind
            return parse(self, sql, **options)
        return [tree and tree.copy() for tree in trees(self, sql)]

    Dialect.parse = copies  # type: ignore[method-assign]
    gc.set_threshold(100_000, 50, 50)
