"""BigQuery through google-cloud-bigquery: a statement is a separate job, a verb is several that may be repeated."""

import json
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field, HttpUrl, SecretStr

from blocks.base import not_installed
from blocks.calls.tls import check_address
from blocks.secrets import reveal
from blocks.warehouses._rows import Row, bind, decode, refusal, sliced
from blocks.warehouses._session import PARAMETER, Session, read_sql, script_of
from blocks.warehouses.base import Warehouse, WarehouseBlock
from enrichment.errors import ConfigurationError, ContractError, TransientError

try:
    import requests
    from google.api_core import exceptions
    from google.auth.credentials import AnonymousCredentials
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.cloud import bigquery
    from google.cloud.bigquery.retry import DEFAULT_RETRY
    from google.oauth2 import service_account
except ImportError as error:
    raise not_installed("BigQuery", "google-cloud-bigquery", "bigquery") from error

_TYPES = {str: "STRING", bool: "BOOL", int: "INT64", float: "FLOAT64"}
#: The reason code of these says only `invalidQuery`, so the library doesn't retry them.
_CONFLICT = re.compile(
    r"could not serialize|due to concurrent update|too many dml statements|transactioncontext|conflict", re.IGNORECASE
)
#: So are these, but a value is at fault.
_BAD_VALUE = re.compile(
    r"out of range|overflow|\bbad (int64|double|bool|timestamp|date) value"
    r"|invalid (cast|json|input|string|utf|date|time)"
    r"|could not (cast|convert|parse)|syntax error while parsing|parse_json|nesting|exceeds the maximum",
    re.IGNORECASE,
)
_MAY_HEAL = frozenset({"rateLimitExceeded", "jobRateLimitExceeded", "quotaExceeded", "backendError", "internalError"})
_CONFLICT_ATTEMPTS = 8
_MOST_BYTES = 4_000_000  # of a statement's list; a request may have 10 MB
_MOST_ITEMS = 10_000


class BigQuery(WarehouseBlock):
    """
    A BigQuery dataset as the warehouse.

    Example:
        Keep everything in the dataset `ENRICHMENT_PIPELINE` of one project::

            BigQuery(project="acme-crm", location="EU").save("default")
    """

    _block_type_name = "Enrichment BigQuery Warehouse"  # prefect-gcp has a "BigQuery Warehouse"
    _description = "Keeps the queue, the saved replies and the results of contact enrichment in a BigQuery dataset."
    _documentation_url = HttpUrl("https://cloud.google.com/bigquery/docs/authentication")
    vendor: ClassVar[str] = "bigquery"
    asked: ClassVar[tuple[str, ...]] = ("project", "location", "credentials")
    optional: ClassVar[frozenset[str]] = frozenset({"location", "credentials"})

    project: str | None = Field(default=None, description="Google Cloud project that holds the dataset and is billed.")
    dataset: str = Field(
        default="ENRICHMENT_PIPELINE",
        pattern=r"^[A-Za-z0-9_]+$",
        description="Dataset of all tables; `enrich setup` creates it if it is absent. Its name is case-sensitive.",
    )
    location: str | None = Field(
        default=None, description="Location of the dataset, such as EU; empty for the project's default."
    )
    credentials: SecretStr | None = Field(
        default=None,
        description="Key of a service account as JSON, or the name of a secret block that holds it; "
        "empty for application default credentials.",
    )
    api_endpoint: str | None = Field(
        default=None, description="URL of a stand-in for BigQuery, which is called without credentials."
    )
    maximum_bytes_billed: int | None = Field(
        default=None,
        ge=1,
        description="Most bytes that one statement may be billed for; a larger one fails without being billed.",
    )
    timeout_seconds: int = Field(default=120, ge=1, description="How long to wait for a statement.")

    def get_warehouse(self) -> Warehouse:
        """Return the adapter."""
        if not self.project:
            raise ConfigurationError(
                "ENRICHMENT_BIGQUERY_PROJECT is not set: set it in the environment, in .env or in its Prefect block"
            )
        key = reveal(self.credentials, "ENRICHMENT_BIGQUERY_CREDENTIALS") if self.credentials else ""
        settings: dict[str, Any] = {"project": self.project, "location": self.location}
        if self.api_endpoint:
            check_address(self.api_endpoint, "ENRICHMENT_BIGQUERY_API_ENDPOINT")
            settings |= {
                "credentials": AnonymousCredentials(),  # type: ignore[no-untyped-call]
                "client_options": {"api_endpoint": self.api_endpoint},
            }
        elif key:
            settings["credentials"] = _service_account(key)
        return BigQueryWarehouse(settings, self.dataset, self.maximum_bytes_billed, self.timeout_seconds)


