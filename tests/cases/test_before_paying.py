"""Nothing is paid before it can be used: ids that no one has confirmed, and contacts that aren't readable yet."""

from collections import Counter
from pathlib import Path

import pytest

from blocks.warehouses.base import NewRecord
from enrichment.records import Returned
from tasks.chunk import look_up, store, write_back
from tasks.intake import stage_listed
from tasks.preview import preview
from tasks.queue import claim_chunks
from tests.cases.chain import HUBSPOT, Chain
from triggers.submissions import read_contacts

WAREHOUSES = pytest.mark.parametrize("chain", ["sqlite", "postgres"], indirect=True)

#: Ids as a spreadsheet leaves them, or of no contact; each with an address that the provider knows.
MANGLED = ("999000001", "999000002", "101000000000000003")


def listed(path: Path, *lines: str) -> str:
    """Write a list of contacts, and return where it is."""
    path.write_text("crm_id,email\n" + "\n".join(lines) + "\n")
    return str(path)


@WAREHOUSES
def test_ids_that_the_crm_does_not_have_cost_nothing(chain: Chain, tmp_path: Path) -> None:
    """From a CSV file, a list of ids and a form alike; those that exist are enriched in the same batch."""
    real = chain.world.hubspot.create([{"email": f"hit+p{n}@firm.example"} for n in range(3)])
    lines = [f"{one},hit+x{one}@firm.example" for one in (MANGLED[0], MANGLED[1])] + [f"{real[0]},"]
    stage_listed.fn("hubspot", chain.vendor, "live", [], listed(tmp_path / "list.csv", *lines))
    stage_listed.fn("hubspot", chain.vendor, "live", [MANGLED[2], real[1]], "")
    form = '[{"crm_id": "999000009", "email": "hit+form@firm.example"}, {"crm_id": "%s"}]' % real[2]  # noqa: UP031
    chain.warehouse.stage(list(read_contacts(form.encode(), crm="hubspot", crms=["hubspot"]).records))
    shown = preview.fn(chain.plan(), 100)
    assert (shown.records, shown.would_ask) == (7, 3)
    chain.run()
    assert chain.world.zoominfo.lookups == Counter({f"hit+p{n}@firm.example": 1 for n in range(3)})
    assert chain.ends(*real) == ["written"] * 3
    assert chain.ends(*MANGLED, "999000009") == ["queued"] * 4
    assert chain.world.zoominfo.credits_used == 3


@WAREHOUSES
def test_what_is_absent_for_too_long_is_gone(chain: Chain) -> None:
    """With no patience at once: the result is invalid, and says why; nothing was paid."""
    chain.setenv("ENRICHMENT_ABSENT_MINUTES", "0")
    stage_listed.fn("hubspot", chain.vendor, "live", list(MANGLED), "")
    chain.run()
    assert chain.ends(*MANGLED) == ["invalid: contact_gone"] * 3
    assert not chain.world.zoominfo.lookups


@WAREHOUSES
def test_a_contact_that_is_not_readable_yet_is_enriched_later(chain: Chain) -> None:
    """It goes back at no attempt with a wait, whether it is missing before the lookup or before the write."""
    early, late = chain.world.hubspot.create([{"email": f"hit+{name}@firm.example"} for name in ("early", "late")])
    stage_listed.fn("hubspot", chain.vendor, "live", [early, late], "")
    chain.world.hubspot.archive(early)
    plan = chain.plan()
    [claimed] = claim_chunks.fn(plan, 1, 10)
    assert [(one.source, one.attempts, 0 <= one.age_seconds < 600) for one in claimed.contents.records] == [
        ("manual", 1, True)
    ] * 2
    looked_up = store.fn(plan, look_up.fn(plan, claimed))
    chain.world.hubspot.archive(late)
    done = write_back.fn(plan, looked_up).contents
    ids = {one.record_id for one in done.claim.records}
    assert set(done.settlements) == {Returned(one, "contact_absent", 30.0, costs_attempt=False) for one in ids}
    at_once = [Returned(one, "contact_absent", costs_attempt=False) for one in ids]
    chain.warehouse.settle(done.claim, plan.origin, at_once, [])
    for crm_id in (early, late):
        chain.world.hubspot.restore(crm_id)
    chain.run()
    assert chain.ends(early, late) == ["written", "written"]
    assert max(chain.world.zoominfo.lookups.values()) == 1


@WAREHOUSES
def test_a_new_contact_that_hubspot_cannot_read_yet(chain: Chain) -> None:
    """Its answer is 207 with OBJECT_NOT_FOUND for that one id; a minute later the contact is enriched."""
    chain.renew("hubspot", read_lag_seconds=60)
    chain.world.clock.advance(3600)
    (new,) = chain.world.hubspot.create([{"email": "hit+new@firm.example"}])
    chain.warehouse.stage([NewRecord("hubspot", new, None, "webhook", "live")])
    plan = chain.plan()
    [claimed] = claim_chunks.fn(plan, 1, 10)
    done = look_up.fn(plan, claimed)
    (back,) = done.contents.settlements
    assert back == Returned(claimed.contents.records[0].record_id, "contact_absent", 30.0, costs_attempt=False)
    at_once = [Returned(back.record_id, back.reason, costs_attempt=False)]
    chain.warehouse.settle(claimed.contents, plan.origin, at_once, [])
    chain.world.clock.advance(60)
    chain.run()
    assert chain.ends(new) == ["written"]
    assert chain.warehouse.read_story(HUBSPOT, new).ledger[0].attempts == 1


def test_contacts_that_the_crm_named_itself_cost_no_further_call(chain: Chain) -> None:
    """Their address is known, so the CRM is read once, right before the write."""
    crm_ids = chain.world.hubspot.create([{"email": f"hit+p{n}@firm.example"} for n in range(3)])
    chain.warehouse.stage(
        [NewRecord("hubspot", one, f"hit+p{n}@firm.example", "webhook", "live") for n, one in enumerate(crm_ids)]
    )
    plan = chain.plan()
    [claimed] = claim_chunks.fn(plan, 1, 10)
    before = len(chain.world.hubspot.requests)
    assert len(look_up.fn(plan, claimed).contents.found) == 3
    assert len(chain.world.hubspot.requests) == before
