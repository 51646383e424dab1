"""The stand-in of ZoomInfo's older API: both forms of the password, its limit, and lower-cased echoes."""

import httpx

from sandbox.server import Box

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
