"""What the runs of a history share: a warehouse, a provider and a CRM, without sockets, and without waiting."""

import asyncio
import contextlib
import functools
import os
import random
import selectors
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, MutableMapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from blocks import base
from blocks.calls import background, pacing
from blocks.crms import updates
from blocks.crms.base import open_crm
from blocks.providers.http import channel
from blocks.warehouses import sqlite
from enrichment.records import Origin
from lookup import buying
from lookup.permit import Permit
from sandbox import world
from sandbox.accounts import account_settings
from sandbox.exchange import Cut, Reply, Request
from sandbox.settings import Settings
from sandbox.world import World, adjusted
from tests.simulation.baton import Run, present, seam
from tests.simulation.wires import URL, connected

HUBSPOT = Origin("hubspot")
#: When locks ended that have expired.
PAST = "2020-01-01T00:00:00.000Z"
#: By the provider's name, what its stand-in must not limit.
_WIDE: dict[str, dict[str, Any]] = {
    "zoominfo": {"per_second": 10**6, "per_hour": 10**9, "per_day": 10**9},
    "hunter": {"per_minute": 10**9},
    "hubspot": {"per_ten_seconds": 10**6, "per_day": 10**9, "search_per_second": 10**6},
}
#: Where a process keeps what it learns; each run is a process of its own.
_KEPT_IN = ((channel, "_shared"), (pacing._pacers, "_made"), (updates, "_lost_fields"), (buying, "_unkept"))
_SETTINGS = {
    "ENRICHMENT_CRM": "hubspot",
    "ENRICHMENT_WAREHOUSE": "sqlite",
    "ENRICHMENT_PROVIDER": "zoominfo",
    "ENRICHMENT_CHUNK_SIZE": "3",
    "ENRICHMENT_CHUNKS_IN_FLIGHT": "1",
    "ENRICHMENT_ZOOMINFO_BATCH_SIZE": "2",
    "ENRICHMENT_ZOOMINFO_REQUESTS_PER_SECOND": "1000",
}


class _Warehouse(sqlite.SqliteWarehouse):
    """Stops a run before and after each of its transactions, and notes what the tables forget."""

    #: What a run did that it had no right to, in words.
    wrongs: ClassVar[list[str]] = []

    @contextmanager
    def _begin(self, statement: str) -> Iterator[sqlite._SqliteSession]:
        verb = _verb_of_caller()
        with seam("warehouse", verb), super()._begin(statement) as session:
            before = _rows(session, _CHECKED.get(verb))
            yield session
            self.wrongs.extend(_wrongs(verb, before, session))
        _note(verb)


#: What the transactions of some verbs are compared by, before and after.
_CHECKED = {
    "claim": f"SELECT record_id AS id, claimed_by AS value FROM enrichment_staging WHERE claim_expires_at > '{PAST}'",
    "plan_writes": "SELECT crm_id || field || run_id AS id, crm_id AS value FROM crm_writes WHERE written_at IS NULL",
}


def _rows(session: sqlite._SqliteSession, statement: str | None) -> dict[str, str]:
    return {row["id"]: row["value"] for row in session._connection.execute(statement)} if statement else {}


def _wrongs(verb: str, before: dict[str, str], session: sqlite._SqliteSession) -> Iterator[str]:
    after = _rows(session, _CHECKED.get(verb))
    run = present()
    if verb == "claim" and (stolen := [one for one, token in before.items() if after.get(one) != token]):
        yield f"{len(stolen)} contacts were locked twice"
    if verb == "plan_writes" and run:
        held = f"SELECT record_id AS id, crm_id AS value FROM enrichment_staging WHERE claim_run_id = '{run.run_id}'"
        if others := {*after.values()} - {*before.values()} - {*_rows(session, held).values()}:
            yield f"{len(others)} contacts were to be written without a lock"


def _verb_of_caller() -> str:
    """Return the name of the verb that opens a transaction; between the two are the ways to open one."""
    frame = sys._getframe(1)
    while frame.f_back and (frame.f_code.co_name[0] == "_" or frame.f_globals["__name__"] == contextlib.__name__):
        frame = frame.f_back
    return frame.f_code.co_name


def _note(verb: str) -> None:
    run = present()
    if run and verb == "keep_replies":
        run.unsaved.clear()
    if run and verb == "settle":
        run.reads_crm = False


