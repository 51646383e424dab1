"""
The rows of a list while it is enriched: a working copy beside the output, as a SQLite file.

To rewrite the output with every batch would take time that grows with the square of the list. What a batch finds goes
into the working copy at once, and is safe there however the process ends; the output is written once, at the end.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from enrichment.errors import ConfigurationError, TransientError

_TABLES = (
    "CREATE TABLE draft (fingerprint TEXT NOT NULL, changed INTEGER NOT NULL, header TEXT NOT NULL)",
    """
    CREATE TABLE contacts (number INTEGER PRIMARY KEY, crm_id TEXT NOT NULL UNIQUE, line INTEGER NOT NULL,
        identifiers TEXT NOT NULL, cells TEXT NOT NULL)
    """,
)
_NO_STATE = ("", 0, "[]")
_COLUMNS = "number, crm_id, line, identifiers, cells"


@dataclass(frozen=True, slots=True)
class DraftRow:
    """
    One row of the list.

    Args:
        number: its place among the rows, from 1.
        crm_id: the row's id.
        line: where it begins in the input.
        identifiers: what the input says of the contact; what was filled since would make another lookup, and a bill.
        cells: of every column of the output, as they stand in the file.
    """

    number: int
    crm_id: str
    line: int
    identifiers: Mapping[str, str | None]
    cells: list[str]


class Draft:
    """
    A working copy; its user holds a lock while calling.

    Args:
        path: of the SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def fingerprint(self) -> str:
        """Return what the copy was made from, as it was named then; empty if there is no complete one."""
        return str(self._state()[0])

    @property
    def is_changed(self) -> bool:
        """Return whether the output lacks something that the copy has."""
        return bool(self._state()[1])

    @property
    def header(self) -> list[str]:
        """Return the names of the output's columns."""
        return list(json.loads(self._state()[2]))

    def make(
        self, fingerprint: str, header: Sequence[str], rows: Iterable[DraftRow], place: str, *, changed: bool
    ) -> None:
        """
        Make a new copy.

        Args:
            fingerprint: what it is made from.
            header: names of the output's columns.
            rows: of the list.
            place: of the input and its column of ids, for errors.
            changed: whether the output lacks something already.

        Raises:
            ConfigurationError: an id stands there twice; the message says in which lines.
        """
        self.remove()
        try:
            with self._connected() as database, self._transaction(database):
                for table in _TABLES:
                    database.execute(table)
                for row in rows:
                    self._add(database, row, place)
                database.execute("INSERT INTO draft VALUES (?, ?, ?)", (fingerprint, changed, json.dumps(header)))
        except BaseException:
            self.remove()
            raise

    def read(self, crm_ids: Sequence[str]) -> dict[str, DraftRow]:
        """Return rows by their id; those that the list doesn't have are left out."""
        query = f"SELECT {_COLUMNS} FROM contacts WHERE crm_id IN (SELECT value FROM json_each(?))"  # noqa: S608
        with self._connected() as database:
            found = [_row(one) for one in database.execute(query, (json.dumps(crm_ids),))]
        return {row.crm_id: row for row in found}

    def page(self, after: int, size: int) -> list[DraftRow]:
        """Return this many rows behind a number."""
        query = f"SELECT {_COLUMNS} FROM contacts WHERE number > ? ORDER BY number LIMIT ?"  # noqa: S608
        with self._connected() as database:
            return [_row(one) for one in database.execute(query, (after, size))]

    def write(self, rows: Iterable[DraftRow]) -> None:
        """Keep the cells of rows, all or none."""
        with self._connected() as database, self._transaction(database):
            database.executemany(
                "UPDATE contacts SET cells = ? WHERE number = ?", [(json.dumps(row.cells), row.number) for row in rows]
            )
            database.execute("UPDATE draft SET changed = 1")

    def cells(self) -> Iterator[list[str]]:
        """Yield the cells of every row, in order."""
        with self._connected() as database:
            for (cells,) in database.execute("SELECT cells FROM contacts ORDER BY number"):
                yield json.loads(cells)

    def remove(self) -> None:
        """Delete the copy."""
        for path in (self._path, self._path.with_name(f"{self._path.name}-journal")):
            path.unlink(missing_ok=True)

    def _state(self) -> tuple[str, int, str]:
        if not self._path.exists():
            return _NO_STATE
        with self._connected() as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'draft'").fetchone():
                return _NO_STATE  # it was being made when its process was killed
            found: tuple[str, int, str] = database.execute("SELECT fingerprint, changed, header FROM draft").fetchone()
            return found

    @staticmethod
    def _add(database: sqlite3.Connection, row: DraftRow, place: str) -> None:
        values = (row.number, row.crm_id, row.line, json.dumps(row.identifiers), json.dumps(row.cells))
        try:
            database.execute("INSERT INTO contacts VALUES (?, ?, ?, ?, ?)", values)
        except sqlite3.IntegrityError:
            (line,) = database.execute("SELECT line FROM contacts WHERE crm_id = ?", (row.crm_id,)).fetchone()
            raise ConfigurationError(
                f"{place}, line {row.line}: has '{row.crm_id}' a second time, after line {line}: delete one of them; "
                "nothing was changed"
            ) from None

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None)) as database:
                yield database
        except sqlite3.Error as error:
            raise TransientError(f"{self._path} can't be used: {error}; is there space on the disk?") from None

    @staticmethod
    @contextmanager
    def _transaction(database: sqlite3.Connection) -> Iterator[None]:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("COMMIT")


def _row(found: tuple[int, str, int, str, str]) -> DraftRow:
    number, crm_id, line, identifiers, cells = found
    return DraftRow(number, crm_id, line, json.loads(identifiers), json.loads(cells))
