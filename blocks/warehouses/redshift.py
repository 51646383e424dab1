"""Amazon Redshift through redshift_connector."""

import base64
import json
import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import Field, HttpUrl, SecretStr

from blocks.base import not_installed
from blocks.calls.tls import check_unencrypted
from blocks.secrets import reveal
from blocks.warehouses._rows import Row, bind, decode, refusal
from blocks.warehouses._session import PARAMETER, ConflictError, Session, read_sql, script_of
from blocks.warehouses.base import Warehouse, WarehouseBlock
from enrichment.errors import ConfigurationError, ContractError, TransientError
from enrichment.text import storable

try:
    import redshift_connector
    from redshift_connector.error import Error
except ImportError as error:
    raise not_installed("Redshift", "redshift-connector", "redshift") from error

#: List parameters, and the temporary table that each becomes.
_BATCHES = {"rows": "batch_rows", "ids": "batch_ids", "keys": "batch_ids"}
#: Columns of a batch that hold JSON, whatever the value's type.
_JSON = frozenset({"reply", "tech_stack", "intent_keywords", "attributes"})
#: Columns for people to read, whose texts are cut where they are too long; what identifies something never is.
_CUT = frozenset({"company_name", "industry", "lookup_identifier", "reason", "before", "after", "detail"})
_MOST_BINDS = 32_767  # of one statement
_LONGEST_TEXT = 65_535  # bytes of a VARCHAR; longer JSON, such as a reply that was paid for, is stored packed
_PACKED = "zlib_base64"

