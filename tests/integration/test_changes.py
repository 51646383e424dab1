"""Plan, approve, apply, and guards, at the commands and through the flows."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import Result
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.states import Scheduled, State
from typer.testing import CliRunner

import cli
from enrichment.intake import EveryContact
from enrichment.records import Disposition, Origin
from flows import enrich_contacts as enriching
from tasks.present_run import attempt_id
from tests.integration.conftest import Pipeline
from tests.integration.local import enrich_contacts, ingest_contacts

ALONE = pytest.mark.usefixtures("without_server")
WAREHOUSES = pytest.mark.parametrize("pipeline", ["sqlite", "postgres"], indirect=True)
CONTACTS = 40


def enrich(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, arguments)


def printed(*arguments: str) -> dict[str, Any]:
    done = enrich(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def paid_for(pipeline: Pipeline) -> None:
    """Leave contacts in the queue whose replies are saved, and nothing in the CRM."""
    pipeline.new_world(CONTACTS)
    ingest_contacts(EveryContact())
    pipeline.setenv("ENRICHMENT_GUARD_CONTACTS", "0")
    held = enrich_contacts()
    pipeline.setenv("ENRICHMENT_GUARD_CONTACTS", "")
    assert held.stop is not None
    pipeline.warehouse.release_planned(held.run_id)


def check_promises() -> None:
    """Let the audit look for anything that was lost, paid for twice or written against the rules."""
    audited = enrich("audit")
    assert audited.exit_code == 0, audited.stdout


def values(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    return {
        crm_id: {name: value for name, value in held.items() if value and "modif" not in name}
        for crm_id, held in pipeline.box.world.hubspot.contacts.items()
    }


@ALONE
@WAREHOUSES
def test_a_plan_is_applied_as_it_was_shown_and_drops_what_changed_since(pipeline: Pipeline, tmp_path: Path) -> None:
    """Field by field what the plan says, for nothing; a person's edit in between stays, and the totals match."""
    paid_for(pipeline)
    before, spent = values(pipeline), pipeline.box.world.zoominfo.credits_used
    path = tmp_path / "plan.json"
    plan = printed("plan", "--out", str(path))
    assert json.loads(path.read_text()) == plan
    assert plan["summary"]["contacts"] > 10
    assert sum(plan["summary"]["by_rule"].values()) == plan["summary"]["values"] == len(plan["changes"])
    assert values(pipeline) == before

    edited = plan["changes"][0]["crm_id"]
    pipeline.box.world.hubspot.edit(edited, {"enr_company_name": "Mine"})
    report = printed("apply", str(path))
    expected = {
        (one["crm_id"], one["change"]["field"], one["change"]["after"])
        for one in plan["changes"]
        if (one["crm_id"], one["change"]["field"]) != (edited, "enr_company_name")
    }
    written = pipeline.warehouse.read_written(report["run_id"], Origin("hubspot"))
    assert {(one.crm_id, one.field, one.after) for one in written} == expected
    assert values(pipeline)[edited]["enr_company_name"] == "Mine"
    assert pipeline.box.world.zoominfo.credits_used == spent
    assert report["books"]["claimed"] == plan["summary"]["contacts"]
    kept = pipeline.warehouse.read_plan(plan["plan_id"])
    assert kept is not None
    assert (kept.state, bool(kept.decided_by), bool(kept.decided_at)) == ("approved", True, True)
    assert printed("apply", plan["plan_id"])["books"]["claimed"] == 0  # a repetition finds nothing left
    printed("undo", "--run", report["run_id"], "--yes")
    assert {one: held for one, held in values(pipeline).items() if one != edited} == {
        one: held for one, held in before.items() if one != edited
    }
    check_promises()


@ALONE
def test_a_plan_that_is_not_what_was_seen_is_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    """Its digest, its mapping or its age differs; the contacts are in the queue, and nothing was written."""
    paid_for(pipeline)
    before = values(pipeline)
    path = tmp_path / "plan.json"
    plan = printed("plan", "--out", str(path), "--limit", "5")
    path.write_text(json.dumps(plan | {"digest": "another"}))
    assert "the digests differ" in enrich("apply", str(path)).stderr
    path.write_text("{}")
    assert "is not the file of a plan" in enrich("apply", str(path)).stderr
    pipeline.setenv("ENRICHMENT_HUBSPOT_PROTECTED_FIELDS", '["industry"]')
    assert "the field mapping has changed" in enrich("apply", plan["plan_id"]).stderr
    pipeline.setenv("ENRICHMENT_HUBSPOT_PROTECTED_FIELDS", "")
    with pipeline.warehouse._transaction() as session:
        session.execute("UPDATE change_plans SET made_at = '2020-01-01T00:00:00.000Z'")
    refused = enrich("apply", plan["plan_id"])
    assert (refused.exit_code, "older than 72 hours" in refused.stderr) == (2, True)
    assert "knows no plan x" in enrich("apply", "x").stderr
    assert values(pipeline) == before
    assert pipeline.queue() > 0


