"""Commands without PREFECT_API_URL: no server is started for them, and whatever a flow run promises holds."""

import json
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from typer.testing import CliRunner

import cli
from blocks.warehouses.base import KeptRun
from sandbox.accounts import notifier_settings
from tasks import locks, queue
from tasks.books import describe_fields
from tasks.present_run import LocalRun, entered
from tests.cases.chain import Chain


@pytest.fixture(autouse=True)
def prefect_home(tmp_path: Path, chain: Chain) -> Iterator[Path]:
    """Name no server, and let alerts go to the stand-ins; what Prefect keeps on this machine is in a new folder."""
    for name, value in notifier_settings(chain.box.url, chain.box.smtp_port).items():
        chain.setenv(name, value)
    with temporary_settings({PREFECT_HOME: tmp_path / "prefect"}, restore_defaults={PREFECT_API_URL}):
        yield tmp_path / "prefect"


def enrich(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, [*arguments, "--json"])


def contacts(chain: Chain, count: int) -> list[str]:
    return list(chain.world.hubspot.create([{"email": f"hit+p{n}@firm.example"} for n in range(count)]))


def last_run(chain: Chain) -> KeptRun:
    with chain.warehouse._reading() as session:
        row = session._connection.execute("SELECT run_id FROM enrichment_runs ORDER BY started_at DESC").fetchone()
    found = chain.warehouse.find_run(row["run_id"])
    assert found is not None
    return found


def alerts(chain: Chain) -> list[str]:
    return [message.text for message in chain.world.slack.messages]