_NOT_SET_UP = frozenset({"42P01", "42703", "3F000"})
_REFUSED = frozenset({"28000", "28P01", "3D000", "42501"})
#: Classes of SQLSTATEs: of a value that doesn't fit, of one that a constraint forbids, and of what is too long.
_BAD_VALUE = frozenset({"22", "23", "54"})
#: Another transaction was in the way, or the server ended ours: the same again may do.
_MAY_HEAL = frozenset({"40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "53300"})


class Redshift(WarehouseBlock):
    """
    An Amazon Redshift database, a cluster's or a workgroup's, as the warehouse.

    Example:
        Keep everything in the schema `enrichment_pipeline` of one database::

            Redshift(host="crm.abc123.eu-central-1.redshift.amazonaws.com", user="enrichment").save("default")
    """

    _block_type_name = "Redshift Warehouse"
    _description = (
        "Keeps the queue, the saved replies and the results of contact enrichment in an Amazon Redshift schema."
    )
    _documentation_url = HttpUrl("https://docs.aws.amazon.com/redshift/latest/mgmt/python-configuration-options.html")
    vendor: ClassVar[str] = "redshift"
    asked: ClassVar[tuple[str, ...]] = ("host", "database", "user", "password")

    host: str | None = Field(
        default=None, description="Endpoint of the cluster or workgroup, without port and database."
    )
    port: int = Field(default=5439, ge=1, le=65535, description="Port of the endpoint.")
    database: str = Field(default="dev", description="Database that holds the schema.")
    user: str | None = Field(default=None, description="Database user that owns the schema.")
    password: SecretStr | None = Field(
        default=None, description="The user's password, or the name of a secret block that holds it."
    )
    ssl: bool = Field(default=True, description="Whether to connect over TLS; off only for a server on this machine.")
    pipeline_schema: str = Field(
        default="enrichment_pipeline",
        pattern=r"^[a-z_][a-z0-9_]*$",
        description="Schema of all tables; `enrich setup` creates it if it is absent.",
    )
    timeout_seconds: int = Field(
        default=120, ge=1, description="How long to wait for a connection, and for a statement including its locks."
    )

    def get_warehouse(self) -> Warehouse:
        """Return the adapter."""
        for value, name in ((self.host, "HOST"), (self.user, "USER")):
            if not value:
                raise ConfigurationError(
                    f"ENRICHMENT_REDSHIFT_{name} is not set: set it in the environment, in .env or in its Prefect block"
                )
        if not self.ssl:
            check_unencrypted(self.host, "ENRICHMENT_REDSHIFT_SSL=false")
        settings = {
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "password": reveal(self.password, "ENRICHMENT_REDSHIFT_PASSWORD"),
            "ssl": self.ssl,
            "sslmode": "verify-full",  # unless it is given, the driver only warns of another host's certificate
        }
        return RedshiftWarehouse(settings, self.pipeline_schema, self.timeout_seconds)


class RedshiftWarehouse(Warehouse):
    """One connection, shared by the threads of one task; writers take one lock before they do anything else."""

    name = "redshift"
    sql = read_sql("redshift")

    def __init__(self, settings: dict[str, Any], schema: str, timeout_seconds: int) -> None:
        self._settings = settings
        self._schema = schema
        self._timeout_seconds = timeout_seconds
        self._connection: _Connection | None = None
        self._lock = threading.RLock()

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        """Open a transaction that waits for the other writers first: the snapshot is taken after that."""
        with self._begin("LOCK schema_migrations") as session:
            yield session

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """Open a transaction that reads one snapshot, and waits for no lock."""
        with self._begin() as session:
            yield session

    @contextmanager
    def _migrating(self) -> Iterator[Session]:
        """Make the schema and the table that writers lock, and open a transaction that all migrations are part of."""
        with self._lock, self._translated():
            connection = self._connect()
            # `IF NOT EXISTS` asks for the right to create schemas even where this one exists.
            named = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
            if not connection.execute(named, [self._schema]).fetchone():
                connection.execute(f'CREATE SCHEMA "{self._schema}"')
            connection.execute(self.sql.queries["create_migrations"])
        with self._transaction() as session:
            yield session

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection:
                connection.close()

    @contextmanager
    def _begin(self, *first: str) -> Iterator["_RedshiftSession"]:
        with self._lock, self._translated():
            connection = self._connect()
            connection.forget_batches()
            connection.execute("BEGIN")
            try:
                for statement in first:
                    connection.execute(statement)
                yield _RedshiftSession(connection)
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise

    def _roll_back(self, connection: "_Connection") -> None:
        try:
            connection.execute("ROLLBACK")
        except Error:
            self.close()  # the next transaction connects again

    def _connect(self) -> "_Connection":
        if self._connection is None:
            self._connection = _Connection(
                self._settings, self.sql.session, schema=self._schema, timeout_seconds=self._timeout_seconds
            )
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Error as error:
            raise self._translate(error) from None  # the driver's text may repeat a row

    def _translate(self, error: Error) -> Exception:
        code, words = _facts(error)
        if code in _NOT_SET_UP:
            return ConfigurationError(f"the schema {self._schema} is not set up: run `enrich setup`")
        if code in _REFUSED:
            return ConfigurationError(
                f"Redshift refuses access ({words}): check ENRICHMENT_REDSHIFT_USER, its password and its grants "
                f"on the schema {self._schema}"
            )
        if code in _MAY_HEAL or "1023" in words:
            return ConflictError(
                f"Redshift aborted the transaction in favour of another one, or timed out (SQLSTATE {code})"
            )
        if code:
            return ContractError(f"Redshift rejected a statement (SQLSTATE {code})")
        self.close()
        return TransientError(
            f"Redshift can't be reached, or dropped the connection ({type(error).__name__}): check "
            "ENRICHMENT_REDSHIFT_HOST, "
            "ENRICHMENT_REDSHIFT_PORT, the security group and the server"
        )


class _Connection:
    """A connection with its temporary tables, in which lists wait for the statement that reads them."""

    def __init__(
        self, settings: dict[str, Any], statements: dict[str, str], *, schema: str, timeout_seconds: int
    ) -> None:
        self._statements = statements
        self._batches: dict[str, list[Any]] = {}
        self._used: set[str] = set()
        self._driver = redshift_connector.connect(
            **settings,
            timeout=timeout_seconds + 10,  # of the socket; the server gives up first
            application_name="contact-enrichment",
            max_prepared_statements=0,
        )
        self._driver.autocommit = True  # transactions are opened by name
        values = {"search_path": schema, "TimeZone": "UTC", "statement_timeout": str(timeout_seconds * 1000)}
        for name, value in values.items():
            self.execute("SELECT set_config(%s, %s, false)", [name, value])
        for name in ("rows", "ids"):
            self.execute(self._statements[f"make {name}"])

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Run one statement and return its cursor."""
        cursor = self._driver.cursor()
        cursor.execute(statement, tuple(values))
        return cursor

    def close(self) -> None:
        """Close the connection, whatever is left of it."""
        with suppress(Error, OSError):
            self._driver.close()

    def forget_batches(self) -> None:
        """Empty the temporary tables, outside of any transaction: TRUNCATE would commit it."""
        for name in self._used:
            self.execute(self._statements[f"empty {name}"])
        self._used.clear()
        self._batches.clear()

    def fill(self, table: str, rows: list[Any]) -> None:
        """Put a list into its temporary table, unless it is there from the statement before."""
        name = table.removeprefix("batch_")
        if self._batches.get(name) == rows:
            return
        if name in self._batches:
            self.execute(self._statements[f"clear {name}"])
        self._used.add(name)
        head, group = self._statements[f"fill {name}"].split("\n", 1)
        columns = PARAMETER.findall(group)
        group, step = PARAMETER.sub("%s", group), _MOST_BINDS // len(columns)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            values = [_text(column, row) for row in part for column in columns]
            self.execute(f"{head}\n{', '.join([group] * len(part))}", values)
        self._batches[name] = rows


class _RedshiftSession(Session):
    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def run(self, query: str, /, **values: Any) -> int:
        return sum(cursor.rowcount for cursor in self._execute(query, values))

    def read(self, query: str, /, **values: Any) -> list[Row]:
        return [
            _decode(row, cursor.description) for cursor in self._execute(query, values) for row in cursor.fetchall()
        ]

    def execute(self, statement: str) -> Any:
        return self._connection.execute(statement)

    def _execute(self, query: str, values: dict[str, Any]) -> list[Any]:
        try:
            return self._execute_parts(query, values)
        except Error as error:
            code, words = _facts(error)
            if code[:2] not in _BAD_VALUE:
                raise
            raise refusal("Redshift", code, words, values) from None

    def _execute_parts(self, query: str, values: dict[str, Any]) -> list[Any]:
        for name, table in _BATCHES.items():
            if name in values:
                if not values[name]:
                    return []  # no key to look for
                self._connection.fill(table, [storable(one) for one in values[name]])
        bound = bind({name: value for name, value in values.items() if name not in _BATCHES})
        return [
            self._connection.execute(statement, [bound[name] for name in names])
            for statement, names in _STATEMENTS[query]
        ]


def _facts(error: Error) -> tuple[str, str]:
    """Return the SQLSTATE and the words of an error; empty if the server didn't send it."""
    facts = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    return str(facts.get("C", "")), str(facts.get("M", ""))


def _compile(query: str) -> list[tuple[str, list[str]]]:
    """Return a query's statements with numbered places for values, and the names of the values."""
    compiled = []
    for statement in script_of(query):
        names = [name for name in PARAMETER.findall(statement) if name not in _BATCHES]
        compiled.append((PARAMETER.sub(lambda found: _BATCHES.get(found[1], "%s"), statement), names))
    return compiled


#: The length of each column of a batch, in bytes.
_LENGTHS = {
    name: int(length)
    for name, length in re.findall(r"(\w+) VARCHAR\((\d+)\)", RedshiftWarehouse.sql.session["make rows"])
}

_STATEMENTS = {name: _compile(text) for name, text in RedshiftWarehouse.sql.queries.items()}


def _decode(row: Sequence[Any], description: Sequence[Sequence[Any]]) -> Row:
    """Return a row by column name; timestamps without a zone are UTC here."""
    named = {column[0]: value for column, value in zip(description, row, strict=True)}
    for name, value in named.items():
        if isinstance(value, datetime) and value.tzinfo is None:
            named[name] = value.replace(tzinfo=UTC)
    return {name: _unpack(value) for name, value in decode(named).items()}


def _text(column: str, row: Any) -> str | None:
    """Return one value of a row as the text that its temporary table holds; a bare value is a row of one."""
    value = row.get(column) if isinstance(row, dict) else row
    if value is None or (isinstance(value, str) and column not in _JSON):
        return value if column not in _CUT else _fitting(value, _LENGTHS[column])
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) <= _LONGEST_TEXT:
        return text
    return json.dumps({_PACKED: base64.b64encode(zlib.compress(text.encode())).decode()})


def _fitting(text: str | None, most_bytes: int) -> str | None:
    """Return as much of a text as a column holds, which counts bytes and not characters."""
    return text and text.encode()[:most_bytes].decode(errors="ignore")


def _unpack(value: Any) -> Any:
    """Return a JSON value as it was given."""
    if isinstance(value, dict) and value.keys() == {_PACKED}:
        return json.loads(zlib.decompress(base64.b64decode(value[_PACKED])))
    return value
