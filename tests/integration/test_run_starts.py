"""What a real Prefect server gets from the pipeline: requests for runs, in both ways, and events."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Running

from blocks import events
from blocks.events import RESIDENT_EVENT, STAGED_EVENT
from enrichment.errors import ConfigurationError, CredentialsRejectedError, TransientError
from enrichment.intake import EveryContact, Selection
from enrichment.lists import EVER
from enrichment.moments import read_moment
from enrichment.plan import RunPlan
from flows.enrich_contacts import enrich_contacts
from flows.ingest_contacts import ingest_contacts
from tasks import run_events
from tasks.run_starts import ask_for_run, look_again
from tests.integration.conftest import Pipeline

#: So long that a test ends within it, or in the next.
INTERVAL = 600


@pytest.fixture
def client(prefect_server: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def deployment(client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> UUID:
    """Give a deployment of its own to each test, and let runs be asked for by its name."""
    flow = client.create_flow_from_name("enrich-contacts")
    monkeypatch.setenv("ENRICHMENT_START_RUNS_BY", "deployment")
    monkeypatch.setenv("ENRICHMENT_START_DEPLOYMENT", f"enrich-contacts/{request.node.name}")
    monkeypatch.setenv("ENRICHMENT_START_INTERVAL_SECONDS", str(INTERVAL))
    return client.create_deployment(flow, request.node.name)


def runs_of(client: SyncPrefectClient, deployment: UUID) -> list[FlowRun]:
    return client.read_flow_runs(deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])))


def sent_events(client: SyncPrefectClient, name: str, about: str) -> list[dict[str, Any]]:
    """Return the events of a name about something, the newest first; tests before this one have sent some."""
    body = {"filter": {"event": {"name": [name]}, "resource": {"id": [about]}}}
    return client._client.post("/events/filter", json=body).json()["events"]


def eventually(
    client: SyncPrefectClient, name: str, about: str, *, times: int = 1, since: str = EVER
) -> list[dict[str, Any]]:
    """
    Return the newest events of a name about something; the server writes them down a moment after it has them.

    Those of earlier tests may come late: `since` leaves them out.
    """
    deadline = time.monotonic() + 60
    while True:
        found = [one for one in sent_events(client, name, about) if read_moment(one["occurred"]) >= read_moment(since)]
        if len(found) >= times:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_many_listeners_get_one_run_that_begins_after_their_commits(
    client: SyncPrefectClient, deployment: UUID
) -> None:
    """A listener that asks within an interval gets the same run, due at the interval's end."""
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(copy_context().run, ask_for_run, 1) for _ in range(24)]
        for each in asked:
            each.result()
    runs = runs_of(client, deployment)
    assert len(runs) in {1, 2}  # two if an interval ended meanwhile
    assert all(run.expected_start_time.timestamp() % INTERVAL == 0 for run in runs)
    assert max(run.expected_start_time.timestamp() for run in runs) > time.time()


@pytest.mark.parametrize("state", [Running(), Cancelled(message="Deployment concurrency limit reached.")])
def test_a_run_that_comes_too_early_leads_to_the_next_one(
    client: SyncPrefectClient, deployment: UUID, state: object
) -> None:
    """What was staged now may be too late for a run that has begun, or that was refused."""
    ask_for_run(1)
    (first,) = runs_of(client, deployment)
    client.set_flow_run_state(first.id, state, force=True)
    for _ in range(2):
        ask_for_run(1)
    later = [run for run in runs_of(client, deployment) if run.id != first.id]
    assert later
    assert all(run.expected_start_time > first.expected_start_time for run in later)


def test_a_deployment_that_is_not_there_is_named(
    client: SyncPrefectClient, deployment: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what makes it."""
    monkeypatch.setenv("ENRICHMENT_START_DEPLOYMENT", "enrich-contacts/absent")
    with pytest.raises(ConfigurationError, match=r"enrich-contacts/absent.*enrich setup --deploy"):
        ask_for_run(1)


@pytest.mark.parametrize("way", ["event", "resident", "deployment"])
def test_a_server_that_is_away_is_transient(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way says so by the same error."""
    monkeypatch.setenv("ENRICHMENT_START_RUNS_BY", way)
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(TransientError, match="Prefect"),
    ):
        ask_for_run(1)


