"""Nothing ends in silence: what fails says so in its books, its state, its title and one alert."""

import json
import uuid
from functools import partial
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.settings.models.flows import FlowsSettings
from prefect.states import Completed, Crashed, Failed, State
from prefect.variables import Variable

from blocks.automations import SHIPPED, make_automations
from enrichment.errors import ConfigurationError, EnrichmentError
from enrichment.intake import EveryContact, ListedContacts
from flows.enrich_contacts import enrich_contacts
from flows.erase_contact import erase_contact
from flows.ingest_contacts import ingest_contacts
from flows.preview_contacts import preview_contacts
from tasks.books import describe_fields
from tasks.failed_runs import alert_failure
from tests.integration.conftest import Pipeline, pipeline, prepared_server, shared_box
from tests.integration.test_weekly_review import artifact

__all__ = ["pipeline", "prepared_server", "shared_box"]

WAREHOUSES = pytest.mark.parametrize("pipeline", ["sqlite", "postgres"], indirect=True)
REFUSAL = '{"status":"error","category":"VALIDATION_ERROR","message":"Property values were not valid"}'


def last_run() -> FlowRun:
    """Return the newest flow run as Prefect's server has it."""
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)[0]


def messages_of(pipeline: Pipeline) -> list[str]:
    """Return what Slack was sent since the last time."""
    messages = [message.text for message in pipeline.box.world.slack.messages]
    pipeline.box.world.slack._messages.clear()
    return messages


def refuse_updates(pipeline: Pipeline, *, times: int) -> None:
    pipeline.box.world.faults.add(
        kind="status",
        service="hubspot",
        path_contains="batch/update",
        status=400,
        body=REFUSAL,
        content_type="application/json",
        times=times,
    )


def books(pipeline: Pipeline) -> tuple[str, str | None, str | None]:
    """Return state, stop and alert of the newest run's books."""
    run = pipeline.warehouse.find_run(str(last_run().id))
    assert run is not None
    return run.state, run.stop_kind, run.alert_kind


@WAREHOUSES
def test_a_run_whose_contacts_fail_says_so_everywhere(pipeline: Pipeline, caplog: pytest.LogCaptureFixture) -> None:
    """Title, state, artifacts; the alert comes in that run, and when as many more fail; the end is reported."""
    pipeline.new_world(1)
    hubspot = pipeline.box.world.hubspot
    ids = hubspot.create([{"email": f"hit+p{n}@firm.example"} for n in range(12)])
    ingest_contacts(ListedContacts(crm_ids=ids[:8]))
    refuse_updates(pipeline, times=0)
    report = enrich_contacts()
    run = last_run()
    assert run.name == "enriched 8 contacts, wrote 0 to hubspot, 8 failed"
    assert run.state is not None
    assert run.state.name == "CompletedWithFailures"
    assert run.state.message == f"8 of 8 contacts failed: 8 x {report.causes[0].reason} at write_back"
    (message,) = messages_of(pipeline)
    assert "100.0% of 8 contacts failed" in message
    assert "Nothing is lost" in message
    assert f"enrich retry --run {run.id}" in message
    assert f"/runs/flow-run/{run.id}|" in message
    failed = json.loads(artifact("enrichment-failures"))
    assert {row["contact"] for row in failed} == set(ids[:8])
    summary = artifact("enrichment-summary")
    assert summary.startswith("**0 of 8 contacts written to hubspot (8 failed), for 8 credits.**")
    assert f"* how to fix it: {failed[0]['fix']}, then `enrich retry --cause {report.causes[0].reason}`" in summary
    said = [line for line in caplog.text.splitlines() if "artifact key=enrichment-summary page=http" in line]
    assert said
    assert books(pipeline)[0] == "closed"
    ingest_contacts(ListedContacts(crm_ids=ids[8:9]))
    enrich_contacts()
    assert messages_of(pipeline) == []  # one more of the same
    pipeline.box.world.faults.clear()
    ingest_contacts(ListedContacts(crm_ids=ids[9:]))
    enrich_contacts()
    assert (last_run().name, last_run().state_name) == ("enriched 3 contacts, wrote 3 to hubspot", "Completed")
    (message,) = messages_of(pipeline)
    assert "recovered: " in message


