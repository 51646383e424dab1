"""The walk: one provider after the other, until enough is known of each contact."""

from collections.abc import Sequence
from typing import Any

import pytest

from enrichment.errors import ConfigurationError
from enrichment.identifiers import suppression_keys
from enrichment.plan import RunPlan
from enrichment.records import Contact, Finished, Outcome, Returned
from enrichment.values import UNREADABLE
from lookup.journal import JournalReader
from lookup.walk import load_providers
from tests.unit.lookup.world import BAD_KEY, CRM, DOWN, Answer, FollowUpSeller, World, ends, match, miss

OPT_OUT = miss(Outcome.SUPPRESSED, "opted_out")
BAD_INPUT = miss(Outcome.INVALID_INPUT, "bad_address")
PARTIAL = Answer(Outcome.PARTIAL, {"title": "CTO"})
UNDER_WAY = Answer(Outcome.PENDING)
LAST = {"max_attempts": 1}
BOTH = {"required_fields": ("title", "city")}


@pytest.mark.parametrize(
    ("first", "second", "options", "end", "queried"),
    [
        (match(title="CTO"), match(), {}, "found", 1),
        (PARTIAL, match(), {}, "found", 1),
        (match(title="CTO", city="Ulm"), match(), BOTH, "found", 1),
        (PARTIAL, match(city="Ulm"), BOTH, "found", 2),
        (PARTIAL, miss(), BOTH, "found", 2),
        (PARTIAL, BAD_INPUT, BOTH, "found", 2),
        (miss(), match(), {}, "found", 2),
        (miss(), miss(reason="no_such_person"), {}, "unmatched: no_such_person", 2),
        (miss(), BAD_INPUT, {}, "invalid: bad_address", 2),
        (OPT_OUT, match(), {}, "suppressed: opted_out", 1),
        (PARTIAL, OPT_OUT, BOTH, "suppressed: opted_out", 2),
        (DOWN, match(), {}, "back: unavailable", 1),
        (DOWN, match(), LAST, "failed: unavailable", 1),
        (UNDER_WAY, match(), {}, "back: pending", 1),
        (UNDER_WAY, match(), LAST, "failed: pending", 1),
        (PARTIAL, UNDER_WAY, BOTH | LAST, "found", 2),
        (PARTIAL, DOWN, BOTH, "back: unavailable", 2),
        (PARTIAL, DOWN, BOTH | LAST, "found", 2),
        (BAD_KEY, match(), {}, "back: credentials_rejected", 1),
        (PARTIAL, BAD_KEY, BOTH | LAST, "back: credentials_rejected", 2),
    ],
)
def test_how_two_providers_answers_add_up(
    world: World, first: Answer, second: Answer, options: dict[str, Any], end: str, queried: int
) -> None:
    """The second is queried only for what the first lacks; an opt-out holds whatever the other knows."""
    sellers = [world.sell("first", ada=first), world.sell("second", ada=second)]
    world.stage("ada")
    buyer = world.buyer(world.plan(**options))
    done = world.look_up(buyer)
    assert ends(done, buyer.claim) == {"ada": end}
    assert sum(len(seller.asked) for seller in sellers) == queried
    assert len(done.found) + len(done.settlements) == 1


def test_what_is_found_says_which_provider_gave_what(world: World) -> None:
    """The first one's reply leads to the result, and each field names its provider."""
    first = world.sell("first", ada=PARTIAL)
    world.sell("second", ada=match(title="CEO", city="Ulm"))
    world.stage("ada")
    (found,) = world.buy(**BOTH).found
    assert found.request_key == first.key("ada@firm.example")
    assert found.enrichment.fields == {
        "title": "CTO",
        "city": "Ulm",
        "sources": {"title": "first", "city": "second"},
    }


@pytest.mark.parametrize(
    ("answer", "identifier"), [(miss(), "ada@firm.example"), (OPT_OUT, None)], ids=["unmatched", "opted out"]
)
def test_nothing_is_kept_of_who_opted_out(world: World, answer: Answer, identifier: str | None) -> None:
    """An unmatched contact is filed with what it was looked up by, and its ending leads to the reply."""
    seller = world.sell(ada=answer)
    world.stage("ada")
    done = world.buy()
    assert [(one.crm_id, one.lookup_identifier) for one in done.unmatched] == [("ada", identifier)]
    assert [one.request_key for one in done.settlements if isinstance(one, Finished)] == [
        seller.key("ada@firm.example")
    ]


@pytest.mark.parametrize("email", ["not an address", "ada@firm"])
def test_a_contact_without_an_identifier_is_invalid(world: World, email: str) -> None:
    """No provider is queried, and it isn't filed as unmatched."""
    seller = world.sell()
    world.stage(ada=email)
    world.crm.addresses["ada"] = ""
    buyer = world.buyer()
    done = world.look_up(buyer)
    assert ends(done, buyer.claim) == {"ada": "invalid: email_malformed"}
    assert (seller.asked, done.unmatched) == ([], [])