@ALONE
@WAREHOUSES
def test_a_guard_holds_a_run_until_a_person_approves(pipeline: Pipeline) -> None:
    """Nothing is written and nothing lost; other runs leave the contacts alone; approved, they are written for free."""
    pipeline.new_world(CONTACTS)
    ingest_contacts(EveryContact())
    before = values(pipeline)
    pipeline.setenv("ENRICHMENT_GUARD_CONTACTS", "5")
    said = enrich("run")
    assert said.exit_code == 0
    assert "the run would write more than 5 contacts" in said.stdout
    held = printed("run")
    assert held["books"]["claimed"] == 0
    assert values(pipeline) == before
    spent = pipeline.box.world.zoominfo.credits_used
    with pipeline.warehouse._reading() as session:
        (plan_id,) = [row["plan_id"] for row in session.execute("SELECT plan_id FROM change_plans").fetchall()]
    assert f"enrich apply {plan_id}" in said.stderr
    shown = pipeline.warehouse.read_planned(plan_id)
    (listed,) = printed("apply")["items"]
    assert (listed["plan_id"], listed["contacts"]) == (plan_id, len({one.crm_id for one in shown}))
    applied = printed("apply", plan_id, "--note", "checked")
    assert "Plans that wait for approval: none" in enrich("apply").stdout
    assert applied["books"]["dispositions"]["written"] == len({one.crm_id for one in shown})
    assert pipeline.queue() == 0
    assert pipeline.box.world.zoominfo.credits_used == spent
    assert len(pipeline.warehouse.read_written(applied["run_id"], Origin("hubspot"))) == len(shown)
    check_promises()


@ALONE
def test_what_a_guard_holds_is_asked_about_also_where_a_cap_ends_the_run(pipeline: Pipeline) -> None:
    """Else the contacts would stand for days, and nobody would know."""
    pipeline.new_world(CONTACTS)
    pipeline.setenv("ENRICHMENT_GUARD_CONTACTS", "5")
    said = enrich("backfill", "--all", "--max-credits", "20", "--json")
    assert said.exit_code == 0, said.stderr
    report = json.loads(said.stdout)
    assert report["stop"]["kind"] == "needs_approval"
    assert printed("apply")["items"][0]["plan_id"] == report["run_id"]


@ALONE
def test_declined_changes_are_dropped_and_their_contacts_leave_the_queue(pipeline: Pipeline) -> None:
    """The results stay in the warehouse; a plan that was declined can't be approved any more."""
    pipeline.new_world(CONTACTS)
    ingest_contacts(EveryContact())
    before = values(pipeline)
    pipeline.setenv("ENRICHMENT_GUARD_OVERWRITTEN", "0")
    for crm_id in before:
        pipeline.box.world.hubspot.edit(crm_id, {"enr_company_name": "Mine"})
    report = enrich_contacts()
    assert report.stop is not None
    assert "would overwrite" in report.stop.message
    declined = printed("apply", report.run_id, "--decline")
    assert set(declined["books"]["dispositions"]) == {Disposition.UNCHANGED}
    assert pipeline.queue() == 0
    assert values(pipeline) == {crm_id: held | {"enr_company_name": "Mine"} for crm_id, held in before.items()}
    assert f"the plan {report.run_id} was declined by" in enrich("apply", report.run_id).stderr
    check_promises()


@ALONE
def test_a_run_within_its_guard_writes(pipeline: Pipeline) -> None:
    """A generous guard changes nothing."""
    pipeline.new_world(CONTACTS)
    ingest_contacts(EveryContact())
    pipeline.setenv("ENRICHMENT_GUARD_CONTACTS", str(CONTACTS))
    pipeline.setenv("ENRICHMENT_GUARD_OVERWRITTEN", "0.5")
    report = enrich_contacts()
    assert report.stop is None
    assert report.books.count(Disposition.WRITTEN) > 10


