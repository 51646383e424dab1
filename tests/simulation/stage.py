"""What the runs of a history share: a warehouse, a provider and a CRM, without sockets, and without waiting."""

import asyncio
import contextlib
import functools
import importlib.metadata
import logging
import os
import random
import selectors
import sqlite3
import ssl
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from blocks import base, settings
from blocks.calls import background, pacing
from blocks.crms import updates
from blocks.crms.base import open_crm
from blocks.providers.http import channel
from blocks.providers.spec import model
from blocks.warehouses import sqlite
from enrichment.records import Origin
from enrichment.retry import LONGEST_INLINE_WAIT_SECONDS
from flows import work
from lookup import buying
from lookup.permit import Permit
from sandbox import world
from sandbox.accounts import account_settings, notifier_settings
from sandbox.clearbit.seller import Seller, input_key
from sandbox.exchange import Cut, Reply, Request
from sandbox.settings import Settings
from sandbox.world import World, adjusted
from sandbox.zoominfo.service import ZoomInfo
from tasks import chunk, locks
from tasks.dead_runs import _folder as _runs_folder
from tests.simulation.baton import Run, present, seam
from tests.simulation.clocks import give_clock
from tests.simulation.watching import Tables, Transaction, wrongs
from tests.simulation.wires import URL, connected
from tests.warehouses import emptied

HUBSPOT = Origin("hubspot")
#: One bills each contact once, the other one each time.
PROVIDERS = ("zoominfo", "peopledatalabs")
BILLS_EACH_TIME = frozenset({"peopledatalabs"})
#: What is called to look contacts up.
_LOOKUPS = frozenset({"POST enrich", "POST bulk"})
#: A field that the mapping would write, and must not.
PROTECTED_FIELD = "city"
_KINDS = {"hubspot": "crm", "slack": "notifier"}
#: By the provider's name, what its stand-in must not limit.
_WIDE: dict[str, dict[str, Any]] = {
    "zoominfo": {"per_second": 10**6, "per_hour": 10**9, "per_day": 10**9},
    "peopledatalabs": {"per_minute": 10**9},
    "hubspot": {"per_ten_seconds": 10**6, "per_day": 10**9, "search_per_second": 10**6},
}
#: Where a process keeps what it learns; each run is a process of its own.
_KEPT_IN = ((channel, "_shared"), (pacing._pacers, "_made"), (updates, "_lost_fields"), (buying, "_unkept"))
#: What depends on the environment and the installed libraries alone, or makes what is only read.
_SAME_FOR_ALL = (
    (base, "environment_values"),
    (model, "_Folder"),
    (importlib.metadata, "version"),
    (ssl, "create_default_context"),
    (world, "populate"),
)
_SETTINGS = {
    "ENRICHMENT_CRM": "hubspot",
    "ENRICHMENT_WAREHOUSE": "sqlite",
    "ENRICHMENT_CHUNK_SIZE": "3",
    "ENRICHMENT_CHUNKS_IN_FLIGHT": "1",
    "ENRICHMENT_HUBSPOT_PROTECTED_FIELDS": f'["{PROTECTED_FIELD}"]',
    **{f"ENRICHMENT_{name.upper()}_BATCH_SIZE": "2" for name in PROVIDERS},
    **{f"ENRICHMENT_{name.upper()}_REQUESTS_PER_SECOND": "1000" for name in PROVIDERS},
}


class _Warehouse(sqlite.SqliteWarehouse):
    """Stops a run before and after each of its transactions, and notes what the tables forget."""

    #: The history's.
    of_history: ClassVar["Stage"]
    #: All runs share one: to open one takes a millisecond, and only one of them moves at a time.
    connection: ClassVar[sqlite3.Connection]

    @classmethod
    def open_for_all(cls, path: Path) -> None:
        """Set the file up, and give its connection the history's clock, so that a seed always plays the same way."""
        file = sqlite.SqliteWarehouse(path, 5)
        file.migrate()
        cls.connection = file._connect()
        cls.connection.execute("PRAGMA synchronous = OFF")  # the machine goes on
        give_clock(cls.connection, _now)
        cls.connection.create_function("steady", 1, _now, deterministic=True)

    def _connect(self) -> sqlite3.Connection:
        return self.connection

    def close(self) -> None:
        """Leave the connection to the others."""

    @contextmanager
    def _begin(self, statement: str) -> Iterator[sqlite._SqliteSession]:
        verb = _verb_of_caller()
        with seam("warehouse", verb), super()._begin(statement) as session:
            if statement == "BEGIN":
                yield session
            else:
                with self.of_history.watched(verb, self.connection):
                    yield session
            _passed[0] += _TICK
        _note(verb)


