"""Scripted faults: what goes wrong, where, how often, and whether the request took effect."""

from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import httpx
import pytest

from sandbox.server import Box
from tests.sandbox.conftest import HubSpotCaller, ZoomInfoCaller

HIT = "hit+a@b.example"


def test_reset_before_processing(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """The connection is dropped, and nothing was billed."""
    box.world.faults.add(service="zoominfo", path_contains="contacts/enrich", kind="reset_before")
    with pytest.raises(httpx.RemoteProtocolError):
        zoominfo.enrich(HIT)
    assert box.world.zoominfo.credits_used == 0
    assert zoominfo.enrich(HIT).status_code == 200


@pytest.mark.parametrize("kind", ["reset_after", "truncated"])
def test_answer_lost_after_processing(box: Box, zoominfo: ZoomInfoCaller, kind: str) -> None:
    """The answer is lost or cut in half, but the credit is spent, and spent only once."""
    box.world.faults.add(service="zoominfo", kind=kind)
    with pytest.raises(httpx.RemoteProtocolError):
        zoominfo.enrich(HIT)
    assert box.world.zoominfo.credits_used == 1
    assert zoominfo.enrich(HIT).status_code == 200
    assert (box.world.zoominfo.credits_used, box.world.zoominfo.lookups[HIT]) == (1, 2)
    assert [record.status for record in box.world.zoominfo.requests] == [200, 0, 200]


def test_lost_answer_of_an_update(box: Box, hubspot: HubSpotCaller) -> None:
    """An update whose answer is lost was written."""
    contact_id = next(iter(box.world.hubspot.contacts))
    box.world.faults.add(service="hubspot", path_contains="batch/update", kind="reset_after")
    with pytest.raises(httpx.RemoteProtocolError):
        hubspot.update((contact_id, {"city": "A"}))
    assert box.world.hubspot.contacts[contact_id]["city"] == "A"


def test_statuses(box: Box, hubspot: HubSpotCaller) -> None:
    """Any status comes with the body and headers given, by default with a page of HTML."""
    add = box.world.faults.add
    add(service="hubspot", kind="status", status=502)
    add(service="hubspot", kind="status", status=423, body="{}", content_type="application/json")
    add(service="hubspot", kind="status", status=477, headers={"Retry-After": "86400"})
    page, locked, moving = (hubspot.get("") for _ in range(3))
    assert (page.status_code, page.headers["content-type"]) == (502, "text/html")
    assert "<html>" in page.text
    assert (locked.status_code, locked.json()) == (423, {})
    assert (moving.status_code, moving.headers["retry-after"]) == (477, "86400")


def test_forms_of_retry_after(box: Box, hubspot: HubSpotCaller) -> None:
    """A 503 carries Retry-After in every form."""
    found = {}
    for form in ("seconds", "http-date", "garbage", "absent"):
        box.world.faults.add(service="hubspot", kind="status", status=503, retry_after=form, seconds=7)
        found[form] = hubspot.get("").headers.get("retry-after")
    assert (found["seconds"], found["garbage"], found["absent"]) == ("7", "soon", None)
    assert parsedate_to_datetime(found["http-date"] or "").tzinfo


def test_empty_successes(box: Box, hubspot: HubSpotCaller) -> None:
    """A success may be empty, or hold neither results nor errors, and nothing was done."""
    contact_id = next(iter(box.world.hubspot.contacts))
    box.world.faults.add(service="hubspot", kind="empty_200")
    box.world.faults.add(service="hubspot", kind="empty_results")
    empty, hollow = (hubspot.update((contact_id, {"city": "A"})) for _ in range(2))
    assert (empty.status_code, empty.content) == (200, b"")
    assert (hollow.json()["results"], hollow.json()["errors"]) == ([], [])
    assert box.world.hubspot.writes == []


@pytest.mark.parametrize("service", ["zoominfo", "hubspot"])
def test_unauthorized_once(box: Box, zoominfo: ZoomInfoCaller, hubspot: HubSpotCaller, service: str) -> None:
    """A good token is refused once."""
    box.world.faults.add(service=service, kind="unauthorized")
    calls = {"zoominfo": lambda: zoominfo.enrich(HIT), "hubspot": lambda: hubspot.get("")}
    assert [calls[service]().status_code for _ in range(2)] == [401, 200]


def test_slow_answer(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """A slow call times out at the client, though it took effect."""
    box.world.faults.add(service="zoominfo", kind="slow", seconds=1)
    with pytest.raises(httpx.ReadTimeout):
        zoominfo.http.post(
            f"{zoominfo.url}/data/v1/contacts/enrich",
            json={
                "data": {
                    "type": "ContactEnrich",
                    "attributes": {
                        "matchPersonInput": [{"emailAddress": HIT}],
                        "outputFields": ["id"],
                    },
                }
            },
            headers=zoominfo.headers(),
            timeout=0.2,
        )
    _catch_up(box, zoominfo.http)
    assert box.world.zoominfo.credits_used == 1


def test_which_requests_are_hit(box: Box, hubspot: HubSpotCaller) -> None:
    """Faults hit the service and path named, after so many requests, so many times."""
    box.world.faults.add(service="slack", kind="status")
    box.world.faults.add(service="hubspot", path_contains="batch", kind="status")
    box.world.faults.add(service="hubspot", kind="status", status=503, after=1, times=2)
    assert [hubspot.get("").status_code for _ in range(4)] == [200, 503, 503, 200]
    assert len(box.world.faults.pending()) == 2


def test_fault_without_end(box: Box, hubspot: HubSpotCaller) -> None:
    """A fault of zero times goes on until it is cleared."""
    fault = box.world.faults.add(service="hubspot", kind="status", times=0)
    assert {hubspot.get("").status_code for _ in range(3)} == {500}
    assert fault.hits == 3
    box.world.faults.clear()
    assert hubspot.get("").status_code == 200


def test_unknown_faults(box: Box) -> None:
    """A kind or an option that doesn't exist is refused at once."""
    with pytest.raises(ValueError, match="nonsense"):
        box.world.faults.add(kind="nonsense")
    with pytest.raises(TypeError):
        box.world.faults.add(kind="status", colour="red")


def test_latency(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """A service takes as long as is set, and has processed the request by then."""
    box.configure(zoominfo={"latency_ms": 1000})
    with pytest.raises(httpx.ReadTimeout):
        zoominfo.http.get(f"{zoominfo.url}/data/v1/users/usage", headers=zoominfo.headers(), timeout=0.2)
    _catch_up(box, zoominfo.http)
    assert box.world.zoominfo.requests[-1].path == "/gtm/data/v1/users/usage"


def _catch_up(box: Box, http: httpx.Client) -> None:
    """Return when the server has seen all that was sent before, for it reads in that order."""
    http.get(f"{box.url}/control/health")


def test_an_answer_is_held_until_it_is_let_go(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """The request has taken effect, and a client that waits for its answer waits until the script is cleared."""
    box.world.faults.add(service="zoominfo", path_contains="contacts/enrich", kind="held")
    with ThreadPoolExecutor(1) as caller:
        answer = caller.submit(zoominfo.enrich, HIT)
        while not box.world.zoominfo.lookups:
            assert not answer.done()
        assert box.world.zoominfo.credits_used == 1
        box.world.faults.clear()
        assert answer.result().status_code == 200
