"""A run's chain over a queue and the stand-ins, step by step in this process: many kinds of contacts share it."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from blocks.crms.base import open_crm
from blocks.settings import load_settings
from blocks.warehouses.base import Warehouse
from enrichment.plan import RunPlan
from enrichment.records import Origin, Stop
from enrichment.stops import graver
from enrichment.summary import RunReport
from flows.plan import plan_run
from sandbox.accounts import ACCOUNTS, account_settings
from sandbox.server import Box
from tasks.books import close_books, describe_fields, open_books
from tasks.chunk import look_up, settle, store, write_back
from tasks.intake import stage_listed
from tasks.queue import claim_chunks

HUBSPOT = Origin("hubspot")
SETTINGS = {"ENRICHMENT_CRM": "hubspot", "ENRICHMENT_ABSENT_MINUTES": "15"}


@dataclass
class Chain:
    """Works on what waits as a run does, without Prefect's server."""

    box: Box
    warehouse: Warehouse
    setenv: Callable[[str, str], None]
    vendor: str
    crm: str = "hubspot"

    def __post_init__(self) -> None:
        """Begin a new world with new accounts, so that no pause of an old one lasts."""
        new = {name: {account.identity: f"new-{uuid.uuid4().hex}"} for name, account in ACCOUNTS.items()}
        self.world = self.box.reset(contacts=1, seed=7, **new)
        for name, value in {**SETTINGS, "ENRICHMENT_WAREHOUSE": self.vendor}.items():
            self.setenv(name, value)
        for name in ACCOUNTS:
            self._open(name)
        with open_crm("hubspot") as crm:
            crm.ensure_fields()

    def _open(self, name: str) -> None:
        for setting, value in account_settings(name, self.box.url, self.world.services[name].options()).items():
            self.setenv(setting, value)

    def renew(self, name: str, **settings: Any) -> None:
        """Give a provider or CRM a new account with such settings: nothing that was learnt of the old one holds."""
        self.box.configure(**{name: {ACCOUNTS[name].identity: f"new-{uuid.uuid4().hex}", **settings}})
        self._open(name)

    def plan(self, provider: str = "zoominfo") -> RunPlan:
        """Return the plan of a new run by today's settings."""
        plan = plan_run(load_settings(), provider=provider, crm=self.crm, warehouse=self.vendor, lane="")
        plan = replace(plan, run_id=uuid.uuid4().hex)
        return replace(plan, descriptions=describe_fields.fn(plan))

    def stage(self, crm_ids: list[str]) -> None:
        """Put contacts into the queue, as a list of ids does."""
        stage_listed.fn(self.crm, self.vendor, "live", crm_ids, "")

    def run(self, provider: str = "zoominfo", plan: RunPlan | None = None) -> RunPlan:
        """Take what waits through the whole chain, as a run that may be at work already; return the run's plan."""
        plan = plan or self.plan(provider)
        for claimed in claim_chunks.fn(plan, 1, 1000):
            settle.fn(plan, write_back.fn(plan, store.fn(plan, look_up.fn(plan, claimed))))
        return plan

    def run_with_totals(self, notifiers: Sequence[str] = ()) -> RunReport:
        """Take what waits through a whole run: its totals opened before, and closed after it, with their alert."""
        plan, settings = self.plan(), load_settings()
        open_books.fn(plan)
        stop, taken, returned, planned = None, 0, 0, Counter[str]()
        for claimed in claim_chunks.fn(plan, 3, 1000):
            taken += len(claimed.contents.records)
            ended = settle.fn(plan, write_back.fn(plan, store.fn(plan, look_up.fn(plan, claimed))))
            stop, returned = graver(stop, ended.stop), returned + ended.returned + ended.lost
            planned.update(ended.planned)
        return close_books.fn(plan, stop, 0, taken, returned, settings.limits, notifiers, planned)

    def make_due(self) -> None:
        """Let what waits for another attempt be due."""
        with self.warehouse._transaction() as session:
            session.execute("UPDATE enrichment_staging SET not_before = NULL")

    def stop_of(self, provider: str) -> Stop | None:
        """Look up what waits, put it back, and return what stops the run."""
        plan = self.plan(provider)
        [claimed] = claim_chunks.fn(plan, 1, 1000)
        done = look_up.fn(plan, claimed)
        settle.fn(plan, done)
        return done.contents.stop

    def ends(self, *crm_ids: str) -> list[str]:
        """Return how contacts ended last, as `<result>: <reason>`; of those that wait, `queued`."""
        found = []
        for crm_id in crm_ids:
            ledger = self.warehouse.read_story(Origin(self.crm), crm_id).ledger
            last = max(ledger, key=lambda one: one.finished_at, default=None)
            found.append(f"{last.disposition}: {last.reason}".removesuffix(": ") if last else "queued")
        return found

    def answer(self, service: str, path: str, body: Any, *, status: int = 200, times: int = 1) -> None:
        """Let calls be answered with this JSON."""
        self.world.faults.add(
            kind="status",
            service=service,
            path_contains=path,
            status=status,
            body=json.dumps(body),
            content_type="application/json",
            times=times,
        )

    def values(self, crm_id: str, *names: str) -> Mapping[str, str | None]:
        """Return what the CRM has of a contact in these fields."""
        held = self.world.hubspot.contacts[crm_id]
        return {name: held.get(name) for name in names}
