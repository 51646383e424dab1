"""Who needs a lookup: everything that ends a record before money is spent, or brings what was found before."""

from dataclasses import replace
from typing import Any

import pytest

from enrichment.identifiers import suppression_keys
from enrichment.records import Contact, Disposition, Finished, State
from tests.unit.lookup.world import CRM, World, again, ends, match


def test_a_new_contact_is_looked_up(world: World) -> None:
    """Its address is the queue's; the CRM isn't queried."""
    seller = world.sell(ada=match(title="CTO"))
    world.stage("ada")
    done = world.buy()
    assert [one.enrichment.fields["title"] for one in done.found] == ["CTO"]
    assert (seller.asked, world.crm.asked) == (["ada@firm.example"], [])


def test_the_crm_is_read_for_those_without_an_address(world: World) -> None:
    """A contact that is gone from the CRM is invalid; an address that the CRM has is used."""
    seller = world.sell(ada=match())
    world.crm.addresses["known"] = "ada@firm.example"
    world.stage("ben", known=None, gone=None)
    buyer = world.buyer(world.plan(absent_seconds=0))
    assert ends(world.look_up(buyer), buyer.claim) == {
        "ben": "unmatched: unknown",
        "known": "found",
        "gone": "invalid: contact_gone",
    }
    assert sorted(world.crm.asked) == ["gone", "known"]
    assert sorted(seller.asked) == ["ada@firm.example", "ben@firm.example"]