@pytest.mark.parametrize(("way", "name"), [("event", STAGED_EVENT), ("resident", RESIDENT_EVENT)])
def test_an_event_says_how_often_and_nothing_else(
    way: str, name: str, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is at the server when the request returns, with a count and no contact; only one way sets off the trigger."""
    monkeypatch.setenv("ENRICHMENT_START_RUNS_BY", way)
    before = len(sent_events(client, name, "contact-enrichment.queue"))
    ask_for_run(7)
    (newest, *_) = eventually(client, name, "contact-enrichment.queue", times=before + 1)
    assert newest["payload"] == {"commits": 7}
    assert newest["related"] == []


def test_a_run_at_its_end_sees_what_was_staged_meanwhile(
    pipeline: Pipeline, client: SyncPrefectClient, deployment: UUID
) -> None:
    """Live contacts that wait lead to another run; an empty queue and a backfill don't."""
    pipeline.new_world(5)
    plan = RunPlan("run", "zoominfo", "hubspot", "sqlite", "live")
    ingest_contacts(EveryContact(), lane="backfill")
    assert not look_again(plan)
    assert runs_of(client, deployment) == []
    ingest_contacts(EveryContact())
    assert look_again(plan)
    assert len(runs_of(client, deployment)) == 1
    pipeline.setenv("ENRICHMENT_START_DEPLOYMENT", "enrich-contacts/absent")
    assert look_again(plan)


def test_a_run_reports_what_it_did_in_counts(
    pipeline: Pipeline, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event each: contacts queued for a backfill, enriched, the cap, 80 % of the day's credits, the message."""
    pipeline.new_world(12)
    pipeline.setenv("ENRICHMENT_CREDITS_PER_DAY", "zoominfo=5")
    monkeypatch.setattr(run_events, "_reported", set())
    pipeline.box.world.faults.add(
        kind="status",
        service="hubspot",
        path_contains="batch/update",
        status=400,
        body='{"status":"error","category":"VALIDATION_ERROR","message":"Property values were not valid"}',
        times=1000,
    )
    began = datetime.now(UTC).isoformat()

    def newest(name: str, about: str) -> dict[str, Any]:
        return eventually(client, name, about, since=began)[0]

    report = enrich_contacts(select=Selection(everything=True))
    day = datetime.now(UTC).date().isoformat()
    queued = newest(events.STAGED_EVENT, "contact-enrichment.backfill-queue")
    assert queued["payload"] == {"contacts": 12}
    enriched = newest(events.ENRICHED_EVENT, "contact-enrichment.crm.hubspot")
    counts = {str(name): count for name, count in report.books.dispositions.items()}
    assert counts["failed"] > 0
    expected = {"queue": "backfill", "taken": report.books.claimed, "returned": report.books.returned}
    assert enriched["payload"] == {**expected, "credits": report.credits, **counts}
    run = {"prefect.resource.id": f"prefect.flow-run.{report.run_id}", "prefect.resource.role": "flow-run"}
    assert any(run.items() <= one.items() for one in enriched["related"])
    cap = newest(events.CAP_EVENT, "contact-enrichment.crm.hubspot")
    assert cap["payload"]["says"].startswith("credit cap reached: 5 credits per day at zoominfo")
    (spent,) = eventually(client, events.SPENDING_EVENT, f"contact-enrichment.credits.zoominfo.{day}")
    assert spent["payload"] == {"says": f"zoominfo has used 5 of its 5 credits of {day}"}
    alert = newest(events.MESSAGE_EVENT, "contact-enrichment.message.failure_rate")
    assert alert["payload"] == {"notifiers": 2, "delivered": 2}
    said = str([queued, enriched, cap, spent, alert])
    people = pipeline.box.world.hubspot.contacts
    assert [name for name in people if name in said] == []
    assert "@" not in said


def test_a_run_that_fails_and_leaves_contacts_waiting_reports_both(
    pipeline: Pipeline, client: SyncPrefectClient
) -> None:
    """The flow and the kind of error; and that a live contact has waited for an hour, though runs end."""
    pipeline.new_world(3)
    ingest_contacts(EveryContact())
    with pipeline.warehouse._transaction() as session:
        session._connection.execute("UPDATE enrichment_staging SET staged_at = '2026-01-01T00:00:00.000Z'")
    flow = "contact-enrichment.flow.enrich-contacts"
    before = len(sent_events(client, events.FAILED_EVENT, flow))
    pipeline.box.world.faults.add(
        kind="status", service="hubspot", path_contains="properties", status=401, body="{}", times=99
    )
    with pytest.raises(CredentialsRejectedError):
        enrich_contacts()
    (failed, *_) = eventually(client, events.FAILED_EVENT, flow, times=before + 1)
    assert failed["payload"] == {"cause": "CredentialsRejectedError", "state": "Failed"}
    (stale, *_) = eventually(client, events.STALE_EVENT, "contact-enrichment.queue")
    assert stale["payload"]["says"].startswith("the live contact that waits longest has waited for ")
