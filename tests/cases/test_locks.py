"""Locks of runs that live, that died and that lost them; and a journal that can't be written while money is spent."""

import logging
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from typer.testing import CliRunner

import cli
from blocks.warehouses.base import RunEnd, RunStart
from enrichment.errors import ConfigurationError
from enrichment.plan import RunPlan
from lookup.buying import Purchase
from tasks import locks
from tasks.chunk import carry_chunk, look_up, settle, store, write_back
from tasks.dead_runs import marked_alive
from tasks.doctor import examine
from tasks.locks import locks_kept
from tasks.present_run import LocalRun, entered
from tasks.queue import claim_chunks
from tests.cases.chain import Chain

CONTACTS = 60
LEASE = 3


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, chain: Chain) -> Iterator[None]:
    """Name no server; what is kept of runs on this machine is in a new folder; calls are made one after the other."""
    for name, value in {"NOTIFIERS": "", "ZOOMINFO_CONCURRENCY": "1", "SQLITE_BUSY_TIMEOUT_SECONDS": "0.2"}.items():
        chain.setenv(f"ENRICHMENT_{name}", value)
    with temporary_settings({PREFECT_HOME: tmp_path / "prefect"}, restore_defaults={PREFECT_API_URL}):
        yield


@pytest.fixture
def ids(chain: Chain) -> list[str]:
    """Queue contacts for three calls."""
    made = list(chain.world.hubspot.create([{"email": f"hit+p{n}@firm.example"} for n in range(CONTACTS)]))
    chain.stage(made)
    return made


def opened(chain: Chain, **changes: Any) -> RunPlan:
    """Return the plan of a run that has opened its totals."""
    plan = replace(chain.plan(), **changes)
    start = RunStart(plan.run_id, "a run", plan.provider, plan.crm, plan.lane)
    chain.warehouse.open_run(start, lease_seconds=plan.lease_seconds)
    return plan


@contextmanager
def held_call(chain: Chain) -> Iterator[Callable[[], None]]:
    """Hold the first call to the provider; give what waits until it has arrived."""
    fault = chain.world.faults.add(kind="held", service="zoominfo", path_contains="enrich")
    nothing = threading.Event()

    def arrived() -> None:
        while not fault.hits:
            nothing.wait(0.01)

    try:
        yield arrived
    finally:
        fault.let_go = True


def paid(chain: Chain) -> int:
    return chain.world.zoominfo.credits_used


def test_a_call_that_outlasts_the_lease_is_paid_for_once(chain: Chain, ids: list[str]) -> None:
    """The timer renews the locks for as long as the run lives: another run finds nothing to claim meanwhile."""
    mine, other = opened(chain, lease_seconds=LEASE), opened(chain, lease_seconds=LEASE)
    with ThreadPoolExecutor() as threads, locks_kept(mine):
        with held_call(chain) as arrived:
            [claimed] = claim_chunks.fn(mine, 1, CONTACTS)
            [first] = chain.warehouse.read_locks()
            looking = threads.submit(look_up.fn, mine, claimed)
            arrived()
            while True:  # until well after the lease that the claim was made with
                assert claim_chunks.fn(other, 1, CONTACTS) == []
                [now] = chain.warehouse.read_locks()
                if now.read_at > first.free_at:
                    break
        settle.fn(mine, write_back.fn(mine, store.fn(mine, looking.result())))
    assert chain.ends(*ids) == ["written"] * CONTACTS
    assert paid(chain) == CONTACTS


def test_a_run_that_was_ended_elsewhere_makes_no_further_call(chain: Chain, ids: list[str]) -> None:
    """Its totals were closed by another run: the next renewal says so, and what it still got is saved."""
    mine = opened(chain, lease_seconds=LEASE)
    with ThreadPoolExecutor() as threads, locks_kept(mine) as permit:
        with held_call(chain) as arrived:
            [claimed] = claim_chunks.fn(mine, 1, CONTACTS)
            looking = threads.submit(look_up.fn, mine, claimed)
            arrived()
            assert chain.warehouse.release_run(mine.run_id, costs_attempt=False) == CONTACTS
            chain.warehouse.close_run(mine.run_id, RunEnd(0.0, state="cancelled"))
            permit.pause(60)
            assert permit.cancelled
        bought = paid(chain)
        chunk = looking.result().contents
    assert 0 < bought <= 25
    assert len(chunk.found) == bought
    chain.run()
    assert chain.ends(*ids) == ["written"] * CONTACTS
    assert paid(chain) == CONTACTS