def test_contacts_of_one_address_share_a_request(world: World) -> None:
    """It is paid for once, and both have the result."""
    seller = world.sell(ada=match(title="CTO"))
    world.stage("ada", other="ADA@firm.example ")
    done = world.buy()
    assert sorted(one.record.crm_id for one in done.found) == ["ada", "other"]
    assert seller.asked == ["ada@firm.example"]


def test_providers_are_loaded_in_the_order_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their references; a credential that is missing stops it."""
    plan = RunPlan("run", "hunter, apollo", "hubspot", "sqlite")
    monkeypatch.setenv("ENRICHMENT_HUNTER_API_KEY", "made up")
    with pytest.raises(ConfigurationError, match="ENRICHMENT_APOLLO_API_KEY"):
        load_providers(plan)
    monkeypatch.setenv("ENRICHMENT_APOLLO_API_KEY", "made up")
    assert [(reference, one.name) for reference, one in load_providers(plan).items()] == [
        ("hunter", "hunter"),
        ("apollo", "apollo"),
    ]


def test_no_provider_is_called_without_contacts(world: World) -> None:
    """An empty claim comes out empty."""
    seller = world.sell()
    done = world.buy()
    assert (done.found, done.settlements, seller.asked) == ([], [], [])


@pytest.mark.parametrize("today", [Outcome.RETRYABLE, Outcome.PENDING, Outcome.QUOTA_EXHAUSTED, Outcome.REJECTED])
@pytest.mark.parametrize(("options", "end"), [({}, "back"), (LAST, "failed")])
def test_an_old_reply_that_today_s_spec_reads_otherwise(
    world: World, today: Outcome, options: dict[str, Any], end: str
) -> None:
    """It costs an attempt and ends as a dead letter, since it will be read alike next time; it stops no run."""
    world.sell(ada=Answer(today=today))
    world.stage("ada")
    buyer = world.buyer(world.plan(**options))
    done = world.look_up(buyer)
    assert ends(done, buyer.claim) == {"ada": f"{end}: {today}"}
    assert all(one.costs_attempt and one.wait_seconds for one in done.settlements if isinstance(one, Returned))
    assert buyer.final_stop is None


@pytest.mark.parametrize("pays", [True, False], ids=["run", "dry run"])
def test_who_was_erased_after_the_first_provider_is_not_looked_up_at_the_second(world: World, pays: bool) -> None:
    """The suppression that an erasure leaves ends the record, whatever is known so far."""
    first = world.sell("first", ada=PARTIAL)
    second = world.sell("second", ada=match())
    world.stage("ada", "ben")
    first.otherwise = PARTIAL
    plan = world.plan(**BOTH)
    buyer = world.buyer(plan)
    world.warehouse.suppress([second.key("ada@firm.example")], "erased")
    world.walk(world.plan(), buyer, buyer.claim.records)  # so that the journal has the first one's replies
    asker = buyer if pays else JournalReader(plan, world.warehouse)
    done = world.walk(plan, asker, buyer.claim.records)
    assert ends(done, buyer.claim)["ada"] == "suppressed: suppression_list"
    assert second.asked == (["ben@firm.example"] if pays else [])


def test_who_is_erased_while_the_chunk_is_at_work_is_lost_to_it(world: World) -> None:
    """The erasure takes the record, and its late reply isn't kept."""
    seller = world.sell(ada=match(), ben=match())
    world.stage("ada", "ben")
    buyer = world.buyer()

    def erase(who: Sequence[str]) -> None:
        if who == ["ada@firm.example"]:
            world.warehouse.erase(CRM, "ada")

    seller.between = erase
    assert ends(world.look_up(buyer), buyer.claim)["ben"] == "found"
    assert not world.warehouse.read_replies("first", [seller.key("ada@firm.example")], reply_days=1, miss_days=1)
    world.stage("ada")  # the queue doesn't keep an erased person's address, so the CRM is read
    world.crm.addresses["ada"] = "ada@firm.example"
    later = world.buyer()
    assert ends(world.look_up(later), later.claim)["ada"] == "suppressed: suppression_list"
    assert world.warehouse.read_suppressed(suppression_keys(Contact("ada"), CRM))


ELSEWHERE = Answer(
    fields={"title": "CEO", "company_name": "Globex", "company_domain": "globex.example"},
    addresses=("bob@globex.example",),
)


