"""PostgreSQL through psycopg 3."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from pydantic import Field, HttpUrl, SecretStr

from blocks.base import not_installed
from blocks.calls.tls import LOOPBACK_HOSTS
from blocks.secrets import reveal
from blocks.warehouses._rows import Row, bind, decode, refusal
from blocks.warehouses._session import PARAMETER, ConflictError, Session, read_sql
from blocks.warehouses.base import Warehouse, WarehouseBlock
from enrichment.errors import ConfigurationError, TransientError
from enrichment.text import storable

try:
    import psycopg
    from psycopg import errors, sql
    from psycopg.rows import dict_row
except ImportError as error:
    raise not_installed("PostgreSQL", "psycopg", "postgres") from error


#: The class of SQLSTATEs of what is too long or nested too deep.
_LIMIT_EXCEEDED = "54"
#: The lists of keys.
_ARRAYS = ("ids", "keys")


class Postgres(WarehouseBlock):
    """
    A PostgreSQL database as the warehouse.

    Example:
        Keep everything in the schema `enrichment_pipeline` of one database::

            Postgres(dsn="postgresql://enrichment@db/crm").save("default")
    """

    _block_type_name = "PostgreSQL Warehouse"
    _description = "Keeps the queue, the saved replies and the results of contact enrichment in a PostgreSQL schema."
    _documentation_url = HttpUrl("https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING")
    vendor: ClassVar[str] = "postgres"
    asked: ClassVar[tuple[str, ...]] = ("dsn",)

    dsn: SecretStr | None = Field(
        default=None, description="Connection string or URL, or the name of a secret block that holds it."
    )
    pipeline_schema: str = Field(
        default="enrichment_pipeline",
        pattern=r"^[a-z_][a-z0-9_]*$",
        description="Schema of all tables; `enrich setup` creates it if it is absent.",
    )
    connect_timeout_seconds: int = Field(default=10, ge=1, description="How long to wait for a connection.")

    def get_warehouse(self) -> Warehouse:
        """Return the adapter."""
        dsn = reveal(self.dsn, "ENRICHMENT_POSTGRES_DSN")
        return PostgresWarehouse(dsn, self.pipeline_schema, self.connect_timeout_seconds)


class PostgresWarehouse(Warehouse):
    """One connection, shared by the threads of one task."""

    name = "postgres"
    sql = read_sql("postgres")
    _statements: ClassVar[dict[str, str]] = {
        name: PARAMETER.sub(r"%(\1)s", text.replace("%", "%%")) for name, text in sql.queries.items()
    }

    def __init__(self, dsn: str, schema: str, connect_timeout_seconds: int) -> None:
        self._dsn = dsn
        self._schema = schema
        self._scope = sql.SQL("SET LOCAL search_path = {}; SET LOCAL TimeZone = 'UTC'").format(sql.Identifier(schema))
        self._connect_timeout_seconds = connect_timeout_seconds
        self._connection: psycopg.Connection[Row] | None = None
        self._lock = threading.RLock()

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        """
        Open a transaction at read committed; rows are locked as statements touch them.

        Schema and zone are set for it alone: behind a pooler, the next one may run on another server connection.
        """
        with self._lock, self._translated():
            connection = self._connect()
            with connection.transaction():
                connection.execute(self._scope)
                yield _PostgresSession(connection, self._statements)

    @contextmanager
    def _migrating(self) -> Iterator[Session]:
        """Make the schema, and open a transaction that all migrations are part of."""
        with self._transaction() as session:
            connection = self._connect()
            # Two setups at once would both find the schema absent.
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (self._schema,))
            # `IF NOT EXISTS` asks for the right to create schemas even where this one exists.
            named = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
            if not connection.execute(named, (self._schema,)).fetchone():
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self._schema)))
            yield session

    def check(self) -> str:
        """Say what answers, how many records wait, and whether another machine could pass itself off as the server."""
        said = super().check()
        with self._lock, self._translated():
            info = self._connect().info
        return said + unverified(info.host, info.get_parameters().get("sslmode", "prefer"))

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection:
                self._connection.close()
            self._connection = None

    def _connect(self) -> "psycopg.Connection[Row]":
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._dsn,
                autocommit=True,  # transactions are opened by name
                prepare_threshold=None,  # a pooler may run the statement where it was never prepared
                connect_timeout=self._connect_timeout_seconds,
                application_name="contact-enrichment",
                row_factory=dict_row,
            )
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName) as error:
            raise ConfigurationError(f"the schema {self._schema} is not set up: run `enrich setup`") from error
        except errors.ReadOnlySqlTransaction as error:
            raise TransientError(
                f"PostgreSQL takes no changes now ({error.diag.message_primary}): it may be a standby"
            ) from error
        except errors.InsufficientPrivilege as error:
            raise ConfigurationError(
                f"PostgreSQL refuses access ({error.diag.message_primary}): grant the user the schema {self._schema}"
            ) from error
        except (errors.DeadlockDetected, errors.SerializationFailure) as error:
            raise ConflictError("PostgreSQL aborted the transaction in favour of another one") from error
        except psycopg.ProgrammingError as error:
            if self._connection is not None:
                raise
            raise ConfigurationError("ENRICHMENT_POSTGRES_DSN is not a valid PostgreSQL connection string") from error
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

    def execute(self, statement: str) -> "psycopg.Cursor[Row]":
        return self._connection.execute(statement.encode())

    def _execute(self, query: str, values: dict[str, Any]) -> "psycopg.Cursor[Row]":
        try:
            return self._connection.execute(self._statements[query].encode(), _bind(values))
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.OperationalError) as error:
            if isinstance(error, psycopg.OperationalError) and (error.sqlstate or "")[:2] != _LIMIT_EXCEEDED:
                raise
            raise refusal("PostgreSQL", error.sqlstate or type(error).__name__, str(error), values) from None


def unverified(host: str, sslmode: str) -> str:
    """Say what to do if another machine could pass itself off as the server; empty if none can."""
    if sslmode == "verify-full" or host in LOOPBACK_HOSTS or host.startswith("/"):
        return ""
    return f"; the server isn't verified (sslmode={sslmode}): add sslmode=verify-full to ENRICHMENT_POSTGRES_DSN"


def _bind(values: dict[str, Any]) -> dict[str, Any]:
    # Keys in an array are looked up in an index. Unpacked from JSON they would be a table of unknown size, compared
    # with all rows of another one as long as the engine has no statistics of that.
    arrays = {name: storable(values[name]) for name in _ARRAYS if name in values}
    return bind({name: value for name, value in values.items() if name not in arrays}) | arrays


def _unreachable(error: "psycopg.OperationalError") -> str:
    # libpq repeats host and user, never the password.
    words = " ".join(str(error).split())
    return (
        f"PostgreSQL can't be reached, or dropped the connection: {words}; check ENRICHMENT_POSTGRES_DSN and the server"
    )
