"""One form of each address and id, at every door: no contact is paid for twice, mixed up, or looked up once erased."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import cast

import click
import pytest
import typer.main
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from blocks.crms.base import contact_id, open_crm
from blocks.warehouses.base import NewRecord
from cli import app
from enrichment.errors import ConfigurationError
from enrichment.identifiers import normalise_email
from enrichment.intake import NewContacts, select_by
from enrichment.moments import read_moment
from tasks.chunk import look_up, settle, store, write_back
from tasks.intake import stage_listed
from tasks.preview import preview
from tasks.queue import claim_chunks
from tests.cases.chain import HUBSPOT, Chain
from tests.unit.enrichment.test_spellings import SPELLINGS
from triggers.submissions import read_contacts

WAREHOUSES = pytest.mark.parametrize("chain", ["sqlite", "postgres"], indirect=True)

LONG, SHORT = "003D000000QV9n2IAD", "003D000000QV9n2"


def listed(path: Path, *lines: str) -> str:
    """Write a list of contacts, and return where it is."""
    path.write_text("crm_id,email\n" + "\n".join(lines) + "\n")
    return str(path)


def enrich(chain: Chain, *arguments: str) -> Result:
    chain.setenv("ENRICHMENT_CRM", chain.crm)
    return CliRunner().invoke(app, arguments)


@WAREHOUSES
def test_two_people_at_two_companies_stay_two(chain: Chain, tmp_path: Path) -> None:
    """Sharp s and double s differ in a domain and in a name: two lookups each, and each contact has its own company."""
    emails = ["hit+a@straße.example", "hit+a@strasse.example", "hit+straße@acme.example", "hit+strasse@acme.example"]
    ids = chain.world.hubspot.create([{"email": f"x{n}@acme.example"} for n in range(4)])
    rows = [f"{crm_id},{email}" for crm_id, email in zip(ids, emails, strict=True)]
    stage_listed.fn("hubspot", chain.vendor, "live", [], listed(tmp_path / "list.csv", *rows))
    chain.run()
    assert chain.ends(*ids) == ["written"] * 4
    assert dict(chain.world.zoominfo.lookups) == {normalise_email(email): 1 for email in emails}
    companies = [chain.values(crm_id, "enr_company_name")["enr_company_name"] for crm_id in ids[:2]]
    assert companies[0] != companies[1]


@WAREHOUSES
def test_a_contact_that_becomes_another_person_gets_nothing_of_the_first_one(chain: Chain) -> None:
    """A run dies between update and settlement: the contact is looked up again, and both values before are kept."""
    (crm_id,) = chain.world.hubspot.create([{"email": "hit+a@acme.example"}])
    chain.stage([crm_id])
    plan = chain.plan()
    for claimed in claim_chunks.fn(plan, 1, 10):
        write_back.fn(plan, store.fn(plan, look_up.fn(plan, claimed)))
    first = chain.values(crm_id, "enr_company_name")["enr_company_name"]
    chain.warehouse.release_run(plan.run_id, costs_attempt=False)
    chain.world.hubspot.edit(crm_id, {"email": "hit+b@other.example"})
    chain.run(plan=plan)
    assert chain.values(crm_id, "enr_company_name")["enr_company_name"] == first  # the same run writes to it once
    assert chain.ends(crm_id) == ["queued"]
    chain.make_due()
    later = chain.run()
    second = chain.values(crm_id, "enr_company_name")["enr_company_name"]
    assert chain.ends(crm_id) == ["written"]
    writes = chain.warehouse.read_story(HUBSPOT, crm_id).writes
    kept = {one.run_id: (one.before, one.after) for one in writes if one.field == "enr_company_name"}
    assert kept == {plan.run_id: (None, first), later.run_id: (first, second)}
    assert first != second


@WAREHOUSES
def test_a_contact_whose_address_changes_before_it_is_written_gets_the_second_person_s_values(chain: Chain) -> None:
    """No event says so: what the CRM has when it is written differs from the address that the lookup was made with."""
    (crm_id,) = chain.world.hubspot.create([{"email": "hit+a@acme.example"}])
    chain.warehouse.stage([NewRecord("hubspot", crm_id, "hit+a@acme.example", "backfill", "live")])
    plan = chain.plan()
    for claimed in claim_chunks.fn(plan, 1, 10):
        stored = store.fn(plan, look_up.fn(plan, claimed))
        chain.world.hubspot.edit(crm_id, {"email": "hit+b@other.example"})
        settle.fn(plan, write_back.fn(plan, stored))
    assert chain.ends(crm_id) == ["queued"]
    assert chain.values(crm_id, "enr_company_name") == {"enr_company_name": None}
    chain.run()
    assert chain.ends(crm_id) == ["written"]
    assert dict(chain.world.zoominfo.lookups) == {"hit+a@acme.example": 1, "hit+b@other.example": 1}
    stored_now = chain.warehouse.read_enriched(HUBSPOT, [crm_id])[crm_id].fields["company_name"]
    assert chain.values(crm_id, "enr_company_name") == {"enr_company_name": stored_now}


@WAREHOUSES
def test_a_failed_contact_is_retried_under_its_present_address(chain: Chain) -> None:
    """A person has corrected it in the CRM, and nothing is paid for the old one again."""
    (crm_id,) = chain.world.hubspot.create([{"email": "hit+a@acme.example"}])
    chain.warehouse.stage([NewRecord("hubspot", crm_id, "hit+a@acme.example", "backfill", "live")])
    chain.answer("hubspot", "batch/update", {"status": "error", "category": "VALIDATION_ERROR"}, status=400, times=0)
    chain.run()
    chain.world.faults.clear()
    assert chain.ends(crm_id) == ["failed: validation_error"]
    chain.world.hubspot.edit(crm_id, {"email": "hit+b@other.example"})
    assert chain.warehouse.restage_failed() == 1
    chain.run()
    assert chain.ends(crm_id) == ["written"]
    assert dict(chain.world.zoominfo.lookups) == {"hit+a@acme.example": 1, "hit+b@other.example": 1}


@WAREHOUSES
def test_an_erased_person_stays_erased_under_every_spelling(chain: Chain, tmp_path: Path) -> None:
    """Through a list, a form, an event and the CRM itself: no provider is called, and no address is kept."""
    spellings = [text for text, form in SPELLINGS.items() if form == "ada@xn--mnchen-3ya.example"]
    gone, *others = chain.world.hubspot.create(
        [{"email": "ada@xn--mnchen-3ya.example"}, *({"email": f"x{n}@acme.example"} for n, _ in enumerate(spellings))]
    )
    chain.warehouse.stage([NewRecord("hubspot", gone, "Ada <ada@MÜNCHEN.example>", "manual", "live")])
    assert enrich(chain, "erase", gone, "--yes").exit_code == 0
    quoted = [text.replace('"', '""') for text in spellings]
    rows = [f'{crm_id},"{text}"' for crm_id, text in zip(others, quoted, strict=True)]
    stage_listed.fn("hubspot", chain.vendor, "live", [], listed(tmp_path / "list.csv", *rows))
    (form,) = read_contacts(
        b'{"crm_id": "900", "email": "mailto:ADA@m\xc3\xbcnchen.example"}', crm="hubspot", crms=[]
    ).records
    late = chain.world.hubspot.create([{"email": "Ada@MÜNCHEN.example"}])[0]
    chain.warehouse.stage([form, NewRecord("hubspot", late, None, "webhook", "live")])
    shown = preview.fn(chain.plan(), 100)
    assert (shown.would_ask, dict(shown.results)) == (0, {"suppressed": len(others) + 2})
    chain.run()
    assert chain.ends(*others, "900", late) == ["suppressed: suppression_list"] * (len(others) + 2)
    assert not chain.world.zoominfo.lookups


@WAREHOUSES
def test_one_person_in_four_rows_is_paid_for_once(chain: Chain, tmp_path: Path) -> None:
    """By whatever spelling of the address; a row without an address that is valid is asked for by name and company."""
    person = chain.world.population.people[0]
    named = {"firstname": person.first_name, "lastname": person.last_name, "company": person.company.name}
    spellings = [
        "",
        "N/A",
        "mailto:hit+eve@acme.example",
        "\u200bhit+eve@acme.example",
        "hit+eve@acme.example",
        "<hit+eve@acme.example>",
        "hit+eve@acme.example.",
        "hit+eve@acme.example; e2@acme.example",
    ]
    ids = chain.world.hubspot.create([named] * len(spellings))
    rows = [f"{crm_id},{text}" for crm_id, text in zip(ids, spellings, strict=True)]
    stage_listed.fn("hubspot", chain.vendor, "live", [], listed(tmp_path / "list.csv", *rows))
    chain.run()
    asked = dict(chain.world.zoominfo.lookups)
    assert asked.pop("hit+eve@acme.example") == 1
    assert list(asked.values()) == [1]
    assert "|" in next(iter(asked))


#: Ids that a program or a person has spoilt, by CRM, and what is said of them.
SPOILT: Sequence[tuple[str, str, str]] = (
    ("hubspot", "1.01E+11", "a spreadsheet has rounded it"),
    ("hubspot", "1,01E+11", "a spreadsheet has rounded it"),
    ("hubspot", "101000000037.0", "added a fraction"),
    ("hubspot", "'101000000074", "begins with an apostrophe"),
    ("hubspot", "101,000,000,074", "separators between its digits"),
    ("hubspot", "0101", "doesn't begin with 0"),
    ("hubspot", "-5", "a number of at most 19 digits"),
    ("hubspot", "١٢٣", "a number of at most 19 digits"),
    ("hubspot", "1" * 20, "a number of at most 19 digits"),
    ("hubspot", LONG, "a number of at most 19 digits"),
    ("hubspot", "ada@acme.example", "the text is not a HubSpot contact id"),
    ("salesforce", "003D000000QV9n2IAE", "last three characters don't fit"),
    ("salesforce", "003d000000QV9n2IAD", "last three characters don't fit"),
    ("salesforce", "003D000000QV9n", "15 or 18 letters and digits"),
    ("salesforce", "001D000000QV9n2", "those begin with 003"),
    ("salesforce", "501", "15 or 18 letters and digits"),
    ("file", " ", "an empty text"),
)


@pytest.mark.parametrize(("crm", "given", "words"), SPOILT)
def test_a_spoilt_id_is_refused_at_every_door(
    crm: str, given: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything starts: with the line in a file, with the reason everywhere, and without an address in it."""
    monkeypatch.setenv("ENRICHMENT_CRM", crm)
    monkeypatch.setenv("ENRICHMENT_SQLITE_PATH", str(tmp_path / "absent" / "warehouse.db"))
    with pytest.raises(ConfigurationError, match=words):
        contact_id(crm, given)
    path = listed(tmp_path / "list.csv", f'"{given}",a@acme.example')
    doors = [["stage", "--csv", path], ["backfill", "--csv", path, "--stage-only"], ["erase", "--yes", "--", given]]
    doors += [["why", "--crm", crm, "--", given]] + (
        [["stage", "--ids", given]] if "," not in given and given.strip() else []
    )
    for door in doors:
        done = CliRunner().invoke(app, door)
        said = " ".join(done.stderr.replace("\n", " ").split())
        assert done.exit_code == 2, (door, said)
        if crm != "file" or "--csv" not in door:
            assert words in said.replace(" - ", "-"), (door, said)
        if "--csv" in door:
            assert "line 2" in said
        assert "@acme" not in said