def _service_account(key: str) -> Any:
    try:
        return service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            json.loads(key)
        )
    except (ValueError, TypeError):
        raise ConfigurationError("ENRICHMENT_BIGQUERY_CREDENTIALS is not a valid service-account key (JSON)") from None


class BigQueryWarehouse(Warehouse):
    """One client, shared by the threads of one task."""

    name = "bigquery"
    sql = read_sql("bigquery")
    atomic = False

    def __init__(
        self, settings: dict[str, Any], dataset: str, maximum_bytes_billed: int | None, timeout_seconds: int
    ) -> None:
        self._settings = settings
        self._dataset = dataset
        self._maximum_bytes_billed = maximum_bytes_billed
        self._timeout_seconds = timeout_seconds
        self._jobs: _Jobs | None = None
        self._lock = threading.Lock()

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        """Run statements one after the other; each is whole or not at all, and may be repeated."""
        with self._translated():
            yield _BigQuerySession(self._connect())

    @contextmanager
    def _migrating(self) -> Iterator[Session]:
        """Make the dataset, and give a session: DDL takes part in no transaction, so each statement may be repeated."""
        with self._translated():
            jobs = self._connect()
            jobs.make_dataset()
            yield _BigQuerySession(jobs)

    def close(self) -> None:
        """Close the client."""
        with self._lock:
            jobs, self._jobs = self._jobs, None
            if jobs:
                jobs.close()

    def _connect(self) -> "_Jobs":
        with self._lock:
            if self._jobs is None:
                client = bigquery.Client(**self._settings)
                self._jobs = _Jobs(client, self._dataset, self._maximum_bytes_billed, self._timeout_seconds)
            return self._jobs

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (exceptions.GoogleAPIError, GoogleAuthError, requests.RequestException, TimeoutError) as error:
            raise self._translate(error) from None  # the service's text may repeat a row

    def _translate(self, error: Exception) -> Exception:
        kind, reason = type(error).__name__, _reason(error)
        if isinstance(error, exceptions.NotFound) or "Unrecognized name" in str(error):
            return ConfigurationError(
                f"the dataset {self._dataset} is not set up in this project and location: run `enrich setup`, "
                "or check ENRICHMENT_BIGQUERY_PROJECT, _DATASET and _LOCATION"
            )
        if reason in _MAY_HEAL or _is_conflict(error) or isinstance(error, TransportError):
            return TransientError(f"BigQuery is busy, or a limit is reached ({kind} {reason})")
        if reason == "bytesBilledLimitExceeded":
            return ConfigurationError("a statement would read more than ENRICHMENT_BIGQUERY_MAXIMUM_BYTES_BILLED")
        if isinstance(error, exceptions.Forbidden | exceptions.Unauthorized | GoogleAuthError):
            return ConfigurationError(
                f"BigQuery refuses access ({kind} {reason}): check ENRICHMENT_BIGQUERY_CREDENTIALS and the roles "
                "BigQuery Job User and BigQuery Data Editor, and that `enrich setup` has been run"
            )
        if isinstance(error, exceptions.ClientError):
            return ContractError(f"BigQuery rejected a statement ({kind} {reason})")
        return TransientError(f"BigQuery can't be reached, or didn't answer in time ({kind})")


@dataclass(frozen=True)
class _Result:
    """A statement's rows, and how many it changed."""

    rows: list[Row]
    changed: int


