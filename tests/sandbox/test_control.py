"""The control calls: look at the sandbox, and change it while it runs."""

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from sandbox.server import Box, running
from tests.sandbox.conftest import HubSpotCaller, ZoomInfoCaller


def test_health_and_unknown_calls(box: Box, http: httpx.Client) -> None:
    """It says that it is well; other calls, and other services, don't exist."""
    assert http.get(f"{box.url}/control/health").json() == {"status": "ok"}
    assert http.get(f"{box.url}/control/nothing").status_code == 404
    assert http.get(f"{box.url}/nothing").status_code == 404


def test_ledger(box: Box, http: httpx.Client, zoominfo: ZoomInfoCaller, hubspot: HubSpotCaller) -> None:
    """The ledger has the totals of every service."""
    zoominfo.enrich("hit+a@b.example", "hit+a@b.example", "miss+a@b.example")
    contact_id = next(iter(box.world.hubspot.contacts))
    hubspot.update((contact_id, {"city": "A"}))
    totals = http.get(f"{box.url}/control/ledger").json()
    zoom = totals["zoominfo"]
    assert (zoom["lookups"], zoom["distinct_lookups"], zoom["most_lookups_of_one_input"]) == (
        3,
        2,
        2,
    )
    assert (zoom["credits_used"], zoom["records_returned"], zoom["tokens_issued"]) == (1, 2, 1)
    assert zoom["requests"] == {"200": 2}
    assert (totals["hubspot"]["updates"], totals["hubspot"]["contacts"]) == (1, 120)
    assert (totals["slack"]["messages"], totals["mail"]["messages"]) == (0, 0)


def test_requests_are_kept(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """Every request is kept with its status and number of inputs."""
    zoominfo.enrich("hit+a@b.example", "miss+a@b.example")
    record = box.world.zoominfo.requests[-1]
    assert (record.method, record.path) == ("POST", "/gtm/data/v1/contacts/enrich")
    assert (record.status, record.inputs) == (200, 2)


def test_contacts_as_lines(box: Box, http: httpx.Client) -> None:
    """All contacts come as lines of JSON, also when there are many."""
    box.reset(contacts=1200)
    lines = http.get(f"{box.url}/control/hubspot/contacts").text.splitlines()
    contacts = {each["id"]: each["properties"] for each in map(json.loads, lines)}
    assert contacts == box.world.hubspot.contacts


def test_create_and_merge_contacts(box: Box, http: httpx.Client) -> None:
    """Contacts are created and merged as people do it, malformed e-mails included."""
    values = [{"email": "jane(at)x"}, {"email": "A@x.example"}, {"email": "a@x.example"}]
    answer = http.post(f"{box.url}/control/hubspot/contacts", json=values)
    first, second, third = answer.json()
    assert box.world.hubspot.contacts[first]["email"] == "jane(at)x"
    http.post(f"{box.url}/control/hubspot/merge", json={"survivor_id": second, "merged_id": third})
    assert third not in box.world.hubspot.contacts


def test_requests_over_http(box: Box, http: httpx.Client, hubspot: HubSpotCaller) -> None:
    """The requests of one service are listed with their moments; a service that doesn't exist is an error."""
    for _ in range(2):
        hubspot.get("")
    url = f"{box.url}/control/requests"
    first, second = http.get(url, params={"service": "hubspot"}).json()
    assert (first["status"], first["inputs"]) == (200, 10)
    assert first["at"] < second["at"]
    assert http.get(url).status_code == 400


def test_faults_over_http(box: Box, http: httpx.Client, hubspot: HubSpotCaller) -> None:
    """Faults are scripted one by one or as a list, and cleared."""
    url = f"{box.url}/control/faults"
    assert len(http.post(url, json={"kind": "status", "service": "hubspot"}).json()) == 1
    assert len(http.post(url, json=[{"kind": "status"}, {"kind": "empty_200"}]).json()) == 3
    assert hubspot.get("").status_code == 500
    assert http.delete(url).json() == []
    assert hubspot.get("").status_code == 200


def test_settings_over_http(box: Box, http: httpx.Client) -> None:
    """Any settings can be changed, and only those that exist."""
    url = f"{box.url}/control/settings"
    changes = {
        "zoominfo": {"credits_left": 10},
        "hubspot": {"tier": "starter"},
        "mail": {"refuse": True},
    }
    assert http.post(url, json=changes).status_code == 200
    assert box.world.zoominfo.credits_left == 10
    assert box.world.hubspot.settings.tier == "starter"
    assert http.post(url, json={"zoominfo": {"colour": 1}}).status_code == 400
    assert http.post(url, json={"lusha": {}}).status_code == 400
    assert http.post(url, content=b"{").status_code == 400


def test_clock_over_http(box: Box, http: httpx.Client) -> None:
    """The clock of the world can be moved on."""
    now = http.post(f"{box.url}/control/clock", json={"seconds": 86_400}).json()["now"]
    assert datetime.fromisoformat(now) > datetime.now(UTC) + timedelta(hours=23)


def test_reset_over_http(box: Box, http: httpx.Client, zoominfo: ZoomInfoCaller) -> None:
    """A reset makes a new world at the same address, and forgets everything else."""
    http.post(f"{box.url}/control/reset", json={"contacts": 3, "now": "2026-01-01T00:00:00+00:00"})
    assert len(box.world.hubspot.contacts) == 3
    assert box.world.clock.now().year == 2026
    assert zoominfo.enrich("hit+a@b.example").status_code == 401
    assert http.post(f"{box.url}/control/reset").status_code == 200


def test_messages_over_http(box: Box, http: httpx.Client) -> None:
    """Messages can be read."""
    http.post(box.slack_url, json={"text": "hello"})
    messages = http.get(f"{box.url}/control/messages").json()
    assert [each["text"] for each in messages["slack"]] == ["hello"]
    assert messages["mail"] == []


def test_settings_at_the_start() -> None:
    """Settings may be given at the start, come back with a reset, and a taken port is an error."""
    with running(contacts=5, hubspot={"tier": "starter", "portal_id": 7}) as box:
        box.configure(hubspot={"tier": "enterprise"})
        box.reset(seed=3)
        assert (box.world.hubspot.settings.tier, box.world.hubspot.settings.portal_id) == (
            "starter",
            7,
        )
        port = int(box.url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="in use"), running(port=port):
            pass
