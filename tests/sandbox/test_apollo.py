"""Apollo's stand-in: places, limits, and keys for endpoints."""

from typing import Any

import httpx

from sandbox.server import Box


def match(box: Box, http: httpx.Client, details: Any, key: str = "sandbox-key") -> httpx.Response:
    return http.post(f"{box.apollo_url}/people/bulk_match", json={"details": details}, headers={"x-api-key": key})


def test_a_miss_is_null_at_its_place(box: Box, http: httpx.Client) -> None:
    """Only people who cost something are counted as enriched."""
    body = match(box, http, [{"email": f"{prefix}+a@b.example"} for prefix in ("miss", "hit", "miss")]).json()
    assert [each is None for each in body["matches"]] == [True, False, True]
    assert (body["status"], body["unique_enriched_records"], body["credits_consumed"]) == ("success", 1, 1.0)


def test_what_is_refused(box: Box, http: httpx.Client) -> None:
    """A wrong key in plain text, too many details, no list, and too many calls."""
    wrong = match(box, http, [{"email": "hit+a@b.example"}], key="no")
    assert (wrong.status_code, wrong.headers["content-type"]) == (401, "text/plain; charset=utf-8")
    assert "x-rate-limit-minute" not in wrong.headers
    assert match(box, http, [{}] * 11).json()["error_code"] == "RECORD_LIMIT_EXCEEDED"
    assert match(box, http, []).status_code == 422
    box.configure(apollo={"per_minute": 1})
    assert match(box, http, [{}]).headers["retry-after"].isdigit()


def test_endless_windows_have_empty_headers(box: Box, http: httpx.Client) -> None:
    """Without a limit by hour and day, both headers are empty."""
    headers = match(box, http, [{"email": "miss+a@b.example"}]).headers
    assert (headers["x-rate-limit-minute"], headers["x-minute-requests-left"]) == ("1000", "999")
    assert headers["x-rate-limit-hourly"] == headers["x-24-hour-requests-left"] == ""
