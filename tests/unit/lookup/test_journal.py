"""The asker of a dry run: it reads the journal, and pays for nothing."""

from enrichment.records import REMAP, Finished, StagedRecord
from lookup.journal import JournalReader
from tests.unit.lookup.world import World, ends, match, miss


def test_what_is_known_comes_out_as_a_run_would_have_it(world: World) -> None:
    """Matches and misses of the journal end their records; what is lacking stays open."""
    seller = world.sell(ada=match(title="CTO"), ben=miss())
    world.stage("ada", "ben")
    before = world.buyer()
    world.look_up(before)
    world.put_back(before)
    world.stage("cleo")
    seller.asked.clear()
    buyer = world.buyer()
    reader = JournalReader(buyer.plan, world.warehouse)
    done = world.walk(buyer.plan, reader, buyer.claim.records)
    assert ends(done, buyer.claim) == {"ada": "found", "ben": "unmatched: unknown"}
    assert reader.lacking.keys() == {("first", "", seller.key("cleo@firm.example"))}
    assert seller.asked == []


def test_what_is_lacking_counts_once(world: World) -> None:
    """However many contacts share a request, and however often the reader meets it; at one provider after another."""
    first, second = world.sell("first"), world.sell("second")
    world.stage("ada", other="ADA@firm.example")
    buyer = world.buyer()
    reader = JournalReader(buyer.plan, world.warehouse)
    for _ in range(2):
        done = world.walk(buyer.plan, reader, buyer.claim.records)
        assert ends(done, buyer.claim) == {}
    assert reader.lacking.keys() == {("first", "", first.key("ada@firm.example"))}
    assert (first.asked, second.asked) == ([], [])


def test_the_erased_lack_nothing(world: World) -> None:
    """No provider would be called about them."""
    seller = world.sell()
    world.warehouse.suppress([seller.key("ada@firm.example")], "erased")
    world.stage("ada")
    buyer = world.buyer()
    reader = JournalReader(buyer.plan, world.warehouse)
    (ended,) = world.walk(buyer.plan, reader, buyer.claim.records).settlements
    assert isinstance(ended, Finished)
    assert ended.reason == "suppression_list"
    assert reader.lacking == {}


def test_a_remap_reads_replies_of_any_age_and_counts_as_no_lookup(world: World) -> None:
    """Whatever run takes it pays for nothing, where it would have to pay again by now; the others are looked up."""
    seller = world.sell(ada=match(title="CTO"), ben=match(title="CEO"))
    world.stage("ada")
    world.write(world.buyer())
    with world.warehouse._transaction() as session:
        session.execute("UPDATE provider_replies SET received_at = '2020-01-01T00:00:00.000Z'")
    world.crm.addresses |= {"ada": "ada@firm.example", "cleo": "cleo@firm.example"}
    world.stage("ben")
    buyer = world.buyer()
    seller.asked.clear()
    remaps = [StagedRecord.as_if_claimed("hubspot", name, None, REMAP) for name in ("ada", "cleo")]
    records = [*remaps, *buyer.claim.records]
    done = world.walk(buyer.plan, buyer, records)
    assert ends(done, records) == {"ada": "found", "ben": "found"}
    assert seller.asked == ["ben@firm.example"]
    assert {one.record.crm_id: one.lookups for one in done.found} == {"ada": "", "ben": "first matched"}
    assert ends(world.walk(buyer.plan, buyer, remaps[:1]), remaps) == {"ada": "found"}
