"""PostgreSQL through psycopg 3."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, HttpUrl, SecretStr

from blocks.secrets import reveal
from blocks.warehouses._replay import ConflictError
from blocks.warehouses._rows import Row, bind, decode
from blocks.warehouses._sql import PARAMETER, read_sql
from blocks.warehouses.base import Session, Warehouse, WarehouseBlock
from enrichment.errors import ConfigurationError, TransientError

try:
    import psycopg
    from psycopg import errors, sql
    from psycopg.rows import dict_row
except ImportError as error:
    raise ConfigurationError("PostgreSQL needs psycopg: install the extra, `uv sync --extra postgres`") from error


class Postgres(WarehouseBlock):
    """
    A PostgreSQL database as the warehouse.

    Example:
        Keep everything in the schema `enrichment_pipeline` of one database::

            Postgres(dsn="postgresql://enrichment@db/crm").save("default")
    """

    _block_type_name = "PostgreSQL Warehouse"
    _description = "Keeps the queue, the journal and the results of contact enrichment in a PostgreSQL schema."
    _documentation_url = HttpUrl("https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING")
    vendor: ClassVar[str] = "postgres"

    dsn: SecretStr | None = Field(
        default=None, description="Connection string or URL, or the name of a secret block that holds it."
    )
    pipeline_schema: str = Field(
        default="enrichment_pipeline",
        pattern=r"^[a-z_][a-z0-9_]*$",
        description="Schema of all tables; made by setup if absent.",
    )
    connect_timeout_seconds: int = Field(default=10, ge=1, description="How long to wait for a connection.")

    def get_warehouse(self) -> Warehouse:
        """Return the adapter."""
        dsn = reveal(self.dsn, "ENRICHMENT_POSTGRES_DSN")
        return PostgresWarehouse(dsn, self.pipeline_schema, self.connect_timeout_seconds)


class PostgresWarehouse(Warehouse):
    """One connection, shared by the threads of one task."""

    name = "postgres"
    sql = read_sql(Path(__file__).with_suffix(".sql"))
    _statements: ClassVar[dict[str, str]] = {
        name: PARAMETER.sub(r"%(\1)s", text.replace("%", "%%")) for name, text in sql.queries.items()
    }

    def __init__(self, dsn: str, schema: str, connect_timeout_seconds: int) -> None:
        self._dsn = dsn
        self._schema = schema
        self._connect_timeout_seconds = connect_timeout_seconds
        self._connection: psycopg.Connection[Row] | None = None
        self._lock = threading.RLock()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a transaction at read committed; rows are locked as statements touch them."""
        with self._lock, self._translated():
            connection = self._connect()
            with connection.transaction():
                yield _PostgresSession(connection, self._statements)

    def migrate(self) -> list[str]:
        """Apply the missing migrations in one transaction; PostgreSQL's DDL takes part in it."""
        with self._lock, self._translated():
            connection = self._connect()
            with connection.transaction():
                # Two setups at once would both find the schema absent.
                connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (self._schema,))
                # `IF NOT EXISTS` asks for the right to create schemas even where this one exists.
                named = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
                if not connection.execute(named, (self._schema,)).fetchone():
                    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self._schema)))
                return self._apply_missing(connection)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection:
                self._connection.close()
            self._connection = None

    def _connect(self) -> "psycopg.Connection[Row]":
        if self._connection is None or self._connection.closed:
            connection = psycopg.connect(
                self._dsn,
                autocommit=True,  # transactions are opened by name
                connect_timeout=self._connect_timeout_seconds,
                application_name="contact-enrichment",
                row_factory=dict_row,
            )
            connection.execute("SELECT set_config('search_path', %s, false)", (self._schema,))
            connection.execute("SELECT set_config('TimeZone', 'UTC', false)")
            self._connection = connection
        return self._connection

    def _apply_missing(self, connection: "psycopg.Connection[Row]") -> list[str]:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version TEXT PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL)"
        )
        known = {row["version"] for row in connection.execute("SELECT version FROM schema_migrations")}
        missing = [name for name in self.sql.migrations if name not in known]
        for name in missing:
            connection.execute(self.sql.migrations[name].encode())
            connection.execute("INSERT INTO schema_migrations VALUES (%s, now())", (name,))
        return missing

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName) as error:
            raise ConfigurationError(f"the schema {self._schema} is not set up: run `enrich setup`") from error
        except errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                f"PostgreSQL refuses our user ({error.diag.message_primary}): grant it the schema {self._schema}"
            ) from error
        except (errors.DeadlockDetected, errors.SerializationFailure) as error:
            raise ConflictError("PostgreSQL made our transaction give way to another one") from error
        except psycopg.ProgrammingError as error:
            if self._connection is not None:
                raise
            raise ConfigurationError("ENRICHMENT_POSTGRES_DSN is no PostgreSQL connection string") from error
        except psycopg.OperationalError as error:
            raise TransientError(_unreachable(error)) from error


class _PostgresSession(Session):
    def __init__(self, connection: "psycopg.Connection[Row]", statements: dict[str, str]) -> None:
        self._connection = connection
        self._statements = statements

    def run(self, query: str, /, **values: Any) -> int:
        return self._execute(query, values).rowcount

    def read(self, query: str, /, **values: Any) -> list[Row]:
        return [decode(row) for row in self._execute(query, values).fetchall()]

    def _execute(self, query: str, values: dict[str, Any]) -> "psycopg.Cursor[Row]":
        return self._connection.execute(self._statements[query].encode(), bind(values))


def _unreachable(error: "psycopg.OperationalError") -> str:
    # libpq repeats host and user, never the password.
    words = " ".join(str(error).split())
    return f"PostgreSQL can't be reached or dropped us: {words}; check ENRICHMENT_POSTGRES_DSN and the server"
