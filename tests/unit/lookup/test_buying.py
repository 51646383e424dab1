"""The asker of a run: the journal first, then money, and never twice at once."""

import base64
import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.warehouses.base import RunStart
from enrichment.credits import CreditCaps
from enrichment.errors import ConfigurationError, TransientError
from enrichment.estimate import Terms
from enrichment.records import Claim, Outcome, Returned
from lookup.buying import GROUP_SECONDS, Buyer, save_left_over
from lookup.walk import LookUp
from tests.unit.lookup.world import BAD_KEY, CRM, DOWN, USED_UP, Answer, FollowUpSeller, World, ends, match, miss

PEOPLE = tuple(f"p{number:03}" for number in range(30))


def back(done: LookUp) -> set[tuple[str, float, bool]]:
    """Return in which ways records go back: the reason, the wait, and whether it costs an attempt."""
    return {(one.reason, one.wait_seconds, one.costs_attempt) for one in done.settlements if isinstance(one, Returned)}


def credits_of(world: World, buyer: Buyer) -> float:
    """Return what a run has paid."""
    return sum(use.credits for use in world.warehouse.count_usage(buyer.plan.run_id))


def test_what_was_paid_for_is_not_paid_for_again(world: World) -> None:
    """A second look at the same records comes from the journal."""
    seller = world.sell(ada=match(title="CTO"), ben=miss())
    world.stage("ada", "ben")
    buyer = world.buyer()
    first = ends(world.look_up(buyer), buyer.claim)
    assert ends(world.look_up(buyer), buyer.claim) == first == {"ada": "found", "ben": "unmatched: unknown"}
    assert len(seller.asked) == 2
    assert credits_of(world, buyer) == 1.0


@pytest.mark.parametrize(
    ("options", "ends_run", "waits"),
    [({"max_credits": 12.0}, True, False), ({"credits_per_day": {"first": 12.0}}, False, True)],
    ids=["of the run", "of the day"],
)
def test_a_cap_sends_the_rest_back_at_no_attempt(
    world: World, options: dict[str, Any], ends_run: bool, waits: bool
) -> None:
    """The run's own cap ends it, a day's has the records wait for the next day; both are kept to the credit."""
    seller = world.sell()
    seller.otherwise = match()
    world.stage(*PEOPLE)
    buyer = world.buyer(world.plan(**options))
    done = world.look_up(buyer)
    assert (len(done.found), credits_of(world, buyer), len(seller.asked)) == (12, 12.0, 12)
    ((reason, wait, costs_attempt),) = back(done)
    assert (reason, bool(wait), costs_attempt) == ("credit_cap_reached", waits, False)
    assert buyer.final_stop is not None
    assert (buyer.final_stop.kind, buyer.final_stop.ends_run) == ("credit_cap_reached", ends_run)
    assert "12 credits per" in buyer.final_stop.message
    assert buyer.final_stop.wished


@pytest.mark.parametrize(
    ("answer", "cap", "asked"), [(miss(), 12.0, 30), (match(), 12.0, 12), (miss(), 5.0, 5)], ids=["free", "paid", "few"]
)
def test_replies_that_cost_nothing_make_room_under_a_cap(world: World, answer: Answer, cap: float, asked: int) -> None:
    """What was reserved at its highest price and came for free is spent on others, unless it is only for a few."""
    seller = world.sell()
    seller.otherwise = answer
    seller.terms = Terms(1.0, 2, 10.0)
    world.stage(*PEOPLE)
    world.buy(max_credits=cap)
    assert len(seller.asked) == asked


