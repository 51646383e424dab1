"""Results are derived again from saved replies: without a credit, without a person's edit lost, and to be seen."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from blocks.providers.spec.model import spec_path
from blocks.warehouses.base import NewRecord
from cli import app
from enrichment.records import REMAP, Disposition, Origin
from enrichment.remap import NEWER, NO_MATCH, NOT_SAVED, QUEUED, SAME
from tasks.audit import audit
from tasks.contact import erase_contact, suppress_contacts
from tests.cases.chain import HUBSPOT, Chain
from tests.warehouses import look

WAREHOUSES = pytest.mark.parametrize("chain", ["sqlite", "postgres"], indirect=True)
TITLE = "title: {path: jobTitle}"


@pytest.fixture
def contacts(chain: Chain) -> list[str]:
    """Enrich four contacts, and return their ids."""
    made: list[str] = chain.world.hubspot.create([{"email": f"hit+{n}@firm.example"} for n in range(4)])
    chain.stage(made)
    chain.run_with_totals()
    return made


def correct(chain: Chain, folder: Path, *changes: tuple[str, str]) -> None:
    """Let the provider's file read another way from now on."""
    text = spec_path("zoominfo").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "zoominfo.yaml").write_text(text)
    chain.setenv("ENRICHMENT_PROVIDER_DIR", str(folder))


def shout(chain: Chain, folder: Path) -> None:
    """Let titles be read with an exclamation mark."""
    correct(chain, folder, (TITLE, "title: {path: \"join('', [jobTitle, '!'])\"}"))


def remap(*options: str, code: int = 0) -> dict[str, Any]:
    answer = CliRunner().invoke(app, ["remap", "--json", *options])
    assert answer.exit_code == code, answer.output
    found: dict[str, Any] = json.loads(answer.stdout) if not code else {"says": " ".join(answer.output.split())}
    return found


def history(chain: Chain, crm_id: str) -> list[tuple[str, bool]]:
    """Return the title of each reading of a contact's answer, and whether it was remapped, the first one first."""
    query = "SELECT attributes ->> 'title' AS title, remapped_at IS NOT NULL AS again FROM enrichment_history"
    rows = look(chain.warehouse, f"{query} WHERE crm_id = '{crm_id}' ORDER BY again")
    return [(title, bool(again)) for title, again in rows]


def stored(chain: Chain, crm_id: str) -> Any:
    return chain.warehouse.read_enriched(HUBSPOT, [crm_id])[crm_id]


@WAREHOUSES
def test_results_are_shown_then_stored_and_written_without_a_credit(
    chain: Chain, contacts: list[str], tmp_path: Path
) -> None:
    """The difference first; then result, history and CRM have it, without a call, and the audit is clean."""
    lookups, credits_used = chain.world.zoominfo.summary()["lookups"], chain.world.zoominfo.credits_used
    before = stored(chain, contacts[0])
    shout(chain, tmp_path)
    shown = remap()
    assert shown["results"] == {"title": {"changed": 4}}
    assert shown["crm"]["enr_job_title"] == {"changed": 4}
    assert shown["contacts"][contacts[0]]["result"] == ["title"]
    assert "enr_job_title" in shown["contacts"][contacts[0]]["crm"]
    assert stored(chain, contacts[0]) == before
    done = remap("--yes")
    assert done["report"]["books"]["dispositions"] == {Disposition.WRITTEN: 4}
    after = stored(chain, contacts[0])
    assert after.fields["title"] == before.fields["title"] + "!"
    assert (after.provider, after.received_at) == (before.provider, before.received_at)
    assert chain.values(contacts[0], "enr_job_title")["enr_job_title"] == after.fields["title"]
    assert history(chain, contacts[0]) == [(before.fields["title"], False), (after.fields["title"], True)]
    again = remap("--yes")
    assert (again["contacts"], again["report"], again["left"]) == ({}, None, {SAME: 4})
    assert (chain.world.zoominfo.summary()["lookups"], chain.world.zoominfo.credits_used) == (lookups, credits_used)
    assert [one.promise for one in audit(days=30, sample=20).broken] == []
    ledger = chain.warehouse.read_story(Origin("hubspot"), contacts[0]).ledger
    assert {one.source for one in ledger} == {"manual", REMAP}


