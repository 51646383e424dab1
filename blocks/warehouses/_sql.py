"""
Reads an engine's statements: those that are the same text everywhere, and its own, a file for each concern.

`-- migration: 0001 words`, `-- query: name` and `-- session: name` begin a section each; a session statement is one
that an engine needs around the queries, such as a temporary table. Values are always bound, as `:name`; a list or dict
is bound as one JSON text. Nothing is ever pasted into a statement.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SQL_FOLDER = Path(__file__).parent / "sql"
_EVERY_ENGINE = "every_engine.sql"
_SECTION = re.compile(r"^-- (migration|query|session): (.+)$", re.MULTILINE)
# A cast (::jsonb) is no parameter.
PARAMETER = re.compile(r"(?<!:):([a-z][a-z_]*)\b")


@dataclass(frozen=True)
class Statements:
    """Ordered migrations (name to script), queries, and the engine's session statements (name to statement)."""

    migrations: dict[str, str] = field(default_factory=dict)
    queries: dict[str, str] = field(default_factory=dict)
    session: dict[str, str] = field(default_factory=dict)

    def parameters(self, query: str) -> frozenset[str]:
        """Return the names of a query's parameters."""
        return frozenset(PARAMETER.findall(self.queries[query]))


def read_sql(engine: str, folder: Path = SQL_FOLDER) -> Statements:
    """
    Return the statements of an engine.

    Raises:
        ValueError: a statement stands in two places, or the engine lacks one that another engine has.
    """
    found = Statements()
    kinds = {"migration": found.migrations, "query": found.queries, "session": found.session}
    for path in (folder / _EVERY_ENGINE, *sorted((folder / engine).glob("*.sql"))):
        for kind, name, text in _sections(path):
            if name in kinds[kind]:
                raise ValueError(f"the {kind} '{name}' of {engine} stands in two places; one is {path.name}")
            kinds[kind][name] = text
    wanted = {name for path in folder.glob("*/*.sql") for kind, name, _ in _sections(path) if kind == "query"}
    if lacking := sorted(wanted - found.queries.keys()):
        raise ValueError(f"{engine} lacks the query {', '.join(lacking)}, which another engine has")
    return found


def script_of(text: str) -> list[str]:
    """Return the statements of a section that holds several."""
    return text.split(";\n")


def _sections(path: Path) -> Iterator[tuple[str, str, str]]:
    parts = _SECTION.split(path.read_text(encoding="utf-8"))[1:]
    for kind, name, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        yield kind, name.strip(), body.strip()
