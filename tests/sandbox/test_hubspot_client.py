"""HubSpot's own Python client gets along with the sandbox."""

import json
from typing import Any

import hubspot
import pytest
from hubspot.crm.contacts.exceptions import ApiException
from urllib3.exceptions import ProtocolError

from sandbox.server import Box


@pytest.fixture
def client(box: Box) -> Any:
    """Give the client, which must not retry by itself."""
    return hubspot.HubSpot(access_token="sandbox-hubspot-token", host=box.hubspot_url, retry=False)


def test_models(box: Box, client: Any) -> None:
    """Answers fit the client's models: pages, partial failures and properties."""
    page = client.crm.contacts.basic_api.get_page(limit=10, properties=["email", "company"], archived=False)
    assert len(page.results) == 10
    assert page.paging.next.after
    ids = [record.id for record in page.results]
    found = client.crm.contacts.batch_api.read({"inputs": [{"id": i} for i in [*ids, "1"]], "properties": ["email"]})
    assert len(found.results) == 10
    assert found.errors[0].context == {"ids": ["1"]}
    assert any(each.name == "numemployees" for each in client.crm.properties.core_api.get_all("contacts").results)
    updated = client.crm.contacts.batch_api.update({"inputs": [{"id": ids[0], "properties": {"city": "Tromsø"}}]})
    assert updated.results[0].properties["city"] == "Tromsø"


def test_raw_answers(client: Any) -> None:
    """Dictionaries in and raw answers out work, on a dated path as well."""
    api = client.crm.contacts.batch_api
    body = {"inputs": [{"id": "1", "objectWriteTraceId": "t", "properties": {"city": "A"}}]}
    raw = api.update(body, _preload_content=False, _request_timeout=(3, 10))
    assert (raw.status, json.loads(raw.data)["errors"][0]["context"]["objectWriteTraceId"]) == (
        207,
        ["t"],
    )
    dated = api.api_client.call_api(
        "/crm/objects/2026-09/contacts/batch/update",
        "POST",
        None,
        [],
        {"Accept": "application/json", "Content-Type": "application/json"},
        body=body,
        auth_settings=["oauth2"],
        _preload_content=False,
        _request_timeout=(3, 10),
    )
    assert dated.status == 207


def test_errors(box: Box, client: Any) -> None:
    """Refusals become the client's exceptions, dropped connections those of urllib3."""
    with pytest.raises(ApiException) as refused:
        client.crm.contacts.batch_api.update({"inputs": [{"id": "1", "properties": {"city": 5}}]})
    assert (refused.value.status, json.loads(refused.value.body)["category"]) == (
        400,
        "VALIDATION_ERROR",
    )
    for kind in ("reset_before", "reset_after", "truncated"):
        box.world.faults.add(service="hubspot", path_contains="batch/read", kind=kind)
        with pytest.raises(ProtocolError):
            client.crm.contacts.batch_api.read({"inputs": [{"id": "1"}], "properties": ["email"]})
