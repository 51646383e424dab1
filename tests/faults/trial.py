"""One history of real processes: what happens to them at their steps, how it is repaired, and what must hold."""

import multiprocessing
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from blocks.crms.base import open_crm
from blocks.warehouses.base import Warehouse, load_warehouse
from sandbox.accounts import account_settings, notifier_settings
from sandbox.server import Box
from sandbox.warehouses.base import load_stand_in
from sandbox.world import World
from tasks.intake import stage_everything
from tests.faults.victim import KINDS, Strike, work
from tests.warehouses import broken_promises, look

#: What can happen where the warehouse is of this kind.
OF_WAREHOUSE = {
    "sqlite": tuple(kind for kind in KINDS if kind != "connection lost"),
    "postgres": tuple(kind for kind in KINDS if kind not in {"file locked", "disk full", "clock an hour ahead"}),
}
#: A run of so many contacts passes about this many steps, and so many of calls.
CONTACTS, STEPS, OF_CALLS = 40, 220, 30
#: Runs after the last fault, within which everything must end.
_LAST_RUNS = 2
_PATIENCE_SECONDS = 120
_SETTINGS = {
    "ENRICHMENT_CRM": "hubspot",
    "ENRICHMENT_PROVIDER": "zoominfo",
    "ENRICHMENT_CHUNK_SIZE": "15",
    "ENRICHMENT_CHUNKS_IN_FLIGHT": "2",
    "ENRICHMENT_ZOOMINFO_BATCH_SIZE": "5",
    "ENRICHMENT_ZOOMINFO_CONCURRENCY": "2",
    "ENRICHMENT_ZOOMINFO_REQUESTS_PER_SECOND": "500",
    "ENRICHMENT_SQLITE_BUSY_TIMEOUT_SECONDS": "0.3",
}
#: Answers that a process may have in hand when it dies: calls under way, times the contacts of one.
_IN_HAND = 2 * 2 * 5

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.faults.victim"])


@dataclass
class Outcome:
    """
    What came of a history.

    Args:
        seed: that it was made from.
        struck: what happened, by kind.
        violations: promises that don't hold, in words; none if all is well.
        paid_again: contacts that were paid for again though the reply was saved.
        lost: answers that were lost with their process.
        recovery_seconds: from the last process's end until the queue was empty.
    """

    seed: int
    struck: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    paid_again: int = 0
    lost: int = 0
    recovery_seconds: float = 0.0


@dataclass
class Trial:
    """
    Plays one history.

    Args:
        box: the stand-ins.
        served: the settings that lead to the server of the warehouse, if it has one.
        folder: for this history's files.
        vendor: of the warehouse.
        seed: decides what happens.
    """

    box: Box
    served: dict[str, str]
    folder: Path
    vendor: str
    seed: int

    def play(self) -> Outcome:
        """Let it happen, and return what came of it."""
        dice, outcome = random.Random(f"trial {self.seed}"), Outcome(self.seed)
        kinds = OF_WAREHOUSE[self.vendor]
        strikes = [_strike(dice, dice.choice(kinds)) for _ in range(dice.choice((1, 1, 2, 3)))]
        world = self.box.reset(contacts=CONTACTS, seed=dice.randrange(3), **_WIDE)
        with self._set_up() as warehouse:
            victims = [self._start(strike) for strike in strikes]
            self._await(victims, outcome)
            outcome.struck.update(one.kind for one in strikes)
            killed = sum(process.exitcode == -9 for process in victims)
            outcome.lost = _lost(world, warehouse)
            if outcome.lost > killed * _IN_HAND:
                outcome.violations.append(f"{outcome.lost} answers were lost, and {killed} processes killed")
            self._recover(warehouse, outcome)
            outcome.paid_again = _lost(world, warehouse) - outcome.lost
            outcome.violations += _violations(warehouse, world, outcome)
        return outcome

    @contextmanager
    def _set_up(self) -> Iterator[Warehouse]:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in self._environment().items():
                environment.setenv(name, value)
            with closing(load_warehouse(self.vendor)) as warehouse:
                warehouse.migrate()
                with open_crm("hubspot") as crm:
                    crm.ensure_fields()
                stage_everything.fn("hubspot", self.vendor, "live")
                yield warehouse

    def _environment(self) -> dict[str, str]:
        own = {"ENRICHMENT_WAREHOUSE": self.vendor}
        apart = load_stand_in(self.vendor).apart(self.served, f"trial_{uuid.uuid4().hex[:12]}")
        accounts = account_settings("hubspot", self.box.url) | account_settings("zoominfo", self.box.url)
        alerts = notifier_settings(self.box.url, self.box.smtp_port) | {"ENRICHMENT_NOTIFIERS": "slack"}
        return {**_SETTINGS, **accounts, **alerts, **apart, **own, "ENRICHMENT_ENV_FILE": "/dev/null"}

    def _start(self, strike: Strike | None = None) -> BaseProcess:
        environment = {name: value for name, value in os.environ.items() if name.startswith("ENRICHMENT_")}
        process = _processes.Process(target=work, args=(environment, self.folder / "prefect", strike), daemon=True)
        process.start()
        return process

    def _await(self, processes: list[BaseProcess], outcome: Outcome) -> None:
        for process in processes:
            process.join(_PATIENCE_SECONDS)
            if process.exitcode is None:
                process.kill()
                process.join()
                outcome.violations.append("a process hangs")

    def _recover(self, warehouse: Warehouse, outcome: Outcome) -> None:
        """Without further faults two runs end everything; their waits are passed over."""
        began = time.monotonic()
        for _ in range(_LAST_RUNS):
            if look(warehouse, "SELECT count(*) FROM enrichment_staging") != [(0,)]:
                with warehouse._transaction() as session:
                    session.execute("UPDATE enrichment_staging SET not_before = NULL")
                self._await([self._start()], outcome)
        outcome.recovery_seconds = time.monotonic() - began


def _strike(dice: random.Random, kind: str) -> Strike:
    of_calls = dice.random() < 0.5
    return Strike(kind, dice.randrange(1, OF_CALLS if of_calls else STEPS), of_calls)


_WIDE = {
    "zoominfo": {"per_second": 10**6, "per_hour": 10**9, "per_day": 10**9},
    "hubspot": {"per_ten_seconds": 10**6, "per_day": 10**9, "search_per_second": 10**6},
}


def _lost(world: World, warehouse: Warehouse) -> int:
    """Return how many answers more were given than replies are kept."""
    [(kept,)] = look(warehouse, "SELECT count(*) FROM provider_replies")
    return world.zoominfo.lookups.total() - int(kept)


def _violations(warehouse: Warehouse, world: World, outcome: Outcome) -> Iterator[str]:
    for check, examples in broken_promises(warehouse).items():
        yield f"{check}: {', '.join(' '.join(one) for one in examples)}"
    [(waiting,)] = look(warehouse, "SELECT count(*) FROM enrichment_staging")
    [(ended,)] = look(warehouse, "SELECT count(DISTINCT crm_id) FROM record_ledger")
    if waiting or ended != CONTACTS:
        yield f"{waiting} contacts never end, and {ended} of {CONTACTS} have ended"
    if outcome.paid_again:
        yield f"{outcome.paid_again} contacts were paid for again though the reply was saved"
    held = world.hubspot.contacts
    rows = look(warehouse, "SELECT crm_id, field, after FROM crm_writes WHERE written_at IS NOT NULL")
    if wrong := sum(held[crm_id].get(name) != after for crm_id, name, after in rows):
        yield f"{wrong} values that were confirmed are not in the CRM"