def test_the_timer_outlasts_who_came_first(chain: Chain, ids: list[str]) -> None:
    """Threads of a cluster's worker share a run's locks: the last one to leave ends the timer."""
    mine, late = opened(chain, lease_seconds=LEASE), ExitStack()
    with ExitStack() as early:
        early.enter_context(locks_kept(mine))
        permit = late.enter_context(locks_kept(mine))
    with late:
        [claimed] = claim_chunks.fn(mine, 1, CONTACTS)
        [first] = chain.warehouse.read_locks()
        while chain.warehouse.read_locks()[0].read_at <= first.free_at:  # until well after the lease of the claim
            permit.pause(0.05)
        assert not permit.refusal()
    assert len(claimed.contents.records) == CONTACTS
    assert mine.run_id not in locks._kept


def test_a_process_that_ends_cancels_its_runs(chain: Chain) -> None:
    """As the one that enriches live contacts does at SIGTERM; a run that is over isn't concerned."""
    with locks_kept(opened(chain)) as over:
        pass
    with locks_kept(opened(chain)) as one, locks_kept(opened(chain)) as other:
        locks.cancel_runs()
        assert (one.cancelled, other.cancelled, over.cancelled) == (True, True, False)


def test_processes_that_share_a_run_learn_of_its_end_from_each_other(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cancelled in one: the tables say so, and what works on its batches elsewhere pays no more."""
    monkeypatch.setattr(locks, "_LOOK_SECONDS", 0.05)
    here, there = opened(chain, processes=2), opened(chain, processes=2)
    with locks_kept(here) as permit:
        permit.cancel()
        while chain.warehouse.read_run(here.run_id).state == "open":
            pass
    with locks_kept(here) as permit:  # as a process that begins with its next batch
        assert permit.cancelled
    with locks_kept(there) as permit:
        assert not permit.cancelled
        chain.warehouse.cancel_run(there.run_id)
        permit.pause(60)
        assert permit.cancelled


def test_a_lease_that_a_call_could_outlast_is_refused(chain: Chain) -> None:
    """A run, and the doctor, say which setting it is and how long it must be."""
    chain.setenv("ENRICHMENT_LEASE_SECONDS", "5")
    done = CliRunner().invoke(cli.app, ["run"])
    assert done.exit_code == 2
    assert "ENRICHMENT_LEASE_SECONDS is 5" in done.stderr
    assert "set it to 180 or more" in done.stderr
    assert any("set it to 180 or more" in found.says for found in examine() if not found.well)


def test_the_next_run_ends_a_dead_one_and_waits_for_nothing(chain: Chain, ids: list[str], tmp_path: Path) -> None:
    """A process that died has lost its file lock: its contacts are free at once, those of others aren't."""
    dead, alive = opened(chain), opened(chain)
    claim_chunks.fn(dead, 1, 20)
    claim_chunks.fn(alive, 1, 10)
    with marked_alive(alive):
        [folder] = (tmp_path / "prefect" / "enrichment" / "runs").iterdir()
        (folder / dead.run_id).touch()
        (folder / "a run of another warehouse").touch()
        done = CliRunner().invoke(cli.app, ["run"])
        assert done.exit_code == 0
        assert sorted(path.name for path in folder.iterdir()) == sorted([alive.run_id, "a run of another warehouse"])
    assert chain.warehouse.read_run(dead.run_id).state == "abandoned"
    assert chain.warehouse.read_run(dead.run_id).returned == 20
    assert chain.ends(*ids).count("written") == CONTACTS - 10
    [locked] = chain.warehouse.read_locks()
    assert (locked.run_id, locked.contacts) == (alive.run_id, 10)
    assert "locked by other runs" in done.stdout
    assert f"10, until {locked.free_at}" in " ".join(done.stdout.split())


def test_the_doctor_names_the_locks_of_a_run_that_seems_dead(chain: Chain, ids: list[str]) -> None:
    """A run that gave no sign of life for half of its lease: how many contacts, which run, and until when."""
    plan = opened(chain)
    claim_chunks.fn(plan, 1, CONTACTS)
    assert "60 contacts are locked by runs at work" in [found.says for found in examine() if found.well]
    with chain.warehouse._transaction() as session:
        session.execute("UPDATE enrichment_runs SET seen_at = '2026-01-01T00:00:00.000Z'")
    [said] = [found.says for found in examine() if not found.well and found.system == "locks"]
    assert f"run {plan.run_id} holds 60 contacts and has given no sign of life" in said
    assert f"free at {chain.warehouse.read_locks()[0].free_at}" in said
    assert len(ids) == CONTACTS


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Let another process write to the file, and not end its transaction."""
    script = (
        "import sqlite3, sys\n"
        "sqlite3.connect(sys.argv[1], isolation_level=None).execute('BEGIN IMMEDIATE')\n"
        "print('locked', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            other.communicate()


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """Let no file of this process become longer than the warehouse's log is."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{path}-wal").stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class _Said(logging.Handler):
    """Notes what was said of replies that can't be saved."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.twice = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "replies_not_saved" in record.getMessage():
            self.lines.append(record.getMessage())
            if len(self.lines) > 1:
                self.twice.set()


@pytest.mark.parametrize(
    ("fault", "advice"),
    [(locked_file, "ENRICHMENT_SQLITE_BUSY_TIMEOUT_SECONDS"), (full_disk, "make room on its disk")],
    ids=["locked by another process", "disk full"],
)
def test_nothing_is_paid_for_while_the_journal_cannot_be_written(
    chain: Chain, ids: list[str], fault: Callable[[Path], Any], advice: str
) -> None:
    """What is in hand is kept and tried again; once it is saved the run goes on, and each contact was paid for once."""
    path = Path(os.environ["ENRICHMENT_SQLITE_PATH"])
    mine, said = opened(chain), _Said()
    logging.getLogger("tasks").addHandler(said)
    try:
        with ThreadPoolExecutor() as threads, locks_kept(mine):
            [claimed] = claim_chunks.fn(mine, 1, CONTACTS)
            with held_call(chain) as arrived:
                looking = threads.submit(look_up.fn, mine, claimed)
                arrived()
                broken = fault(path)
                broken.__enter__()
            try:
                assert said.twice.wait(60)
                bought = paid(chain)
            finally:
                broken.__exit__(None, None, None)
            settle.fn(mine, write_back.fn(mine, store.fn(mine, looking.result())))
    finally:
        logging.getLogger("tasks").removeHandler(said)
    assert 0 < bought <= 25
    assert str(path) in said.lines[0]
    assert advice in said.lines[0]
    assert chain.ends(*ids) == ["written"] * CONTACTS
    assert paid(chain) == CONTACTS


def test_a_process_whose_chain_breaks_saves_what_it_has_paid_for(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a Dask worker the reply is in no other process's memory; the contact is looked up for nothing then."""
    (crm_id,) = chain.world.hubspot.create([{"email": "hit+a@acme.example"}])
    chain.stage([crm_id])
    plan = chain.plan()
    (claimed,) = claim_chunks.fn(plan, 1, 10)

    def fail(*_: object) -> None:
        raise ConfigurationError("the journal is broken")

    monkeypatch.setattr(Purchase, "_keep_now", fail)
    with entered(LocalRun(plan.run_id, "r", {})), pytest.raises(ConfigurationError):
        carry_chunk.fn(plan, claimed)
    (spent,) = chain.warehouse.count_usage(plan.run_id)
    assert (spent.credits, chain.world.zoominfo.credits_used) == (1, 1)
