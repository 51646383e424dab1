"""A new version goes on from the tables that a release left; two versions never work on one warehouse."""

import json
import os
from collections.abc import Callable, Iterator

import pytest

from blocks.warehouses._session import read_sql
from blocks.warehouses.base import Warehouse, load_warehouse
from enrichment.errors import ConfigurationError
from sandbox.server import Box
from sandbox.warehouses.base import load_stand_in
from tasks.chunk import look_up, settle, store, write_back
from tasks.queue import claim_chunks
from tests.cases.chain import Chain
from tests.cases.test_audit import NAMED
from tests.cases.test_without_server import enrich, prefect_home
from tests.releases import ENGINES, FOLDER, KILLED, RELEASES, Kept, restore, schema_of
from tests.warehouses import broken_promises

__all__ = ["prefect_home"]

WAREHOUSES = pytest.mark.parametrize("chain", ENGINES, indirect=True)


@pytest.fixture
def left(
    request: pytest.FixtureRequest,
    box: Box,
    serve_warehouse: Callable[[str], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> "Iterator[tuple[Chain, Kept]]":
    """Give what a release left in a warehouse, and the CRM with the same contacts."""
    version, engine = request.param
    name = f"release_{os.urandom(6).hex()}"
    for setting, value in load_stand_in(engine).apart(serve_warehouse(engine), name).items():
        monkeypatch.setenv(setting, value)
    warehouse = load_warehouse(engine)
    kept = restore(version, warehouse)
    chain = Chain(box, warehouse, monkeypatch.setenv, engine)
    made = chain.world.hubspot.create([{"email": address} for address in (*KILLED.values(), *NAMED.values())])
    assert [kept.ids[name] for name in (*KILLED, *NAMED)] == made
    yield chain, kept
    warehouse.close()


@pytest.mark.parametrize("left", [(one, engine) for one in RELEASES for engine in ENGINES], indirect=True, ids=str)
def test_what_a_release_left_is_finished_and_nothing_is_paid_for_again(left: "tuple[Chain, Kept]") -> None:
    """After `enrich setup`: killed runs, the queue and failed contacts; every list reads, and no promise is broken."""
    chain, kept = left
    chain.warehouse.migrate()
    chain.warehouse.check_schema()
    assert broken_promises(chain.warehouse) == {}
    waiting = [kept.ids[name] for name in (*KILLED, "unpaid", "waiting")]
    ended = json.loads(enrich("run").stdout)["books"]
    assert (ended["claimed"], ended["dispositions"]) == (4, {"written": 4})
    assert chain.ends(*waiting) == ["written"] * 4
    bought = set(chain.world.zoominfo.lookups)
    assert (chain.world.zoominfo.credits_used, len(bought)) == (2, 2)
    for words in (["status"], ["failures"], ["unmatched"], ["queue"], ["review"], ["audit"], ["why", waiting[0]]):
        assert enrich(*words).exit_code in {0, 4}, words
    assert enrich("undo", "--contact", waiting[1], "--yes").exit_code == 0
    assert not chain.values(waiting[1], "enr_company_name")["enr_company_name"]
    assert broken_promises(chain.warehouse) == {}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_present_tables_are_kept(engine: str) -> None:
    """Until a version is released, `make release-data` keeps its tables; then only further migrations change them."""
    kept = (FOLDER / RELEASES[-1] / f"{engine}.sql").read_text().strip()
    if not schema_of(read_sql(engine)).startswith(kept):
        pytest.fail(f"the tables of {RELEASES[-1]} changed: `make release-data`, or a migration once it is released")


def upgrade(warehouse: Warehouse) -> None:
    """Do to the tables what the setup of a later version may do: add."""
    with warehouse._transaction() as session:
        session.execute("CREATE TABLE later (id INTEGER)")
        for table in ("enrichment_staging", "record_ledger", "provider_replies", "crm_writes", "enrichment_runs"):
            session.execute(f"ALTER TABLE {table} ADD COLUMN later INTEGER")
        session.run("record_migration", version="0999 later")


@WAREHOUSES
def test_a_run_at_work_outlives_an_upgrade_and_the_next_one_is_refused(chain: Chain) -> None:
    """The old version finishes what it has locked, and then touches nothing: no lock, no call, no totals."""
    first, second = chain.world.hubspot.create([{"email": "hit+a@firm.example"}, {"email": "hit+b@firm.example"}])
    chain.stage([first])
    plan = chain.plan()
    [claimed] = claim_chunks.fn(plan, 1, 1000)
    done = look_up.fn(plan, claimed)
    upgrade(chain.warehouse)
    settle.fn(plan, write_back.fn(plan, store.fn(plan, done)))
    assert chain.ends(first) == ["written"]
    chain.stage([second])
    for words in (["run"], ["undo", "--contact", first, "--yes"], ["setup"]):
        refused = enrich(*words)
        assert (refused.exit_code, "'0999 later'" in refused.stderr) == (2, True), words
    with pytest.raises(ConfigurationError, match="Upgrade this installation"):
        chain.run_with_totals()
    assert chain.world.zoominfo.credits_used == 1
    assert chain.warehouse.read_locks() == []
