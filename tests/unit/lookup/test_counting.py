"""The asker of an estimate: what would have to be paid for, and how likely."""

from collections.abc import Sequence

import pytest

from enrichment.estimate import Price, ProviderEstimate, Range
from enrichment.records import StagedRecord
from lookup.counting import Counter
from tests.unit.lookup.world import Answer, FollowUpSeller, World, ends, match, miss

STACK = frozenset({"tech_stack"})


@pytest.fixture
def known(world: World) -> World:
    """Give a world whose first provider knew three of four contacts; ada and ben are of one company."""
    answers = {"ada": match("acme"), "ben": match("acme"), "cleo": match("bolt", tech_stack=["Go"]), "dora": miss()}
    world.sell("first", **answers)
    world.stage("ada", "ben", "cleo", "dora")
    world.write(world.buyer())
    world.stage("ada", "ben", "cleo", "dora", refresh=True)
    return world


def count(world: World, *pages: Sequence[StagedRecord]) -> dict[str, ProviderEstimate]:
    """Count records page by page, and return the parts by provider and step."""
    plan = world.plan()
    counter = Counter(plan, world.warehouse, world.providers.values())
    for page in pages:
        world.walk(plan, counter, page)
    return {f"{one.provider} {one.step}".rstrip(): one for one in counter.estimates({"first": Price(0.5, "EUR")})}


def test_the_journal_is_free_and_the_rest_is_as_likely_as_before(known: World) -> None:
    """The second provider is queried for whom the first doesn't know: one known miss, and a quarter of two others."""
    first, second = known.providers["first"], known.sell("second")
    known.stage("eve", "finn")
    found = count(known, known.buyer().claim.records)
    assert (found["first"].in_journal, found["first"].requests) == (4, Range(2.0, 2.0))
    assert found["first"].match_rate == 0.75
    assert (found["second"].in_journal, found["second"].requests) == (0, Range(1.5, 3.0))
    assert (found["first"].currency, found["second"].money) == ("EUR", None)
    assert (second.asked, len(first.asked)) == ([], 4)


def test_a_shared_request_counts_once_over_all_pages(known: World) -> None:
    """Contacts that the journal knows are counted, too; those who share a reply are as many as they are."""
    known.stage(eve="eve@firm.example", other="EVE@firm.example", third="ada@firm.example")
    records = known.buyer().claim.records
    found = count(known, records[:3], records[3:])
    assert (found["first"].in_journal, found["first"].requests) == (5, Range(1.0, 1.0))


def test_companies_are_counted_where_something_is_lacking(known: World) -> None:
    """Known contacts of one company need one request, who has the field none, and each unknown one perhaps one."""
    further = FollowUpSeller("first", step="tech_stack", fills=STACK)
    known.providers["first"].follow_ups = (further,)
    known.stage("eve")
    claim = known.buyer().claim
    found = count(known, claim.records)
    assert found["first tech_stack"].requests == Range(1.75, 2.0)
    assert found["first tech_stack"].in_journal == 0


def test_a_company_that_the_journal_knows_is_free(known: World) -> None:
    """It counts once, for all its contacts; they are found, and need no further provider."""
    further = FollowUpSeller("first", {"acme": match(tech_stack=["SQL"])}, step="tech_stack", fills=STACK)
    known.providers["first"].follow_ups = (further,)
    buyer = known.buyer()
    known.look_up(buyer)
    plan = known.plan()
    counter = Counter(plan, known.warehouse, known.providers.values())
    done = known.walk(plan, counter, buyer.claim.records)
    assert ends(done, buyer.claim) == dict.fromkeys(("ada", "ben", "cleo"), "found") | {"dora": "unmatched: unknown"}
    contacts, companies = counter.estimates({})
    assert (contacts.in_journal, companies.in_journal, companies.requests) == (4, 1, Range(0.0, 0.0))


def test_a_later_provider_s_follow_up_fills_only_what_is_lacking(world: World) -> None:
    """Who has the tech stack by the first provider needs no company of the second."""
    answers: dict[str, Answer] = {"ada": match(tech_stack=["SQL"]), "ben": match(title="CTO")}
    world.sell("first", **answers)
    world.stage(*answers)
    buyer = world.buyer()
    world.look_up(buyer)
    world.sell("second", FollowUpSeller("second", step="tech_stack", fills=STACK))
    plan = world.plan(required_fields=("tech_stack", "title"))
    counter = Counter(plan, world.warehouse, world.providers.values())
    world.walk(plan, counter, buyer.claim.records)
    parts = {f"{one.provider} {one.step}".rstrip(): one.requests for one in counter.estimates({})}
    assert parts == {"first": Range(), "second": Range(2.0, 2.0), "second tech_stack": Range(1.0, 1.0)}
