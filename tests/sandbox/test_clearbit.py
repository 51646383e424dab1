"""Clearbit's stand-in: who is let in, what is queued, what is billed, and what the headers say."""

from typing import Any

import httpx
import pytest

from sandbox.server import Box

KEY = ("sandbox-key", "")


def find(box: Box, http: httpx.Client, email: str, host: str = "", **options: Any) -> httpx.Response:
    url = f"{box.clearbit_url}{host}/v2/combined/find"
    return http.get(url, params={"email": email}, **{"auth": KEY, **options})


def test_a_route_is_refused_before_the_key(box: Box, http: httpx.Client) -> None:
    """A wrong path is answered without a key, in the same envelope as a missing record."""
    answer = http.get(f"{box.clearbit_url}/v2/people")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "unknown_route")
    missing = find(box, http, "miss+a@b.example")
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "unknown_record")


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({}, "auth_required"),
        ({"Authorization": "Bearer no"}, "invalid_api_key"),
        ({"Authorization": "Basic ///"}, "invalid_api_key"),
        ({"Authorization": "Digest x"}, "invalid_api_key"),
    ],
)
def test_refused_keys_use_the_budget_up(box: Box, http: httpx.Client, headers: dict[str, str], kind: str) -> None:
    """401 says why, and counts."""
    box.configure(clearbit={"per_minute": 2})
    answers = [find(box, http, "hit+a@b.example", auth=None, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[0].json()["error"]["type"] == kind
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]


def test_the_key_may_be_a_bearer_token(box: Box, http: httpx.Client) -> None:
    """Both forms are taken."""
    assert find(box, http, "hit+a@b.example", auth=None, headers={"Authorization": "Bearer sandbox-key"}).is_success


def test_queued_answers_and_the_streaming_host(box: Box, http: httpx.Client) -> None:
    """What is queued comes after so many 202s, or at once from the other host, which gives no rate."""
    email = "pending2+a@b.example"
    assert [find(box, http, email).status_code for _ in range(3)] == [202, 202, 200]
    streamed = find(box, http, "pending2+c@b.example", host="/stream")
    assert streamed.status_code == 200
    assert "x-ratelimit-limit" not in streamed.headers
    assert streamed.headers["x-api-version"] == "2019-12-19"
    assert box.world.clearbit.summary()["credits_used"] == 2