def test_a_day_s_cap_at_one_provider_leaves_the_others(world: World) -> None:
    """The run goes on, and what the first provider doesn't know is still looked up at the second."""
    first, second = world.sell("first"), world.sell("second")
    second.otherwise = match()
    world.stage("ada", "ben")
    done = world.buy(credits_per_day={"first": 1.0})
    assert (len(first.asked), len(second.asked), len(done.found)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("answer", "kind"), [(USED_UP, "quota_exhausted"), (BAD_KEY, "credentials_rejected")], ids=["quota", "credentials"]
)
def test_what_every_request_would_meet_stops_the_run(world: World, answer: Answer, kind: str) -> None:
    """No further group and no further provider is queried; everything waits, and costs no attempt."""
    first, second = world.sell("first"), world.sell("second")
    first.otherwise, first.terms = answer, Terms(1.0, 25, 10 / GROUP_SECONDS)
    group = 10 * 25
    names = [f"p{number}" for number in range(group + 5)]
    world.stage(*names)
    buyer = world.buyer()
    done = world.look_up(buyer)
    assert (len(first.asked), second.asked) == (group, [])
    assert back(done) == {(answer.reason, 0.0, False), (kind, 0.0, False)}
    assert len(done.settlements) == len(names)
    assert buyer.final_stop is not None
    assert (buyer.final_stop.kind, buyer.final_stop.message) == (kind, f"first: {answer.reason}")
    later = world.look_up(buyer)
    assert (len(first.asked), back(later)) == (group, {(kind, 0.0, False)})


def test_a_failure_counts_for_more_than_a_cap(world: World) -> None:
    """A day's cap and then refused credentials: the run ends because of these."""
    seller = world.sell("first", **{PEOPLE[0]: match()})
    seller.otherwise = BAD_KEY
    world.stage(*PEOPLE)
    buyer = world.buyer(world.plan(credits_per_day={"first": 12.0}))
    world.look_up(buyer)
    assert buyer.final_stop is not None
    assert (buyer.final_stop.kind, buyer.final_stop.wished) == ("credentials_rejected", False)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(Outcome.PENDING), ("pending", 120.0, True)),
        (Answer(Outcome.PENDING, reason="in_queue", wait_seconds=900.0), ("in_queue", 900.0, True)),
        (Answer(Outcome.RETRYABLE, reason="throttled", wait_seconds=900.0), ("throttled", 900.0, False)),
        (Answer(Outcome.RETRYABLE, reason="paused", wait_seconds=0.0), ("paused", 0.0, False)),
    ],
)
def test_how_long_a_record_waits(world: World, answer: Answer, expected: tuple[str, float, bool]) -> None:
    """As long as the provider asks for, at no attempt; only a reply that may never be ready costs one each time."""
    world.sell(ada=answer)
    world.stage("ada")
    assert back(world.buy(max_attempts=2)) == {expected}


def test_a_failed_attempt_waits_longer_each_time(world: World) -> None:
    """It costs an attempt, and the last one is a dead letter that says what failed and where."""
    world.sell(ada=DOWN)
    world.stage("ada")
    buyer = world.buyer(world.plan(max_attempts=2))
    ((reason, wait, costs_attempt),) = back(world.look_up(buyer))
    assert (reason, costs_attempt) == ("unavailable", True)
    assert 60 <= wait <= 120
    records = [replace(one, attempts=2) for one in buyer.claim.records]
    (letter,) = world.walk(buyer.plan, buyer, records).settlements
    assert not isinstance(letter, Returned)
    assert (letter.disposition, letter.step) == ("failed", "look_up")
    assert letter.detail.startswith("first gave no usable reply: unavailable")


def take_over(world: World, *names: str) -> None:
    """Let another run hold some records, as after the end of a lease."""
    with world.warehouse._transaction() as session:
        for name in names:
            session.execute(f"UPDATE enrichment_staging SET claimed_by = 'another' WHERE crm_id = '{name}'")


