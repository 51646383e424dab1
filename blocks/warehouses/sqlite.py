"""The embedded default: one SQLite file in WAL mode, which several processes may write to at once."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, HttpUrl

from blocks.warehouses._clock import add_clock
from blocks.warehouses._rows import Row, bind, decode, refusal
from blocks.warehouses._session import Session, read_sql
from blocks.warehouses.base import Warehouse, WarehouseBlock
from enrichment.errors import ConfigurationError, ContractError, TransientError


class Sqlite(WarehouseBlock):
    """
    A SQLite file as the warehouse.

    Example:
        Keep everything in one file::

            Sqlite(path="enrichment_pipeline.db").save("default")
    """

    _block_type_name = "SQLite Warehouse"
    _description = "Keeps the queue, the saved replies and the results of contact enrichment in one SQLite file."
    _documentation_url = HttpUrl("https://www.sqlite.org/wal.html")
    vendor: ClassVar[str] = "sqlite"

    path: Path = Field(
        default=Path("enrichment_pipeline.db"),
        description="Path of the database file; `enrich setup` creates it if it is absent.",
    )
    busy_timeout_seconds: float = Field(
        default=60.0, gt=0, description="How long to wait for another process that is writing."
    )

    def get_warehouse(self) -> Warehouse:
        """Return the adapter."""
        return SqliteWarehouse(self.path, self.busy_timeout_seconds)


class SqliteWarehouse(Warehouse):
    """One connection, shared by the threads of one task."""

    name = "sqlite"
    sql = read_sql("sqlite")

    def __init__(self, path: Path, busy_timeout_seconds: float) -> None:
        self._path = path
        self._busy_timeout_seconds = busy_timeout_seconds
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        """Open a transaction; the write lock is taken at once, so that it never has to be upgraded."""
        with self._begin("BEGIN IMMEDIATE") as session:
            yield session

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """Open a transaction that neither waits for a writer nor makes one wait."""
        with self._begin("BEGIN") as session:
            yield session

    @contextmanager
    def _begin(self, statement: str) -> Iterator["_SqliteSession"]:
        with self._lock, _translated(self._path):
            connection = self._connect()
            connection.execute(statement)
            try:
                yield _SqliteSession(connection)
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _migrating(self) -> Iterator[Session]:
        """Make the file, and open a transaction that all migrations are part of."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.touch(0o600)  # who may read it, reads what is kept of people
        with self._begin("BEGIN IMMEDIATE") as session:
            yield session

    def free_bytes(self) -> int:
        """Return how much room the disk of the file has left."""
        return shutil.disk_usage(self._path.absolute().parent).free

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection:
                self._connection.close()
            self._connection = None

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=rw",  # only setup makes the file
                uri=True,
                timeout=self._busy_timeout_seconds,
                isolation_level=None,
                check_same_thread=False,
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            # A committed reply must outlive a power cut: it was paid for.
            connection.execute("PRAGMA synchronous = FULL")
            add_clock(connection)
            self._connection = connection
        return self._connection


class _SqliteSession(Session):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def run(self, query: str, /, **values: Any) -> int:
        return self._execute(query, values).rowcount

    def read(self, query: str, /, **values: Any) -> list[Row]:
        return [decode(dict(row)) for row in self._execute(query, values)]

    def execute(self, statement: str) -> sqlite3.Cursor:
        return self._connection.execute(statement)

    def _execute(self, query: str, values: dict[str, Any]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(SqliteWarehouse.sql.queries[query], bind(values))
        except (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.OperationalError) as error:
            if isinstance(error, sqlite3.OperationalError) and "JSON" not in str(error):
                raise
            raise refusal("SQLite", error.sqlite_errorname, str(error), values) from None


def _help(error: sqlite3.OperationalError) -> str:
    """Return what to do about an error that comes from outside; empty if there is nothing to say."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # without its details
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return ": another process is writing; end it, or raise ENRICHMENT_SQLITE_BUSY_TIMEOUT_SECONDS"
    return ": make room on its disk" if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR} else ""


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "no such table" in str(error) or "no such column" in str(error):
            raise ConfigurationError(f"the warehouse {path} is not set up: run `enrich setup`") from error
        if "unable to open" in str(error):
            raise ConfigurationError(
                f"the warehouse file {path} doesn't exist or can't be opened: run `enrich setup`, "
                "or check ENRICHMENT_SQLITE_PATH and the file's permissions"
            ) from error
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
            raise ContractError(f"the warehouse {path} rejected a statement: {error}") from error
        raise TransientError(f"the warehouse {path} can't be used now: {error}{_help(error)}") from error
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise ConfigurationError(f"{path} is not a SQLite file: check ENRICHMENT_SQLITE_PATH") from error
        raise
