"""Snowflake through prefect-snowflake's credentials and plain cursors of its connector."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, Literal

from pydantic import Field, HttpUrl, SecretStr

from blocks.base import not_installed
from blocks.calls.tls import check_unencrypted
from blocks.secrets import reveal
from blocks.warehouses._rows import Row, bind, decode, refusal, sliced
from blocks.warehouses._session import PARAMETER, ConflictError, Session, read_sql, replayed, script_of
from blocks.warehouses.base import Warehouse, WarehouseBlock
from enrichment.errors import ConfigurationError, ContractError, EnrichmentError, TransientError

try:
    from prefect_snowflake import SnowflakeConnector, SnowflakeCredentials  # type: ignore[import-untyped]
    from prefect_snowflake.credentials import InvalidPemFormat  # type: ignore[import-untyped]
    from snowflake.connector import SnowflakeConnection, errors
except ImportError as error:
    raise not_installed("Snowflake", "prefect-snowflake", "snowflake") from error

#: A statement's text should stay below 1 MB, and quoting may add to a value.
_MOST_ITEMS, _MOST_BYTES = 2_000, 600_000

#: Unknown table, column, object of any kind; no current database, no current schema.
_NOT_SET_UP = frozenset({2003, 2043, 904, 90105, 90106})
_NO_PRIVILEGE = frozenset({3001, 3003})
_NO_WAREHOUSE = frozenset({606})
#: Too many wait for the lock; the rest is recognised by its words, since the page of codes doesn't list them.
_CONFLICTS = frozenset({625})
#: Classes of SQLSTATEs: of a value that doesn't fit, such as JSON that can't be parsed, or that a constraint forbids.
_BAD_VALUE = frozenset({"22", "23"})
#: Codes of the sign-in service, for instance 390100 wrong password, 390144 wrong key, 390189 no such role.
_SIGN_IN = range(390_000, 391_000)
_WRONG_ADDRESS = frozenset({290_403, 290_404})


class Snowflake(WarehouseBlock):
    """
    A Snowflake schema as the warehouse.

    Example:
        Sign in with a key pair, which a secret block holds::

            Snowflake(
                account="myorg-myaccount",
                user="ENRICHMENT",
                private_key="block:secret/snowflake-key",
                warehouse="ENRICHMENT_WH",
                database="CRM",
            ).save("default")
    """

    _block_type_name = "Snowflake Warehouse"
    _description = "Keeps the queue, the saved replies and the results of contact enrichment in a Snowflake schema."
    _documentation_url = HttpUrl("https://docs.snowflake.com/en/developer-guide/python-connector/python-connector-api")
    vendor: ClassVar[str] = "snowflake"
    asked: ClassVar[tuple[str, ...]] = ("account", "user", "private_key", "role", "warehouse", "database")
    optional: ClassVar[frozenset[str]] = frozenset({"role"})

    account: str | None = Field(default=None, description="Account identifier, `<organisation>-<account>`.")
    user: str | None = Field(default=None, description="User to sign in as; use a service user made for this purpose.")
    private_key: SecretStr | None = Field(
        default=None,
        description="Private key (PEM) of the user's key pair: its text, `file:<path>`, or the name of a secret block.",
    )
    private_key_passphrase: SecretStr | None = Field(
        default=None, description="Passphrase of the private key, or the name of a secret block that holds it."
    )
    password: SecretStr | None = Field(
        default=None,
        description="Password, or the name of a secret block that holds it; ignored if a private key is set.",
    )
    role: str | None = Field(default=None, description="Role to use; empty for the user's default role.")
    warehouse: str | None = Field(default=None, description="Virtual warehouse that runs the statements.")
    database: str | None = Field(default=None, description="Database that holds the schema.")
    pipeline_schema: str = Field(
        default="ENRICHMENT_PIPELINE",
        pattern=r"^[A-Za-z_][A-Za-z0-9_$]*$",
        description="Schema of all tables; `enrich setup` creates it if it is absent.",
    )
    host: str | None = Field(default=None, description="Host to connect to, if it isn't the account's own.")
    port: int | None = Field(default=None, ge=1, le=65535, description="Port to connect to instead of 443.")
    protocol: Literal["https", "http"] = Field(
        default="https", description="Protocol to use; `http` is only for a stand-in on this machine."
    )
    network_timeout_seconds: int = Field(
        default=60, ge=1, description="How long a request is retried while Snowflake can't be reached."
    )
    lock_timeout_seconds: int = Field(
        default=60, ge=1, description="How long a statement waits for a lock before it is retried."
    )

    def get_warehouse(self) -> Warehouse:
        """Return the adapter."""
        names = ("account", "user", "warehouse", "database")
        missing = [f"ENRICHMENT_SNOWFLAKE_{name.upper()}" for name in names if not getattr(self, name)]
        if missing:
            raise ConfigurationError(
                f"{', '.join(missing)} is not set: set it in the environment, in .env or in its Prefect block"
            )
        if self.protocol == "http":
            check_unencrypted(self.host, "ENRICHMENT_SNOWFLAKE_PROTOCOL=http")
        credentials = self._credentials()
        options = {
            "protocol": self.protocol,
            "autocommit": True,  # transactions are opened by name
            "paramstyle": "pyformat",
            "login_timeout": self.network_timeout_seconds,
            "network_timeout": self.network_timeout_seconds,
            "session_parameters": {
                "LOCK_TIMEOUT": self.lock_timeout_seconds,
                "QUERY_TAG": "contact-enrichment",
                "TIMEZONE": "UTC",
            },
            **{name: value for name in ("host", "port") if (value := getattr(self, name))},
        }

        def connect() -> SnowflakeConnection:
            # A separate connector for each: one connector always returns its open connection.
            connector = SnowflakeConnector(
                credentials=credentials,
                database=self.database,
                warehouse=self.warehouse,
                schema=self.pipeline_schema,
            )
            connection: SnowflakeConnection = connector.get_connection(**options)
            return connection

        return SnowflakeWarehouse(connect, self.database or "", self.pipeline_schema)

    def _credentials(self) -> SnowflakeCredentials:
        account: dict[str, Any] = {"account": self.account, "user": self.user}
        if self.role:
            account["role"] = self.role
        if not self.private_key:
            password = reveal(self.password, "ENRICHMENT_SNOWFLAKE_PRIVATE_KEY (or ENRICHMENT_SNOWFLAKE_PASSWORD)")
            return SnowflakeCredentials(**account, password=password)
        # A variable can't hold line ends everywhere; then they are written as \n.
        key = reveal(self.private_key, "ENRICHMENT_SNOWFLAKE_PRIVATE_KEY").replace("\\n", "\n")
        if self.private_key_passphrase:
            passphrase = reveal(self.private_key_passphrase, "ENRICHMENT_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE")
            account["private_key_passphrase"] = passphrase
        credentials = SnowflakeCredentials(**account, private_key=key.encode(), authenticator="snowflake_jwt")
        try:
            credentials.resolve_private_key()
        except (InvalidPemFormat, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"ENRICHMENT_SNOWFLAKE_PRIVATE_KEY can't be read ({type(error).__name__}): give the path of a PKCS#8 "
                "key in PEM form as `file:<path>`, or its whole text; if it is encrypted, also its passphrase in "
                "ENRICHMENT_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"
            ) from None
        return credentials


class SnowflakeWarehouse(Warehouse):
    """One session, shared by the threads of one task; a claim has a separate session."""

    name = "snowflake"
    sql = read_sql("snowflake")

    def __init__(self, connect: Callable[[], SnowflakeConnection], database: str, schema: str) -> None:
        self._connect = connect
        self._schema = schema
        self._place = f"{database}.{schema}"
        self._connection: SnowflakeConnection | None = None
        self._lock = threading.RLock()

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        """Open a transaction; tables are locked as statements change them."""
        with self._session() as session:
            session.execute("BEGIN TRANSACTION")
            try:
                yield session
                session.execute("COMMIT")
            except BaseException as error:
                # What is left open keeps its locks; but a server that can't be reached can't roll back.
                if isinstance(error, ConflictError) or not isinstance(error, TransientError):
                    with suppress(EnrichmentError):
                        session.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """Give a session without a transaction: what only reads waits for no lock."""
        with self._session() as session:
            yield session

    @contextmanager
    def _claiming(self) -> Iterator[Session]:
        """
        Give a new session, in which each statement commits at once.

        Only a session that was opened after another one's commit is sure to see it: a claim on an old session could
        overlook that records were taken just now.
        """
        connection = self._open()
        try:
            yield _ClaimSession(connection, self._place)
        except ConflictError as error:  # not to be repeated as a whole: records may have been taken
            raise TransientError(str(error)) from None
        finally:
            connection.close()

    @contextmanager
    def _migrating(self) -> Iterator[Session]:
        """Make the schema, and give a session: DDL commits by itself, so that every statement is safe to repeat."""
        with self._session() as session:
            if not session.own("read_schema")[0]["name"]:
                session.execute(self.sql.session["create_schema"].replace(":schema", self._schema))
            yield session

    def change_mark(self) -> str:
        """Return when queue and pauses were changed last, which the service knows without a virtual warehouse."""
        with self._session() as session:
            (row,) = session.own("read_mark")
        return f"{row['queue']} {row['pauses']}"

    def close(self) -> None:
        """Close the session."""
        with self._lock:
            if self._connection:
                self._connection.close()
            self._connection = None

    @contextmanager
    def _session(self) -> Iterator["_SnowflakeSession"]:
        with self._lock:
            if self._connection is None or self._connection.is_closed():
                self._connection = self._open()
            try:
                yield _SnowflakeSession(self._connection, self._place)
            except TransientError:  # of unknown state: the next verb gets a new one
                self.close()
                raise

    def _open(self) -> SnowflakeConnection:
        try:
            return self._connect()
        except errors.Error as error:
            raise _explain_sign_in(error) from None


class _SnowflakeSession(Session):
    _statements: ClassVar[dict[str, list[str]]] = {
        name: script_of(PARAMETER.sub(r"%(\1)s", text))
        for name, text in {**SnowflakeWarehouse.sql.queries, **SnowflakeWarehouse.sql.session}.items()
    }

    def __init__(self, connection: SnowflakeConnection, place: str) -> None:
        self._connection = connection
        self._place = place

    def run(self, query: str, /, **values: Any) -> int:
        parts = sliced(values, most_items=_MOST_ITEMS, most_bytes=_MOST_BYTES)
        return sum(self._named(query, part)[0] for part in parts)

    def read(self, query: str, /, **values: Any) -> list[Row]:
        parts = sliced(values, most_items=_MOST_ITEMS, most_bytes=_MOST_BYTES)
        return [row for part in parts for row in self._named(query, part)[1]]

    def own(self, name: str, **values: Any) -> list[Row]:
        """Run one of the engine's own statements and return its rows."""
        return self._named(name, values)[1]

    def _named(self, name: str, values: dict[str, Any]) -> tuple[int, list[Row]]:
        return [self.execute(statement, values) for statement in self._statements[name]][-1]

    def execute(self, statement: str, values: dict[str, Any] | None = None) -> tuple[int, list[Row]]:
        """Run a statement and return how many rows it changed, and its rows."""
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement, bind(values) if values is not None else None)
                names = [column.name.lower() for column in cursor.description]
                rows = [decode(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
                return cursor.rowcount or 0, rows
        except errors.Error as error:
            raise explain_statement(error, self._place, values or {}) from None


class _ClaimSession(_SnowflakeSession):
    """Repeats single statements after a conflict, since each is a transaction."""

    execute = replayed(_SnowflakeSession.execute)


def _explain_sign_in(error: errors.Error) -> EnrichmentError:
    """Say why no session was opened."""
    if error.errno in _SIGN_IN or error.errno in _WRONG_ADDRESS or isinstance(error, errors.ForbiddenError):
        return ConfigurationError(
            f"Snowflake refuses the sign-in (error {error.errno}: {_last_sentence(error)}): check "
            "ENRICHMENT_SNOWFLAKE_ACCOUNT, ENRICHMENT_SNOWFLAKE_USER, ENRICHMENT_SNOWFLAKE_ROLE and the key or password"
        )
    return TransientError(
        f"Snowflake can't be reached (error {error.errno}): check ENRICHMENT_SNOWFLAKE_ACCOUNT and the network"
    )


def explain_statement(error: errors.Error, place: str, values: Mapping[str, Any]) -> EnrichmentError:
    """
    Say why a statement failed.

    The connector's texts repeat statements and values, so that only codes are taken over.

    Args:
        error: the connector's error.
        place: database and schema, for the message.
        values: of the statement.
    """
    facts = f"error {error.errno}, SQLSTATE {error.sqlstate}, query {error.sfqid}"
    if _is_conflict(error):
        return ConflictError(
            f"Snowflake aborted the transaction in favour of another one, or answered HTTP 500 ({facts})"
        )
    if not isinstance(error, errors.ProgrammingError) or error.errno in _SIGN_IN:
        return TransientError(f"Snowflake can't be reached, or ended the session ({facts})")
    if error.errno in _NOT_SET_UP:
        return ConfigurationError(
            f"the schema {place} is not set up, or the role can't see it ({facts}): run `enrich setup`, "
            "or grant the role what docs/permissions.md lists"
        )
    if error.errno in _NO_PRIVILEGE or error.sqlstate == "42501":
        return ConfigurationError(
            f"the role lacks a privilege on {place} ({facts}): for `enrich setup` set ENRICHMENT_SNOWFLAKE_ROLE to the "
            "role that owns the tables, and grant each role what docs/permissions.md lists"
        )
    if error.errno in _NO_WAREHOUSE:
        return ConfigurationError(
            f"the session has no virtual warehouse ({facts}): check ENRICHMENT_SNOWFLAKE_WAREHOUSE, "
            "and grant the role USAGE on it"
        )
    if (error.sqlstate or "")[:2] in _BAD_VALUE:
        return refusal("Snowflake", facts, error.msg or "", values)
    return ContractError(f"Snowflake rejected a statement ({facts}): its query history has the text")


def _is_conflict(error: errors.Error) -> bool:
    words = (error.msg or "").lower()
    locked = isinstance(error, errors.ProgrammingError) and any(
        sign in words for sign in ("has locked table", "lock timeout", "waiting for lock", "deadlock")
    )
    return locked or error.errno in _CONFLICTS or isinstance(error, errors.InternalServerError)


def _last_sentence(error: errors.Error) -> str:
    # The sentence before it names the host, which may be long.
    return " ".join((error.msg or "").split()).rpartition(". ")[2].rstrip(".")
