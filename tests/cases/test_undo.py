"""`enrich undo` at the command: values come back, people's edits stay, and the next run doesn't write them again."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

import cli
from blocks.crms.base import open_crm
from blocks.crms.hubspot.block import HubSpotCrm
from blocks.warehouses.base import NewRecord, RunStart
from enrichment.records import Origin
from tests.cases.chain import Chain
from tests.warehouses import broken_promises

WAREHOUSES = pytest.mark.parametrize("chain", ["sqlite", "postgres"], indirect=True)
#: By CRM: the field of the address, one that we fill if it is blank, and one of our own.
NAMES = {"hubspot": ("email", "jobtitle", "enr_company_name"), "salesforce": ("Email", "Title", "Enr_Company_Name__c")}


def enrich(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def undo(*arguments: str) -> dict[str, Any]:
    done = enrich("undo", *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def use(chain: Chain, crm: str) -> None:
    chain.crm = crm
    chain.setenv("ENRICHMENT_CRM", crm)
    chain.setenv("ENRICHMENT_FRESH_DAYS", "0")
    with open_crm(crm) as target:
        target.ensure_fields()


def create(chain: Chain, count: int, **values: str) -> list[str]:
    address = NAMES[chain.crm][0]
    people = [{address: f"hit+u{number}@firm.example", **values} for number in range(count)]
    crm_ids: list[str] = chain.world.services[chain.crm].create(people)
    return crm_ids


def enriched(chain: Chain, crm_ids: list[str]) -> str:
    chain.warehouse.stage([NewRecord(chain.crm, one, None, "webhook", "live") for one in crm_ids])
    run_id = chain.run().run_id
    chain.warehouse.open_run(RunStart(run_id, "a run", "zoominfo", chain.crm, ""), lease_seconds=600)
    return run_id


def filled(chain: Chain, crm_id: str) -> Mapping[str, Any]:
    """Return the contact's fields that aren't blank, without the CRM's marks of time."""
    held = chain.world.services[chain.crm].contacts[crm_id]
    return {name: value for name, value in held.items() if value not in (None, "") and "modif" not in name.lower()}


@WAREHOUSES
@pytest.mark.parametrize("crm", NAMES)
def test_a_runs_writes_are_shown_and_then_taken_back(chain: Chain, crm: str) -> None:
    """Every field has the value or the blank from before, and the story tells it; the preview changes nothing."""
    use(chain, crm)
    crm_ids = create(chain, 3, **{NAMES[crm][1]: ""})
    before = {one: filled(chain, one) for one in crm_ids}
    run_id = enriched(chain, crm_ids)
    written = {one: filled(chain, one) for one in crm_ids}
    assert all(written[one] != before[one] for one in crm_ids)

    promised = undo("--run", run_id)
    assert {one: filled(chain, one) for one in crm_ids} == written
    done = undo("--run", run_id, "--yes")
    assert done["changes"] == promised["changes"]
    assert done["not_undone"] == []
    assert {one: filled(chain, one) for one in crm_ids} == before
    assert chain.warehouse.read_written(run_id, Origin(crm)) == []
    assert undo("--run", run_id)["changes"] == {}
    story = enrich("why", crm_ids[0], "--crm", crm).stdout
    assert f"undone: {NAMES[crm][2]}, by run {done['run_id']}" in story
    assert f"restored {NAMES[crm][2]}: " in story


@WAREHOUSES
def test_a_contact_that_changes_during_a_run_is_left_to_the_next_one(chain: Chain) -> None:
    """A run that wrote to it twice would keep only the first value before, so that the second couldn't be undone."""
    use(chain, "hubspot")
    (crm_id,) = create(chain, 1)
    before = filled(chain, crm_id)
    first = enriched(chain, [crm_id])
    written = filled(chain, crm_id)
    chain.world.hubspot.edit(crm_id, {"email": "hit+eve@other.example"})
    chain.warehouse.stage(
        [NewRecord("hubspot", crm_id, None, "webhook", "live")], changed=[(Origin("hubspot"), crm_id)]
    )
    chain.run(plan=replace(chain.plan(), run_id=first))
    own = NAMES["hubspot"][2]
    assert filled(chain, crm_id)[own] == written[own]
    chain.make_due()
    second = enriched(chain, [])
    assert filled(chain, crm_id)[own] != written[own]
    assert broken_promises(chain.warehouse) == {}
    undo("--run", second, "--yes")
    undo("--run", first, "--yes")
    assert filled(chain, crm_id) == {**before, "email": "hit+eve@other.example"}


@WAREHOUSES
def test_undone_values_stay_away_until_the_undo_is_undone(chain: Chain) -> None:
    """The next runs leave them alone; the undo's own run brings them back, and can be undone in turn."""
    use(chain, "hubspot")
    crm_ids = create(chain, 2)
    before = filled(chain, crm_ids[0])
    first = enriched(chain, crm_ids)
    written = filled(chain, crm_ids[0])
    done = undo("--run", first, "--yes")
    second = enriched(chain, crm_ids)
    assert chain.ends(*crm_ids) == ["unchanged"] * 2
    assert chain.warehouse.read_written(second, Origin("hubspot")) == []
    assert undo("--contact", crm_ids[0], "--yes")["changes"] == {}  # a repetition undoes nothing, and no undo
    assert filled(chain, crm_ids[0]) == before

    again = undo("--run", done["run_id"], "--yes")
    assert filled(chain, crm_ids[0]) == written
    enriched(chain, crm_ids)
    assert filled(chain, crm_ids[0]) == written
    undo("--run", again["run_id"], "--yes")
    assert filled(chain, crm_ids[0]) == before
    enriched(chain, crm_ids)
    assert filled(chain, crm_ids[0]) == before


