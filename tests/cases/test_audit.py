"""The audit finds nothing in what really happened, and each of many corruptions."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from typer.testing import CliRunner

from blocks.settings import load_settings
from blocks.warehouses._audit import find_broken
from blocks.warehouses.base import RunEnd, RunStart, Warehouse
from blocks.warehouses.sqlite import SqliteWarehouse
from cli import app
from enrichment.errors import PromiseBrokenError
from enrichment.intake import FailedContacts
from enrichment.promises import PROMISES, Sighting
from enrichment.records import CANCELLED, Origin, Stop
from flows.audit import audit as audit_flow
from flows.local import run_flow
from sandbox.accounts import notifier_settings
from tasks.books import close_books, open_books
from tasks.chunk import look_up, settle, store, write_back
from tasks.contact import allow_contact, erase_contact, suppress_contacts
from tasks.intake import stage_failed, stage_listed
from tasks.queue import claim_chunks
from tests.cases.chain import Chain
from tests.cases.corruptions import CORRUPTIONS, FAR_AWAY
from tests.warehouses import broken_promises

WAREHOUSES = pytest.mark.parametrize("chain", ["sqlite", "postgres"], indirect=True)
GIVEN: dict[str, Any] = {"days": 30, "reply_days": 180, "threshold": 0.01, "notifiers": "slack"}
ENDS = {
    **dict.fromkeys(("erased", "allowed", "failed", "refused", "interrupted"), "written"),
    "hit": "skipped_fresh: within_30_days",
    "twice": "unchanged",
    "miss": "unmatched: NO_MATCH",
    "malformed": "invalid: email_malformed",
    "opted_out": "suppressed: suppression_list",
    "unpaid": "queued",
    "waiting": "queued",
}
#: Checks that need more than the tables.
NOT_OF_TABLES = {
    "field_not_mapped",
    "protected_field_written",
    "value_replaced",
    "write_not_there",
}
NAMED = {
    "hit": "hit+a@firm.example",
    "twice": "hit+b@firm.example",
    "miss": "miss+c@firm.example",
    "malformed": "no address",
    "erased": "hit+d@firm.example",
    "opted_out": "hit+e@firm.example",
    "allowed": "hit+f@firm.example",
    "failed": "hit+g@other.example",
    "refused": "hit+h@firm.example",
    "interrupted": "hit+i@late.example",
    "unpaid": "hit+j@late.example",
    "waiting": "hit+k@late.example",
}


def live_through(chain: Chain) -> dict[str, str]:
    """Let every kind of thing happen that leaves rows, and return the ids of the contacts."""
    for name, value in notifier_settings(chain.box.url, chain.box.smtp_port).items():
        chain.setenv(name, value)
    made = chain.world.hubspot.create([{"email": address} for address in NAMED.values()])
    ids = dict(zip(NAMED, made, strict=True))
    suppress_contacts(chain.vendor, "hubspot", [ids["opted_out"], ids["allowed"]], "opted out")
    allow_contact(chain.vendor, "hubspot", ids["allowed"])
    run(chain, *(ids[name] for name in ("hit", "twice", "miss", "malformed", "erased", "opted_out", "allowed")))
    stage_listed.fn("hubspot", chain.vendor, "live", [ids["twice"]], "", refresh=True)
    run(chain, ids["hit"])
    erase_contact(chain.vendor, "hubspot", ids["erased"])
    fail_and_retry(chain, ids["failed"])
    refuse_a_field(chain, ids["refused"])
    interrupt(chain, ids["interrupted"])
    chain.renew("zoominfo", credits_left=0)
    run(chain, ids["unpaid"])
    chain.stage([ids["waiting"]])
    return ids


def run(chain: Chain, *crm_ids: str) -> None:
    chain.stage(list(crm_ids))
    chain.run_with_totals(notifiers=["slack"])


def fail_and_retry(chain: Chain, crm_id: str) -> None:
    """Let a contact fail twice, and be written the third time."""
    chain.setenv("ENRICHMENT_MAX_ATTEMPTS", "1")
    refusal = {"status": "error", "category": "VALIDATION_ERROR", "message": "Property values were not valid"}
    for _ in range(2):
        chain.answer("hubspot", "batch/update", refusal, status=400, times=2)
        run(chain, crm_id)
        chain.world.faults.clear()
        stage_failed.fn("hubspot", chain.vendor, "live", FailedContacts())
    run(chain)
    chain.setenv("ENRICHMENT_MAX_ATTEMPTS", "5")


def refuse_a_field(chain: Chain, crm_id: str) -> None:
    """Let the CRM have no option for a contact's industry."""
    industry = chain.world.hubspot._catalog.definitions["industry"]
    option = {"label": "Mining", "value": "MINING", "hidden": False}
    before = dict(industry)
    industry |= {"type": "enumeration", "fieldType": "select", "options": [option]}
    run(chain, crm_id)
    industry |= before


