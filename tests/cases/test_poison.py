"""Poison is contained: one bad value costs one field, one bad record one record, and what was paid for is kept."""

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from blocks.calls import loop
from blocks.warehouses.base import NewRecord
from enrichment.errors import RecordRefusedError, TransientError
from enrichment.records import Origin
from enrichment.retry import RetryDecision
from sandbox.zoominfo.directory import person_id
from tasks.intake import stage_listed
from tests.cases.chain import HUBSPOT, Chain
from triggers.hubspot_events import read_delivery
from triggers.submissions import InvalidContactsError, read_contacts

WAREHOUSES = pytest.mark.parametrize("chain", ["sqlite", "postgres"], indirect=True)

#: What stands in the person of Apollo's reply whose address begins so, in fields that no mapping reads.
UNMAPPED = {
    "half": r'"headline":"Growth \\ud83d"',
    "second": r'"headline":"\\ude00 Growth"',
    "nul": r'"headline":"a\\u0000b"',
    "key": r'"a\\u0000\\ud83d":1',
    "nan": '"score":NaN',
    "infinite": '"score":-Infinity',
    "overflow": '"score":1e400',
    "huge": '"score":1' + "0" * 40,
    "endless": '"score":' + "7" * 5000,
    "deep": '"nest":' + "[" * 3000 + "]" * 3000,
    "objects": '"nest":' + '{"a":' * 700 + "1" + "}" * 700,
    "double": '"note":1,"note":2',
    "control": '"note":"a\tb\x01"',
    "long": '"note":"' + "x" * 200_000 + '"',
}

#: What stands in a mapped field, and what the CRM gets of it.
EMPLOYEES = {
    "7900000000": None,
    "1" + "0" * 30: None,
    "99999999999": None,
    "NaN": None,
    "1e400": None,
    "-5": None,
    '"1e30"': None,
    "10000000": "10000000",
}


def address(name: str) -> str:
    return f"hit+{name}@{name}.example"


def queue(chain: Chain, *names: str) -> dict[str, str]:
    """Queue contacts of these names, each of a company of its own, and return their ids by name."""
    ids = chain.world.hubspot.create([{"email": address(name)} for name in names])
    stage_listed.fn("hubspot", chain.vendor, "live", ids, "")
    return dict(zip(names, ids, strict=True))


def rewrite(chain: Chain, service: str, rewrites: dict[str, str], **options: Any) -> None:
    chain.world.faults.add(kind="rewritten", service=service, rewrites=rewrites, times=0, **options)


def person(name: str) -> str:
    """Return the beginning of a person in Apollo's reply."""
    return f'"id":"a-{person_id(address(name))}"'


def rows(chain: Chain, query: str) -> list[dict[str, Any]]:
    with chain.warehouse._reading() as session:
        return [dict(row) for row in session.execute(query).fetchall()]


def reply_of(chain: Chain, crm_id: str) -> Any:
    """Return what the journal keeps of a contact's reply."""
    found = rows(
        chain,
        "SELECT p.reply, p.outcome, p.credits FROM provider_replies p JOIN contact_requests r "
        f"ON p.request_key = r.request_key WHERE r.crm_id = '{crm_id}'",
    )
    reply = found[0]["reply"]
    return json.loads(reply) if isinstance(reply, str) else reply


def booked(chain: Chain) -> tuple[float, float]:
    """Return the credits in the journal, and those in doubt beside it."""
    kept = rows(chain, "SELECT COALESCE(SUM(credits), 0) AS credits FROM provider_replies")[0]["credits"]
    doubtful = rows(chain, "SELECT COALESCE(SUM(credits), 0) AS credits FROM doubtful_credits")[0]["credits"]
    return float(kept), float(doubtful)