def test_what_a_person_has_changed_stays(chain: Chain, contacts: list[str], tmp_path: Path) -> None:
    """Another value than we wrote, and a field that a person has cleared; the result in the warehouse is corrected."""
    changed, cleared, ours, _ = contacts
    chain.world.hubspot.edit(changed, {"enr_job_title": "Boss"})
    chain.world.hubspot.edit(cleared, {"enr_job_title": ""})
    shout(chain, tmp_path)
    done = remap("--yes")
    assert done["edited"] == 2
    assert done["results"] == {"title": {"changed": 4}}
    assert done["crm"]["enr_job_title"] == {"changed": 2}
    assert chain.values(changed, "enr_job_title") == {"enr_job_title": "Boss"}
    assert not chain.values(cleared, "enr_job_title")["enr_job_title"]
    assert str(chain.values(ours, "enr_job_title")["enr_job_title"]).endswith("!")
    assert stored(chain, changed).fields["title"].endswith("!")
    assert audit(days=30, sample=20).broken == []


def test_suppressed_and_erased_contacts_are_left_alone(chain: Chain, contacts: list[str], tmp_path: Path) -> None:
    """Nothing is read again about them, and nothing is written."""
    suppressed, erased, *others = contacts
    suppress_contacts(chain.vendor, "hubspot", [suppressed], "opted out")
    erase_contact(chain.vendor, "hubspot", erased)
    shout(chain, tmp_path)
    done = remap("--yes")
    assert done["contacts"].keys() == set(others)
    assert done["left"] == {"is suppressed (suppression_list)": 1}
    assert not stored(chain, suppressed).fields["title"].endswith("!")
    assert audit(days=30, sample=20).broken == []


def test_old_replies_are_read_too_and_one_that_is_gone_costs_nothing(
    chain: Chain, contacts: list[str], tmp_path: Path
) -> None:
    """A reply that no run would use any more is still good enough to be read again; --days narrows it down."""
    used = chain.world.zoominfo.credits_used
    with chain.warehouse._transaction() as session:
        session._connection.execute("UPDATE provider_replies SET received_at = '2020-01-01T00:00:00.000Z'")
    shout(chain, tmp_path)
    assert remap("--yes")["looked_at"] == 0
    found = remap("--days", "3660")
    assert found["left"] == {NEWER: 4}  # the stored results say when the reply came, which here isn't so
    with chain.warehouse._transaction() as session:
        session._connection.execute("UPDATE enriched_contacts SET enrichment_timestamp = '2020-01-01T00:00:00.000Z'")
    assert remap("--days", "3660", "--yes")["report"]["books"]["dispositions"] == {Disposition.WRITTEN: 4}
    assert chain.world.zoominfo.credits_used == used


def test_whatever_run_takes_a_remap_pays_for_nothing(chain: Chain, contacts: list[str], tmp_path: Path) -> None:
    """A remap that was killed is finished by the next run; without its reply it ends, and is not looked up."""
    used = chain.world.zoominfo.credits_used
    shout(chain, tmp_path)
    chain.warehouse.stage([remapped(one) for one in contacts[:2]])
    with chain.warehouse._transaction() as session:
        lost = (
            f"DELETE FROM provider_replies WHERE request_key = ("
            f"SELECT request_key FROM contact_requests WHERE crm_id = '{contacts[1]}')"
        )
        session._connection.execute(lost)
    new = chain.world.hubspot.create([{"email": "hit+new@firm.example"}])
    chain.stage(new)
    report = chain.run_with_totals()
    assert report.books.balanced
    assert chain.ends(*contacts[:2], *new) == ["written", "skipped_fresh: reply_not_saved", "written"]
    assert stored(chain, contacts[0]).fields["title"].endswith("!")
    assert chain.world.zoominfo.credits_used == used + 1