def test_a_lost_claim_pays_for_nothing(world: World) -> None:
    """Who lost some of the records to another run queries for the rest; a shared request is made for who is left."""
    seller = world.sell()
    seller.otherwise = match()
    world.stage("ada", "ben", "cleo", twin="ada@firm.example")
    buyer = world.buyer()
    take_over(world, "ada", "ben")
    done = world.look_up(buyer)
    assert sorted(seller.asked) == ["ada@firm.example", "cleo@firm.example"]
    assert ends(done, buyer.claim)["ben"] == "back: claim_lost"
    assert back(done) == {("claim_lost", 0.0, False)}
    take_over(world, "ada", "ben", "cleo", "twin")
    world.sell("second")
    seller.asked.clear()
    later = world.look_up(replace(buyer, plan=world.plan(required_fields=("title",))))
    assert back(later) == {("claim_lost", 0.0, False)}
    assert (seller.asked, world.providers["second"].asked) == ([], [])


def reserve(world: World, *names: str) -> Claim:
    """Let another run query for some people at this moment."""
    claim = Claim("another", "another run", ())
    keys = [world.providers["first"].key(f"{name}@firm.example") for name in names]
    days = {"reply_days": 180, "miss_days": 30}
    world.warehouse.open_requests("first", keys, token=claim.token, lease_seconds=600, caps=CreditCaps(), **days)
    return claim


def test_who_is_queried_for_elsewhere_waits_at_no_attempt(world: World) -> None:
    """The pauses grow, and others may make their calls meanwhile; then the record goes back for half a minute."""
    seller = world.sell(ben=match())
    world.stage("ada", "ben")
    reserve(world, "ada")
    pauses: list[float] = []
    buyer = world.buyer(pause=pauses.append, make_room=lambda: pauses.append(0.0))
    done = world.look_up(buyer)
    assert ends(done, buyer.claim) == {"ada": "back: asked_elsewhere", "ben": "found"}
    assert back(done) == {("asked_elsewhere", 30.0, False)}
    assert pauses == [0.0, 0.5, 0.0, 1.0, 0.0, 2.0, 0.0, 4.0, 0.0, 8.0]
    assert seller.asked == ["ben@firm.example"]


def test_it_waits_as_long_as_the_answers_of_others_come_in(world: World) -> None:
    """Of more requests than there are pauses, another run brings one answer after the other; all are awaited."""
    seller = world.sell()
    names = [f"p{number}" for number in range(9)]
    world.stage(*names)
    other = reserve(world, *names)
    coming = list(names)

    def answer_one(_: float) -> None:
        key = seller.key(f"{coming.pop()}@firm.example")
        world.warehouse.keep_replies("first", other.run_id, [match().reply(key)])

    done = world.look_up(world.buyer(pause=answer_one))
    assert (len(done.found), seller.asked, coming) == (9, [], [])


def test_a_stopped_run_awaits_no_other_run(world: World) -> None:
    """What another run queries for goes back at once, together with the rest."""
    seller = world.sell()
    seller.otherwise = USED_UP
    world.stage("ada", "ben")
    reserve(world, "ada")
    pauses: list[float] = []
    buyer = world.buyer(pause=pauses.append, make_room=lambda: pauses.append(0.0))
    assert back(world.look_up(buyer)) == {("asked_elsewhere", 0.0, False), ("no_credits", 0.0, False)}
    assert not pauses


@pytest.mark.parametrize(
    ("answer", "doubtful"),
    [
        (Answer(Outcome.RETRYABLE, reason="lost_answer", credits=0.0, doubt=1.0), 2.0),
        (DOWN, 0.0),
        (match(), 0.0),
    ],
    ids=["lost", "never billed", "answered"],
)
def test_what_may_have_been_billed_counts_under_a_cap(world: World, answer: Answer, doubtful: float) -> None:
    """An answer that was lost isn't in the journal, so its credits are kept beside it."""
    seller = world.sell()
    seller.otherwise = answer
    world.stage("ada", "ben")
    world.buy()
    with world.warehouse._reading() as session:
        ((noted,),) = [tuple(row) for row in session.execute("SELECT total(credits) FROM doubtful_credits")]
    assert noted == doubtful