@WAREHOUSES
def test_odd_values_that_no_mapping_reads_cost_nothing(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    """Everyone is written, asked for once and booked once; the log names the places, never what stood there."""
    ids = queue(chain, *UNMAPPED, "plain", "nul1")
    rewrites = {re.escape(person(name)): f"{person(name)},{odd}" for name, odd in UNMAPPED.items()}
    rewrite(chain, "apollo", rewrites | {'"name":"Nul1"': r'"name":"Nul1\\u0000 Ltd"'})
    chain.run("apollo")
    assert chain.ends(*ids.values()) == ["written"] * len(ids)
    assert set(chain.world.apollo.lookups.values()) == {1}
    assert booked(chain) == (len(ids), 0) == (chain.world.apollo.credits_used, 0)
    assert chain.values(ids["nul1"], "enr_company_name") == {"enr_company_name": "Nul1 Ltd"}
    assert reply_of(chain, ids["half"])["headline"] == "Growth "
    assert reply_of(chain, ids["endless"])["score"] == "7" * 5000
    assert "a character that can't be stored at matches.[].headline" in caplog.text
    assert "Growth" not in caplog.text


@WAREHOUSES
def test_a_number_outside_its_field_s_range_is_left_out(chain: Chain) -> None:
    """The other fields of the contact and all neighbours are written."""
    names = {f"staff{place}": value for place, value in enumerate(EMPLOYEES)}
    ids = queue(chain, *names, "plain")
    rewrite(
        chain,
        "apollo",
        {
            rf'("primary_domain":"{name}.example".{{1,200}}?"estimated_num_employees":)\d+': rf"\g<1>{value}"
            for name, value in names.items()
        },
    )
    plan = chain.run("apollo")
    assert chain.ends(*ids.values()) == ["written"] * len(ids)
    (counted,) = chain.warehouse.count_refusals(plan.run_id)
    assert (counted.field, counted.reason, counted.contacts) == ("enr_employee_count", "out_of_range", 5)
    found = {
        value: chain.values(ids[name], "enr_employee_count")["enr_employee_count"] for name, value in names.items()
    }
    assert found == EMPLOYEES
    assert chain.values(ids["plain"], "enr_employee_count")["enr_employee_count"]
    assert {chain.values(one, "enr_provider")["enr_provider"] for one in ids.values()} == {"apollo"}


@WAREHOUSES
def test_odd_values_of_the_crm_are_asked_and_kept_in_a_storable_form(chain: Chain) -> None:
    """A name is asked without the half of an emoji, and the value before is kept without it."""
    plain = queue(chain, "plain")["plain"]
    company = "Halves Ltd"
    named, written = chain.world.hubspot.create(
        [
            {"firstname": "AdaHALF", "lastname": "ByNULron", "company": company},
            {"email": address("before"), "enr_job_title": "OldHALF", "jobtitle": "HALF"},
        ]
    )
    stage_listed.fn("hubspot", chain.vendor, "live", [named, written], "")
    rewrite(chain, "hubspot", {"HALF": r"\\ud83d", "NUL": r"\\u0000"})
    plan = chain.run("apollo")
    assert chain.ends(plain, written) == ["written", "written"]
    assert chain.ends(named)[0].startswith("unmatched")
    assert "ada|byron|halves ltd" in chain.world.apollo.lookups
    before = {
        one.field: one.before for one in chain.warehouse.read_written(plan.run_id, HUBSPOT) if one.crm_id == written
    }
    assert before["enr_job_title"] == "Old"


UNREADABLE: dict[str, dict[str, Any]] = {
    "latin-1": {"kind": "rewritten", "rewrites": {'"city":"': '"city":"Zürich '}, "charset": "latin-1"},
    "brotli": {"kind": "compressed"},
    "half": {"kind": "halved"},
    "page": {"kind": "status", "status": 200, "body": "<html>"},
    "cut": {"kind": "truncated"},
}


@pytest.mark.parametrize("how", UNREADABLE)
@pytest.mark.parametrize("chain", ["postgres"], indirect=True)
def test_a_paid_answer_that_cannot_be_read_is_kept_and_not_bought_again_and_again(chain: Chain, how: str) -> None:
    """Apollo bills each call: the raw answer is kept, the doubt is booked, and a person decides on another call."""
    ids = queue(chain, "ada", "ben", "cem")
    chain.world.faults.add(service="apollo", times=0, path_contains="bulk_match", **UNREADABLE[how])
    chain.run("apollo")
    cut = how == "cut"
    assert chain.ends(*ids.values()) == (["queued"] if cut else ["failed: unreadable_answer"]) * 3
    assert booked(chain) == (0, 3)
    kept = reply_of(chain, ids["ada"])
    assert kept["http_status"] == 200
    raw = kept["body"]
    content = base64.b64decode(raw["base64"]) if isinstance(raw, dict) else raw.encode()
    assert content[:5] in (b'{"sta', b"<html", b"x\x9c\xed\x92", content[:5] if how == "brotli" else b"")
    for _ in range(2):
        chain.make_due()
        chain.run("apollo")
    assert chain.ends(*ids.values()) == [f"failed: {'cut' if cut else 'unreadable'}_answer"] * 3
    assert max(chain.world.apollo.lookups.values(), default=1) == (2 if cut else 1)
    assert booked(chain) == (0, 6 if cut else 3)


def test_a_page_in_place_of_every_answer_is_not_paid_for_again_and_again(chain: Chain) -> None:
    """After a few such answers the rest waits at no attempt; one call shows that it is over."""
    chain.setenv("ENRICHMENT_APOLLO_CONCURRENCY", "1")
    ids = queue(chain, *(f"x{place:02}" for place in range(60)))
    chain.world.faults.add(service="apollo", times=0, path_contains="bulk_match", **UNREADABLE["page"])
    for _ in range(2):
        chain.run("apollo")
        chain.make_due()
    assert len(chain.world.apollo.requests) == 3 + 1
    assert chain.ends(*ids.values()).count("failed: unreadable_answer") == 40
    assert booked(chain) == (0, 40)
    chain.world.faults.clear()
    chain.run("apollo")
    assert chain.ends(*ids.values()).count("written") == 20
    assert {
        row["attempts"] for row in rows(chain, "SELECT attempts FROM record_ledger WHERE disposition = 'written'")
    } == {1}


@pytest.mark.parametrize("how", UNREADABLE)
def test_an_answer_that_is_billed_once_is_asked_for_again(chain: Chain, how: str) -> None:
    """Clearbit bills a question once: it is asked again at once, and booked once, whether it can be read or not."""
    ids = queue(chain, "ada", "ben")
    chain.world.faults.add(service="clearbit", **{**UNREADABLE[how], "times": 3})
    chain.run("clearbit")
    ended = chain.ends(*ids.values())
    assert sorted(ended) in (["queued", "written"], ["written", "written"])
    assert booked(chain) == (2, 0)
    chain.make_due()
    chain.run("clearbit")
    assert chain.ends(*ids.values()) == ["written", "written"]
    assert booked(chain) == (2, 0)


@WAREHOUSES
@pytest.mark.parametrize("bad", [("x07",), ("x02", "x07", "x31")])
def test_one_contact_that_draws_500_fails_alone(chain: Chain, bad: Sequence[str]) -> None:
    """Its batch is divided, the others are written and paid for once, and the failed contact names the call."""
    names = [f"x{place:02}" for place in range(34)]
    people = {name: ("fault+" if name in bad else "hit+") + f"{name}@{name}.example" for name in names}
    ids = dict(zip(names, chain.world.hubspot.create([{"email": one} for one in people.values()]), strict=True))
    stage_listed.fn("hubspot", chain.vendor, "live", list(ids.values()), "")
    chain.run("zoominfo")
    good = [name for name in names if name not in bad]
    assert chain.ends(*(ids[name] for name in good)) == ["written"] * len(good)
    assert [one.partition(":")[0] for one in chain.ends(*(ids[name] for name in bad))] == ["failed"] * len(bad)
    story = chain.warehouse.read_story(Origin("hubspot"), ids[bad[0]])
    assert re.search(r"zoominfo gave no usable reply: \S+ \(request \S+\)", story.failures[0].error)
    assert max(chain.world.zoominfo.billed.values()) == 1
    assert booked(chain) == (len(good), 0)


def test_an_outage_makes_no_dead_letters_and_few_calls(chain: Chain) -> None:
    """Where nothing passes it isn't the contacts: they wait, and the batch isn't divided to the end."""
    ids = queue(chain, *(f"x{place:02}" for place in range(25)))
    chain.world.faults.add(service="zoominfo", path_contains="contacts/enrich", kind="status", status=500, times=0)
    chain.run("zoominfo")
    assert chain.ends(*ids.values()) == ["queued"] * 25
    assert len(chain.world.zoominfo.requests) <= 12


def forbid(chain: Chain, table: str, column: str, value: str) -> None:
    """Let a table refuse a value, as an engine refuses one that it can't store."""
    with chain.warehouse._transaction() as session:
        if chain.vendor == "postgres":
            session.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT no_{column} CHECK ({column} IS DISTINCT FROM '{value}')"
            )
        else:
            session.execute(
                f"CREATE TRIGGER no_{table}_{column} BEFORE INSERT ON {table} WHEN NEW.{column} IS '{value}' "
                f"BEGIN SELECT RAISE(ABORT, 'no {column}'); END"
            )


