"""Runs bqemulator; executed by the Python of its own environment, not by ours."""

import re
from functools import lru_cache
from typing import Any

from bqemulator.cli import main
from bqemulator.jobs import executor

from sandbox.warehouses import _parsed_once

#: Statements after which the same text may mean something else.
_CHANGES_TABLES = re.compile(r"\b(CREATE|ALTER|DROP)\b", re.IGNORECASE)
_KEPT_STATEMENTS = 5_000


def _translate_once() -> None:
    """Keep what statements are in DuckDB's SQL until tables change: half of a statement's time goes into that."""
    parse = executor._parse_script_or_raise  # noqa: SLF001 - it has no other way
    translate = executor.rewrite_and_translate_statement
    kept: dict[tuple[str, str], str] = {}

    def parse_script(sql: str) -> Any:
        if _CHANGES_TABLES.search(sql):
            kept.clear()
        return parse(sql)

    async def translated(sql: str, *, project_id: str, **context: Any) -> str:
        key = (project_id, sql)
        if key not in kept:
            kept[key] = await translate(sql, project_id=project_id, **context)
        return kept[key]

    executor._parse_script_or_raise = parse_script  # noqa: SLF001
    executor.rewrite_and_translate_statement = translated
    executor.rewrite_table_refs = lru_cache(_KEPT_STATEMENTS)(executor.rewrite_table_refs)


if __name__ == "__main__":
    _parsed_once.install()
    _translate_once()
    main()
