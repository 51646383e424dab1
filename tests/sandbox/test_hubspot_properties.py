"""HubSpot: properties and their groups."""

from typing import Any

import pytest

from sandbox.server import Box
from tests.sandbox.conftest import HubSpotCaller

OURS = {
    "name": "enr_employee_count",
    "label": "Employees",
    "type": "number",
    "fieldType": "number",
    "groupName": "enrichment",
}


def _group(hubspot: HubSpotCaller) -> None:
    assert hubspot.properties("POST", "/groups", {"name": "enrichment", "label": "Enrichment"}).status_code == 201


def test_standard_properties_are_listed(hubspot: HubSpotCaller) -> None:
    """The list gives type, options and what is read-only."""
    listed = {each["name"]: each for each in hubspot.properties("GET").json()["results"]}
    assert {"email", "company", "jobtitle", "industry", "hs_linkedin_url", "lifecyclestage"} < set(listed)
    assert listed["numemployees"]["type"] == "enumeration"
    assert "1000+" in [option["value"] for option in listed["numemployees"]["options"]]
    assert listed["hs_object_id"]["modificationMetadata"]["readOnlyValue"] is True
    assert listed["company"]["modificationMetadata"]["readOnlyValue"] is False


def test_group_and_property_are_created_once(box: Box, hubspot: HubSpotCaller) -> None:
    """What exists already is a conflict; what was created can be read and written."""
    _group(hubspot)
    answers = [hubspot.properties("POST", "", OURS) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json()["category"] == "OBJECT_ALREADY_EXISTS"
    assert hubspot.properties("POST", "/groups", {"name": "enrichment", "label": "E"}).status_code == 409
    assert hubspot.properties("GET", "/enr_employee_count").json()["type"] == "number"
    assert hubspot.properties("GET", "/groups/enrichment").json()["label"] == "Enrichment"
    assert hubspot.properties("GET", "/nothing").status_code == 404
    contact_id = next(iter(box.world.hubspot.contacts))
    assert hubspot.update((contact_id, {"enr_employee_count": "12"})).status_code == 200


def test_batch_create(hubspot: HubSpotCaller) -> None:
    """A batch creates what is missing, and names what exists."""
    _group(hubspot)
    other = {**OURS, "name": "enr_revenue"}
    assert hubspot.properties("POST", "/batch/create", {"inputs": [OURS]}).status_code == 201
    answer = hubspot.properties("POST", "/batch/create", {"inputs": [OURS, other]})
    assert (answer.status_code, [each["name"] for each in answer.json()["results"]]) == (
        207,
        ["enr_revenue"],
    )
    assert answer.json()["errors"][0]["category"] == "OBJECT_ALREADY_EXISTS"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Enr Count"},
        {"fieldType": "text"},
        {"type": "enumeration", "fieldType": "select"},
        {"groupName": "nothing"},
        {"label": None},
    ],
)
def test_definitions_are_checked(hubspot: HubSpotCaller, change: dict[str, Any]) -> None:
    """Names, pairs of types, options and groups must be right."""
    _group(hubspot)
    assert hubspot.properties("POST", "", {**OURS, **change}).status_code == 400
    assert hubspot.properties("POST", "/batch/create", {"inputs": [{**OURS, **change}]}).status_code == 400


def test_wrong_verb(hubspot: HubSpotCaller) -> None:
    """There is no such call as putting a property."""
    assert hubspot.properties("PUT", "/company").status_code == 404
    assert hubspot.properties("POST", "/groups", {"name": "x"}).status_code == 400
