"""HubSpot: updates and creations, one by one and in batches."""

import json
import re
from typing import Any

import httpx
import pytest

from sandbox.server import Box
from tests.sandbox.conftest import HubSpotCaller


def _make(box: Box, count: int) -> list[str]:
    return box.world.hubspot.create([{"email": f"new{n}@x.example"} for n in range(count)])


def _flaws(answer: httpx.Response) -> list[tuple[str, str]]:
    listed = re.search(r"\[.*\]", answer.json()["message"])
    assert listed
    return [(flaw["name"], flaw["error"]) for flaw in json.loads(listed[0])]


def test_batch_update(box: Box, hubspot: HubSpotCaller) -> None:
    """Values are set, cleared by an empty text, and answered with a few default properties."""
    first, second = _make(box, 2)
    answer = hubspot.update((first, {"company": "Açme", "city": "X"}), (second, {"company": "B"}))
    assert answer.status_code == 200
    result = next(each for each in answer.json()["results"] if each["id"] == first)
    assert result["properties"]["company"] == "Açme"
    assert "email" not in result["properties"]
    hubspot.update((first, {"company": "", "city": None}))
    assert box.world.hubspot.contacts[first].keys().isdisjoint({"company", "city"})


def test_updates_are_kept_in_the_ledger(box: Box, hubspot: HubSpotCaller) -> None:
    """Every accepted update is kept with its values, and counted by contact."""
    (contact_id,) = _make(box, 1)
    hubspot.update((contact_id, {"city": "A"}))
    hubspot.patch(f"/{contact_id}", {"city": "B"})
    box.world.hubspot.edit(contact_id, {"city": "C"})
    assert [write[:2] for write in box.world.hubspot.writes] == [
        (contact_id, {"city": "A"}),
        (contact_id, {"city": "B"}),
    ]
    assert box.world.hubspot.updates_by_contact == {contact_id: 2}


def test_update_moves_lastmodifieddate(box: Box, hubspot: HubSpotCaller) -> None:
    """Any update, ours too, makes the contact look modified."""
    (contact_id,) = _make(box, 1)
    before = box.world.hubspot.contacts[contact_id]
    box.world.clock.advance(5)
    (result,) = hubspot.update((contact_id, {"city": "A"})).json()["results"]
    assert result["updatedAt"] == result["properties"]["lastmodifieddate"] > before["lastmodifieddate"]
    assert result["createdAt"] == before["createdate"]


@pytest.mark.parametrize("value", [5, 5.5, True, ["a"], {"a": 1}])
def test_values_are_texts(box: Box, hubspot: HubSpotCaller, value: Any) -> None:
    """A value that is neither a text nor null fails the call."""
    (contact_id,) = _make(box, 1)
    assert hubspot.update((contact_id, {"city": value})).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": [{"id": str(n), "properties": {}} for n in range(101)]},
        {"inputs": [{"id": "1", "properties": {}}, {"id": "1", "properties": {}}]},
        {"inputs": [{"id": "a@x.example", "idProperty": "email", "properties": {}}]},
        {"inputs": [{"id": "1"}]},
        {"inputs": {}},
        {},
    ],
)
def test_batch_update_is_checked(hubspot: HubSpotCaller, body: Any) -> None:
    """More than 100 inputs, the same id twice, updates by e-mail and wrong shapes fail the call."""
    answer = hubspot.post("/batch/update", body)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_body_that_is_not_json(hubspot: HubSpotCaller) -> None:
    """A broken body is a 400 of its own kind, not a crash."""
    url = f"{hubspot.url}/crm/v3/objects/contacts/batch/update"
    assert hubspot.http.post(url, content=b"{", headers=hubspot.headers()).status_code == 400


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("shoe_size", "42", "PROPERTY_DOESNT_EXIST"),
        ("createdate", "2026-01-01", "READ_ONLY_VALUE"),
        ("email", "jane.doe(at)acme", "INVALID_EMAIL"),
        ("numemployees", "7", "INVALID_OPTION"),
        ("hs_buying_role", "CHAMPION;NOBODY", "INVALID_OPTION"),
        ("hs_email_optout", "yes", "INVALID_OPTION"),
        ("closedate", "tomorrow", "INVALID_DATE"),
        ("size", "1,000", "INVALID_LONG"),
        ("size", "1.2.3", "INVALID_LONG"),
        ("birthday", "2026-01-01T12:00:00Z", "INVALID_DATE"),
        ("city", "x" * 65_537, "VALUE_TOO_LONG"),
    ],
)
def test_refused_value_fails_the_whole_batch(
    box: Box, hubspot: HubSpotCaller, name: str, value: str, error: str
) -> None:
    """One refused value fails every input, with or without trace ids, and nothing is written."""
    _define(hubspot)
    good, bad = _make(box, 2)
    for traced in (False, True):
        answer = hubspot.update((good, {"city": "A"}), (bad, {name: value}), traced=traced)
        assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")
        assert _flaws(answer) == [(name, error)]
    assert box.world.hubspot.writes == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", "-12.5"),
        ("size", ""),
        ("birthday", "2026-01-01"),
        ("birthday", "1767225600000"),
        ("closedate", "2026-01-01T12:00:00Z"),
        ("numemployees", "1000+"),
        ("hs_buying_role", ";CHAMPION"),
        ("hs_email_optout", "true"),
        ("email", "zoë@x.example"),
    ],
)
def test_good_values(box: Box, hubspot: HubSpotCaller, name: str, value: str) -> None:
    """Well-formed values of every type are taken."""
    _define(hubspot)
    (contact_id,) = _make(box, 1)
    assert hubspot.update((contact_id, {name: value})).status_code == 200