def test_a_request_about_a_company_is_no_contact_s_own(world: World) -> None:
    """An erasure finds what was asked about the person; the company's reply stays for the others."""
    further = FollowUpSeller("first", {"acme": match(tech_stack=["SQL"])}, step="tech_stack")
    seller = world.sell("first", further, ada=match("acme"))
    world.stage("ada")
    world.buy()
    world.warehouse.erase(CRM, "ada")
    keys = {"person": seller.key("ada@firm.example"), "company": further.request_key({"company": "acme"})}
    kept = world.warehouse.read_replies("first", list(keys.values()), reply_days=180, miss_days=30)
    assert set(kept) == {keys["company"]}


def at_work(world: World, run_id: str, lane: str) -> None:
    """Let a run be at work with the first provider and the CRM."""
    world.warehouse.open_run(RunStart(run_id, "a run", "first", "hubspot", lane), lease_seconds=600)
    world.stage(f"of-{run_id}")
    claim = world.warehouse.claim(
        run_id, origin=CRM, lane="", limit=1, lease_seconds=600, make_token=lambda: f"token of {run_id}"
    )
    assert claim.records


def test_the_rate_is_shared_with_those_who_are_at_work(world: World) -> None:
    """Before each group, and again while a slow provider's answers arrive; the CRM is paced alike."""
    seller = world.sell()
    moments = iter([0.0, 1.0, 3.0, 3.0, 4.0])
    plan = world.plan(lane="live", live_share=0.8)
    world.warehouse.open_run(RunStart(plan.run_id, "ours", "first", "hubspot", "live"), lease_seconds=600)
    world.stage("ada", "ben", "cleo")
    buyer = world.buyer(plan, clock=lambda: next(moments))
    seller.between = lambda _: at_work(world, "other", "live") if len(seller.asked) == 1 else None
    seller.otherwise = match()
    world.look_up(buyer)
    assert seller.shares == world.crm.shares == [1.0, 0.5]
    assert list(moments) == []


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection that can hold the warehouse's lock."""
    with closing(sqlite3.connect(tmp_path / "warehouse.db", isolation_level=None)) as connection:
        yield connection


def test_a_busy_warehouse_costs_no_reply_that_is_kept(world: World, lock: sqlite3.Connection) -> None:
    """The look at who else is at work fails while the answer is in; the next answer brings another look."""
    seller = world.sell()
    seller.otherwise = match()
    world.stage("ada", "ben")
    passed = 0.0

    def clock() -> float:
        nonlocal passed
        passed += 10.0
        if len(seller.asked) == 1 and not lock.in_transaction:
            lock.execute("BEGIN IMMEDIATE")
        return passed

    def let_go(_: object) -> None:
        if lock.in_transaction:
            lock.rollback()

    seller.between = let_go
    buyer = world.buyer(clock=clock)
    assert len(world.look_up(buyer).found) == 2
    assert len(seller.shares) == 2  # before the group, and with the second answer


LOST_ONCE = Answer(Outcome.RETRYABLE, reason="lost_answer", credits=1.0)
LOST_EACH_TIME = Answer(Outcome.RETRYABLE, reason="lost_answer", credits=0.0, doubt=1.0)


def doubtful_credits(world: World) -> float:
    """Return what is kept of credits that may have been billed."""
    with world.warehouse._reading() as session:
        return float(session.execute("SELECT total(credits) FROM doubtful_credits").fetchone()[0])