def test_a_spoilt_id_of_many_is_named_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """It isn't quoted, since it may be an address."""
    monkeypatch.setenv("ENRICHMENT_CRM", "hubspot")
    said = CliRunner().invoke(app, ["stage", "--ids", "501,ada@acme.example,502"]).stderr
    assert "id 2 of 3: the text is not a HubSpot contact id" in " ".join(said.split())


@WAREHOUSES
def test_the_short_and_the_long_id_are_one_contact(chain: Chain, tmp_path: Path) -> None:
    """Staged once from a list with both, found by `why` under both, and erased under both."""
    chain.crm = "salesforce"
    (long,) = chain.world.salesforce.create([{"Email": "hit+eve@acme.example", "LastName": "Eve"}])
    path = listed(tmp_path / "list.csv", f"{long[:15]},", f"{long},", f"{long.upper()},", f" {long}\u200b,")
    assert stage_listed.fn("salesforce", chain.vendor, "live", [long[:15], long], path) == 1
    form = f'{{"crm_id": "{long[:15]}", "crm": "salesforce"}}'.encode()
    records = read_contacts(form, crm="hubspot", crms=["salesforce"]).records
    assert chain.warehouse.stage(records) == 0
    stories = [enrich(chain, "why", one, "--json").stdout for one in (long, long[:15], long.lower())]
    assert "put into the queue" in stories[0]
    assert stories == [stories[0]] * 3
    erased = json.loads(enrich(chain, "erase", long[:15], "--yes", "--json").stdout)
    assert erased["enrichment_staging"] == 1
    assert stage_listed.fn("salesforce", chain.vendor, "live", [long], "") == 1
    assert preview.fn(chain.plan(), 100).results == {"suppressed": 1}
    assert chain.ends(long) == ["suppressed: erased"]