def test_trace_ids_may_cover_refused_values(box: Box, hubspot: HubSpotCaller) -> None:
    """As a setting, trace ids turn a refused value into a partial failure."""
    box.configure(hubspot={"trace_ids_cover_validation": True})
    good, bad = _make(box, 2)
    answer = hubspot.update((good, {"city": "A"}), (bad, {"shoe_size": "42"}), traced=True)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["category"]) == (207, "VALIDATION_ERROR")
    assert error["context"]["objectWriteTraceId"] == ["trace-1"]
    assert box.world.hubspot.updates_by_contact == {good: 1}


def test_missing_contact_without_trace_ids(box: Box, hubspot: HubSpotCaller) -> None:
    """Without trace ids a contact that doesn't exist fails the whole batch."""
    (good,) = _make(box, 1)
    answer = hubspot.update((good, {"city": "A"}), ("1", {"city": "A"}))
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")
    assert box.world.hubspot.writes == []


def test_missing_contact_with_trace_ids(box: Box, hubspot: HubSpotCaller) -> None:
    """With trace ids it fails alone, and both results and errors carry them."""
    (good,) = _make(box, 1)
    answer = hubspot.update((good, {"city": "A"}), ("1", {"city": "A"}), traced=True)
    body = answer.json()
    assert (answer.status_code, body["numErrors"]) == (207, 1)
    assert body["results"][0]["objectWriteTraceId"] == "trace-0"
    assert body["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert body["errors"][0]["context"] == {"ids": ["1"], "objectWriteTraceId": ["trace-1"]}


def test_merged_contact_is_passed_over(box: Box, hubspot: HubSpotCaller) -> None:
    """A batch update says nothing of a merged id, while a single one reaches the survivor."""
    survivor, merged = _make(box, 2)
    box.world.hubspot.merge(survivor, merged)
    answer = hubspot.update((merged, {"city": "A"}), traced=True)
    assert (answer.status_code, answer.json()["results"]) == (200, [])
    assert "errors" not in answer.json()
    assert hubspot.patch(f"/{merged}", {"city": "B"}).json()["id"] == survivor


def test_single_update_is_checked(box: Box, hubspot: HubSpotCaller) -> None:
    """A single update refuses bad values and unknown contacts."""
    (contact_id,) = _make(box, 1)
    assert _flaws(hubspot.patch(f"/{contact_id}", {"numemployees": "7"})) == [("numemployees", "INVALID_OPTION")]
    assert hubspot.patch("/1", {"city": "A"}).status_code == 404


def test_create(box: Box, hubspot: HubSpotCaller) -> None:
    """A contact is created once; its e-mail again is a conflict that names it."""
    body = {"properties": {"email": "new@x.example", "firstname": "Ø"}}
    created, again = hubspot.post("", body), hubspot.post("", body)
    assert (created.status_code, again.status_code) == (201, 409)
    assert again.json()["category"] == "CONFLICT"
    assert created.json()["id"] in again.json()["message"]
    assert box.world.hubspot.contacts[created.json()["id"]]["firstname"] == "Ø"


def test_batch_create(hubspot: HubSpotCaller) -> None:
    """A conflict fails a whole batch of creations, or with trace ids its own input only."""
    hubspot.post("", {"properties": {"email": "taken@x.example"}})
    inputs = [{"properties": {"email": f"{name}@x.example"}} for name in ("free", "taken")]
    assert hubspot.post("/batch/create", {"inputs": inputs}).status_code == 409
    traced = [{**each, "objectWriteTraceId": str(n)} for n, each in enumerate(inputs)]
    answer = hubspot.post("/batch/create", {"inputs": traced})
    assert (answer.status_code, len(answer.json()["results"])) == (207, 1)
    assert answer.json()["errors"][0]["context"] == {"objectWriteTraceId": ["1"]}
    assert hubspot.post("/batch/create", {"inputs": [{"properties": {"city": "A"}}]}).status_code == 201


def test_delete(box: Box, hubspot: HubSpotCaller) -> None:
    """Contacts are archived one by one or in batches, or erased with their e-mail."""
    first, second, third = _make(box, 3)
    url = f"{hubspot.url}/crm/v3/objects/contacts/{first}"
    assert hubspot.http.delete(url, headers=hubspot.headers()).status_code == 204
    assert hubspot.post("/batch/archive", {"inputs": [{"id": second}]}).status_code == 204
    assert hubspot.post("/gdpr-delete", {"objectId": "new2@x.example", "idProperty": "email"}).status_code == 204
    assert box.world.hubspot.contacts.keys().isdisjoint({first, second, third})
    assert hubspot.update((first, {"city": "A"}), traced=True).json()["numErrors"] == 1
    assert hubspot.get(f"/{third}", archived="true").status_code == 404


def _define(hubspot: HubSpotCaller) -> None:
    common = {"label": "Label", "groupName": "contactinformation"}
    hubspot.properties("POST", "", {"name": "size", "type": "number", "fieldType": "number", **common})
    hubspot.properties("POST", "", {"name": "birthday", "type": "date", "fieldType": "date", **common})