#: Seconds since the histories' clock began, of which each transaction takes one thousandth.
_passed = [0.0]
_TICK = 0.001
_BEGAN_AT = datetime.now(UTC)


def _now(later_seconds: float = 0.0) -> str:
    moment = _BEGAN_AT + timedelta(seconds=_passed[0] + float(later_seconds))
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
    if run and verb == "note_doubt":
        run.unbooked.clear()
    if run and verb in ("read_replies", "settle"):
        run.repeats = False
    if run and verb == "open_requests":
        run.may_ask_for.clear()
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

    async def shutdown_default_executor(self, *_: Any) -> None:
        """Leave out the thread that would wait for others: there are none."""


class _Selector(selectors.SelectSelector):
    def select(self, timeout: float | None = None) -> Any:
        if timeout:
            _let_pass(timeout)
        return super().select(0)


#: Seconds that were slept; to the warehouse's clock they are none, since nothing renews the locks meanwhile.
_slept = [0.0]
_monotonic = time.monotonic


def _let_pass(seconds: float) -> None:
    _slept[0] += seconds
    if seconds > LONGEST_INLINE_WAIT_SECONDS + 1:
        _Warehouse.of_history.wrongs.append(f"a run slept for {seconds:.0f} seconds")
    if present():
        with seam("clock", "sleep"):
            pass


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


#: What a provider's day, and a run, may have cost.
_DAY = """
SELECT (SELECT COALESCE(SUM(credits), 0) FROM provider_replies)
    + (SELECT COALESCE(SUM(credits), 0) FROM lookup_reservations)
    + (SELECT COALESCE(SUM(credits), 0) FROM doubtful_credits)
"""
_RUN = """
SELECT (SELECT COALESCE(SUM(credits), 0) FROM provider_replies WHERE run_id = :run_id)
    + (SELECT COALESCE(SUM(credits), 0) FROM lookup_reservations WHERE run_id = :run_id)
    + (SELECT COALESCE(SUM(credits), 0) FROM doubtful_credits WHERE run_id = :run_id)
"""


@dataclass(frozen=True, slots=True)
class Terms:
    """
    The settings in which histories differ.

    Args:
        provider: its name.
        max_attempts: how often a contact is tried.
        credits_per_day: the most that the provider may cost; None for no cap.
    """

    provider: str = "zoominfo"
    max_attempts: int = 5
    credits_per_day: float | None = None

    def applied(self) -> dict[str, Any]:
        """Return them as the pipeline's settings."""
        cap = "" if self.credits_per_day is None else f"{self.credits_per_day:g}"
        return {"provider": self.provider, "max_attempts": self.max_attempts, "credits_per_day": cap}


