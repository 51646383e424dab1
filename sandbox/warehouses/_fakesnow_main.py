"""
Runs fakesnow's server with what it lacks; executed by the Python of its own environment, not by ours.

Its MERGE makes a temporary table, and for every table it notes a comment in a second database. DuckDB writes to one
database in a transaction, so that no MERGE would be possible in an explicit one. That table's comment is left out.

Like Snowflake it says without a virtual warehouse when a table was changed last, and it counts the statements that
need one, and so would resume a suspended one: `GET /sandbox/needing-a-warehouse`.
"""

import itertools
import re
from collections.abc import Hashable, Mapping
from typing import Any

import uvicorn
from fakesnow import info_schema
from fakesnow.cursor import FakeSnowflakeCursor
from fakesnow.server import app
from sqlglot.expressions import Expression, Literal
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.warehouses import _on_duckdb

noted = info_schema.insert_table_comment_sql
executed = FakeSnowflakeCursor.execute
translated = FakeSnowflakeCursor._transform  # noqa: SLF001 - it has no other way
described = FakeSnowflakeCursor._describe_last_sql  # noqa: SLF001

_CHANGE = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM|MERGE INTO|COPY INTO)\s+(\w+)", re.IGNORECASE)
_READ = re.compile(r"\s*(?:SELECT|WITH)\b.*\bFROM\b", re.IGNORECASE | re.DOTALL)
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_LAST_CHANGE = re.compile(r"SYSTEM\$LAST_CHANGE_COMMIT_TIME\('(\w+)'\)")

#: Statements after which the same one may mean something else.
_CHANGES_TABLES = re.compile(r"\s*(?:CREATE|ALTER|DROP|USE|SET|UNSET)\b", re.IGNORECASE)

#: The longest text that may mean something to a statement, such as a format.
_LONGEST_WORD = 24

clock = itertools.count(1)
translations: dict[Hashable, Expression] = {}
descriptions: dict[Hashable, list[Any]] = {}
changed_at: dict[tuple[str, str], int] = {}
needing: list[str] = []


def note_comment(catalog: str, schema: str, table: str, comment: str) -> str:
    """Return the statement that notes a table's comment; one without effect for MERGE's own table."""
    return "SELECT 1" if table.lower() == "merge_candidates" else noted(catalog, schema, table, comment)


def execute(cursor: FakeSnowflakeCursor, command: str, *args: Any, **options: Any) -> Any:
    """Execute a statement as fakesnow does, and note what it would cost and change."""
    schema, text = str(cursor._conn.schema), _COMMENT.sub("", command)  # noqa: SLF001
    if _CHANGES_TABLES.match(text):
        translations.clear()
        descriptions.clear()
    change = _CHANGE.match(text)
    if change or _READ.match(text):
        needing.append(" ".join(text.split())[:120])
    if change:
        changed_at[schema, change[1].lower()] = next(clock)
    known = _LAST_CHANGE.sub(lambda found: str(changed_at.get((schema, found[1].lower()), 0)), command)
    return executed(cursor, known, *args, **options)


def translate(cursor: FakeSnowflakeCursor, statement: Expression, params: Any) -> Expression:
    """
    Keep what statements are in DuckDB's SQL until tables change: half of a statement's time goes into that.

    The client writes data into the statement as text, such as a list of ids; what it is changes no translation.
    """
    names = {text: f"data {place}" for place, text in enumerate(dict.fromkeys(texts_in(statement)))}
    without = with_texts(statement.copy(), names)
    key = (cursor._conn.database, cursor._conn.schema, without)  # noqa: SLF001
    if key not in translations:
        translations[key] = translated(cursor, without.copy(), params)
    return with_texts(translations[key].copy(), {name: text for text, name in names.items()})


def texts_in(statement: Expression) -> list[str]:
    """Return the texts that are too long to say anything about a statement, such as a format or a path."""
    return [text.this for text in statement.find_all(Literal) if text.is_string and len(text.this) > _LONGEST_WORD]


def with_texts(statement: Expression, texts: Mapping[str, str]) -> Expression:
    """Put texts in place of others."""
    for text in list(statement.find_all(Literal)) if texts else ():
        text.set("this", texts.get(text.this, text.this))
    return statement


def describe(cursor: FakeSnowflakeCursor) -> list[Any]:
    """Keep what the columns of a result are until tables change: to ask for it costs as much as the statement."""
    kinds = tuple(type(value) for value in cursor._last_params or ())  # noqa: SLF001
    key = (cursor._conn.database, cursor._conn.schema, cursor._last_sql, kinds)  # noqa: SLF001
    if key not in descriptions:
        descriptions[key] = described(cursor)
    return descriptions[key]


def count(_: Request) -> JSONResponse:
    """Answer with the statements so far that need a virtual warehouse."""
    return JSONResponse(needing)


if __name__ == "__main__":
    _on_duckdb.install()
    info_schema.insert_table_comment_sql = note_comment
    FakeSnowflakeCursor.execute = execute
    FakeSnowflakeCursor._transform = translate  # noqa: SLF001
    FakeSnowflakeCursor._describe_last_sql = describe  # noqa: SLF001
    app.router.routes.append(Route("/sandbox/needing-a-warehouse", count, methods=["GET"]))
    uvicorn.run(app, port=0)