@WAREHOUSES
def test_at_every_seam_only_the_bad_record_fails(chain: Chain) -> None:
    """What the tables refuse fails one contact at once, with its step; all others are written."""
    ids = queue(chain, *(f"x{place:02}" for place in range(30)), "stored", "planned")
    forbid(chain, "enrichment_history", "company_name", "Stored")
    forbid(chain, "crm_writes", "after", "Planned")
    chain.run("apollo")
    ends = dict(zip(ids, chain.ends(*ids.values()), strict=True))
    letters = {
        row["crm_id"]: (row["step"], row["error"])
        for row in rows(chain, "SELECT crm_id, step, error FROM failed_records")
    }
    assert {name for name, end in ends.items() if end != "written"} == {"stored", "planned"}
    assert letters[ids["stored"]][0] == "store"
    assert letters[ids["planned"]][0] == "write_back"
    for _, error in letters.values():
        assert "can't store a value" in error
        assert "Stored" not in error
        assert "Planned" not in error
    assert set(chain.world.apollo.lookups.values()) == {1}


@WAREHOUSES
def test_an_ending_that_the_ledger_refuses_becomes_a_failed_contact(chain: Chain) -> None:
    """The others of the batch end as they were."""
    ids = queue(chain, "ada", "ben", "cem")
    forbid(chain, "record_ledger", "disposition", "unmatched")
    chain.world.hubspot.edit(ids["ben"], {"email": "miss+ben@ben.example"})
    chain.run("apollo")
    assert chain.ends(*ids.values()) == ["written", "failed: value_not_storable", "written"]


