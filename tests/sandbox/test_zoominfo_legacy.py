"""The stand-in of ZoomInfo's older API: both forms of the password, its limit, and lower-cased echoes."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox.server import Box

Post = Callable[..., httpx.Response]

PAIR = {"username": "sandbox-user", "password": "sandbox-password"}


def test_the_password_comes_as_json_or_form(box: Box, http: httpx.Client) -> None:
    """The documents send the one, the vendor's client the other."""
    box.configure(zoominfo_legacy={"logins_per_second": 10})
    url = f"{box.zoominfo_legacy_url}/authenticate"
    assert http.post(url, json=PAIR).json()["jwt"]
    assert http.post(url, data=PAIR).json()["jwt"]
    refused = [http.post(url, json=["x"]), http.post(url, json={**PAIR, "password": "no"})]
    refused += [http.post(url, headers={"Content-Type": "application/json"}, content="{")]
    assert [answer.status_code for answer in refused] == [401, 401, 401]


def test_logins_are_limited(box: Box, http: httpx.Client) -> None:
    """A second login within a second is too much."""
    box.world.clock.stop()
    url = f"{box.zoominfo_legacy_url}/authenticate"
    assert [http.post(url, json=PAIR).status_code for _ in range(2)] == [200, 429]
    box.world.clock.advance(1)
    assert http.post(url, json=PAIR).status_code == 200


def test_echoes_and_refusals(box: Box, http: httpx.Client) -> None:
    """Names come back in lower case; 26 inputs, unknown fields and expired tokens are refused by texts."""
    box.configure(zoominfo_legacy={"logins_per_second": 10, "token_lifetime_seconds": 60})
    token = http.post(f"{box.zoominfo_legacy_url}/authenticate", json=PAIR).json()["jwt"]

    def enrich(count: int, *fields: str) -> httpx.Response:
        body = {"matchPersonInput": [{"emailAddress": "hit+A@b.example"}] * count, "outputFields": list(fields)}
        headers = {"Authorization": f"Bearer {token}"}
        return http.post(f"{box.zoominfo_legacy_url}/enrich/contact", json=body, headers=headers)

    body = enrich(1, "companyName").json()["data"]
    assert body["outputFields"] == [["companyname"]]
    assert body["result"][0]["input"] == {"emailaddress": "hit+A@b.example"}
    assert body["result"][0]["data"][0]["company"]["name"]
    assert enrich(26, "id").json()["message"].startswith("You have reached the max limit to enrich new")
    assert enrich(1, "colour").json()["invalidOutputFields"] == ["colour"]
    box.world.clock.advance(61)
    assert enrich(1, "id").status_code == 401


@pytest.fixture
def post(box: Box, http: httpx.Client) -> Post:
    """Give a maker of authorised calls."""
    token = http.post(f"{box.zoominfo_legacy_url}/authenticate", json=PAIR).json()["jwt"]

    def post(path: str, **body: Any) -> httpx.Response:
        url = f"{box.zoominfo_legacy_url}/enrich/{path}"
        return http.post(url, json=body, headers={"Authorization": f"Bearer {token}"})

    return post


def test_companies_come_with_their_technologies(box: Box, post: Post) -> None:
    """Up to 25 companies a call, each with an echo and redeemed once; the revenue is in thousands."""
    first, second = box.world.population.companies[:2]
    fields = ["id", "revenue", "techAttributes"]
    known = [{"companyId": str(first.id)}, {"companyId": second.id}, {"companyId": "7"}]
    for _ in range(2):
        rows = post("company", matchCompanyInput=known, outputFields=fields).json()["data"]["result"]
    assert [(row["input"]["companyid"], row["matchStatus"]) for row in rows] == [
        (str(first.id), "FULL_MATCH"),
        (second.id, "FULL_MATCH"),
        ("7", "NO_MATCH"),
    ]
    assert rows[0]["data"][0]["revenue"] == first.revenue // 1000
    assert {"product", "vendor", "category", "categoryParent"} == set(rows[0]["data"][0]["techAttributes"][0])
    assert box.world.zoominfo_legacy.billed == {f"company:{first.id}": 1, f"company:{second.id}": 1}
    assert post("company", matchCompanyInput=known * 9, outputFields=fields).status_code == 400


def test_intent_is_asked_of_one_company_with_topics_as_one_text(box: Box, post: Post) -> None:
    """A list of topics, too many of them and no company are refused; results come page by page for one credit."""
    company = box.world.population.companies[0]
    topics = "|".join(f"topic {number}" for number in range(50))
    pages = [post("intent", companyId=str(company.id), topics=topics, rpp=5, page=page).json() for page in (1, 2)]
    assert pages[0]["totalResults"] > 5
    assert [page["currentPage"] for page in pages] == [1, 2]
    assert len({row["topic"] for page in pages for row in page["data"]}) == min(pages[0]["totalResults"], 10)
    assert box.world.zoominfo_legacy.billed == {f"intent:{company.id}": 1}
    assert set(box.world.zoominfo_legacy.company_lookups.values()) == {1}
    refused = [{"topics": topics}, {"companyId": 1, "topics": ["a"]}, {"companyId": 1, "topics": topics + "|x"}]
    assert [post("intent", **body).status_code for body in refused] == [400, 400, 400]
    assert post("intent", companyId=1, topics="a").json()["totalResults"] == 0


def test_a_single_companys_technologies(box: Box, post: Post) -> None:
    """The call for one company has its own shape; an account without it gets an error."""
    company = box.world.population.companies[0]
    assert post("tech", companyId=str(company.id)).json()["totalResults"] >= 4
    assert post("tech").status_code == 400
    box.configure(zoominfo_legacy={"calls": ["contact"]})
    assert post("tech", companyId=str(company.id)).json()["message"] == "You do not have access to this endpoint"
