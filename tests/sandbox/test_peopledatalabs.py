"""People Data Labs' stand-in: lists, echoes, and the figures in its headers."""

import json
from typing import Any

import httpx

from sandbox.server import Box


def bulk(box: Box, http: httpx.Client, *people: dict[str, Any], key: str = "sandbox-key") -> httpx.Response:
    body = {"requests": list(people)}
    return http.post(f"{box.peopledatalabs_url}/person/bulk", json=body, headers={"X-Api-Key": key})


def test_each_match_is_billed_each_time(box: Box, http: httpx.Client) -> None:
    """Asking again costs again; a miss costs nothing; the metadata comes back."""
    people = [{"metadata": {"n": n}, "params": {"email": f"{p}+a@b.example"}} for n, p in enumerate(("hit", "miss"))]
    for _ in range(2):
        rows = bulk(box, http, *people)
        assert [(row["status"], row["metadata"]) for row in rows.json()] == [(200, {"n": 0}), (404, {"n": 1})]
        assert rows.headers["x-call-credits-spent"] == "1"
    assert box.world.peopledatalabs.credits_used == 2


def test_headers_hold_json(box: Box, http: httpx.Client) -> None:
    """The limits are objects, and flattened beside that."""
    headers = bulk(box, http, {"params": {"email": "miss+a@b.example"}}).headers
    assert json.loads(headers["x-ratelimit-remaining"]) == {"minute": 999, "day": None, "month": None}
    assert headers["x-ratelimit-limit.minute"] == "1000"
    assert headers["x-ratelimit-reset"].endswith("Z")


def test_what_is_refused(box: Box, http: httpx.Client) -> None:
    """A wrong key, no list, too many for one call, too many for one answer, and too many calls."""
    person = {"params": {"email": "hit+a@b.example"}}
    assert bulk(box, http, person, key="no").status_code == 401
    assert bulk(box, http).status_code == bulk(box, http, *[person] * 101).status_code == 400
    assert bulk(box, http, *[person] * 81).status_code == 502
    assert http.get(f"{box.peopledatalabs_url}/person/bulk").status_code == 405
    box.configure(peopledatalabs={"per_minute": 1})
    throttled = bulk(box, http, person)
    assert (throttled.status_code, "retry-after" in throttled.headers) == (429, False)