@given(st.from_regex(r"003[A-Za-z0-9]{12}", fullmatch=True))
def test_the_long_form_of_an_id_is_its_own_and_says_the_case(short: str) -> None:
    """Two short ids never become one, and a long one that lost its case as a whole gets it back."""
    long = contact_id("salesforce", short)
    assert long[:15] == short
    assert {contact_id("salesforce", one) for one in (long, long.upper(), long.lower())} == {long}


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Give a switch of this machine's time zone."""

    def switch(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield switch
    monkeypatch.undo()
    time.tzset()


def since(text: str) -> datetime:
    """Return what the option of the command makes of a text."""
    command = cast("click.Group", typer.main.get_command(app)).commands["stage"]
    found = NewContacts(since=command.make_context("stage", ["--since", text]).params["since"]).since
    assert found is not None
    return found


def test_a_moment_without_a_zone_is_in_utc_wherever_the_machine_is(
    chain: Chain, in_zone: Callable[[str], None]
) -> None:
    """The same contacts by the command's option, by a selection and by a bare moment, in any zone; a zone counts."""
    chain.world.hubspot.create([{"email": f"p{n}@acme.example"} for n in range(3)])
    created = max(read_moment(one["createdate"] or "") for one in chain.world.hubspot.contacts.values())
    moment = created.replace(microsecond=0)
    naive, zoned = moment.replace(tzinfo=None).isoformat(), moment.astimezone(timezone(timedelta(hours=9))).isoformat()
    found = set()
    for zone in ("America/Los_Angeles", "Asia/Tokyo", "UTC"):
        in_zone(zone)
        moments = [
            since(naive),
            since(zoned),
            since(f"{naive}z"),
            since(f"{naive}.000Z"),
            select_by(created_from=naive).created_from,
            datetime.fromisoformat(naive),
        ]
        with open_crm("hubspot") as crm:
            for one in moments:
                pages = list(crm.created_since(cast("datetime", one)))
                found.add(tuple(contact.crm_id for page in pages for contact in page))
    assert len(found) == 1
    assert len(found.pop()) >= 3
