"""The warehouses' SQL, parsed in each engine's own dialect: the stand-ins take more than the engines do."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from blocks.base import module_names
from blocks.warehouses._rows import is_moment
from blocks.warehouses._session import PARAMETER, SQL_FOLDER, Statements, read_sql, script_of

ENGINES = module_names("blocks.warehouses")
CONCERNS = {"books", "journal", "queue", "results", "schema", "parts"}
SHARED = CONCERNS | {"audit", "erasure", "insight", "lists", "upkeep", "views"}
SQL = {engine: read_sql(engine) for engine in ENGINES}
KEYS = (exp.PrimaryKey, exp.PrimaryKeyColumnConstraint, exp.UniqueColumnConstraint, exp.CheckColumnConstraint)
#: What the dialect's grammar may have in sqlglot, and the engine refuses or doesn't keep.
LACKS: dict[str, tuple[type[exp.Expr], ...]] = {
    "snowflake": (exp.OnConflict, exp.Returning),
    "bigquery": (exp.OnConflict, exp.Returning, *KEYS),
    "redshift": (
        *(exp.OnConflict, exp.Returning, exp.Merge, exp.Lock, exp.Lateral, exp.Interval),
        *(exp.NullSafeEQ, exp.NullSafeNEQ, exp.JSONExtract, exp.JSONExtractScalar, exp.Index, *KEYS),
    ),
}
#: Functions that the engine has and sqlglot doesn't know; any other unknown one is another engine's.
FUNCTIONS = {
    "sqlite": {"steady", "strftime", "julianday", "json_each"},
    "postgres": {
        "jsonb_array_elements",
        "jsonb_array_elements_text",
        "jsonb_build_object",
        "pg_advisory_xact_lock",
        "hashtext",
    },
    "redshift": {"json_serialize"},
    "snowflake": {"system$last_change_commit_time"},
    "bigquery": set(),
}
#: Redshift's lists are temporary tables.
BATCHES = {"rows": "batch_rows", "ids": "batch_ids", "keys": "batch_ids"}


def trees(engine: str) -> Iterator[tuple[str, exp.Expr]]:
    """Yield each statement of an engine, parsed, with the name of its section; values stand in for parameters."""
    batches = BATCHES if engine == "redshift" else {}
    for sections in (SQL[engine].migrations, SQL[engine].queries, SQL[engine].session):
        for name, section in sections.items():
            for statement in script_of(section):
                # The one word of SQLite's that the parser lacks.
                text = statement.replace(") WITHOUT ROWID", ")")
                text = PARAMETER.sub(lambda found: batches.get(found[1], "'1'"), text)
                yield name, sqlglot.parse_one(text, dialect=engine)


@pytest.fixture(scope="module")
def parsed() -> dict[str, list[tuple[str, exp.Expr]]]:
    return {engine: list(trees(engine)) for engine in ENGINES}


def columns(tree: exp.Expression) -> list[str]:
    return [column.name.lower() for column in tree.find_all(exp.ColumnDef)]


Parsed = dict[str, list[tuple[str, exp.Expr]]]


@pytest.mark.parametrize("engine", ENGINES)
def test_every_statement_is_the_engines_own_sql(parsed: Parsed, engine: str) -> None:
    """It parses in the engine's dialect, and uses neither words nor functions that only another engine has."""
    for name, tree in parsed[engine]:
        assert not isinstance(tree, exp.Command), name
        lacks = LACKS.get(engine)
        assert not (lacks and tree.find(*lacks)), name
        unknown = {call.name.lower() for call in tree.find_all(exp.Anonymous)}
        assert unknown <= FUNCTIONS[engine], name


@pytest.mark.parametrize("engine", ENGINES)
def test_every_read_names_its_columns(parsed: Parsed, engine: str) -> None:
    """A column that is added later changes no verb's answer."""
    stars = [name for name, tree in parsed[engine] for star in tree.find_all(exp.Star) if not is_count(star)]
    assert stars == []


def is_count(star: exp.Star) -> bool:
    return isinstance(star.parent, exp.Count)


@pytest.mark.parametrize("engine", ENGINES)
def test_no_table_is_replaced(parsed: Parsed, engine: str) -> None:
    """A second setup must not empty the queue."""
    assert not [name for name, tree in parsed[engine] if isinstance(tree, exp.Create) and tree.args.get("replace")]


def test_every_engine_has_the_same_statements_and_parameters() -> None:
    """A statement that one engine binds otherwise is found without running it."""
    shapes = {engine: {name: sql.parameters(name) for name in sql.queries} for engine, sql in SQL.items()}
    first = next(iter(shapes.values()))
    assert all(shape == first for shape in shapes.values())