class _Jobs:
    """Runs statements as jobs in one dataset."""

    def __init__(
        self, client: bigquery.Client, dataset: str, maximum_bytes_billed: int | None, timeout_seconds: int
    ) -> None:
        self._client = client
        self._dataset = bigquery.DatasetReference(client.project, dataset)
        self._maximum_bytes_billed = maximum_bytes_billed
        self._timeout_seconds = timeout_seconds
        self._retry = DEFAULT_RETRY.with_timeout(timeout_seconds)

    def make_dataset(self) -> None:
        """Make the dataset, unless it is there."""
        limits: dict[str, Any] = {"retry": self._retry, "timeout": self._timeout_seconds}
        try:
            self._client.get_dataset(self._dataset, **limits)
        except exceptions.NotFound:
            self._client.create_dataset(self._dataset, exists_ok=True, **limits)

    def execute(self, statement: str, values: Mapping[str, Any] | None = None) -> "_Result":
        """Run one statement; one that met another is run again, since it changed nothing."""
        for attempt in range(_CONFLICT_ATTEMPTS):
            try:
                return self._run(statement, values or {})
            except exceptions.GoogleAPICallError as error:
                if attempt == _CONFLICT_ATTEMPTS - 1 or not _is_conflict(error):
                    raise
            time.sleep(random.uniform(0, min(0.1 * 2**attempt, 10)))  # noqa: S311 - jitter
        raise AssertionError

    def _run(self, statement: str, values: Mapping[str, Any]) -> "_Result":
        # The library gives the job an id, so that a request that is repeated after a lost answer runs once.
        job = self._client.query(
            statement,
            job_config=self._config(values),
            retry=self._retry,
            timeout=self._timeout_seconds,
            job_retry=None,
        )
        rows = job.result(retry=self._retry, timeout=self._timeout_seconds, job_retry=None)
        return _Result([dict(row) for row in rows], job.num_dml_affected_rows or 0)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()  # type: ignore[no-untyped-call]

    def _config(self, values: Mapping[str, Any]) -> bigquery.QueryJobConfig:
        config = bigquery.QueryJobConfig(
            default_dataset=self._dataset,
            use_query_cache=False,
            labels={"app": "contact-enrichment"},
            query_parameters=[
                bigquery.ScalarQueryParameter(name, _TYPES.get(type(value), "STRING"), value)
                for name, value in values.items()
            ],
        )
        if self._maximum_bytes_billed:
            config.maximum_bytes_billed = self._maximum_bytes_billed
        return config


class _BigQuerySession(Session):
    def __init__(self, jobs: _Jobs) -> None:
        self._connection = jobs

    def run(self, query: str, /, **values: Any) -> int:
        return sum(result.changed for result in self._execute(query, values))

    def read(self, query: str, /, **values: Any) -> list[Row]:
        return [decode(row) for result in self._execute(query, values) for row in result.rows]

    def execute(self, statement: str) -> _Result:
        return self._connection.execute(statement)

    def _execute(self, query: str, values: dict[str, Any]) -> Iterator[_Result]:
        for part in sliced(values, most_items=_MOST_ITEMS, most_bytes=_MOST_BYTES):
            bound = bind(part)
            for statement in self._statements[query]:
                names = PARAMETER.findall(statement)
                places = PARAMETER.sub(r"@p_\1", statement)  # `rows` alone is a reserved word
                try:
                    yield self._connection.execute(places, {f"p_{name}": bound[name] for name in names})
                except exceptions.BadRequest as error:
                    if not _BAD_VALUE.search(str(error)):
                        raise
                    raise refusal("BigQuery", _reason(error), str(error), part) from None

    _statements: ClassVar[dict[str, list[str]]] = {
        name: script_of(text) for name, text in BigQueryWarehouse.sql.queries.items()
    }


def _is_conflict(error: Exception) -> bool:
    return isinstance(error, exceptions.BadRequest) and bool(_CONFLICT.search(str(error)))


def _reason(error: Exception) -> str:
    errors = getattr(error, "errors", None) or [{}]
    return str(errors[0].get("reason", "")) if isinstance(errors[0], Mapping) else ""
