"""Follow-ups: one request for everybody of a company, for fields that the contacts' own replies lack."""

from typing import Any

import pytest

from lookup.journal import JournalReader
from tests.unit.lookup.world import (
    BAD_KEY,
    DOWN,
    REFUSED,
    USED_UP,
    Answer,
    FollowUpSeller,
    World,
    ends,
    match,
    miss,
)

STACK = frozenset({"tech_stack"})


def tech(name: str = "first", **answers: Answer) -> FollowUpSeller:
    """Return a follow-up that fills the tech stack; further pages are answered by `<company>_2`."""
    by_subject = {subject.replace("_", "#"): answer for subject, answer in answers.items()}
    return FollowUpSeller(name, by_subject, step="tech_stack", fills=STACK)


def stacks(done: Any) -> dict[str, Any]:
    """Return by name the tech stack of those who were found."""
    return {one.record.crm_id: one.enrichment.fields.get("tech_stack") for one in done.found}


def test_a_company_is_asked_about_once(world: World) -> None:
    """Everybody of it has the same; who has no company goes on without, and nothing is paid for twice."""
    further = tech(acme=match(tech_stack=["SQL"]), bolt=miss())
    world.sell("first", further, ada=match("acme"), ben=match("acme"), cleo=match("bolt"), dora=match())
    world.stage("ada", "ben", "cleo", "dora")
    buyer = world.buyer()
    done = world.look_up(buyer)
    assert stacks(done) == {"ada": ["SQL"], "ben": ["SQL"], "cleo": None, "dora": None}
    assert sorted(further.asked) == ["acme", "bolt"]
    steps = {one.record.crm_id: one.enrichment.fields.get("follow_ups") for one in done.found}
    assert steps["ada"] == {"first": {"tech_stack": [further.request_key({"company": "acme"})]}}
    assert steps["dora"] is None
    world.walk(buyer.plan, buyer, buyer.claim.records)
    assert sorted(further.asked) == ["acme", "bolt"]


@pytest.mark.parametrize(
    ("first", "last", "asked"),
    [(match("acme", title="CTO"), {"acme"}, 1), (match("acme", tech_stack=["own"]), set(), 0), (miss(), set(), 0)],
)
def test_only_what_is_lacking_is_asked_for(world: World, first: Answer, last: set[str], asked: int) -> None:
    """Neither for contacts who have the field already, nor for those whom the provider doesn't know."""
    further = tech(acme=match(tech_stack=["SQL"]))
    world.sell("first", further, ada=first)
    world.stage("ada")
    world.buy()
    assert (set(further.asked), len(further.asked)) == (last, asked)


def test_what_a_follow_up_fills_spares_the_next_provider(world: World) -> None:
    """Required fields that it fills count; where it fills none, the next provider is queried."""
    world.sell("first", tech(acme=match(tech_stack=["SQL"]), bolt=miss()), ada=match("acme"), ben=match("bolt"))
    second = world.sell("second", tech("second"), ben=match(tech_stack=["Go"]))
    world.stage("ada", "ben")
    assert stacks(world.buy(required_fields=("tech_stack",))) == {"ada": ["SQL"], "ben": ["Go"]}
    assert second.asked == ["ben@firm.example"]
    assert second.follow_ups[0].asked == []


def test_further_pages_are_joined(world: World) -> None:
    """Each page is a request of its own, and its key is kept with the field."""
    further = tech(acme=match(pages=3, tech_stack=["a"]), acme_2=match(tech_stack=["b", "a"]), acme_3=miss())
    world.sell("first", further, ada=match("acme"), ben=match("acme"))
    world.stage("ada", "ben")
    done = world.buy()
    assert stacks(done) == {"ada": ["a", "b"], "ben": ["a", "b"]}
    assert further.asked[0] == "acme"
    assert sorted(further.asked[1:]) == ["acme#2", "acme#3"]
    assert {len(one.enrichment.fields["follow_ups"]["first"]["tech_stack"]) for one in done.found} == {3}