def test_a_lost_answer_that_is_billed_once_is_booked_until_it_is_answered(world: World) -> None:
    """Where asking again is free, the credit stands in the journal, and the next reply takes its place."""
    seller = world.sell(ada=LOST_ONCE)
    world.stage("ada")
    buyer = world.buyer()
    assert ends(world.look_up(buyer), buyer.claim) == {"ada": "back: lost_answer"}
    assert (credits_of(world, buyer), doubtful_credits(world)) == (1.0, 0.0)
    seller.answers["ada@firm.example"] = match()
    assert ends(world.look_up(buyer), buyer.claim) == {"ada": "found"}
    assert (credits_of(world, buyer), doubtful_credits(world)) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("answer", "attempts", "end"),
    [
        (LOST_EACH_TIME, 1, "back: lost_answer"),
        (LOST_EACH_TIME, 2, "failed: lost_answer"),
        (LOST_ONCE, 2, "back: lost_answer"),
        (DOWN, 2, "back: unavailable"),
        (replace(DOWN, final=True), 1, "failed: unavailable"),
    ],
    ids=["billed again", "billed twice", "billed once", "not billed", "hopeless"],
)
def test_what_may_be_billed_again_is_asked_for_once_more_at_most(
    world: World, answer: Answer, attempts: int, end: str
) -> None:
    """After that a person decides; so it is at once where another attempt can't help."""
    world.sell(ada=answer)
    world.stage("ada")
    buyer = world.buyer()
    claim = replace(buyer.claim, records=tuple(replace(one, attempts=attempts) for one in buyer.claim.records))
    assert ends(world.look_up(world.buyer(buyer.plan, claim)), claim) == {"ada": end}


def refuse(world: World, condition: str) -> None:
    """Let the journal refuse rows, as an engine refuses a value."""
    with world.warehouse._transaction() as session:
        session.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT ON provider_replies WHEN {condition} "
            "BEGIN SELECT RAISE(ABORT, 'no such value'); END"
        )


def test_a_reply_that_the_journal_refuses_costs_only_its_own_contact(world: World) -> None:
    """It is kept in letters and digits, its credit is booked, and the contact fails at once, by where the value is."""
    seller = world.sell()
    seller.otherwise = match()
    seller.answers["p007@firm.example"] = match(title="poison")
    refuse(world, "NEW.reply LIKE '%poison%'")
    world.stage(*PEOPLE)
    buyer = world.buyer()
    found = ends(world.look_up(buyer), buyer.claim)
    assert found.pop("p007") == "failed: reply_not_storable"
    assert set(found.values()) == {"found"}
    assert len(seller.asked) == len(PEOPLE) == credits_of(world, buyer)
    with world.warehouse._reading() as session:
        ((kept,),) = session.execute("SELECT reply FROM provider_replies WHERE outcome = 'retryable'").fetchall()
    assert "poison" in base64.b64decode(json.loads(kept)["base64"]).decode()


def test_a_reply_that_the_journal_refuses_in_any_form_is_booked(world: World) -> None:
    """What can't be kept at all may have been billed."""
    world.sell(ada=match(), ben=match(title="poison"))
    refuse(world, "NEW.reply LIKE '%poison%' OR NEW.outcome = 'retryable'")
    world.stage("ada", "ben")
    buyer = world.buyer()
    assert ends(world.look_up(buyer), buyer.claim) == {"ada": "found", "ben": "failed: reply_not_storable"}
    assert (credits_of(world, buyer), doubtful_credits(world)) == (1.0, 1.0)


