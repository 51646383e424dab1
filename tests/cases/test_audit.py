"""The audit finds nothing in what really happened, and each of many corruptions."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

import pytest

from blocks.warehouses._audit import find_broken
from blocks.warehouses.base import RunEnd, RunStart, Warehouse
from blocks.warehouses.sqlite import SqliteWarehouse
from enrichment.intake import FailedContacts
from enrichment.promises import PROMISES, Sighting
from enrichment.records import Origin
from sandbox.accounts import notifier_settings
from tasks.contact import allow_contact, erase_contact, suppress_contacts
from tasks.intake import stage_failed, stage_listed
from tests.cases.chain import Chain
from tests.cases.corruptions import CORRUPTIONS

WAREHOUSES = pytest.mark.parametrize("chain", ["sqlite", "postgres"], indirect=True)
GIVEN = {"days": 30, "threshold": 0.01, "notifiers": "slack"}
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
NOT_OF_TABLES = {"field_not_mapped", "protected_field_written", "value_replaced", "write_not_there"}
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