@pytest.mark.parametrize("chain", ["postgres"], indirect=True)
def test_a_value_out_of_range_is_a_permanent_fault(chain: Chain) -> None:
    """The error names the column and not the value, and isn't taken for one that a retry fixes."""
    row = {
        "crm_id": "1",
        "enrichment_timestamp": "2026-01-01T00:00:00Z",
        "employee_count": 7_900_000_000,
        "provider": "x",
    }
    with pytest.raises(RecordRefusedError) as caught, chain.warehouse._transaction() as session:
        session.run("upsert_contacts", crm="hubspot", object_type="contact", run_id="r", rows=[row])
    assert str(caught.value) == "PostgreSQL can't store a value in the column employee_count (22003)"
    assert not isinstance(caught.value, TransientError)


@WAREHOUSES
def test_malformed_json_is_a_permanent_fault(chain: Chain) -> None:
    """SQLite words it as an operational error, and PostgreSQL as one of the text."""
    with pytest.raises(RecordRefusedError), chain.warehouse._transaction() as session:
        session.run("keep_replies", provider="x", run_id="r", rows='[{"reply": NaN}]')


def test_an_odd_event_holds_up_no_other(chain: Chain) -> None:
    """HubSpot's deliveries are read whole, and every contact that they name is staged."""
    created = b'{"subscriptionType":"contact.creation","objectId":%d,"occurredAt":%s}'
    times = (b"1e999", b"NaN", b"9" * 5000, b"1790000000000", b"[" * 500 + b"]" * 500)
    events = [created % (place, at) for place, at in enumerate(times, 1)]
    events.append(
        rb'{"subscriptionType":"contact.propertyChange","objectId":9,"propertyName":"email","propertyValue":"a\ud83d\u0000@b"}'
    )
    batch = read_delivery(b"[" + b",".join(events) + b"]", "").batch
    assert chain.warehouse.stage(batch.records, changed=batch.changed) == 6


