"""One running sandbox for all of its tests, with a new world for each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from sandbox.server import Box, running

MEDIA_TYPE = "application/vnd.api+json"
HUBSPOT_TOKEN = "sandbox-hubspot-token"


@dataclass(frozen=True)
class ZoomInfoCaller:
    """Calls ZoomInfo as an authorised client does."""

    http: httpx.Client
    url: str
    token: str

    def post(self, path: str, kind: str, attributes: Any, **headers: str) -> httpx.Response:
        """Send an envelope."""
        body = {"data": {"type": kind, "attributes": attributes}}
        return self.http.post(self.url + path, json=body, headers=self.headers() | headers)

    def enrich(self, *inputs: Any, fields: Any = ("id", "email", "companyName"), **more: Any) -> httpx.Response:
        """Look up inputs; a text is an e-mail."""
        people = [{"emailAddress": each} if isinstance(each, str) else each for each in inputs]
        attributes = {"matchPersonInput": people, "outputFields": list(fields), **more}
        return self.post("/data/v1/contacts/enrich", "ContactEnrich", attributes)

    def statuses(self, *inputs: Any, **more: Any) -> list[str]:
        """Look up inputs, and return how each ended."""
        return [row["meta"]["matchStatus"] for row in self.enrich(*inputs, **more).json()["data"]]

    def headers(self) -> dict[str, str]:
        """Return what every request must carry."""
        return {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": MEDIA_TYPE,
            "Accept": MEDIA_TYPE,
        }


@dataclass(frozen=True)
class HubSpotCaller:
    """Calls HubSpot as an authorised client does."""

    http: httpx.Client
    url: str

    def get(self, path: str, **query: Any) -> httpx.Response:
        """Send a GET below the contacts."""
        return self.http.get(f"{self.url}/crm/v3/objects/contacts{path}", params=query, headers=self.headers())

    def post(self, path: str, body: Any) -> httpx.Response:
        """Send a POST below the contacts."""
        return self.http.post(f"{self.url}/crm/v3/objects/contacts{path}", json=body, headers=self.headers())

    def patch(self, path: str, properties: Any) -> httpx.Response:
        """Update one contact."""
        url = f"{self.url}/crm/v3/objects/contacts{path}"
        return self.http.patch(url, json={"properties": properties}, headers=self.headers())

    def update(self, *inputs: tuple[str, dict[str, Any]], traced: bool = False) -> httpx.Response:
        """Update several contacts."""
        items: list[dict[str, Any]] = [{"id": i, "properties": values} for i, values in inputs]
        for number, item in enumerate(items if traced else ()):
            item["objectWriteTraceId"] = f"trace-{number}"
        return self.post("/batch/update", {"inputs": items})

    def read(self, *ids: str, **more: Any) -> httpx.Response:
        """Read several contacts."""
        return self.post("/batch/read", {"inputs": [{"id": i} for i in ids], "properties": ["email"], **more})

    def search(self, *filters: tuple[str, str, Any], **more: Any) -> httpx.Response:
        """Search by filters that must all hold."""
        rules = [{"propertyName": name, "operator": operator, **value} for name, operator, value in filters]
        return self.post("/search", {"filterGroups": [{"filters": rules}], **more})

    def properties(self, method: str, path: str = "", body: Any = None) -> httpx.Response:
        """Call below the contact properties."""
        url = f"{self.url}/crm/v3/properties/contacts{path}"
        return self.http.request(method, url, json=body, headers=self.headers())

    def headers(self) -> dict[str, str]:
        """Return what every request must carry."""
        return {"Authorization": f"Bearer {HUBSPOT_TOKEN}"}


@pytest.fixture(scope="session")
def running_box() -> Iterator[Box]:
    """Give a running sandbox."""
    with running(contacts=0) as box:
        yield box


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    """Give an HTTP client."""
    with httpx.Client(timeout=10) as client:
        yield client


@pytest.fixture
def box(running_box: Box) -> Box:
    """Give a running sandbox with a new world."""
    running_box.reset(contacts=120, seed=7)
    return running_box


@pytest.fixture
def zoominfo(box: Box, http: httpx.Client) -> ZoomInfoCaller:
    """Give an authorised client of ZoomInfo."""
    answer = http.post(
        f"{box.zoominfo_url}/oauth/v1/token",
        data={"grant_type": "client_credentials"},
        auth=("sandbox-client", "sandbox-secret"),
    )
    return ZoomInfoCaller(http, box.zoominfo_url, answer.json()["access_token"])


@pytest.fixture
def hubspot(box: Box, http: httpx.Client) -> HubSpotCaller:
    """Give an authorised client of HubSpot."""
    return HubSpotCaller(http, box.hubspot_url)
