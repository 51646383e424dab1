"""Transactions of a warehouse, in which named statements run; and how one that gave way to another is repeated."""

import functools
import random
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, ParamSpec, TypeVar

from blocks.warehouses._rows import Row
from enrichment.errors import ConfigurationError, TransientError

SQL_FOLDER = Path(__file__).parent / "sql"
_SECTION = re.compile(r"^-- (migration|query|session|old|broken|part): (.+)$", re.MULTILINE)
# A cast (::jsonb) isn't a parameter.
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
    old: dict[str, str] = {}
    broken: dict[str, str] = {}
    parts: dict[str, str] = {}
    kinds = {
        "part": parts,
        "migration": found.migrations,
        "query": found.queries,
        "session": found.session,
        "old": old,
        "broken": broken,
    }
    # The engine's own first: what is shared is made of its parts.
    for path in (*sorted((folder / engine).glob("*.sql")), *sorted(folder.glob("*.sql"))):
        for kind, name, text in _sections(path):
            if name in kinds[kind]:
                raise ValueError(f"the {kind} '{name}' of {engine} stands in two places; one is {path.name}")
            shared = path.parent == folder and kind != "part"
            kinds[kind][name] = _adapted(text, parts) if shared else text
    wanted = {name for path in folder.glob("*/*.sql") for kind, name, _ in _sections(path) if kind == "query"}
    if lacking := sorted(wanted - found.queries.keys()):
        raise ValueError(f"{engine} lacks the query {', '.join(lacking)}, which another engine has")
    found.queries.update(_queries_of_old(old, parts))
    found.queries.update({f"broken_{name}": parts["broken"].format(rows=rows) for name, rows in broken.items()})
    return found


class _Part:
    """What an engine says in its own way: `{name}`, `{name:about}` or `{name:from to until}` in a shared statement."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __format__(self, arguments: str) -> str:
        return self._text.format(*arguments.split(" to "))


def _adapted(text: str, parts: Mapping[str, str]) -> str:
    """Return a shared statement as the engine says it."""
    return text.format(**{name: _Part(part) for name, part in parts.items()})


def _queries_of_old(old: Mapping[str, str], parts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """
    Yield for each table that grows the query that counts its old rows, and the one that deletes them.

    Both are made of one condition, so that what is announced is what is deleted. Its name is the table with its key, as
    in `record_ledger (record_id)`.
    """
    for name, condition in old.items():
        table, _, key = name.removesuffix(")").partition(" (")
        pieces = {"table": table, "key": key, "old": condition}
        for verb in ("count", "delete"):
            yield f"{verb}_old_{table}", parts[f"{verb}_old"].format(**pieces)


def script_of(text: str) -> list[str]:
    """Return the statements of a section that holds several."""
    return text.split(";\n")


def _sections(path: Path) -> Iterator[tuple[str, str, str]]:
    parts = _SECTION.split(path.read_text(encoding="utf-8"))[1:]
    for kind, name, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        yield kind, name.strip(), body.strip()


_MOST_REPLAYS = 6

P = ParamSpec("P")
T = TypeVar("T")


class ConflictError(TransientError):
    """Another transaction was in the way; our changes were dropped, so a retry may succeed."""


def replayed(verb: Callable[P, T]) -> Callable[P, T]:
    """Repeat the whole verb after a conflict, a few times, with growing pauses and full jitter."""

    @functools.wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(_MOST_REPLAYS):
            try:
                return verb(*args, **kwargs)
            except ConflictError:
                time.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311 - jitter
        return verb(*args, **kwargs)

    return run


class Session(ABC):
    """One open transaction."""

    @abstractmethod
    def run(self, query: str, /, **values: Any) -> int:
        """Run a named statement and return the number of rows it changed."""

    @abstractmethod
    def read(self, query: str, /, **values: Any) -> list[Row]:
        """Return a named query's rows."""

    @abstractmethod
    def execute(self, statement: str) -> Any:
        """Run one statement that has no name, such as one of a migration."""


class Transactions(ABC):
    """What opens them, and sets up the tables in one."""

    sql: ClassVar[Statements]
    #: Whether the statements of a transaction take effect together.
    atomic: ClassVar[bool] = True

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Session]:
        """Open a transaction that commits at the end, or rolls back."""

    def _reading(self) -> AbstractContextManager[Session]:
        """Open a transaction that only reads."""
        return self._transaction()

    def _claiming(self) -> AbstractContextManager[Session]:
        """Open what a claim is made in: a transaction, or single statements where the engine is surer of those."""
        return self._transaction()

    @abstractmethod
    def _migrating(self) -> AbstractContextManager[Session]:
        """Make the place of the tables, unless it is there, and open what is locked against a second setup."""

    def _query(self, name: str, /, **values: Any) -> list[Row]:
        """Return the rows of a named read."""
        with self._reading() as session:
            return session.read(name, **values)

    def migrate(self) -> list[str]:
        """
        Apply the migrations that are missing, in order, and return their names; safe to repeat.

        Each is recorded after its statements. Where an engine's DDL takes part in no transaction, a migration that
        broke off is applied again, so there every statement of it may be repeated.

        Raises:
            ConfigurationError: a newer version of this program has set up the tables.
        """
        with self._migrating() as session:
            session.run("create_migrations")
            missing = self._missing_migrations(session)
            for name in missing:
                for statement in script_of(self.sql.migrations[name]):
                    session.execute(statement)
                session.run("record_migration", version=name)
        return missing

    def check_schema(self) -> None:
        """
        Raise unless the tables are those that this version of the program works with; nothing is changed.

        Raises:
            ConfigurationError: a newer version has set them up, or this one's migrations aren't applied yet.
        """
        with self._reading() as session:
            missing = self._missing_migrations(session)
        if missing:
            raise ConfigurationError(
                f"the warehouse lacks {_named(missing)}, which this version needs: when no run is at work, run "
                "`enrich setup` (docs/upgrade.md)"
            )

    def _missing_migrations(self, session: Session) -> list[str]:
        """Return the migrations that aren't applied, in order; raise if there are some that only others know."""
        applied = {row["version"] for row in session.read("read_migrations")}
        if newer := sorted(applied - self.sql.migrations.keys()):
            raise ConfigurationError(
                f"a newer version of this program has set up the warehouse: it has {_named(newer)}, which this version "
                "doesn't know. Upgrade this installation; nothing was changed (docs/upgrade.md)"
            )
        return [name for name in sorted(self.sql.migrations) if name not in applied]


def _named(migrations: Iterable[str]) -> str:
    return "the schema change " + ", ".join(f"'{name}'" for name in migrations)