@WAREHOUSES
def test_what_a_person_edited_since_stays_theirs(chain: Chain) -> None:
    """The other fields come back; the command says which field stays and who decides."""
    use(chain, "hubspot")
    crm_ids = create(chain, 2)
    run_id = enriched(chain, crm_ids)
    chain.world.hubspot.edit(crm_ids[0], {"enr_company_name": "Mine", "jobtitle": ""})
    chain.world.hubspot.archive(crm_ids[1])
    done = undo("--run", run_id, "--yes")
    left = {(one["crm_id"], one["field"]): one for one in done["not_undone"]}
    assert set(left) == {(crm_ids[0], "enr_company_name"), (crm_ids[1], "")}
    assert "that person decides" in left[crm_ids[0], "enr_company_name"]["says"]
    assert left[crm_ids[1], ""]["reason"] == "contact_gone"
    assert chain.values(crm_ids[0], "enr_company_name")["enr_company_name"] == "Mine"
    assert not any(name.startswith("enr_") for name in filled(chain, crm_ids[0]) if name != "enr_company_name")
    assert done["restored_before"] == 1  # the person had cleared the job title
    said = enrich("undo", "--run", run_id)
    assert "stays as it is: a person has changed the field in hubspot since" in said.stdout


@WAREHOUSES
def test_later_writes_are_named_and_a_span_goes_back_to_its_beginning(chain: Chain) -> None:
    """The earlier run alone can't be undone where a later one has written; both together can."""
    use(chain, "hubspot")
    (crm_id,) = create(chain, 1, enr_company_name="Before us")
    start = chain.warehouse.now()
    first = enriched(chain, [crm_id])
    written = chain.values(crm_id, "enr_company_name")
    chain.world.hubspot.edit(crm_id, {"email": "hit+later@other.example"})
    second = enriched(chain, [crm_id])
    shown = undo("--run", first, "--field", "enr_company_name")
    assert shown["changes"] == {}
    assert second in shown["not_undone"][0]["says"]
    undo("--run", second, "--yes")
    assert chain.values(crm_id, "enr_company_name") == written
    chain.world.hubspot.edit(crm_id, {"enr_company_name": "In between"})
    said = [one["reason"] for one in undo("--run", first)["not_undone"]]
    assert said == ["edited_since"]
    undo("--since", start, "--contact", crm_id, "--yes")
    assert not chain.values(crm_id, "enr_industry")["enr_industry"]


@WAREHOUSES
@pytest.mark.parametrize("moment", ["sent", "confirmed"])
def test_a_killed_undo_is_finished_by_its_repetition(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Killed before the CRM's call or after it, the run in between writes nothing back, and the repetition ends it."""
    use(chain, "hubspot")
    crm_ids = create(chain, 3)
    before = {one: filled(chain, one) for one in crm_ids}
    run_id = enriched(chain, crm_ids)
    warehouse = type(chain.warehouse)
    with monkeypatch.context() as killed:
        if moment == "sent":
            killed.setattr(HubSpotCrm, "write", _kill)
        else:
            killed.setattr(warehouse, "finish_undo", _kill)
        assert enrich("undo", "--run", run_id, "--yes").exit_code == 1
    enriched(chain, crm_ids)
    undo("--run", run_id, "--yes")
    assert {one: filled(chain, one) for one in crm_ids} == before
    enriched(chain, crm_ids)
    assert {one: filled(chain, one) for one in crm_ids} == before
    assert undo("--run", run_id)["restored_before"] == 0


def _kill(*_: Any, **__: Any) -> None:
    raise RuntimeError


def test_values_that_the_crm_refuses_stay_and_are_named(chain: Chain) -> None:
    """A field that was archived since isn't restored; the others of the contact are."""
    use(chain, "hubspot")
    (crm_id,) = create(chain, 1)
    run_id = enriched(chain, [crm_id])
    chain.world.hubspot.archive_property("enr_industry")
    done = undo("--run", run_id, "--yes")
    assert [(one["field"], one["reason"]) for one in done["not_undone"]] == [("enr_industry", "no_such_field")]
    assert not chain.values(crm_id, "enr_company_name")["enr_company_name"]


def test_an_undo_that_the_crm_stops_says_how_to_go_on(chain: Chain) -> None:
    """Rejected credentials end it as they end a run; nothing counts as undone that wasn't."""
    use(chain, "hubspot")
    (crm_id,) = create(chain, 1)
    run_id = enriched(chain, [crm_id])
    written = filled(chain, crm_id)
    chain.answer("hubspot", "/batch/update", {"category": "MISSING_SCOPES", "message": "no"}, status=403, times=9)
    stopped = enrich("undo", "--run", run_id, "--yes")
    assert stopped.exit_code == 1
    assert "run the same command again to go on" in stopped.stderr
    assert filled(chain, crm_id) == written
    assert undo("--run", run_id)["changes"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "choose what is undone"),
        (["--run", "nothing"], "knows no run nothing"),
        (["--contact", "x"], "HubSpot contact id"),
        (["--contact", "1", "--out", "x.csv"], "`--out` needs `--csv`"),
        (["--contact", "1", "--csv", "x.csv", "--crm", "hubspot"], "exclude each other"),
    ],
)
def test_a_wrong_selection_is_refused(chain: Chain, arguments: list[str], says: str) -> None:
    """Nothing is undone by mistake."""
    said = enrich("undo", *arguments)
    assert said.exit_code == 2
    assert says in said.stderr
