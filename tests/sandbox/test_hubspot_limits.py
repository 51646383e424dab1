"""HubSpot: authorisation, scopes and rate limits."""

import httpx
import pytest

from sandbox.server import Box
from tests.sandbox.conftest import HubSpotCaller


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer other"}, {"Authorization": "sandbox-hubspot-token"}])
def test_token_is_required(box: Box, http: httpx.Client, headers: dict[str, str]) -> None:
    """Without the right bearer token nothing is answered."""
    answer = http.get(f"{box.hubspot_url}/crm/v3/objects/contacts", headers=headers)
    assert (answer.status_code, answer.json()["category"]) == (401, "INVALID_AUTHENTICATION")
    assert answer.json()["correlationId"]


def test_token_can_be_rotated(box: Box, hubspot: HubSpotCaller) -> None:
    """After a rotation the old token is refused."""
    assert hubspot.get("").status_code == 200
    box.configure(hubspot={"token": "another"})
    assert hubspot.get("").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/crm/v3/objects/contacts", "crm.objects.contacts.read"),
        ("POST", "/crm/v3/objects/contacts/search", "crm.objects.contacts.read"),
        ("POST", "/crm/v3/objects/contacts/batch/update", "crm.objects.contacts.write"),
        ("GET", "/crm/v3/properties/contacts", "crm.schemas.contacts.read"),
        ("POST", "/crm/v3/properties/contacts", "crm.schemas.contacts.write"),
    ],
)
def test_scopes(box: Box, hubspot: HubSpotCaller, method: str, path: str, scope: str) -> None:
    """A call whose scope the token lacks is forbidden, and names it."""
    others = [each for each in box.world.hubspot.settings.scopes if each != scope]
    box.configure(hubspot={"scopes": others})
    answer = hubspot.http.request(method, hubspot.url + path, json={}, headers=hubspot.headers())
    assert (answer.status_code, answer.json()["category"]) == (403, "MISSING_SCOPES")
    assert answer.json()["errors"][0]["context"]["requiredGranularScopes"] == [scope]


@pytest.mark.parametrize(
    ("tier", "burst", "daily"),
    [
        ("starter", "100", "250000"),
        ("professional", "190", "625000"),
        ("enterprise", "190", "1000000"),
    ],
)
def test_tiers(box: Box, hubspot: HubSpotCaller, tier: str, burst: str, daily: str) -> None:
    """Each tier has its limits, and the headers give them."""
    box.configure(hubspot={"tier": tier})
    headers = hubspot.get("", limit=1).headers
    assert headers["X-HubSpot-RateLimit-Max"] == burst
    assert headers["X-HubSpot-RateLimit-Remaining"] == str(int(burst) - 1)
    assert headers["X-HubSpot-RateLimit-Interval-Milliseconds"] == "10000"
    assert headers["X-HubSpot-RateLimit-Daily"] == daily
    assert headers["X-HubSpot-RateLimit-Daily-Remaining"] == str(int(daily) - 1)


def test_ten_rolling_seconds(box: Box, hubspot: HubSpotCaller) -> None:
    """The burst limit rejects with its policy's name, and lets go after ten seconds."""
    box.world.clock.stop()
    box.configure(hubspot={"per_ten_seconds": 2})
    statuses = [hubspot.get("", limit=1).status_code for _ in range(3)]
    rejected = hubspot.get("", limit=1)
    assert statuses == [200, 200, 429]
    assert rejected.json()["policyName"] == "TEN_SECONDLY_ROLLING"
    assert rejected.json()["errorType"] == "RATE_LIMIT"
    assert box.world.hubspot.rejected_429 == 2
    box.world.clock.advance(10)
    assert hubspot.get("", limit=1).status_code == 200


def test_daily_limit(box: Box, hubspot: HubSpotCaller) -> None:
    """The day's limit rejects until the next day begins."""
    box.world.clock.stop()
    box.configure(hubspot={"per_day": 1})
    assert hubspot.get("", limit=1).status_code == 200
    assert hubspot.get("", limit=1).json()["policyName"] == "DAILY"
    box.world.clock.advance(86_400)
    assert hubspot.get("", limit=1).status_code == 200


def test_account_details(box: Box, http: httpx.Client, hubspot: HubSpotCaller) -> None:
    """The account says its portal id."""
    answer = http.get(f"{box.hubspot_url}/account-info/v3/details", headers=hubspot.headers())
    assert answer.json()["portalId"] == 24_680_135


@pytest.mark.parametrize(("method", "path"), [("POST", "/123"), ("GET", "/1/2"), ("PUT", "/batch/update")])
def test_unknown_calls(hubspot: HubSpotCaller, method: str, path: str) -> None:
    """What HubSpot has not is not found."""
    url = f"{hubspot.url}/crm/v3/objects/contacts{path}"
    assert hubspot.http.request(method, url, headers=hubspot.headers()).status_code == 404