def interrupt(chain: Chain, crm_id: str) -> None:
    """Let a run die that has locked a contact; the next one takes it."""
    chain.stage([crm_id])
    chain.warehouse.open_run(RunStart("dead", "dead", "zoominfo", "hubspot", ""), lease_seconds=600)
    chain.warehouse.claim(
        "dead", origin=Origin("hubspot"), lane="", limit=1, lease_seconds=-60, make_token=lambda: "dead"
    )
    chain.warehouse.close_run("dead", RunEnd(0.0, state="abandoned"))
    run(chain)


class _UndoneError(Exception):
    """The transaction of a corruption is rolled back."""


def find_in(warehouse: Warehouse, statements: Sequence[str]) -> dict[str, Sighting]:
    """Return what the audit finds after some statements, which are taken back."""
    found = {}
    with suppress(_UndoneError), warehouse._transaction() as session:
        for statement in statements:
            session.execute(statement)
        found = broken_in(find_broken(session, warehouse.sql, **GIVEN))
        raise _UndoneError
    return found


def broken_in(found: Mapping[str, Sighting]) -> dict[str, Sighting]:
    return {name: one for name, one in found.items() if one.count}


@WAREHOUSES
def test_only_what_is_planted_is_found(chain: Chain) -> None:
    """Matches, misses, failures, retries, refusals, erasures and a dead run break no promise; each corruption does."""
    ids = live_through(chain)
    assert dict(zip(ids, chain.ends(*ids.values()), strict=True)) == ENDS
    assert broken_in(chain.warehouse.read_broken(**GIVEN)) == {}
    billed = {
        name: service.summary()["credits_used"]
        for name, service in chain.world.services.items()
        if "credits_used" in service.summary()
    }
    booked = chain.warehouse.credits_booked(days=30)
    assert {name: one.credits <= billed[name] <= one.credits + one.doubtful for name, one in booked.items()} == {
        name: True for name in billed if billed[name]
    }
    found = [(check, find_in(chain.warehouse, statements)) for check, statements in CORRUPTIONS]
    missed = [(number, check) for number, (check, seen) in enumerate(found) if check not in seen]
    assert missed == []
    assert broken_in(chain.warehouse.read_broken(**GIVEN)) == {}


def test_each_check_of_the_tables_is_shown_to_find_something() -> None:
    """No check stands only on paper."""
    checks = {check for promise in PROMISES for check in promise.checks}
    assert checks - NOT_OF_TABLES == {check for check, _ in CORRUPTIONS}
    in_sql = {name.removeprefix("broken_") for name in SqliteWarehouse.sql.queries if name.startswith("broken_")}
    assert checks - NOT_OF_TABLES == in_sql


def enrich(*words: str) -> tuple[int, dict[str, Any]]:
    """Return the exit code of `enrich audit --json`, and what it says."""
    done = CliRunner().invoke(app, ["audit", "--json", *words])
    return done.exit_code, json.loads(done.stdout)


def tamper(chain: Chain, statement: str) -> None:
    with chain.warehouse._transaction() as session:
        session.execute(statement)