class _OfProcess(MutableMapping[Any, Any]):
    """What one process keeps for all of its runs: here, each run is a process of its own."""

    def _own(self) -> dict[Any, Any]:
        return (present() or _OUTSIDE).own.setdefault(id(self), {})

    def __getitem__(self, key: Any) -> Any:
        return self._own()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._own()[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._own()[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._own())

    def __len__(self) -> int:
        return len(self._own())


_OUTSIDE = Run("outside", "", lambda: None)


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose sleeps take no time."""

    def __init__(self) -> None:
        super().__init__(_Selector())


class _Selector(selectors.SelectSelector):
    def select(self, timeout: float | None = None) -> Any:
        if timeout:
            _let_pass(timeout)
        return super().select(0)


#: Seconds by which the processes' clock is ahead of the real one: time that was slept.
_slept = [0.0]
_monotonic = time.monotonic


def _let_pass(seconds: float) -> None:
    _slept[0] += seconds
    if present():
        with seam("clock", "sleep"):
            pass


def _sleep(seconds: float) -> None:
    _let_pass(seconds)


def _run_coroutine(coroutine: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(coroutine)


def _submit(_: ThreadPoolExecutor, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
    """Do the work at once, in the caller's thread; a killed run gets no further."""
    done: Future[Any] = Future()
    try:
        done.set_result(call(*args, **kwargs))
    except Exception as error:  # noqa: BLE001 - the caller's
        done.set_exception(error)
    return done


@dataclass
class Stage:
    """
    What a history happens on.

    Args:
        folder: for the file of the warehouse.
        template: a file that is set up.
    """

    folder: Path
    template: Path
    world: World = field(init=False)
    #: How often an answer that was billed was lost before it could be saved, by input; each may be paid for again.
    lost: Counter[str] = field(default_factory=Counter)

    @property
    def path(self) -> Path:
        """The file of the warehouse."""
        return self.folder / "warehouse.db"

    def reset(self, contacts: int, seed: int) -> None:
        """Begin a new history: nothing is left of the one before."""
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(self.template, self.path)
        _OUTSIDE.own.clear()
        _Warehouse.wrongs.clear()
        self.lost.clear()
        self.world = World(adjusted(Settings(), {"contacts": contacts, "seed": seed, **_WIDE}))
        with open_crm("hubspot") as crm:
            crm.ensure_fields()

    def send(self, service: str, request: Request) -> Reply:
        """Answer a request; a run stops before and after."""
        kind = "crm" if service == "hubspot" else "provider"
        run = present()
        looked_up: Counter[str] = Counter()
        try:
            with seam(kind, _verb(request)):
                answering = self.world.services[service]
                before = getattr(answering, "lookups", Counter())
                reply = answering.answer(request)
                looked_up = getattr(answering, "lookups", Counter()) - before
                if run:
                    run.unsaved += looked_up
        except Exception:
            self._lose(run, looked_up)
            raise
        if reply.cut is not Cut.NONE:
            self._lose(run, looked_up)
        if run and kind == "crm":
            run.reads_crm = _verb(request) != "POST update"
        return reply

    def _lose(self, run: Run | None, looked_up: Counter[str]) -> None:
        self.lost += looked_up
        if run:
            run.unsaved -= looked_up

    def mourn(self, run: Run) -> None:
        """Note that a killed run takes its unsaved answers along."""
        self.lost += run.unsaved
        run.unsaved.clear()

    @property
    def wrongs(self) -> list[str]:
        """What runs did that they had no right to."""
        return list(_Warehouse.wrongs)

    @contextmanager
    def warehouse(self) -> Iterator[sqlite.SqliteWarehouse]:
        """Give the warehouse, beside all runs."""
        with closing(sqlite.SqliteWarehouse(self.path, 5)) as warehouse:
            yield warehouse

    def execute(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Run a statement on the warehouse, beside all runs."""
        with self.warehouse() as warehouse, warehouse._begin("BEGIN IMMEDIATE") as session:
            return [dict(row) for row in session._connection.execute(statement, values)]


def _verb(request: Request) -> str:
    return f"{request.method} {request.path.rsplit('/', 1)[-1]}"


@contextmanager
def staged() -> Iterator[Stage]:
    """Give a stage; while it stands, this process has no network and no time to lose."""
    root = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir=root) as name:
        folder = Path(name)
        stage = Stage(folder, folder / "template.db")
        for setting in [name for name in os.environ if name.startswith("ENRICHMENT_")]:
            patch.delenv(setting)
        own = {"ENRICHMENT_ENV_FILE": os.devnull, "ENRICHMENT_SQLITE_PATH": str(stage.path)}
        accounts = account_settings("hubspot", URL) | account_settings("zoominfo", URL)
        for setting, value in (_SETTINGS | own | accounts).items():
            patch.setenv(setting, value)
        with closing(sqlite.SqliteWarehouse(stage.template, 5)) as template:
            template.migrate()
        # The environment stays as it is; to read it takes a third of a history's time.
        patch.setattr(base, "environment_values", functools.cache(base.environment_values))
        patch.setattr(world, "populate", functools.cache(world.populate))
        patch.setattr(sqlite, "SqliteWarehouse", _Warehouse)
        for module, mapping in _KEPT_IN:
            patch.setattr(module, mapping, _OfProcess())
        patch.setattr(background, "run", _run_coroutine)
        patch.setattr(ThreadPoolExecutor, "submit", _submit)
        patch.setattr(time, "sleep", _sleep)
        # Of runs only: loops of other threads would wait for ever when it goes back afterwards.
        patch.setattr(time, "monotonic", lambda: _monotonic() + (_slept[0] if present() else 0.0))
        patch.setattr(Permit, "pause", lambda _, seconds: _sleep(seconds))
        patch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=random.getrandbits(128), version=4))
        changes = {PREFECT_HOME: folder / "prefect"}
        with connected(stage.send, patch), temporary_settings(changes, restore_defaults={PREFECT_API_URL}):
            yield stage