def remapped(crm_id: str) -> Any:
    return NewRecord("hubspot", crm_id, None, REMAP, "backfill")


def test_a_queued_contact_is_left_and_a_live_request_outranks_a_remap(
    chain: Chain, contacts: list[str], tmp_path: Path
) -> None:
    """What waits is looked up anyway; a remap that waits becomes a lookup once the contact is queued for one."""
    shout(chain, tmp_path)
    chain.stage(contacts[:1])
    chain.warehouse.stage([remapped(contacts[1])])
    found = remap()
    assert found["left"] == {QUEUED: 2}
    assert found["contacts"].keys() == set(contacts[2:])
    chain.stage(contacts[1:2])
    [record] = [one for one in chain.warehouse.peek(origin=HUBSPOT, lane="live", limit=9) if one.crm_id == contacts[1]]
    assert record.source == "manual"
    done = remap("--yes")
    assert done["report"]["books"]["claimed"] == 2
    assert {one.crm_id for one in chain.warehouse.peek(origin=HUBSPOT, lane="", limit=9)} == set(contacts[:2])


def test_a_mapping_that_gained_a_field_is_written_from_saved_replies(
    chain: Chain, contacts: list[str], tmp_path: Path
) -> None:
    """The results stay the same, and the CRM gets the field."""
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("- {field: department, source: department, rule: fill_blank}\n")
    chain.world.hubspot._catalog.definitions["department"] = {
        **chain.world.hubspot._catalog.definitions["jobtitle"],
        "name": "department",
    }
    chain.setenv("ENRICHMENT_HUBSPOT_MAPPING_FILE", str(mapping))
    done = remap("--yes")
    assert done["results"] == {}
    assert done["crm"]["department"] == {"filled": 4}
    assert chain.values(contacts[0], "department")["department"] == stored(chain, contacts[0]).fields["department"]
    assert len(history(chain, contacts[0])) == 2


def test_contacts_that_today_s_rules_do_not_match_keep_their_result(
    chain: Chain, contacts: list[str], tmp_path: Path
) -> None:
    """Those are counted, as are those whose reply says too little now for the next provider not to be needed."""
    chain.setenv("ENRICHMENT_ZOOMINFO_MIN_CONFIDENCE", "100")
    assert remap("--yes")["left"] == {NO_MATCH: 4}
    chain.setenv("ENRICHMENT_ZOOMINFO_MIN_CONFIDENCE", "0")
    chain.setenv("ENRICHMENT_PROVIDER", "zoominfo,hunter")
    chain.setenv("ENRICHMENT_REQUIRED_FIELDS", "tech_stack")
    assert remap("--yes")["left"] == {NOT_SAVED: 4}
    assert stored(chain, contacts[0]).fields["title"]


def test_what_is_remapped_can_be_narrowed_down(chain: Chain, contacts: list[str], tmp_path: Path) -> None:
    """To a contact, to some, or to a provider; one that isn't in the settings is refused with the exit code 2."""
    shout(chain, tmp_path)
    assert remap("--contact", contacts[2])["contacts"].keys() == {contacts[2]}
    assert remap("--limit", "3")["looked_at"] == 3
    assert len(remap("--provider", "zoominfo")["contacts"]) == 4
    assert "not one of the providers in ENRICHMENT_PROVIDER" in " ".join(
        remap("--provider", "hunter", code=2)["says"].split()
    )
    answer = CliRunner().invoke(app, ["remap", "--contact", contacts[2], "--yes"])
    assert answer.exit_code == 0, answer.output
    assert "1 of 1 contacts differ" in answer.stdout
    assert "title" in answer.stdout