def test_contacts_are_queued_and_enriched(chain: Chain, prefect_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Stage, dry run and run do what they do on Prefect, say that its UI shows nothing, and start no server."""
    ids = contacts(chain, 4)
    done = enrich("stage", "--ids", ",".join(ids))
    assert json.loads(done.stdout) == {"format_version": 1, "staged": 4}
    assert json.loads(enrich("run", "--dry-run").stdout)["records"] == 4
    chain.setenv("ENRICHMENT_CHUNK_SIZE", "2")
    done = enrich("run")
    assert "PREFECT_API_URL is not set" in done.stderr
    assert "progress percent=50 contacts=4" in caplog.text
    assert done.exit_code == 0
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["books"]["dispositions"] == {"written": 4}
    assert chain.ends(*ids) == ["written"] * 4
    run = last_run(chain)
    assert (run.run_id, run.state) == (report["run_id"], "closed")
    assert run.flow_run_name == "enrich contacts of hubspot with zoominfo"
    assert alerts(chain) == []
    assert not (prefect_home / "prefect.db").exists()


def test_failed_contacts_lead_to_an_alert_and_an_exit_code(chain: Chain) -> None:
    """HubSpot refuses every update: the totals are closed, and people are alerted."""
    ids = contacts(chain, 2)
    enrich("stage", "--ids", ",".join(ids))
    chain.answer("hubspot", "batch/update", {"status": "error", "category": "VALIDATION_ERROR"}, status=400, times=0)
    done = enrich("run")
    assert done.exit_code == 1
    assert "2 of 2 contacts failed" in done.stderr
    assert last_run(chain).state == "closed"
    (message,) = alerts(chain)
    assert "100.0% of 2 contacts failed" in message


def test_a_run_that_fails_closes_its_totals_and_alerts(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """HubSpot answers 503 to its field descriptions: the queue is as it was, and the alert names the cause."""
    ids = contacts(chain, 1)
    enrich("stage", "--ids", *ids)
    monkeypatch.setattr(describe_fields, "retry_delay_seconds", [])
    chain.world.faults.add(kind="status", service="hubspot", path_contains="properties", status=503, times=0)
    done = enrich("run")
    assert done.exit_code == 1
    assert "HubSpot" in done.stderr
    assert (last_run(chain).state, chain.ends(*ids)) == ("failed", ["queued"])
    (message,) = alerts(chain)
    assert "a run failed" in message
    assert "HubSpot" in message


@pytest.fixture(autouse=True)
def takes_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C have its usual effect: in a shell's background job, as which tests may run, it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class _LetGo(logging.Handler):
    """Lets a held answer go once the run says that it was cancelled."""

    def __init__(self, held: Any) -> None:
        super().__init__()
        self.held = held

    def emit(self, record: logging.LogRecord) -> None:
        self.held.let_go |= "run_cancelled" in record.getMessage()


@contextmanager
def signalled(held: Any, number: signal.Signals) -> Iterator[None]:
    """Send this process a signal once a call is held, and let the answer go once the run has noticed."""
    ended = threading.Event()

    def interrupt() -> None:
        while not held.hits and not ended.wait(0.01):
            pass
        os.kill(os.getpid(), number)

    handler, watcher = _LetGo(held), threading.Thread(target=interrupt)
    logging.getLogger("tasks").addHandler(handler)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        logging.getLogger("tasks").removeHandler(handler)


def test_a_dry_run_that_has_nothing_to_show_yet_says_what_it_would_cost(chain: Chain) -> None:
    """Instead of an empty table: how many contacts need a paid lookup first, and how many credits that is at most."""
    empty = CliRunner().invoke(cli.app, ["run", "--dry-run"])
    assert empty.stdout == "nothing to preview: no contact waits in the queue; `enrich stage` queues some\n"
    ids = contacts(chain, 3)
    enrich("stage", "--ids", ",".join(ids))
    done = CliRunner().invoke(cli.app, ["run", "--dry-run"])
    assert done.stdout == (
        "nothing to preview yet: 3 contacts need a paid lookup first, at most 3 credits; results: none yet\n"
    )
    estimate = CliRunner().invoke(cli.app, ["backfill", "--all", "--estimate"])
    assert "zoominfo: match rate so far\tno lookups: too few to expect by" in estimate.stdout
    assert "4 contacts: 1 credit at zoominfo" in estimate.stdout  # three wait in the queue already


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_cancelled_run_stops_paying_at_once(chain: Chain, number: signal.Signals) -> None:
    """
    The call under way is awaited and saved, no further one begins, all locks are free at once, and no alert goes out.

    The next run pays for the rest only, and writes all.
    """
    ids = contacts(chain, 60)
    enrich("stage", "--ids", ",".join(ids))
    for name, value in {"ZOOMINFO_CONCURRENCY": "1", "CHUNK_SIZE": "30", "CHUNKS_IN_FLIGHT": "2"}.items():
        chain.setenv(f"ENRICHMENT_{name}", value)
    held = chain.world.faults.add(kind="held", service="zoominfo", path_contains="enrich")
    before = signal.getsignal(number)
    with signalled(held, number):
        done = enrich("run")
    assert done.exit_code == 130
    assert done.stdout == ""
    assert "0 contacts have a result, 60 went back to the queue" in done.stderr
    assert signal.getsignal(number) == before
    paid = chain.world.zoominfo.credits_used
    assert 0 < paid <= 25
    assert [one.records for one in chain.warehouse.count_queue() if one.state == "enriched"] == [paid]
    assert chain.warehouse.read_locks() == []
    run = last_run(chain)
    assert (run.state, run.claimed, run.returned) == ("cancelled", 60, 60)
    assert enrich("run").exit_code == 0
    assert chain.ends(*ids) == ["written"] * 60
    assert chain.world.zoominfo.credits_used == 60
    assert alerts(chain) == []


def test_a_run_that_is_interrupted_while_it_waits_is_cancelled_too(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while other runs work: the totals are closed as cancelled, and no alert goes out."""
    ids = contacts(chain, 1)
    enrich("stage", "--ids", *ids)
    monkeypatch.setattr(queue, "LOCAL_RUNS", 0)
    signs_of_life = []

    class Interrupt(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "run_waits" in record.getMessage():
                signs_of_life.append(len(locks._kept))
                os.kill(os.getpid(), signal.SIGINT)

    handler = Interrupt()
    logging.getLogger("tasks").addHandler(handler)
    try:
        done = enrich("run")
    finally:
        logging.getLogger("tasks").removeHandler(handler)
    assert (done.exit_code, done.stdout) == (130, "")
    assert "the run was interrupted; its contacts wait in the queue" in done.stderr
    assert (last_run(chain).state, chain.ends(*ids), alerts(chain)) == ("cancelled", ["queued"], [])
    assert signs_of_life == [1]  # else another run would take it for dead after two leases


def test_few_runs_work_at_once_on_a_machine(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run waits while as many as may are at work; those of the other queue don't count."""
    monkeypatch.setattr(queue, "LOCAL_RUNS", 1)
    monkeypatch.setattr(queue, "_GLANCE_SECONDS", 0.01)
    waits, works = threading.Event(), threading.Event()

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "run_waits" in record.getMessage():
                waits.set()

    def second() -> None:
        with queue.run_slot("live"):
            works.set()

    handler, run = Watch(), LocalRun("r", "r", {})
    logging.getLogger("tasks").addHandler(handler)
    try:
        with entered(run):
            other = threading.Thread(target=copy_context().run, args=(second,))
            with queue.run_slot("live"), queue.run_slot("backfill"):
                other.start()
                assert waits.wait(60)
                assert not works.is_set()
        other.join(60)
        assert works.is_set()
    finally:
        logging.getLogger("tasks").removeHandler(handler)
