"""A dry run promises what a run then does: field by field, over contacts in every state, at one provider and at two."""

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from blocks.crms.base import open_crm
from blocks.warehouses.base import NewRecord, Warehouse, WrittenField
from enrichment.identifiers import suppression_keys
from enrichment.plan import RunPlan
from enrichment.records import Chunk, Contact, Disposition, Finished, Origin, Returned
from sandbox.accounts import ACCOUNTS, account_settings
from sandbox.agreement import disagreements
from sandbox.server import Box
from tasks.books import describe_fields
from tasks.chunk import look_up, settle, store, write_back
from tasks.preview import Preview, preview
from tasks.queue import claim_chunks
from tasks.steps import Parcel

#: How far a contact has come: never looked up, looked up but not stored, stored but not written, written and staged
#: once more (also on purpose), written under another address, or barred.
STATES = ("new", "saved", "stored", "fresh", "refreshed", "moved", "suppressed")
#: How its lookup ends at the stand-ins.
KINDS = ("hit", "miss", "companyonly", "optout", "person")
CHANGED = {"company": "A person's own", "city": "Ulm"}


@dataclass(frozen=True)
class Drawn:
    """A contact as hypothesis draws it: its state, how its lookup ends, and which fields a person has filled."""

    state: str
    kind: str
    filled: frozenset[str]


CONTACTS = st.lists(
    st.builds(Drawn, st.sampled_from(STATES), st.sampled_from(KINDS), st.frozensets(st.sampled_from(sorted(CHANGED)))),
    min_size=1,
    max_size=14,
)


class Stage:
    """A queue with contacts in every state, in front of new accounts."""

    def __init__(self, box: Box, warehouse: Warehouse, setenv: Callable[[str, str], None], providers: str) -> None:
        self.warehouse = warehouse
        self.world = box.reset(
            contacts=1, seed=7, **{name: {one.identity: f"new-{uuid.uuid4().hex}"} for name, one in ACCOUNTS.items()}
        )
        for name in ACCOUNTS:
            for setting, value in account_settings(name, box.url, self.world.services[name].options()).items():
                setenv(setting, value)
        with open_crm("hubspot") as crm:
            crm.ensure_fields()
        self._plan = RunPlan("", providers, "hubspot", "sqlite", required_fields=("title",) if "," in providers else ())

    def plan(self) -> RunPlan:
        """Return the plan of a new run."""
        plan = replace(self._plan, run_id=uuid.uuid4().hex)
        return replace(plan, descriptions=describe_fields.fn(plan))

    def create(self, drawn: Sequence[Drawn]) -> dict[str, Drawn]:
        """Make the contacts in the CRM, and bring each as far as it is to come."""
        people = [{"email": self._address(number, one)} | self._filled(one) for number, one in enumerate(drawn)]
        contacts = dict(zip(self.world.hubspot.create(people), drawn, strict=True))
        written = [crm_id for crm_id, one in contacts.items() if one.state in {"fresh", "refreshed", "moved"}]
        self._work(written, look_up.fn, store.fn, write_back.fn)
        self._work([crm_id for crm_id, one in contacts.items() if one.state == "saved"], look_up.fn)
        self._work([crm_id for crm_id, one in contacts.items() if one.state == "stored"], look_up.fn, store.fn)
        for crm_id, one in contacts.items():
            if one.state == "suppressed":
                self.warehouse.suppress(suppression_keys(Contact(crm_id), Origin("hubspot")), "asked for")
            if one.state == "moved":
                self.world.hubspot.edit(crm_id, {"email": f"hit+moved{crm_id}@firm.example"})
            if one.state in {"refreshed", "moved"}:
                self.world.hubspot.edit(crm_id, {"enr_company_name": ""})
        self._stage([one for one in contacts if contacts[one].state not in {"saved", "stored", "refreshed"}])
        self._stage([one for one in contacts if contacts[one].state == "refreshed"], refresh=True)
        return contacts

    def work(self) -> tuple[Chunk, dict[str, dict[str, Any]]]:
        """Run, and return the settled chunk and the CRM's values from before."""
        before = {crm_id: dict(values) for crm_id, values in self.world.hubspot.contacts.items()}
        return self._chain(self.plan(), look_up.fn, store.fn, write_back.fn), before

    def _work(self, crm_ids: Sequence[str], *steps: Callable[..., Parcel[Chunk]]) -> None:
        self._stage(crm_ids)
        if crm_ids:
            self._chain(self.plan(), *steps)

    def _stage(self, crm_ids: Sequence[str], *, refresh: bool = False) -> None:
        self.warehouse.stage([NewRecord("hubspot", one, None, "manual", "live", refresh=refresh) for one in crm_ids])

    def _chain(self, plan: RunPlan, *steps: Callable[..., Parcel[Chunk]]) -> Chunk:
        """Claim what waits, take it so far, and put back what has not ended by then."""
        [claimed] = claim_chunks.fn(plan, 1, 1000)
        records = claimed.contents.records
        parcel: Parcel[Any] = claimed
        for step in steps:
            parcel = step(plan, parcel)
        chunk: Chunk = parcel.contents
        if write_back.fn not in steps:  # killed at this point
            back = tuple(Returned(record.record_id, "killed", costs_attempt=False) for record in records)
            chunk = replace(chunk, found=(), settlements=back)
        settle.fn(plan, Parcel(chunk))
        return chunk

    @staticmethod
    def _address(number: int, one: Drawn) -> str:
        prefix = "" if one.kind == "person" else f"{one.kind}+"
        return f"{prefix}p{number}@firm{number % 3}.example"

    @staticmethod
    def _filled(one: Drawn) -> dict[str, str]:
        return {name: CHANGED[name] for name in one.filled}


