"""prefect.yaml agrees with the flows and with what listeners send; whether Prefect takes it is shown end to end."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from blocks.events import QUEUE_RESOURCE, STAGED_EVENT
from blocks.settings import Settings
from enrichment.intake import NO_SELECTION, Selection
from flows.enrich_contacts import run_name
from tasks.cleanup import FLOWS
from tasks.deployments import TAG
from tasks.present_run import LocalRun, entered
from tasks.setup import WORK_POOL

ROOT = Path(__file__).parents[2]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@cache
def flow_at(entrypoint: str) -> "Flow[..., Any]":
    return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)


def name_of(deployment: dict[str, Any]) -> str:
    return f"{flow_at(deployment['entrypoint']).name}/{deployment['name']}"


def test_the_deployments_are_those_that_people_know() -> None:
    """Their names stand in commands, in settings and in the documentation."""
    assert {name_of(one) for one in DEPLOYMENTS} == {
        "enrich-contacts/live",
        "enrich-contacts/backfill",
        "estimate-backfill/estimate",
        "profile-contacts/profile",
        "preview-contacts/preview",
        "ingest-contacts/intake",
        "ingest-contacts/reconcile",
        "weekly-review/weekly-review",
        "mapping-review/mapping-review",
        "remap-contacts/remap",
        "erase-contact/erase-contact",
        "clean-up/cleanup",
        "audit/audit",
    }


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)
def test_a_deployment_is_complete_and_its_parameters_are_taken(deployment: dict[str, Any]) -> None:
    """It says what it is for and where it runs, bounds its runs, and its flow takes its parameters."""
    assert deployment["description"].endswith(".")
    assert deployment["work_pool"]["name"] == WORK_POOL
    assert "enrichment" in deployment["tags"]
    assert deployment["concurrency_limit"]["limit"] > 0
    assert deployment["concurrency_limit"]["collision_strategy"] in {"ENQUEUE", "CANCEL_NEW"}
    flow, parameters = flow_at(deployment["entrypoint"]), deployment["parameters"]
    # What only the person who starts it knows.
    asked_for = dict.fromkeys(parameter_schema(flow).required, "1")
    flow.validate_parameters(asked_for | parameters)


@pytest.mark.parametrize("entrypoint", sorted({one["entrypoint"] for one in DEPLOYMENTS}))
def test_a_form_says_of_each_parameter_what_belongs_there(entrypoint: str) -> None:
    """Prefect's UI shows the descriptions, in sentences."""
    properties = parameter_schema(flow_at(entrypoint)).properties
    assert {name for name, info in properties.items() if not str(info.get("description", "")).endswith(".")} == set()


def test_the_form_of_a_backfill_begins_with_what_matters_and_offers_names() -> None:
    """Estimate, cap and selection come first; names are choices, and any block or several providers are valid, too."""
    from prefect.utilities.schema_tools import validate  # noqa: PLC0415 - brings a part of the server with it

    schema = parameter_schema(flow_at("flows.enrich_contacts.enrich_contacts")).model_dump_for_openapi()
    places = {info["position"]: name for name, info in schema["properties"].items()}
    assert [places[place] for place in range(3)] == ["estimate_only", "max_credits", "select"]
    for name, known, other in (
        ("provider", "zoominfo", "zoominfo,hunter/eu"),
        ("crm", "salesforce", "hubspot/eu"),
        ("warehouse", "snowflake", "postgres/eu"),
    ):
        choice, _ = schema["properties"][name]["anyOf"]
        assert {"", known} < set(choice["enum"])
        for value in ("", known, other):
            assert validate({name: value}, schema) == []
        assert validate({name: 1}, schema) != []
    for moment in (None, "2026-01-01T00:00:00Z"):
        assert validate({"select": {"created_from": moment}}, schema) == []
    for credits_allowed in (None, 0, 40.5):
        assert validate({"max_credits": credits_allowed}, schema) == []
    assert validate({"max_credits": -1}, schema) != []


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, "enrich contacts of hubspot with zoominfo"),
        ({"lane": "live"}, "enrich live contacts of hubspot with zoominfo"),
        ({"lane": "backfill", "limit": 5000}, "enrich up to 5,000 backfill contacts of hubspot with zoominfo"),
        (
            {"select": {"everything": True, "owner": ""}, "max_credits": 40, "crm": "salesforce/eu"},
            "enrich selected contacts of salesforce/eu with zoominfo, at most 40 credits",
        ),
        (
            {"select": Selection(owner="7"), "estimate_only": True, "max_credits": None},
            "estimate the cost of selected contacts of hubspot with zoominfo",
        ),
        ({"select": NO_SELECTION}, "enrich contacts of hubspot with zoominfo"),
    ],
)
def test_a_run_is_named_by_what_it_was_asked_to_do(asked: dict[str, Any], name: str) -> None:
    """In plain words: how many contacts, which, of which CRM, with which provider and cap."""
    with entered(LocalRun("run-1", "", asked)):
        assert run_name() == name


def test_the_trigger_is_for_the_event_that_listeners_send() -> None:
    """One event makes a run for the end of the time in which others are left out, and that is the setting's default."""
    (deployment,) = [one for one in DEPLOYMENTS if "triggers" in one]
    assert name_of(deployment) == Settings.model_fields["start_deployment"].default
    (trigger,) = deployment["triggers"]
    assert trigger["expect"] == [STAGED_EVENT]
    assert trigger["match"]["prefect.resource.id"] == QUEUE_RESOURCE["prefect.resource.id"]
    assert (trigger["posture"], trigger["threshold"]) == ("Reactive", 1)
    assert trigger["within"] == trigger["schedule_after"] == Settings.model_fields["start_interval_seconds"].default


def test_a_run_too_many_is_dropped_only_where_others_do_its_work() -> None:
    """Runs with parameters of their own wait for their turn."""
    strategies = {name_of(one): one["concurrency_limit"]["collision_strategy"] for one in DEPLOYMENTS}
    assert [name for name, strategy in strategies.items() if strategy == "CANCEL_NEW"] == ["enrich-contacts/live"]


def test_the_cleanup_knows_the_runs_of_every_deployment() -> None:
    """Their runs are deleted by flow and tag; by default nothing is."""
    assert {flow_at(one["entrypoint"]).name for one in DEPLOYMENTS} == set(FLOWS)
    assert [one["name"] for one in DEPLOYMENTS if TAG not in one["tags"]] == []
    (cleanup,) = [one for one in DEPLOYMENTS if one["name"] == "cleanup"]
    assert cleanup["parameters"] == {"dry_run": True}


def test_each_lane_has_its_deployment() -> None:
    """No deployment works on both lanes, so that a backfill never holds the slots of live runs."""
    lanes = [one["parameters"]["lane"] for one in DEPLOYMENTS if name_of(one).startswith("enrich-contacts/")]
    assert sorted(lanes) == ["backfill", "live"]