@pytest.mark.parametrize(
    ("answers", "options", "end", "stack"),
    [
        ({"acme": DOWN}, {}, "back: unavailable", None),
        ({"acme": DOWN}, {"max_attempts": 1}, "found", None),
        ({"acme": match(pages=2, tech_stack=["a"]), "acme_2": DOWN}, {}, "back: unavailable", None),
        ({"acme": match(pages=2, tech_stack=["a"]), "acme_2": DOWN}, {"max_attempts": 1}, "found", ["a"]),
        ({"acme": USED_UP}, {"max_attempts": 1}, "back: no_credits", None),
        ({"acme": BAD_KEY}, {"max_attempts": 1}, "back: credentials_rejected", None),
        ({"acme": REFUSED}, {}, "found", None),
        ({"acme": match(pages=2, tech_stack=["a"]), "acme_2": REFUSED}, {}, "found", ["a"]),
    ],
)
def test_a_reply_that_is_missing(
    world: World, answers: dict[str, Answer], options: dict[str, Any], end: str, stack: list[str] | None
) -> None:
    """It keeps records waiting while attempts are left; a step that the account lacks keeps none."""
    world.sell("first", tech(**answers), ada=match("acme"))
    world.stage("ada")
    buyer = world.buyer(world.plan(**options))
    done = world.look_up(buyer)
    assert ends(done, buyer.claim) == {"ada": end}
    assert stacks(done).get("ada") == stack


def test_what_goes_on_without_its_follow_up_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Ids and counts only."""
    caplog.set_level("INFO")
    world.sell("first", tech(acme=DOWN, bolt=match(tech_stack=["SQL"])), ada=match("acme"), ben=match("bolt"))
    world.stage("ada", "ben")
    world.buy(max_attempts=1)
    assert [one.getMessage() for one in caplog.records] == ["follow_up_missed provider=first step=tech_stack records=1"]


def test_a_step_that_the_account_lacks_is_tried_once_a_run(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The next chunk of the run only reads what was bought before; another run tries again, and none is stopped."""
    caplog.set_level("INFO")
    further = tech(acme=match(tech_stack=["SQL"]))
    people = {"ada": "acme", "ben": "bolt", "cleo": "bolt", "dora": "acme", "eve": "core"}
    world.sell("first", further, **{name: match(company) for name, company in people.items()})
    world.stage("ada")
    world.buy()
    further.answers, further.otherwise = {}, REFUSED
    run, later_run = world.plan(), world.plan()
    for plan, names, expected in (
        (run, ["ben"], {"ben": None}),
        (run, ["cleo", "dora"], {"cleo": None, "dora": ["SQL"]}),
        (later_run, ["eve"], {"eve": None}),
    ):
        world.stage(*names)
        buyer = world.buyer(plan)
        assert stacks(world.look_up(buyer)) == expected
        assert buyer.final_stop is None
    assert further.asked == ["acme", "bolt", "core"]
    withheld = "follow_up_withheld provider=first step=tech_stack reason=no_entitlement"
    assert [one.getMessage() for one in caplog.records] == [withheld, withheld]


def test_a_stopped_run_still_reads_what_companies_it_has(world: World) -> None:
    """Nothing more is paid for, but a contact that is known already goes on with what the journal has."""
    further = tech(acme=match(tech_stack=["SQL"]))
    world.sell("first", further, ada=match("acme"), ben=match("acme"), cleo=USED_UP, dora=match("bolt"))
    world.stage("ada")
    world.buy()
    world.stage("ben", "dora", "cleo")
    buyer = world.buyer()
    done = world.look_up(buyer)
    assert stacks(done) == {"ben": ["SQL"]}
    assert ends(done, buyer.claim) | {"ben": "found"} == {
        "ben": "found",
        "cleo": "back: no_credits",
        "dora": "back: quota_exhausted",
    }
    assert further.asked == ["acme"]


def test_a_dry_run_leaves_contacts_open_whose_companies_it_does_not_know(world: World) -> None:
    """What is lacking counts once for a company, however many contacts it has."""
    further = tech(acme=match(tech_stack=["SQL"]))
    world.sell("first", further, ada=match("acme"), ben=match("acme"), cleo=match("bolt"))
    world.stage("ada")
    world.buy()
    world.stage("ben", "cleo", "dora")
    buyer = world.buyer()
    seller = world.providers["first"]
    seller.follow_ups = ()
    world.look_up(buyer)
    seller.follow_ups = (further,)
    reader = JournalReader(buyer.plan, world.warehouse)
    done = world.walk(buyer.plan, reader, buyer.claim.records)
    assert stacks(done) == {"ben": ["SQL"]}
    assert ends(done, buyer.claim) == {"ben": "found", "dora": "unmatched: unknown"}
    assert reader.lacking.keys() == {("first", "tech_stack", further.request_key({"company": "bolt"}))}
