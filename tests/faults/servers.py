"""A run whose Prefect server hangs for a while, or dies and is started again."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from blocks.warehouses.sqlite import SqliteWarehouse
from sandbox.place import Place, process, python, started
from tests.faults.floods import until
from tests.warehouses import broken_promises, look

CONTACTS = 300
_GONE_SECONDS = 20


def server_trouble(folder: Path, *, dies: bool) -> tuple[list[str], float]:
    """
    Let Prefect's server stop while a run is at work.

    Args:
        folder: for the files of all.
        dies: whether it is killed and started again; else it only hangs for a while.

    Returns:
        what went wrong, in words; and the seconds from when there is a server again until the queue is empty.
    """
    with started(CONTACTS, folder) as there:
        settings = {"ENRICHMENT_SQLITE_PATH": str(folder / "warehouse.db"), "ENRICHMENT_CHUNK_SIZE": "50"}
        place = replace(there, environment=there.environment | settings)
        for command in (("setup",), ("stage", "--all")):
            place.finish(place.enrich(*command), command[0])
        with closing(SqliteWarehouse(folder / "warehouse.db", 60)) as warehouse:
            run = place.enrich("run")
            until(lambda: look(warehouse, "SELECT count(*) FROM provider_replies")[0][0] >= 50, "replies")
            server = _server_of(place)
            os.kill(server, signal.SIGKILL if dies else signal.SIGSTOP)
            time.sleep(_GONE_SECONDS)
            if not dies:
                os.kill(server, signal.SIGCONT)
            with _started_again(place) if dies else nullcontext():
                began = time.monotonic()
                run.communicate()
                _finish(place, warehouse)
            seconds = time.monotonic() - began
            wrongs = [f"{name}: {examples}" for name, examples in broken_promises(warehouse).items()]
            [(ended,)] = look(warehouse, "SELECT count(*) FROM record_ledger")
            [(kept,)] = look(warehouse, "SELECT count(*) FROM provider_replies")
            paid = place.ledger()["zoominfo"]["lookups"]
            if (ended, paid) != (CONTACTS, kept):
                wrongs.append(f"{ended} of {CONTACTS} ended, {paid} were paid for, and {kept} replies are kept")
        return wrongs, seconds


def _finish(place: Place, warehouse: SqliteWarehouse) -> None:
    """Run until nothing waits, twice at most."""
    for _ in range(2):
        with warehouse._transaction() as session:
            session.execute("UPDATE enrichment_staging SET not_before = NULL")
        if look(warehouse, "SELECT count(*) FROM enrichment_staging") != [(0,)]:
            place.enrich("run").communicate()


@contextmanager
def _started_again(place: Place) -> Iterator[None]:
    """Run the server at its old address, with its old database."""
    command = python("prefect", "server", "start", "--port", str(_port(place)), "--no-ui")
    with process(command, place.folder, "server-again", place.environment):
        until(lambda: _answers(place), "the server is up again")
        yield


def _answers(place: Place) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{place.environment['PREFECT_API_URL']}/health", timeout=2).is_success
    return False


def _port(place: Place) -> int:
    return urlsplit(place.environment["PREFECT_API_URL"]).port or 0


def _server_of(place: Place) -> int:
    """Return the process that listens at the address of Prefect's server."""
    port = _port(place)
    return next(
        int(one.pid)
        for one in psutil.net_connections("tcp")
        if one.pid and one.status == psutil.CONN_LISTEN and one.laddr.port == port
    )