@pytest.mark.parametrize(
    ("first", "second", "options", "end"),
    [
        (ELSEWHERE, None, {}, "unmatched: doubtful_company"),
        (ELSEWHERE, match(title="CTO"), {}, "found"),
        (ELSEWHERE, miss(), {}, "unmatched: doubtful_company"),
        (ELSEWHERE, BAD_INPUT, {}, "unmatched: doubtful_company"),
        (miss(), ELSEWHERE, {}, "unmatched: doubtful_company"),
        (ELSEWHERE, OPT_OUT, {}, "suppressed: opted_out"),
        (miss(reason="below_min_confidence"), miss(), {}, "unmatched: below_min_confidence"),
        (ELSEWHERE, None, {"doubtful_matches_count": True}, "found"),
    ],
)
def test_an_answer_about_another_person_is_kept_and_not_used(
    world: World, first: Answer, second: Answer | None, options: dict[str, Any], end: str
) -> None:
    """The next provider is asked; without its match the contact is unmatched, and the reason says what was doubtful."""
    sellers = [world.sell(f"s{n}", ada=one) for n, one in enumerate([first, second]) if one]
    world.stage("ada")
    buyer = world.buyer(world.plan(**options))
    done = world.look_up(buyer)
    assert ends(done, buyer.claim) == {"ada": end}
    assert [len(seller.asked) for seller in sellers] == [1] * len(sellers)
    assert [one.enrichment.fields["title"] for one in done.found] == ["CEO" if options else "CTO"] * len(done.found)
    again = world.look_up(world.buyer(world.plan(**options), claim=buyer.claim))
    assert ends(again, buyer.claim) == {"ada": end}
    assert [len(seller.asked) for seller in sellers] == [1] * len(sellers)  # it is kept, and read again


@pytest.mark.parametrize(
    ("answer", "policies", "end", "fields"),
    [
        (match("c1", company_name="Google"), {}, "unmatched: company_of_mail_host", None),
        (match("c1", title="CTO", company_name="Google"), {}, "found", {"title": "CTO"}),
        (match("c1", title="CTO", company_name="Acme"), {"free_mail": "person_only"}, "found", {"title": "CTO"}),
        (match("c1"), {}, "found", {}),
    ],
)
def test_the_company_of_a_mail_host_is_not_taken(
    world: World, answer: Answer, policies: dict[str, str], end: str, fields: dict[str, Any] | None
) -> None:
    """Nor is anything bought about it; an answer that knows nothing else is not a match."""
    tech = FollowUpSeller("first", step="tech_stack", otherwise=match(tech_stack=["Slack"]))
    world.sell("first", tech).answers["ada@gmail.com"] = answer
    world.stage(ada="ada@gmail.com")
    buyer = world.buyer(world.plan(address_policies=policies, required_fields=("title", "tech_stack")))
    done = world.look_up(buyer)
    assert ends(done, buyer.claim) == {"ada": end}
    assert [one.enrichment.fields for one in done.found] in ([], [fields])
    assert tech.asked == []


def test_the_company_that_a_person_with_a_private_address_works_for_is_taken(world: World) -> None:
    """With what is bought about it."""
    tech = FollowUpSeller("first", step="tech_stack", otherwise=match(tech_stack=["Slack"]))
    world.sell("first", tech).answers["ada@gmail.com"] = match("c1", title="CTO", company_name="Acme")
    world.stage(ada="ada@gmail.com")
    (found,) = world.buy(required_fields=("tech_stack",)).found
    assert {name: found.enrichment.fields[name] for name in ("title", "company_name", "tech_stack")} == {
        "title": "CTO",
        "company_name": "Acme",
        "tech_stack": ["Slack"],
    }


def test_who_is_asked_for_by_name_is_judged_by_name(world: World) -> None:
    """A person of another name isn't the contact; one with the name is, whatever the address policies say."""
    seller = world.sell()
    seller.by_name = True
    for who, last in {"ada": "Byron", "ben": "Hopper"}.items():
        world.crm.people[who] = Contact(who, None, "Ada", last, "Firm")
        seller.answers[f"Ada#{last}#Firm"] = match(last_name="Byron", company_name="Firm")
    world.stage(ada=None, ben=None)
    buyer = world.buyer()
    assert ends(world.look_up(buyer), buyer.claim) == {"ada": "found", "ben": "unmatched: doubtful_name"}


def test_values_that_cannot_be_read_are_counted(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """By provider and field, without the value."""
    world.sell(ada=match(employee_count=UNREADABLE, title="CTO"), ben=match(employee_count=UNREADABLE, industry="x"))
    world.stage("ada", "ben")
    with caplog.at_level("INFO", logger="tasks"):
        done = world.buy()
    assert {one.record.crm_id: dict(one.enrichment.left_out) for one in done.found} == {
        "ada": {"employee_count": UNREADABLE},
        "ben": {"employee_count": UNREADABLE},
    }
    assert "values_left_out provider=first field=employee_count reason=unreadable contacts=2" in caplog.messages


def test_what_each_provider_said_is_kept_with_the_domain(world: World) -> None:
    """For the match rate: of who is known and who isn't; of a person who opted out, no domain."""
    world.sell("first", ada=match(), ben=miss(), cleo=miss(Outcome.SUPPRESSED, "opt_out"))
    world.sell("second", ben=match())
    world.stage("ada", "ben", "cleo", "dora")
    done = world.buy()
    assert {one.record.crm_id: (one.lookups, one.email_domain) for one in done.found} == {
        "ada": ("first matched", "firm.example"),
        "ben": ("first unmatched,second matched", "firm.example"),
    }
    assert sorted((one.lookups, one.email_domain) for one in done.settlements) == [
        ("", ""),
        ("first unmatched,second unmatched", "firm.example"),
    ]