def test_every_engine_has_the_same_tables_and_columns(parsed: Parsed) -> None:
    """What is learned of a table at one engine holds at the others; keys name the type of the CRM record."""
    tables = {
        engine: {
            tree.find(exp.Table).name: columns(tree)
            for _, tree in parsed[engine]
            if isinstance(tree, exp.Create) and tree.kind == "TABLE" and not tree.find(exp.TemporaryProperty)
        }
        for engine in ENGINES
    }
    first = next(iter(tables.values()))
    assert len(first) == 23
    assert all(table == first for table in tables.values())
    assert [name for name, names in first.items() if "crm_id" in names and "object_type" not in names] == []


def test_every_statement_says_what_it_does_and_why_it_differs() -> None:
    """One line before each statement, and one more where an engine needs its own text."""
    for path in sorted(SQL_FOLDER.rglob("*.sql")):
        for name, body in re.findall(r"^-- query: (\w+)\n((?:-- .*\n)*)", path.read_text(), re.MULTILINE):
            lines = body.splitlines()
            assert lines, name
            assert lines[0].endswith("."), name
            own = path.parent != SQL_FOLDER
            assert any(line.startswith("-- differs because ") for line in lines[1:]) is own, (path, name)


def test_what_is_the_same_everywhere_stands_once() -> None:
    """A statement whose text all engines share, but for parts of it, stands outside of their folders."""
    assert {path.stem for path in SQL_FOLDER.glob("*.sql")} == SHARED
    for engine in ENGINES:
        assert {path.stem for path in (SQL_FOLDER / engine).iterdir()} == CONCERNS
    texts = {name: {without_comments(sql.queries[name]) for sql in SQL.values()} for name in SQL["sqlite"].queries}
    written = {
        name
        for path in SQL_FOLDER.glob("*/*.sql")
        for name in re.findall(r"^-- query: (\w+)", path.read_text(), re.MULTILINE)
    }
    assert [name for name in written if len(texts[name]) == 1] == []


def test_every_moment_is_read_under_a_name_that_says_so() -> None:
    """By the name it becomes text, whatever type the engine gives it."""
    shared = "".join(path.read_text() for path in SQL_FOLDER.glob("*.sql"))
    names = re.findall(r"\{read:.*?\} AS (\w+)", shared, re.DOTALL)
    assert len(names) > 50
    assert [name for name in names if not is_moment(name)] == []


def test_every_engine_has_a_word_for_each_part() -> None:
    """And sql/parts.sql says what each is, of which every one is used."""
    said = re.findall(r"^-- \{(\w+)", (SQL_FOLDER / "parts.sql").read_text(), re.MULTILINE)
    for engine in ENGINES:
        own = (SQL_FOLDER / engine / "parts.sql").read_text()
        assert re.findall(r"^-- part: (\w+)$", own, re.MULTILINE) == said, engine
    shared = "".join(path.read_text() for path in SQL_FOLDER.glob("*.sql") if path.stem != "parts")
    assert [name for name in said if f"{{{name}" not in shared and name != "delete_old"] == []


def without_comments(text: str) -> str:
    return re.sub(r"^--.*\n", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"queue.sql": "one", "sqlite/queue.sql": "one"}, "stands in two places"),
        ({"queue.sql": "one", "sqlite/queue.sql": "two", "sqlite/books.sql": "two"}, "stands in two places"),
        ({"queue.sql": "one", "postgres/queue.sql": "two"}, "sqlite lacks the query two"),
    ],
)
def test_a_statement_that_stands_twice_or_nowhere_is_refused(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    """Reading an engine's statements fails, so that no verb finds out later."""
    for place, name in files.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(f"-- query: {name}\n-- Says one.\nSELECT 1\n")
    with pytest.raises(ValueError, match=message):
        read_sql("sqlite", tmp_path)


def test_an_engines_statements_are_read_by_kind(tmp_path: Path) -> None:
    """Migrations, queries with their parameters, and what the engine needs around them."""
    (tmp_path / "queue.sql").write_text("-- query: one\n-- Says one.\nSELECT :a, :b::text\n")
    (tmp_path / "sqlite").mkdir()
    (tmp_path / "sqlite" / "schema.sql").write_text(
        "-- A note.\n\n-- migration: 0001 first\nCREATE\n\n-- session: make\nX\n"
    )
    found = read_sql("sqlite", tmp_path)
    assert found == Statements({"0001 first": "CREATE"}, {"one": "-- Says one.\nSELECT :a, :b::text"}, {"make": "X"})
    assert found.parameters("one") == {"a", "b"}