@dataclass
class Stage:
    """What a history happens on."""

    world: World = field(init=False)
    terms: Terms = field(default_factory=Terms)
    #: What runs did that they had no right to, in words.
    wrongs: list[str] = field(default_factory=list)
    #: The ids of the runs that live.
    at_work: set[str] = field(default_factory=set)
    #: Of the lost answers, the ones that a killed run took along.
    lost_with_runs: Counter[str] = field(default_factory=Counter)
    #: Each value that a run has changed in the CRM: contact, field, before and after.
    changes: list[tuple[str, str, str, str]] = field(default_factory=list)
    #: How often an answer that was billed was lost before it could be saved, by input; each may be paid for again.
    lost: Counter[str] = field(default_factory=Counter)
    #: The contacts that an input stands for.
    _asked_for: dict[str, set[str]] = field(default_factory=dict)
    #: The tables as they were looked at last, after so many changes.
    _seen: tuple[int, Tables] | None = None

    @property
    def seller(self) -> Seller[Any] | ZoomInfo:
        """The provider that the history is about."""
        return self.world.zoominfo if self.terms.provider == "zoominfo" else self.world.peopledatalabs

    def reset(self, contacts: int, seed: int, terms: Terms) -> None:
        """Begin a new history: nothing is left of the one before."""
        with self.warehouse() as warehouse:
            assert emptied(warehouse), "the tables can't be emptied"
        for left_behind in _runs_folder().iterdir():
            left_behind.unlink()
        _OUTSIDE.own.clear()
        for kept in (self.wrongs, self.at_work, self.lost, self.changes, self.lost_with_runs, self._asked_for):
            kept.clear()
        self.terms = terms
        _passed[0] = _slept[0] = 0.0
        self.world = World(adjusted(Settings(), {"contacts": contacts, "seed": seed, **_WIDE}))
        with open_crm("hubspot") as crm:
            crm.ensure_fields()

    def note_inputs(self) -> None:
        """Note with what the contacts are looked up from now on."""
        for crm_id, values in self.world.hubspot.contacts.items():
            email, *named = [values.get(name) for name in ("email", "firstname", "lastname", "company")]
            for given in (email, None):  # an address that isn't valid isn't used
                self._asked_for.setdefault(input_key(given, *named), set()).add(crm_id)

    def send(self, service: str, request: Request) -> Reply:
        """Answer a request; a run stops before and after."""
        run, verb = present(), _verb(request)
        kind = _KINDS.get(service, "provider")
        if run and run.cancelled and verb in _LOOKUPS:
            self.wrongs.append("a cancelled run went on paying")
        looked_up: Counter[str] = Counter()
        try:
            with seam(kind, verb):
                before = self._totals()
                reply = self.world.services[service].answer(request)
                looked_up = self._note_effects(run, before)
                if run and kind == "crm":
                    # With new credentials it is sent again at once.
                    run.reads_crm = verb != "POST update" or reply.status == HTTPStatus.UNAUTHORIZED
        except Exception:
            self._lose(run, looked_up)
            raise
        if reply.cut is not Cut.NONE:
            self._lose(run, looked_up)
        return reply

    def _note_effects(self, run: Run | None, before: "_Totals") -> Counter[str]:
        """Note what a request has changed: what was looked up, what it was billed, and what it wrote."""
        after = self._totals()
        looked_up = after.lookups - before.lookups
        changes = [
            (crm_id, name, before.contacts[crm_id].get(name, ""), value)
            for crm_id, values in after.contacts.items()
            if values != before.contacts[crm_id]
            for name, value in values.items()
            if before.contacts[crm_id].get(name, "") != value and name != "lastmodifieddate"
        ]
        self.changes += changes
        if run:
            run.unsaved += looked_up
            run.billed += after.credits - before.credits
            self.wrongs += self._wrongs_of(run, looked_up, changes)
        return looked_up

    def _wrongs_of(
        self, run: Run, looked_up: Counter[str], changes: Sequence[tuple[str, str, str, str]]
    ) -> Iterator[str]:
        if any(self._asked_for[given].isdisjoint(run.may_ask_for) for given in looked_up):
            yield "a contact was looked up that the run hadn't locked, or after its last attempt"
        if run.cap is not None and run.billed > run.cap:
            yield f"{run.name} was billed {run.billed} credits, and its cap is {run.cap:g}"
        cap, billed = self.terms.credits_per_day, self.seller.credits_used
        # What a killed run was answered counts until another one repeats its requests.
        if looked_up and cap is not None and billed > cap + self.lost_with_runs.total():
            yield f"{billed} credits were billed, and the day's cap is {cap:g}"
        if any(name == PROTECTED_FIELD for _, name, _, _ in changes):
            yield f"the protected field {PROTECTED_FIELD} was written"

    def _lose(self, run: Run | None, looked_up: Counter[str]) -> None:
        self.lost += looked_up
        if run:
            run.repeats = True
            run.unsaved -= looked_up
            run.unbooked += looked_up

    def _totals(self) -> "_Totals":
        return _Totals(self.seller.lookups, self.seller.credits_used, self.world.hubspot.contacts)

    def mourn(self, run: Run) -> None:
        """Note that a killed run takes its unsaved answers along."""
        self.lost += run.unsaved
        self.lost_with_runs += run.unsaved + run.unbooked
        run.unsaved.clear()

    def leave_behind(self, run: Run) -> None:
        """Leave the file by which the next run on the machine finds that this one was killed; its lock is gone."""
        _runs_folder().joinpath(run.run_id).touch()

    @contextmanager
    def watched(self, verb: str, connection: sqlite3.Connection) -> Iterator[None]:
        """Note what a run, or a person beside all runs, does in a transaction that it has no right to."""
        run = present()
        before = self._look(connection)
        yield
        after = self._look(connection)
        written = {(crm_id, name, value) for crm_id, name, _, value in self.changes}
        most = self.terms.max_attempts
        done = Transaction(verb, run.run_id if run else "", self.at_work, before, after, _now(), most, written)
        self.wrongs += wrongs(done)
        if run is None:
            return
        if verb == "renew":
            run.may_ask_for |= after.held(run.run_id, most)
        if verb == "open_requests" and after.reserved.keys() - before.reserved.keys():
            self.wrongs += self._over_reserved(run, connection)

    def _look(self, connection: sqlite3.Connection) -> Tables:
        """Return the tables as they are now; most transactions change nothing in between."""
        if self._seen is None or self._seen[0] != connection.total_changes:
            self._seen = connection.total_changes, Tables.of(connection)
        return self._seen[1]

    def _over_reserved(self, run: Run, connection: sqlite3.Connection) -> Iterator[str]:
        for cap, statement in ((run.cap, _RUN), (self.terms.credits_per_day, _DAY)):
            if cap is not None:
                [total] = connection.execute(statement, {"run_id": run.run_id}).fetchone()
                if total > cap:
                    yield f"with what is reserved, {total:g} credits may be billed, and the cap is {cap:g}"

    @contextmanager
    def warehouse(self) -> Iterator[sqlite.SqliteWarehouse]:
        """Give the warehouse, beside all runs."""
        yield sqlite.SqliteWarehouse(Path(), 5)

    def execute(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Run a statement on the warehouse, beside all runs."""
        with self.warehouse() as warehouse, warehouse._begin("BEGIN IMMEDIATE") as session:
            return [dict(row) for row in session._connection.execute(statement, values)]


@dataclass(frozen=True, slots=True)
class _Totals:
    lookups: Counter[str]
    credits: int
    contacts: dict[str, dict[str, str]]


def _verb(request: Request) -> str:
    return f"{request.method} {request.path.rsplit('/', 1)[-1]}"


@contextmanager
def staged() -> Iterator[Stage]:
    """Give a stage; while it stands, this process has no network and no time to lose."""
    root = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir=root) as name, ExitStack() as stack:
        folder, stage = Path(name), Stage()
        for setting in [name for name in os.environ if name.startswith("ENRICHMENT_")]:
            patch.delenv(setting)
        own = {"ENRICHMENT_ENV_FILE": os.devnull, "ENRICHMENT_SQLITE_PATH": str(folder / "warehouse.db")}
        accounts: dict[str, str] = {}
        for account in ("hubspot", *PROVIDERS):
            accounts |= account_settings(account, URL)
        alerts = notifier_settings(URL, 0) | {"ENRICHMENT_NOTIFIERS": "slack"}
        for setting, value in (_SETTINGS | own | accounts | alerts).items():
            patch.setenv(setting, value)
        _Warehouse.of_history = stage
        _Warehouse.open_for_all(folder / "warehouse.db")
        stack.callback(_Warehouse.connection.close)
        # What stays as it is for all histories takes half of the time of each.
        for place, function in _SAME_FOR_ALL:
            patch.setattr(place, function, functools.cache(getattr(place, function)))
        made = functools.cache(settings.Settings)
        patch.setattr(settings, "Settings", lambda **given: made(**given, **stage.terms.applied()))
        patch.setattr(sqlite, "SqliteWarehouse", _Warehouse)
        for module, mapping in _KEPT_IN:
            patch.setattr(module, mapping, _OfProcess())
        patch.setattr(background, "run", _run_coroutine)
        patch.setattr(ThreadPoolExecutor, "submit", _submit)
        patch.setattr(time, "sleep", _let_pass)
        patch.setattr(chunk, "_AT_ONCE", nullcontext())  # runs would wait for one another, which are processes here
        patch.setattr(locks, "_timer", lambda *_: nullcontext())  # the history decides when it comes
        patch.setattr(logging.Manager, "_clear_cache", lambda _: None)  # HubSpot's library sets levels at each call
        patch.setattr(work, "cancelled_by_signals", lambda _: nullcontext())  # signals are the whole process's
        # Of runs only: loops of other threads would wait for ever when it goes back afterwards.
        patch.setattr(time, "monotonic", lambda: _slept[0] + _passed[0] if present() else _monotonic())
        patch.setattr(Permit, "pause", lambda _, seconds: _let_pass(seconds))
        patch.setattr(chunk, "Buyer", functools.partial(buying.Buyer, pause=_let_pass, clock=lambda: _slept[0]))
        patch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=random.getrandbits(128), version=4))
        changes = {PREFECT_HOME: folder / "prefect"}
        with connected(stage.send, patch), temporary_settings(changes, restore_defaults={PREFECT_API_URL}):
            yield stage