def test_a_reply_that_the_reading_trips_over_costs_only_its_own_contact(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the journal, and another attempt would trip again; the log says where, not over what."""
    world.sell(ada=match(), ben=replace(match(title="Chief Poison"), reason="broken"))
    world.stage("ada", "ben")
    buyer = world.buyer()
    with caplog.at_level("INFO"):
        assert ends(world.look_up(buyer), buyer.claim) == {"ada": "found", "ben": "failed: reply_not_readable"}
    assert "reply_not_readable" in caplog.text
    assert "Chief" not in caplog.text


def test_what_was_paid_for_waits_for_a_journal_that_is_busy(world: World, lock: sqlite3.Connection) -> None:
    """The reply is kept as soon as the journal takes it, and isn't bought again."""
    seller = world.sell(ada=match())
    seller.between = lambda _: lock.execute("BEGIN IMMEDIATE")
    world.stage("ada")
    buyer = world.buyer(pause=lambda seconds: lock.rollback() if seconds == 4.0 else None)
    assert ends(world.look_up(buyer), buyer.claim) == {"ada": "found"}
    assert len(seller.asked) == 1


@pytest.mark.parametrize(
    ("breaks", "repairs", "error"),
    [
        ("BEGIN IMMEDIATE", "ROLLBACK", TransientError),
        (
            "ALTER TABLE provider_replies RENAME TO away",
            "ALTER TABLE away RENAME TO provider_replies",
            ConfigurationError,
        ),
    ],
    ids=["busy", "broken"],
)
def test_a_journal_that_stays_so_has_the_reply_at_the_next_attempt(
    world: World, lock: sqlite3.Connection, breaks: str, repairs: str, error: type[Exception]
) -> None:
    """The task fails and is repeated; what was paid for is kept first, and not bought again."""
    seller, buyer = stranded(world, lock, breaks, error)
    lock.execute(repairs)
    assert ends(world.look_up(buyer), buyer.claim) == {"ada": "found"}
    assert (len(seller.asked), credits_of(world, buyer)) == (1, 1.0)


def stranded(
    world: World,
    lock: sqlite3.Connection,
    breaks: str = "BEGIN IMMEDIATE",
    error: type[Exception] = TransientError,
    answer: Answer | None = None,
) -> tuple[Any, Buyer]:
    """Let the journal be away once the only contact is paid for; return who was asked, and who asked in vain."""
    seller = world.sell(ada=answer or match())
    seller.between = lambda _: lock.execute(breaks)
    world.stage("ada")
    buyer = world.buyer()
    with pytest.raises(error):
        world.look_up(buyer)
    return seller, buyer


def test_what_a_broken_chain_has_paid_for_is_saved_before_its_contacts_go_back(
    world: World, lock: sqlite3.Connection
) -> None:
    """The journal was away for longer than its task is repeated; the next run finds the reply."""
    seller, buyer = stranded(world, lock)
    with pytest.raises(TransientError):
        save_left_over(world.warehouse, buyer.claim)
    lock.rollback()
    save_left_over(world.warehouse, buyer.claim)
    assert credits_of(world, buyer) == 1.0
    save_left_over(world.warehouse, buyer.claim)  # nothing is left
    assert ends(world.look_up(world.buyer(buyer.plan, buyer.claim)), buyer.claim) == {"ada": "found"}
    assert len(seller.asked) == 1


def test_what_is_left_over_and_can_not_be_stored_as_it_is_is_kept_all_the_same(
    world: World, lock: sqlite3.Connection
) -> None:
    """It was paid for, so its credit is booked."""
    refuse(world, "NEW.reply LIKE '%poison%'")
    _, buyer = stranded(world, lock, answer=match(title="poison"))
    lock.rollback()
    save_left_over(world.warehouse, buyer.claim)
    assert (credits_of(world, buyer), doubtful_credits(world)) == (1.0, 0.0)


def test_a_contact_meets_others_in_each_attempt(world: World) -> None:
    """Batches are cut from another order each time, so that one contact doesn't spoil the same ones again."""
    seller = world.sell()
    seller.otherwise = DOWN
    world.stage(*PEOPLE)
    buyer = world.buyer(shuffle=lambda keys: keys.reverse())
    world.look_up(buyer)
    world.look_up(world.buyer(buyer.plan, buyer.claim, shuffle=lambda _: None))
    first, second = seller.asked[: len(PEOPLE)], seller.asked[len(PEOPLE) :]
    assert first == second[::-1]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON)
def test_whatever_a_reply_holds_its_neighbours_are_found(world: World, anything: Any) -> None:
    """Arbitrary JSON in one contact's reply is kept, paid for once, and never breaks another contact's."""
    names = [f"{uuid.uuid4().hex}" for _ in range(3)]
    seller = world.sell(**{names[0]: match(anything=anything)})
    seller.otherwise = match(title="CTO")
    world.stage(*names)
    buyer = world.buyer()
    done = world.look_up(buyer)
    assert {one.record_id for one in done.found} == {one.record_id for one in buyer.claim.records}
    assert (len(seller.asked), credits_of(world, buyer)) == (3, 3.0)