def broken_by(said: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the checks that found something, with the ids, by promise."""
    return {
        f"{one['promise']}/{breach['check']}": breach["examples"]
        for one in said["verdicts"]
        for breach in one["breaches"]
    }


def test_the_command_checks_tables_mapping_and_crm(chain: Chain) -> None:
    """It says each promise, ends with 0 or 1, and tells a person's change from a value that never arrived."""
    ids = chain.world.hubspot.create([{"email": f"hit+{n}@firm.example"} for n in range(3)])
    run(chain, *ids)
    code, said = enrich()
    assert (code, said["kept"], broken_by(said)) == (0, True, {})
    assert {one["promise"] for one in said["verdicts"]} == {promise.name for promise in PROMISES}
    assert (
        "3 contacts read: 48 values are ours, 0 were changed since, 0 are of contacts that are gone" in said["notes"][0]
    )
    assert said["notes"][1].startswith("provider zoominfo: 3 credits booked in 30 days; ")
    chain.world.hubspot.edit(ids[0], {"city": "Elsewhere"})
    chain.world.hubspot.archive(ids[1])
    code, said = enrich()
    assert (code, broken_by(said)) == (0, {})
    assert "2 contacts read: 31 values are ours, 1 were changed since, 16 are of contacts" in said["notes"][0]
    tamper(chain, f"UPDATE crm_writes SET after = 'Rome', planned_at = {FAR_AWAY} WHERE field = 'city'")
    tamper(chain, "UPDATE crm_writes SET field = 'hs_lead_status' WHERE field = 'jobtitle'")
    tamper(chain, "UPDATE crm_writes SET field = 'favourite_colour' WHERE field = 'state'")
    tamper(chain, f"UPDATE crm_writes SET before = 'Ltd' WHERE field = 'company' AND crm_id = '{ids[2]}'")
    code, said = enrich("--days", "7")
    assert code == 1
    found = broken_by(said)
    assert found["writes_allowed/protected_field_written"] == [f"{ids[0]} (hs_lead_status)"]
    assert found["writes_allowed/field_not_mapped"] == [f"{ids[0]} (favourite_colour)"]
    assert found["writes_allowed/value_replaced"] == [f"{ids[2]} (company)"]
    assert found["crm_agrees/write_not_there"] == [f"{ids[0]} (city)", f"{ids[2]} (city)"]


def test_the_command_says_in_lines_what_is_broken_and_what_to_do(chain: Chain) -> None:
    """A line for each promise; below a broken one how often, what must hold, the ids and the next command."""
    (crm_id,) = chain.world.hubspot.create([{"email": "hit+a@firm.example"}])
    run(chain, crm_id)
    tamper(chain, "DELETE FROM record_ledger")
    done = CliRunner().invoke(app, ["audit", "--sample", "0"])
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("BAD No queued contact is lost"))
    rule = "A contact whose answer was stored is in the queue, or has ended since."
    assert lines[place + 1].startswith(f"    1 times not so: {rule} {crm_id} (")
    assert "`enrich stage --ids ID` queues it again" in lines[place + 2]
    assert sum(line.startswith("ok ") for line in lines) > 5
    assert not [line for line in lines if "provider" in line.split(":")[0]]


def test_without_a_crm_the_tables_are_checked_and_it_says_what_is_not(chain: Chain) -> None:
    """A CRM that refuses us breaks no promise."""
    chain.setenv("ENRICHMENT_HUBSPOT_ACCESS_TOKEN", "refused")
    code, said = enrich()
    assert (code, said["kept"]) == (0, True)
    assert "crm hubspot: not checked: " in said["notes"][0]
    chain.setenv("ENRICHMENT_KEEP_RUNS_DAYS", "5")
    assert enrich("--sample", "0")[1]["days"] == 5


def test_the_flow_fails_and_people_are_alerted_if_a_promise_is_broken(chain: Chain) -> None:
    """The alert names the promises, and the command that shows the ids."""
    for name, value in {
        **notifier_settings(chain.box.url, chain.box.smtp_port),
        "ENRICHMENT_NOTIFIERS": "slack",
    }.items():
        chain.setenv(name, value)
    (crm_id,) = chain.world.hubspot.create([{"email": "hit+a@firm.example"}])
    run(chain, crm_id)
    assert run_flow(audit_flow, days=7, sample=0).broken == []
    tamper(chain, "DELETE FROM crm_writes")
    with pytest.raises(PromiseBrokenError, match="writes_allowed"):
        run_flow(audit_flow, days=7)
    (message,) = chain.world.slack.messages
    assert "the audit found a problem" in message.text
    assert "`enrich audit` shows the ids" in message.text


def test_the_results_of_a_cancelled_run_are_counted(chain: Chain) -> None:
    """What it had ended when it was cancelled stands in its totals, as in those of any other run."""
    chain.stage(chain.world.hubspot.create([{"email": "hit+a@firm.example"}, {"email": "miss+b@firm.example"}]))
    plan = chain.plan()
    open_books.fn(plan)
    [claimed] = claim_chunks.fn(plan, 1, 2)
    settle.fn(plan, write_back.fn(plan, store.fn(plan, look_up.fn(plan, claimed))))
    close_books.fn(plan, Stop(CANCELLED, "cancelled"), 0, 2, 0, load_settings().limits, [], {})
    assert chain.warehouse.read_run(plan.run_id).state == "cancelled"
    assert broken_promises(chain.warehouse) == {}
