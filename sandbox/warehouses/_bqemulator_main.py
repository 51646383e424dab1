"""Runs bqemulator; executed by the Python of its own environment, not by ours."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from bqemulator.catalog import ddl_sync
from bqemulator.cli import main
from bqemulator.jobs import executor
from bqemulator.sql.rewriter import default_dataset

from sandbox.warehouses import _on_duckdb

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


def _look_once() -> None:
    """Don't parse each statement five times to see that it makes or drops nothing, nor twice to qualify its tables."""

    def of_changes(detect: Callable[..., Any], nothing: Any = None) -> Callable[..., Any]:
        return lambda sql, *more: detect(sql, *more) if _CHANGES_TABLES.search(sql) else nothing

    for name in ("_detect_create_schema", "_detect_catalog_drop", "_detect_plain_create_table"):
        setattr(ddl_sync, name, of_changes(getattr(ddl_sync, name)))
    ddl_sync._detect_plain_create_view = of_changes(ddl_sync._detect_plain_create_view, (None, None))  # noqa: SLF001
    executor.detect_drop_routine = of_changes(executor.detect_drop_routine)
    for module, name in ((default_dataset, "qualify_unqualified_tables"), (executor, "_parse_for_classification")):
        setattr(module, name, lru_cache(_KEPT_STATEMENTS)(getattr(module, name)))


if __name__ == "__main__":
    _on_duckdb.install()
    _translate_once()
    _look_once()
    main()