@pytest.mark.parametrize(
    "body",
    [
        rb'{"crm_id": "1", "email": "a\ud83d@b.example"}',
        rb'[{"crm_id": "2"}, {"crm_id": "1\u0000"}]',
        b'{"crm_id": NaN}',
        b"[" * 100_000,
        '{"crm_id": "1", "email": "ü@b.example"}'.encode("latin-1"),
    ],
)
def test_an_odd_submission_is_refused_with_its_place(body: bytes) -> None:
    """A form that hands in such a contact hears at once what is wrong and where; an id is never altered."""
    with pytest.raises(InvalidContactsError) as caught:
        read_contacts(body, crm="hubspot", crms=["hubspot"])
    assert all(flaw["where"] and flaw["what"] for flaw in caught.value.flaws)


@WAREHOUSES
def test_what_is_staged_with_odd_characters_is_stored(chain: Chain) -> None:
    """An event, a form or a file with such an address holds up nothing."""
    odd = [
        NewRecord("hubspot", "1", "hit+a\ud83d@firm.example", "webhook", "live"),
        NewRecord("hubspot", "2", "b\0@x", "manual", "live"),
    ]
    fine = [NewRecord("hubspot", str(place), None, "webhook", "live") for place in range(3, 10)]
    assert chain.warehouse.stage([*odd, *fine], changed=[(HUBSPOT, "9\ud83d")]) == 9
    assert {row["email_address"] for row in rows(chain, "SELECT email_address FROM enrichment_staging")} == {
        None,
        "hit+a@firm.example",
        "b@x",
    }


@WAREHOUSES
@pytest.mark.parametrize("path", ["batch/read", "batch/update"])
def test_one_contact_at_which_the_crm_fails_holds_up_no_other(
    chain: Chain, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HubSpot answers 500 whenever one certain contact is in the call: the others are written and paid for once."""
    monkeypatch.setattr(loop, "decide", partial(decide_at_once, loop.decide))
    chain.setenv("ENRICHMENT_MAX_ATTEMPTS", "2")
    ids = queue(chain, *(f"x{place:02}" for place in range(60)))
    bad = [ids["x07"], ids["x44"]]
    for one in bad:
        chain.world.faults.add(kind="status", service="hubspot", path_contains=path, body_contains=one, times=0)
    for _ in range(2):
        chain.run("apollo")
        chain.make_due()
    ends = dict(zip(ids, chain.ends(*ids.values()), strict=True))
    assert [name for name, end in ends.items() if end != "written"] == ["x07", "x44"]
    reason = "contact_unreadable" if path == "batch/read" else "unavailable"
    assert chain.ends(*bad) == [f"failed: {reason}"] * 2
    assert max(chain.world.apollo.lookups.values()) == 1
    error = chain.warehouse.read_story(HUBSPOT, bad[0]).failures[0].error
    assert "HubSpot" in error
    assert "500" in error
    assert path in error


def test_an_outage_of_the_crm_makes_no_dead_letters(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it answers 500 to everything, calls aren't divided to the end."""
    monkeypatch.setattr(loop, "decide", partial(decide_at_once, loop.decide))
    ids = queue(chain, *(f"x{place:02}" for place in range(60)))
    chain.world.faults.add(kind="status", service="hubspot", path_contains="batch/update", times=0)
    chain.run("apollo")
    assert chain.ends(*ids.values()) == ["queued"] * 60
    assert len([one for one in chain.world.hubspot.requests if "batch/update" in one.path]) <= 20 * 3


def decide_at_once(decide: Callable[..., RetryDecision], *arguments: Any, **options: Any) -> RetryDecision:
    """Decide as the product does, without the wait."""
    return replace(decide(*arguments, **options), wait_seconds=0.0)
