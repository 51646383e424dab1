"""Asking a real Prefect server for runs, in both ways."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Running

from enrichment.errors import ConfigurationError, TransientError
from enrichment.intake import EveryContact
from enrichment.plan import RunPlan
from flows.ingest_contacts import ingest_contacts
from tasks.run_starts import RESIDENT_EVENT, STAGED_EVENT, ask_for_run, look_again
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


def sent_events(client: SyncPrefectClient, name: str) -> list[dict[str, object]]:
    body = {"filter": {"event": {"name": [name]}}}
    return client._client.post("/events/filter", json=body).json()["events"]


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
    before = len(sent_events(client, name))
    ask_for_run(7)
    deadline = time.monotonic() + 60
    while len(sent_events(client, name)) == before:  # the server writes it down a moment after it has it
        assert time.monotonic() < deadline
        time.sleep(0.1)
    newest = sent_events(client, name)[0]
    assert newest["payload"] == {"commits": 7}
    assert newest["resource"]["prefect.resource.id"] == "contact-enrichment.queue"
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