def test_an_address_that_is_not_valid_shuts_nothing_out(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The CRM's own address is used instead; of several, the first valid one, which the log says."""
    seller = world.sell()
    world.crm.addresses |= {"ada": "N/A; Ada@firm.example; other@firm.example", "ben": "", "eve": "<eve@firm.example>"}
    world.stage(ada="n/a", ben="ben", eve="eve at firm")
    buyer = world.buyer()
    with caplog.at_level("INFO", logger="tasks"):
        done = world.look_up(buyer)
    assert sorted(seller.asked) == ["ada@firm.example", "eve@firm.example"]
    assert ends(done, buyer.claim)["ben"] == "invalid: email_malformed"
    assert "first_of_several_addresses_used contacts=1" in caplog.messages


@pytest.mark.parametrize(
    "address", ["ada@xn--mnchen-3ya.example", "\u200bADA@münchen.example", "mailto:ada@MÜNCHEN.example"]
)
def test_an_erased_address_is_suppressed_however_it_is_written(world: World, address: str) -> None:
    """No provider is called, under any id, and the address isn't kept."""
    seller = world.sell()
    world.stage(ada="Ada <ada@münchen.example>")
    world.warehouse.erase(CRM, "ada")
    world.stage(other=address)
    buyer = world.buyer()
    assert ends(world.look_up(buyer), buyer.claim) == {"other": "suppressed: suppression_list"}
    assert (seller.asked, world.crm.asked) == ([], [])


def test_an_id_that_the_crm_has_not_named_is_looked_for_before_money_is_spent(world: World) -> None:
    """One read for all of them; the address that each was queued with is used, unless only the CRM's is valid."""
    seller = world.sell(ada=match(), ben=match(), cai=match())
    world.crm.people = {
        "ada": Contact("ada", "old@firm.example", "Ada", "Byron", "Firm"),
        "ben": Contact("ben", "ben@firm.example"),
    }
    world.stage("ada", "mangled", source="manual", ben="ben (at) firm")
    world.stage("cai")
    buyer = world.buyer(world.plan(absent_seconds=0))
    done = world.look_up(buyer)
    assert ends(done, buyer.claim) == {
        "ada": "found",
        "ben": "found",
        "cai": "found",
        "mangled": "invalid: contact_gone",
    }
    assert sorted(world.crm.asked) == ["ada", "ben", "mangled"]
    assert sorted(seller.asked) == ["ada@firm.example", "ben@firm.example", "cai@firm.example"]


@pytest.mark.parametrize(
    ("source", "age", "end"),
    [
        ("manual", 0, "back: contact_absent"),
        ("submission", 899, "back: contact_absent"),
        ("submission", 900, "invalid: contact_gone"),
        ("webhook", 10, "back: contact_absent"),
        ("webhook", 3600, "invalid: contact_gone"),
    ],
)
def test_an_absent_contact_is_gone_only_after_a_while(world: World, source: str, age: int, end: str) -> None:
    """It may have appeared just now: until then it goes back to the queue at no attempt, with a wait."""
    seller = world.sell(ada=match())
    world.stage(source=source, ada=None)
    buyer = world.buyer()
    records = [again(record, age_seconds=age) for record in buyer.claim.records]
    done = world.walk(buyer.plan, buyer, records)
    assert ends(done, records) == {"ada": end}
    assert seller.asked == []
    for one in done.settlements:
        assert isinstance(one, Finished) or (not one.costs_attempt and 0 < one.wait_seconds <= 900 - age)


def test_an_absent_contact_that_is_suppressed_ends_at_once(world: World) -> None:
    """Nothing is waited for."""
    world.sell()
    world.warehouse.suppress(suppression_keys(Contact("ada"), CRM), "erased")
    world.stage("ada", source="manual")
    buyer = world.buyer()
    assert ends(world.look_up(buyer), buyer.claim) == {"ada": "suppressed: suppression_list"}


@pytest.mark.parametrize(("attempts", "end"), [(5, "found"), (6, "failed: attempts_exhausted")])
def test_a_record_whose_runs_all_died_is_a_dead_letter(world: World, attempts: int, end: str) -> None:
    """The last attempt is made; what would be one more says how many runs broke off."""
    world.sell(ada=match())
    world.stage("ada")
    buyer = world.buyer()
    records = [again(record, attempts=attempts) for record in buyer.claim.records]
    done = world.walk(buyer.plan, buyer, records)
    assert ends(done, records) == {"ada": end}
    details = [one.detail for one in done.settlements if isinstance(one, Finished)]
    assert details == ([] if end == "found" else ["5 runs started on the contact, and none finished it"])


def test_a_stored_result_is_taken_up_again(world: World) -> None:
    """Only the CRM lacks it, so nothing is read or paid for; a record without its result is looked up once more."""
    seller = world.sell(ada=match(title="CTO"), ben=match(title="CEO"))
    world.stage("ada", "ben")
    buyer = world.buyer()
    found = world.look_up(buyer).found
    kept = [one for one in found if one.record.crm_id == "ada"]
    world.warehouse.store(buyer.claim, CRM, kept, [], provider="first")
    seller.asked.clear()
    records = [again(record, state=State.ENRICHED) for record in buyer.claim.records]
    done = world.walk(buyer.plan, world.buyer(claim=buyer.claim), records)
    assert {one.record.crm_id: one.enrichment.fields.get("title") for one in done.found} == {"ada": "CTO", "ben": "CEO"}
    assert [one.request_key for one in done.found if one.record.crm_id == "ada"] == [""]
    assert seller.asked == []  # the journal has it


def test_a_stored_result_about_another_person_is_not_taken_up(world: World) -> None:
    """The contact's address has changed between the lookup and the writing: it is looked up under its own."""
    world.sell(ada=match(title="CTO"))
    world.stage("ada")
    buyer = world.buyer()
    (kept,) = world.look_up(buyer).found
    world.warehouse.store(buyer.claim, CRM, [kept], [], provider="first")
    (record,) = buyer.claim.records
    for key, asked_again in (("of another person", True), (kept.request_key, False)):
        records = [again(record, state=State.ENRICHED, request_key=key)]
        (found,) = world.walk(buyer.plan, world.buyer(claim=buyer.claim), records).found
        assert bool(found.request_key) == asked_again


def test_a_newer_result_of_the_person_before_is_not_taken_up(world: World) -> None:
    """The contact's own reply was bought earlier, for somebody else, and so didn't replace the stored result."""
    seller = world.sell(ada=match(title="CTO"), ben=match(title="CEO"))
    world.stage("ada")
    world.look_up(world.buyer())
    with world.warehouse._transaction() as session:
        session.execute("UPDATE provider_replies SET received_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 day')")
    world.stage("ben")
    buyer = world.buyer()
    world.warehouse.store(buyer.claim, CRM, world.look_up(buyer).found, [], provider="first")
    (record,) = [one for one in buyer.claim.records if one.crm_id == "ben"]
    seller.asked.clear()
    moved = again(
        record, state=State.ENRICHED, email_address="ada@firm.example", request_key=seller.key("ada@firm.example")
    )
    (found,) = world.walk(buyer.plan, world.buyer(claim=buyer.claim), [moved]).found
    assert (found.enrichment.fields["title"], found.request_key) == ("CTO", moved.request_key)
    assert seller.asked == []
    applied = replace(buyer.plan, change_plan="approved")
    (found,) = world.walk(applied, world.buyer(claim=buyer.claim), [moved]).found
    assert (found.enrichment.fields["title"], found.request_key) == ("CEO", "")  # as people have approved it


def test_an_address_that_has_waited_for_long_is_read_again(world: World) -> None:
    """It may have changed where no event says so; a contact that is gone by then isn't paid for."""
    seller = world.sell(ada=match(), ben=match())
    world.crm.addresses |= {"ada": "ben@firm.example"}
    world.stage("ada", "gone")
    buyer = world.buyer(world.plan(absent_seconds=0))
    records = [again(record, age_seconds=90_000.0) for record in buyer.claim.records]
    done = world.walk(buyer.plan, buyer, records)
    assert ends(done, records) == {"ada": "found", "gone": "invalid: contact_gone"}
    assert seller.asked == ["ben@firm.example"]


def test_a_suppressed_contact_stays_so_once_it_is_merged(world: World) -> None:
    """The CRM gives another contact for its id."""
    seller = world.sell(ada=match())
    world.crm.people = {"old": Contact("new", "ada@firm.example")}
    world.warehouse.suppress(suppression_keys(Contact("old"), CRM), "asked for")
    world.stage(old=None)
    buyer = world.buyer()
    assert ends(world.look_up(buyer), buyer.claim) == {"old": "suppressed: suppression_list"}
    assert seller.asked == []


def test_a_stored_result_of_another_provider_is_taken_up(world: World) -> None:
    """It was paid for; that the run has other providers by now doesn't say that the contact is another person."""
    world.sell(ada=match(title="CTO"))
    world.stage("ada")
    buyer = world.buyer()
    (kept,) = world.look_up(buyer).found
    paid_elsewhere = replace(kept, enrichment=replace(kept.enrichment, provider="elsewhere"))
    world.warehouse.store(buyer.claim, CRM, [paid_elsewhere], [], provider="elsewhere")
    records = [again(record, state=State.ENRICHED, request_key="at elsewhere") for record in buyer.claim.records]
    (found,) = world.walk(buyer.plan, world.buyer(claim=buyer.claim), records).found
    assert (found.request_key, found.enrichment.provider) == ("", "elsewhere")


def test_a_contact_that_is_suppressed_before_its_result_is_written_ends_so(world: World) -> None:
    """As one that wasn't looked up yet: nothing of a stored result goes to the CRM any more."""
    world.sell(ada=match())
    world.stage("ada")
    buyer = world.buyer()
    world.warehouse.store(buyer.claim, CRM, world.look_up(buyer).found, [], provider="first")
    world.warehouse.suppress(suppression_keys(Contact("another", "ada@firm.example"), CRM), "asked for")
    records = [again(record, state=State.ENRICHED) for record in buyer.claim.records]
    done = world.walk(buyer.plan, world.buyer(claim=buyer.claim), records)
    assert ends(done, records) == {"ada": "suppressed: suppression_list"}


@pytest.mark.parametrize("contact", [Contact("ada"), Contact("somebody", "ADA@firm.example")])
def test_a_suppressed_contact_is_not_looked_up(world: World, contact: Contact) -> None:
    """By the CRM's id, or by the address; others go on."""
    seller = world.sell(ada=match(), ben=match())
    world.warehouse.suppress(suppression_keys(contact, CRM), "asked for")
    world.stage("ada", "ben")
    buyer = world.buyer()
    assert ends(world.look_up(buyer), buyer.claim) == {"ada": "suppressed: suppression_list", "ben": "found"}
    assert seller.asked == ["ben@firm.example"]


@pytest.mark.parametrize(
    ("staged", "end"),
    [
        ({}, "skipped_fresh: within_30_days"),
        ({"refresh": True}, "found"),
        ({"ada": "ada@elsewhere.example"}, "found"),
        ({"ada": "no address"}, "invalid: email_malformed"),  # nor has the CRM another one
    ],
    ids=["fresh", "refreshed", "moved", "unusable"],
)
def test_a_fresh_contact_is_skipped_as_who_it_is_today(world: World, staged: dict[str, Any], end: str) -> None:
    """Written lately under today's address it is fresh, unless it is refreshed on purpose."""
    world.sell(ada=match()).otherwise = match()
    world.stage("ada")
    world.write(world.buyer())
    world.stage(*(() if "ada" in staged else ("ada",)), **staged)
    world.crm.addresses["ada"] = "no address either"
    buyer = world.buyer()
    assert ends(world.look_up(buyer), buyer.claim) == {"ada": end}


def test_what_screening_ends_is_said_once(world: World) -> None:
    """Each record of a claim comes out exactly once."""
    world.sell(ada=match())
    world.stage("ada", "ben", gone=None)
    buyer = world.buyer(world.plan(absent_seconds=0))
    done = world.look_up(buyer)
    assert len(done.found) + len(done.settlements) == len(buyer.claim.records) == 3
    assert [one.reason for one in done.unmatched] == ["unknown"]
    assert {one.disposition for one in done.settlements if isinstance(one, Finished)} == {
        Disposition.INVALID,
        Disposition.UNMATCHED,
    }


@pytest.mark.parametrize(
    ("address", "policies", "end", "asked"),
    [
        ("x@mailinator.com", {"disposable_address": "skip"}, "invalid: disposable_address", []),
        ("x@mailinator.com", {"disposable_address": "ask"}, "found", ["x@mailinator.com"]),
        ("info@firm.example", {"role_address": "skip"}, "invalid: role_address", []),
        ("info@firm.example", {}, "found", ["info@firm.example"]),
        ("ada@gmail.com", {"free_mail": "skip"}, "invalid: free_mail", []),
    ],
)
def test_an_address_may_be_of_a_kind_that_is_not_asked_with(
    world: World, address: str, policies: dict[str, str], end: str, asked: list[str]
) -> None:
    """Then nothing is paid, and the result names the kind."""
    seller = world.sell()
    seller.otherwise = match()
    world.stage(ada=address)
    world.crm.addresses["ada"] = address
    buyer = world.buyer(world.plan(address_policies=policies))
    assert ends(world.look_up(buyer), buyer.claim) == {"ada": end}
    assert seller.asked == asked


def test_who_has_a_skipped_address_is_looked_up_by_another_one_or_by_name(world: World) -> None:
    """Of which the CRM knows; a suppression of the skipped address counts all the same."""
    seller = world.sell()
    seller.by_name, seller.otherwise = True, match()
    world.crm.people = {
        "ada": Contact("ada", "x@mailinator.com", "Ada", "Byron", "Firm"),
        "ben": Contact("ben", "ben@firm.example"),
        "cai": Contact("cai", "z@mailinator.com", "Cai", "Li", "Firm"),
    }
    world.warehouse.suppress(suppression_keys(Contact("other", "z@mailinator.com"), CRM), "asked for")
    world.stage(ada="x@mailinator.com", ben="y@mailinator.com", cai="z@mailinator.com")
    buyer = world.buyer(world.plan(address_policies={"disposable_address": "skip"}))
    assert ends(world.look_up(buyer), buyer.claim) == {
        "ada": "found",
        "ben": "found",
        "cai": "suppressed: suppression_list",
    }
    assert sorted(seller.asked) == ["Ada#Byron#Firm", "ben@firm.example"]