def differences(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return by contact the fields that differ, with their new values; the CRM's own marks of time left out."""
    return {
        crm_id: changed
        for crm_id, values in after.items()
        if (
            changed := {
                name: value
                for name, value in values.items()
                if value != before[crm_id].get(name) and "modified" not in name
            }
        )
    }


@pytest.mark.parametrize("providers", ["zoominfo", "zoominfo, hunter"])
# Each example takes seconds, so a failing one isn't made smaller: it is small enough to read.
@settings(
    max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck)
)
@given(drawn=CONTACTS)
def test_a_dry_run_shows_what_the_run_then_writes(
    shared_box: Box,
    make_warehouse: Callable[[str], Warehouse],
    monkeypatch: pytest.MonkeyPatch,
    providers: str,
    drawn: list[Drawn],
) -> None:
    """Whatever needs no paid reply ends as promised, field by field; the rest is named as what must be paid for."""
    stage = Stage(shared_box, make_warehouse("sqlite"), monkeypatch.setenv, providers)
    contacts = stage.create(drawn)
    asked = Counter(stage.world.zoominfo.lookups) + Counter(stage.world.hunter.lookups)
    promised: Preview = preview.fn(stage.plan(), 1000)
    assert Counter(stage.world.zoominfo.lookups) + Counter(stage.world.hunter.lookups) == asked
    waiting = {record.crm_id for record in stage.warehouse.peek(origin=stage.plan().origin, lane="", limit=1000)}
    chunk, before = stage.work()

    assert promised.records == len(waiting)
    paid_for = (Counter(stage.world.zoominfo.lookups) + Counter(stage.world.hunter.lookups)).total() - asked.total()
    assert min(paid_for, 1) <= promised.would_ask <= paid_for
    known = {crm_id for crm_id, one in contacts.items() if one.state not in {"new", "moved"}}
    written = {one: fields for one, fields in differences(before, stage.world.hubspot.contacts).items() if one in known}
    shown = {crm_id: changes for crm_id, changes in promised.changes.items() if crm_id in known}
    assert {(one, name) for one, fields in written.items() for name in fields} ^ {
        (one, change.field) for one, changes in shown.items() for change in changes
    } == set()
    rows = [
        WrittenField(crm_id, change.field, change.before, change.after)
        for crm_id, changes in shown.items()
        for change in changes
    ]
    assert disagreements(rows, stage.world.hubspot.contacts) == []
    ended = Counter(one.disposition for one in chunk.settlements if isinstance(one, Finished))
    assert ended >= Counter(promised.results)
    if promised.would_ask == 0:
        assert ended == Counter(promised.results)
    assert {crm_id for crm_id, one in contacts.items() if one.state in {"fresh", "suppressed"}}.isdisjoint(shown)
    barred = sum(1 for one in contacts.values() if one.state == "suppressed")
    assert promised.results.get(Disposition.SUPPRESSED, 0) >= barred
