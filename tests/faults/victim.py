"""A process that enriches contacts, and to which something happens at one of its steps."""

import logging
import os
import resource
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from urllib3 import HTTPConnectionPool

from blocks.settings import load_settings
from blocks.warehouses.base import Warehouse, load_warehouse
from blocks.warehouses.sqlite import SqliteWarehouse
from enrichment.errors import EnrichmentError
from flows.enrich_contacts import enrich_contacts
from flows.local import run_flow
from tests.simulation.clocks import give_clock

#: How long something that passes lasts.
_LASTS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Strike:
    """
    What happens to a process, and when.

    Args:
        kind: one of `KINDS`.
        step: at which of its steps: each transaction has three (before, inside, after), each call two.
        of_calls: whether only those of calls are counted.
    """

    kind: str
    step: int
    of_calls: bool = False


def work(environment: Mapping[str, str], home: Path, strike: Strike | None) -> None:
    """Enrich what waits; a child process does nothing else."""
    os.environ.update(environment)
    logging.disable(logging.CRITICAL)
    with temporary_settings({PREFECT_HOME: home}, restore_defaults={PREFECT_API_URL}), suppress(EnrichmentError):
        if strike:
            _arm(strike)
        run_flow(enrich_contacts)


def _arm(strike: Strike) -> None:
    """Count the steps of this process, and let it happen at one of them."""
    counting, steps = threading.Lock(), iter(range(1, 10**9))

    def step(*, of_call: bool = False) -> None:
        with counting:
            due = (of_call or not strike.of_calls) and next(steps) == strike.step
        if due:
            KINDS[strike.kind]()

    if strike.kind == "clock an hour ahead":  # from the beginning
        KINDS[strike.kind]()
    with closing(load_warehouse(load_settings().warehouse)) as warehouse:
        engine: Any = type(warehouse)
    for name in ("_transaction", "_reading"):
        setattr(engine, name, _counted(getattr(engine, name), step))
    send, urlopen = httpx.AsyncHTTPTransport.handle_async_request, HTTPConnectionPool.urlopen

    async def counted_send(self: Any, request: httpx.Request) -> httpx.Response:
        step(of_call=True)
        answer = await send(self, request)
        step(of_call=True)
        return answer

    def counted_urlopen(self: Any, *args: Any, **options: Any) -> Any:
        step(of_call=True)
        answer = urlopen(self, *args, **options)
        step(of_call=True)
        return answer

    httpx.AsyncHTTPTransport.handle_async_request = counted_send  # type: ignore[method-assign]
    HTTPConnectionPool.urlopen = counted_urlopen  # type: ignore[assignment]


def _counted(opening: Callable[[Warehouse], Any], step: Callable[[], None]) -> Callable[[Warehouse], Any]:
    @contextmanager
    def opened(self: Warehouse) -> Iterator[Any]:
        step()
        with opening(self) as session:
            yield session
            step()
        step()

    return opened


def _signal(number: int) -> None:
    os.kill(os.getpid(), number)


def _for_a_while(begin: Callable[[], Any], end: Callable[[Any], None]) -> None:
    begun = begin()
    threading.Timer(_LASTS_SECONDS, end, [begun]).start()


def _lock_file() -> None:
    """Let the warehouse's file be locked, as by another program."""
    other = sqlite3.connect(os.environ["ENRICHMENT_SQLITE_PATH"], isolation_level=None, check_same_thread=False)

    def lock() -> None:
        with suppress(sqlite3.OperationalError):  # this process may be writing at this moment
            other.execute("BEGIN IMMEDIATE")

    _for_a_while(lock, lambda _: other.close())


def _fill_disk() -> None:
    """Let no file of this process become longer than the warehouse's log is."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = Path(f"{os.environ['ENRICHMENT_SQLITE_PATH']}-wal")
    size = log.stat().st_size if log.exists() else 0
    _for_a_while(
        lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1])),
        lambda _: resource.setrlimit(resource.RLIMIT_FSIZE, before),
    )


def _disconnect() -> None:
    """Let the server end every connection that is in a transaction, as when it is restarted."""
    with psycopg.connect(os.environ["ENRICHMENT_POSTGRES_DSN"], autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'"
        )


def _skew() -> None:
    """Set this process's clock an hour ahead, and that of SQLite in it."""
    real, connect = time.time, SqliteWarehouse._connect

    def ahead(later_seconds: float = 0.0) -> str:
        moment = datetime.fromtimestamp(real(), UTC) + timedelta(hours=1, seconds=float(later_seconds))
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def connected(self: SqliteWarehouse) -> sqlite3.Connection:
        fresh = self._connection is None
        connection = connect(self)
        if fresh:
            give_clock(connection, ahead)
        return connection

    time.time = lambda: real() + 3600
    SqliteWarehouse._connect = connected  # type: ignore[method-assign]


#: What may happen to a process.
KINDS: Mapping[str, Callable[[], None]] = {
    "kill -9": lambda: _signal(signal.SIGKILL),
    "SIGTERM": lambda: _signal(signal.SIGTERM),
    "Ctrl-C": lambda: _signal(signal.SIGINT),
    "file locked": _lock_file,
    "disk full": _fill_disk,
    "connection lost": _disconnect,
    "clock an hour ahead": _skew,
}