@pytest.mark.parametrize("approve", [True, False])
def test_a_deployed_run_waits_in_prefect_and_goes_on_with_the_answer(pipeline: Pipeline, approve: bool) -> None:
    """Suspended with a form that names counts only; one alert goes out; the answer is kept, and is carried out."""
    pipeline.new_world(CONTACTS)
    ingest_contacts(EveryContact())
    before = values(pipeline)
    pipeline.setenv("ENRICHMENT_GUARD_CONTACTS", "5")
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow_from_name(enriching.enrich_contacts.name)
        deployment_id = client.create_deployment(flow_id, f"guarded-{approve}")
        run_id = client.create_flow_run_from_deployment(deployment_id).id
        assert carried_out(client, run_id).is_paused()
        assert values(pipeline) == before
        (message,) = pipeline.box.world.slack.messages
        assert "contacts wait for your approval" in str(message)
        assert f"/runs/flow-run/{run_id}|" in str(message)
        resumed = client.resume_flow_run(run_id, {"approve": approve, "who": "Ada", "note": "looked at it"})
        assert resumed.status == "ACCEPT"
        assert carried_out(client, run_id).is_completed()
    kept = pipeline.warehouse.read_plan(str(run_id))
    assert kept is not None
    assert (kept.state, kept.decided_by, kept.note) == (
        "approved" if approve else "declined",
        "Ada",
        "looked at it",
    )
    assert pipeline.queue() == 0
    assert (values(pipeline) != before) is approve
    assert len(pipeline.box.world.slack.messages) == 1


def test_a_deployed_run_that_fails_asks_about_what_a_guard_has_held(pipeline: Pipeline) -> None:
    """The credits end in the middle of the batch: two messages, and the plan may be approved at the command line."""
    pipeline.new_world(CONTACTS)
    ingest_contacts(EveryContact())
    pipeline.setenv("ENRICHMENT_GUARD_CONTACTS", "5")
    pipeline.box.configure(zoominfo={"credits_left": 20})
    with get_client(sync_client=True) as client:
        run_id = client.create_flow_run(enriching.enrich_contacts).id
        assert carried_out(client, run_id).is_failed()
    quota, approval = sorted(map(str, pipeline.box.world.slack.messages), key=lambda one: "approval" in one)
    assert "quota exhausted" in quota
    assert f"`enrich apply {run_id}`" in approval
    assert printed("apply")["items"][0]["plan_id"] == str(run_id)


def test_a_run_that_is_retried_in_prefect_has_totals_of_its_own(pipeline: Pipeline) -> None:
    """What its first attempt has ended isn't counted again, and the audit finds both."""
    pipeline.new_world(CONTACTS)
    ingest_contacts(EveryContact())
    scopes = pipeline.box.world.hubspot.settings.scopes
    pipeline.box.configure(hubspot={"scopes": tuple(one for one in scopes if one != "crm.objects.contacts.write")})
    with get_client(sync_client=True) as client:
        run_id = client.create_flow_run(enriching.enrich_contacts).id
        assert carried_out(client, run_id).is_failed()
        ended = sum(pipeline.dispositions().values())
        assert 0 < ended < CONTACTS
        pipeline.box.configure(hubspot={"scopes": scopes})
        client.set_flow_run_state(run_id, Scheduled(name="AwaitingRetry"), force=True)
        assert carried_out(client, run_id).is_completed()
        attempts = client.read_flow_run(run_id).run_count
    again = pipeline.warehouse.read_run(attempt_id(str(run_id), attempts))
    assert (attempts, again.state, again.claimed) == (2, "closed", CONTACTS - ended)
    failed, recovered = map(str, pipeline.box.world.slack.messages)
    assert f"/runs/flow-run/{run_id}|" in failed
    assert f"/runs/flow-run/{run_id}|" in recovered
    assert again.run_id in recovered
    assert sum(pipeline.dispositions().values()) == CONTACTS
    check_promises()


def carried_out(client: SyncPrefectClient, run_id: UUID) -> State[Any]:
    """Carry a flow run out in this process, as a worker's process does, and return its state then."""
    with suppress(Pause):
        run_flow(enriching.enrich_contacts, flow_run=client.read_flow_run(run_id), return_type="state")
    state = client.read_flow_run(run_id).state
    assert state is not None
    return state