@WAREHOUSES
def test_a_run_that_dies_before_it_has_work_closes_its_books_and_alerts(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HubSpot answers 503 to its field descriptions: cause and advice once, until another cause or the end."""
    pipeline.new_world(1)
    faults = pipeline.box.world.faults
    monkeypatch.setattr(describe_fields, "retries", 0)
    faults.add(kind="status", service="hubspot", path_contains="properties", status=503, times=0)
    for _ in range(2):
        with pytest.raises(EnrichmentError):
            enrich_contacts()
        assert last_run().state_name == "Failed"
        assert books(pipeline) == ("failed", "failed", "failed")
    (message,) = messages_of(pipeline)
    assert "a run failed" in message
    assert "HubSpot" in message
    assert "Nothing is lost" in message
    faults.clear()
    pipeline.setenv("ENRICHMENT_PROVIDER", "zoominfoo")  # another cause, before the books open
    with pytest.raises(ConfigurationError):
        enrich_contacts()
    assert books(pipeline) == ("failed", "failed", "failed")
    (message,) = messages_of(pipeline)
    assert "zoominfoo" in message
    pipeline.setenv("ENRICHMENT_PROVIDER", "zoominfo")
    ingest_contacts(EveryContact())
    enrich_contacts()
    assert "recovered: " in messages_of(pipeline)[0]


def test_a_failure_alerts_while_the_warehouse_or_the_settings_are_wrong(pipeline: Pipeline) -> None:
    """Where no books can be kept, the message goes out all the same; it names no contact."""
    pipeline.new_world(1)
    pipeline.tampered = True
    with pipeline.warehouse._transaction() as session:
        session.execute("DROP TABLE enrichment_staging")
    starts = (enrich_contacts, partial(ingest_contacts, EveryContact()), partial(erase_contact, "101000000001"))
    for start in starts:
        with pytest.raises(ConfigurationError):
            start()
        (message,) = messages_of(pipeline)
        assert "enrich setup" in message
    with pytest.raises(ConfigurationError):
        preview_contacts()
    assert messages_of(pipeline) == []  # a person at a terminal sees it there
    pipeline.setenv("ENRICHMENT_ALERT_THRESHOLD", "a little")
    with pytest.raises(ConfigurationError, match="ENRICHMENT_ALERT_THRESHOLD"):
        enrich_contacts()
    (message,) = messages_of(pipeline)
    assert "ENRICHMENT_ALERT_THRESHOLD" in message


def test_a_list_of_ids_of_another_portal_is_pointed_out(pipeline: Pipeline) -> None:
    """Nothing was paid, no contact failed: the jump in invalid contacts alerts, with the likely cause."""
    pipeline.new_world(1)
    pipeline.setenv("ENRICHMENT_ABSENT_MINUTES", "0")
    ingest_contacts(ListedContacts(crm_ids=[str(999_000_000 + n) for n in range(12)]))
    enrich_contacts()
    (message,) = messages_of(pipeline)
    assert "100% of the contacts are invalid" in message
    assert "the ids may be of another account or portal" in message
    assert not pipeline.box.world.zoominfo.lookups


def test_setup_makes_automations_and_leaves_those_of_people_alone(pipeline: Pipeline) -> None:
    """Each once; what a person switched off, changed or deleted stays so, and the others are brought up to date."""
    pipeline.new_world(1)
    assert make_automations(["slack", "email"], save=False)[1:] == []  # the server may use no URL that isn't saved
    made = make_automations(["slack", "email"], save=True)
    assert len(made) == 5
    with get_client(sync_client=True) as client:
        (dead,) = client.read_automations_by_name("Contact enrichment: a run without a sign of life has crashed")
        assert isinstance(dead.trigger, EventTrigger)
        between = FlowsSettings.model_fields["heartbeat_frequency"].default
        assert dead.trigger.within.total_seconds() > 3 * between  # else it would end runs that are well
        (late,) = client.read_automations_by_name("Contact enrichment: runs are late")
        client.pause_automation(late.id)
        assert make_automations(["slack", "email"], save=True) == []
        assert not client.read_automations_by_name(late.name)[0].enabled
        (stale,) = client.read_automations_by_name("Contact enrichment: a live contact has waited for an hour")
        (spent,) = client.read_automations_by_name(made[-1])
        changed = stale.model_dump(exclude={"id", "owner_resource"}) | {"description": "Ask Kim."}
        client.update_automation(stale.id, AutomationCore(**changed))
        client.delete_automation(spent.id)
        shipped = dict(Variable.get(SHIPPED))
        Variable.set(SHIPPED, {name: {**one, "shipped": "older"} for name, one in shipped.items()}, overwrite=True)
        renewed = make_automations(["slack", "email"], save=True)
        assert set(renewed) == {dead.name, *made} - {stale.name, spent.name}
        assert not client.read_automations_by_name(late.name)[0].enabled
        assert client.read_automations_by_name(stale.name)[0].description == "Ask Kim."
        assert client.read_automations_by_name(spent.name) == []
        assert make_automations(["slack", "email"], save=True) == []
        Variable.unset(SHIPPED)
        for automation in client.read_automations():
            if automation.name in made:
                client.delete_automation(automation.id)


def test_a_deployment_that_fails_again_alike_alerts_once(pipeline: Pipeline) -> None:
    """The intake runs every five minutes: its failure alerts once for each cause, and again after a good run."""
    pipeline.new_world(1)
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(ingest_contacts), f"intake-{uuid.uuid4().hex}")

        def end(state: State[Any]) -> int:
            run = client.create_flow_run_from_deployment(deployment)
            client.set_flow_run_state(run.id, state, force=True)
            if not state.is_completed():
                alert_failure(ingest_contacts, run, state)
            return len(messages_of(pipeline))

        answers = [f"HubSpot answered 50{n}, request 7f3a{n}" for n in (2, 3)]
        assert [end(Failed(message=one)) for one in (*answers, "no token")] == [1, 0, 1]
        states: list[State[Any]] = [Crashed(message="killed"), Completed(), Crashed(message="killed")]
        assert [end(state) for state in states] == [1, 0, 1]
