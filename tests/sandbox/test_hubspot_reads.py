"""HubSpot: the list, one contact, and batch read."""

import httpx
import pytest

from sandbox.server import Box
from tests.sandbox.conftest import HubSpotCaller


def _ids(answer: httpx.Response) -> list[str]:
    return [each["id"] for each in answer.json()["results"]]


def test_list_pages_through_all_contacts(box: Box, hubspot: HubSpotCaller) -> None:
    """Pages follow each other by cursor, in the order of ids, without gaps or repeats."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = hubspot.get("", limit=50, archived="False", **cursor)
        found += _ids(page)
        if "paging" not in page.json():
            break
        cursor = page.json()["paging"]["next"]
        cursor.pop("link")
    assert found == list(box.world.hubspot.contacts)


@pytest.mark.parametrize("query", [{"limit": 101}, {"limit": 0}, {"limit": "x"}, {"after": "x"}])
def test_list_parameters_are_checked(hubspot: HubSpotCaller, query: dict[str, object]) -> None:
    """A page has 1 to 100 contacts, and the cursor is a number."""
    answer = hubspot.get("", **query)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_properties_by_comma_and_repeated(hubspot: HubSpotCaller) -> None:
    """Both spellings of several properties work; empty ones are null, undefined ones left out."""
    defaults = {"createdate", "hs_object_id", "lastmodifieddate"}
    for wanted in (["email,company", "nonsense"], ["email", "company", "nonsense"]):
        (result,) = hubspot.get("", limit=1, properties=wanted).json()["results"]
        assert set(result["properties"]) == {"email", "company", *defaults}
        assert result["properties"]["company"] is None
    (result,) = hubspot.get("", limit=1).json()["results"]
    assert set(result["properties"]) == {"email", "firstname", "lastname", *defaults}
    assert {"createdAt", "updatedAt", "archived"} < set(result)


def test_dated_paths(box: Box, http: httpx.Client) -> None:
    """The same calls answer below dated versions, and unknown ones don't."""
    headers = {"Authorization": "Bearer sandbox-hubspot-token"}
    paths = {
        "/crm/objects/2026-09/contacts": 200,
        "/crm/properties/2026-09/contacts": 200,
        "/account-info/2026-09/details": 200,
        "/account-info/v3/details": 200,
        "/crm/objects/latest/contacts": 404,
        "/crm/v3/objects/companies": 404,
    }
    found = {path: http.get(box.hubspot_url + path, headers=headers).status_code for path in paths}
    assert found == paths


def test_one_contact_by_id_and_email(box: Box, hubspot: HubSpotCaller) -> None:
    """A contact is found by its id, or by its e-mail in any case."""
    (contact_id,) = box.world.hubspot.create([{"email": "Zoë@x.example", "city": "Göteborg"}])
    assert hubspot.get(f"/{contact_id}", properties="city").json()["properties"]["city"] == "Göteborg"
    assert hubspot.get("/zoë@X.example", idProperty="email").json()["id"] == contact_id
    missing = hubspot.get("/1")
    assert (missing.status_code, missing.json()["category"]) == (404, "OBJECT_NOT_FOUND")


def test_archived_contacts(box: Box, hubspot: HubSpotCaller) -> None:
    """An archived contact is only seen by a call for archived ones."""
    (contact_id,) = box.world.hubspot.create([{"email": "gone@x.example"}])
    box.world.hubspot.archive(contact_id)
    assert hubspot.get(f"/{contact_id}").status_code == 404
    assert _ids(hubspot.get("", archived="True")) == [contact_id]
    assert hubspot.read(contact_id).status_code == 207


def test_batch_read(box: Box, hubspot: HubSpotCaller) -> None:
    """All found is a 200 whose results come in the order of ids, whatever was asked."""
    ids = list(box.world.hubspot.contacts)[:100]
    answer = hubspot.read(*reversed(ids))
    assert (answer.status_code, answer.json()["status"]) == (200, "COMPLETE")
    assert _ids(answer) == ids


def test_batch_read_aggregates_what_is_missing(box: Box, hubspot: HubSpotCaller) -> None:
    """Missing ids make a 207 with one error that lists them all."""
    known = next(iter(box.world.hubspot.contacts))
    answer = hubspot.read("1", known, "2")
    body = answer.json()
    assert (answer.status_code, _ids(answer), body["numErrors"]) == (207, [known], 1)
    (error,) = body["errors"]
    assert (error["category"], error["context"]) == ("OBJECT_NOT_FOUND", {"ids": ["1", "2"]})


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": [{"id": str(n)} for n in range(101)]},
        {"inputs": [{"id": str(n)} for n in range(51)], "propertiesWithHistory": ["email"]},
        {"inputs": []},
        {"inputs": [{"id": "abc"}]},
        {"inputs": [{"id": 5}]},
        {"inputs": [{"id": "x"}], "idProperty": "company"},
        [],
    ],
)
def test_batch_read_is_checked(hubspot: HubSpotCaller, body: object) -> None:
    """More than 100 inputs, or 50 with history, and ids that are not numbers fail the call."""
    answer = hubspot.post("/batch/read", body)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_batch_read_by_email(box: Box, hubspot: HubSpotCaller) -> None:
    """Contacts may be read by e-mail."""
    (contact_id,) = box.world.hubspot.create([{"email": "a@x.example"}])
    body = {"inputs": [{"id": "A@x.example"}], "idProperty": "email", "properties": ["email"]}
    assert _ids(hubspot.post("/batch/read", body)) == [contact_id]


def test_batch_read_of_a_merged_contact(box: Box, hubspot: HubSpotCaller) -> None:
    """The survivor answers for a merged id, under its own id, and names the merged one."""
    first, second, third = box.world.hubspot.create([{"email": f"{n}@x.example"} for n in "abc"])
    box.world.hubspot.merge(second, first)
    box.world.hubspot.merge(third, second)
    answer = hubspot.read(first, properties=["hs_merged_object_ids"])
    (result,) = answer.json()["results"]
    assert (answer.status_code, result["id"]) == (200, third)
    assert set(result["properties"]["hs_merged_object_ids"].split(";")) == {first, second}
    assert hubspot.get(f"/{first}").json()["id"] == third


def test_history(box: Box, hubspot: HubSpotCaller) -> None:
    """History has every value with its time and source, newest first."""
    (contact_id,) = box.world.hubspot.create([{"company": "One"}])
    box.world.hubspot.edit(contact_id, {"company": "Two"})
    box.world.clock.advance(60)
    hubspot.update((contact_id, {"company": ""}))
    (result,) = hubspot.read(contact_id, propertiesWithHistory=["company", "city"]).json()["results"]
    versions = result["propertiesWithHistory"]["company"]
    assert [(v["value"], v["sourceType"]) for v in versions] == [
        ("", "INTEGRATION"),
        ("Two", "CRM_UI"),
        ("One", "CRM_UI"),
    ]
    assert versions[0]["timestamp"] > versions[1]["timestamp"] >= versions[2]["timestamp"]
    assert result["propertiesWithHistory"]["city"] == []
