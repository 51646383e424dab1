"""ZoomInfo GTM: rate windows and credits."""

from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from sandbox.server import Box
from tests.sandbox.conftest import ZoomInfoCaller

HIT = "hit+a@b.example"


def _hits(count: int, start: int = 0) -> list[str]:
    return [f"hit+{number}@b.example" for number in range(start, start + count)]


def _usage(zoominfo: ZoomInfoCaller) -> dict[str, dict[str, Any]]:
    answer = zoominfo.http.get(f"{zoominfo.url}/data/v1/users/usage", headers=zoominfo.headers())
    return {row["limitType"]: row for row in answer.json()["data"][0]["attributes"]["usage"]}


def _code(answer: httpx.Response) -> str:
    return str(answer.json()["errors"][0]["code"])


def test_rate_headers(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """Every answer carries the six headers, and the deprecated pair while it is on."""
    headers = zoominfo.enrich(HIT).headers
    assert [headers[f"X-RateLimit-Limit-{w}"] for w in ("Second", "Hour", "Day")] == [
        "25",
        "54000",
        "648000",
    ]
    assert headers["X-RateLimit-Remaining-Hour"] == "53999"
    assert headers["X-RateLimit-Limit"] == "25"
    box.configure(zoominfo={"deprecated_headers": False, "remaining_unknown": True})
    headers = zoominfo.enrich(HIT).headers
    assert "X-RateLimit-Limit" not in headers
    assert headers["X-RateLimit-Remaining-Day"] == "-1"


@pytest.mark.parametrize(("setting", "bucket", "wait"), [("per_second", "second", 1), ("per_hour", "hour", 3600)])
def test_full_window_rejects(box: Box, zoominfo: ZoomInfoCaller, setting: str, bucket: str, wait: int) -> None:
    """A full window answers 429, says which and for how long, and what it rejects doesn't count."""
    box.world.clock.stop()
    box.configure(zoominfo={setting: 2})
    accepted = [zoominfo.enrich(HIT).status_code for _ in range(2)]
    rejected = [zoominfo.enrich(HIT) for _ in range(3)]
    assert accepted == [200, 200]
    assert {answer.status_code for answer in rejected} == {429}
    assert rejected[0].json()["error"]["code"] == "ZI0004"
    assert rejected[0].json()["error"]["retryable"] is True
    assert rejected[0].headers["X-RateLimit-Rejected-Bucket"] == bucket
    assert int(rejected[0].headers["Retry-After"]) == wait
    assert rejected[0].headers["X-RateLimit-Reset"].isdigit()
    assert box.world.zoominfo.rejected_429 == 3


def test_window_slides(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """Room comes back one by one, as each request leaves the window."""
    box.world.clock.stop()
    box.configure(zoominfo={"per_hour": 2})
    zoominfo.enrich(HIT)
    box.world.clock.advance(1800)
    zoominfo.enrich(HIT)
    assert zoominfo.enrich(HIT).status_code == 429
    box.world.clock.advance(1790)
    assert zoominfo.enrich(HIT).headers["Retry-After"] == "10"


def test_forms_of_retry_after(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """Retry-After comes in seconds, as a date, as nonsense, or not at all."""
    box.configure(zoominfo={"per_hour": 0})
    found = {}
    for form in ("seconds", "http-date", "garbage", "absent"):
        box.configure(zoominfo={"retry_after": form})
        found[form] = zoominfo.enrich(HIT).headers
    assert found["seconds"]["Retry-After"] == "3600"
    date, now = (parsedate_to_datetime(found["http-date"][name]) for name in ("Retry-After", "Date"))
    assert 3595 < (date - now).total_seconds() < 3605
    assert found["garbage"]["Retry-After"] == "soon"
    assert "Retry-After" not in found["absent"]


def test_busiest_second_counts_requests_but_not_tokens(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """The busiest second is kept, for tests of pacing."""
    box.world.clock.stop()
    for pause in (0.6, 0.6, 0.6, 0):
        box.world.clock.advance(pause)
        zoominfo.enrich(HIT)
    assert box.world.zoominfo.max_requests_in_any_second == 3


def test_a_record_is_billed_once_in_twelve_months(box: Box, zoominfo: ZoomInfoCaller, http: httpx.Client) -> None:
    """A record costs one credit, again is free for a year, however its e-mail is spelt."""
    zoominfo.enrich("hit+a@b.example", "HIT+A@b.example ")
    zoominfo.enrich("hit+a@b.example")
    assert (box.world.zoominfo.credits_used, box.world.zoominfo.lookups) == (
        1,
        {"hit+a@b.example": 3},
    )
    box.configure(zoominfo={"token_lifetime_seconds": 1e9})
    form = {"grant_type": "client_credentials"}
    answer = http.post(f"{zoominfo.url}/oauth/v1/token", data=form, auth=("sandbox-client", "sandbox-secret"))
    box.world.clock.advance(366 * 86_400)
    ZoomInfoCaller(http, zoominfo.url, answer.json()["access_token"]).enrich("hit+a@b.example")
    assert box.world.zoominfo.credits_used == 2


def test_what_costs_nothing(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """Misses, opt-outs and invalid inputs are free; partial matches as set."""
    zoominfo.enrich("miss+a@b.example", "optout+a@b.example", "invalid+a@b.example")
    assert box.world.zoominfo.credits_used == 0
    zoominfo.enrich("companyonly+a@b.example")
    assert box.world.zoominfo.credits_used == 1
    box.configure(zoominfo={"bill_partial_matches": False})
    zoominfo.enrich("contactonly+a@b.example")
    assert box.world.zoominfo.credits_used == 1


def test_usage_shows_the_counters(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """Requests, records and unique ids are counted apart."""
    box.configure(zoominfo={"credits_left": 10})
    for _ in range(2):
        zoominfo.enrich(*_hits(3), "miss+a@b.example")
    usage = _usage(zoominfo)
    assert usage["request"]["currentUsage"] == 3
    assert usage["record"]["currentUsage"] == 6
    unique = usage["uniqueIdLimit"]
    assert (unique["totalLimit"], unique["currentUsage"], unique["usageRemaining"]) == (10, 3, 7)


def test_credits_end_within_a_batch(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """The call that uses up the credits has rows of LIMIT_EXCEEDED, the next one fails."""
    box.configure(zoominfo={"credits_left": 2})
    assert zoominfo.statuses(*_hits(3)) == ["FULL_MATCH", "FULL_MATCH", "LIMIT_EXCEEDED"]
    answer = zoominfo.enrich(*_hits(1))
    assert (answer.status_code, _code(answer)) == (400, "PFAPI0011")
    assert box.world.zoominfo.credits_used == 2
    box.configure(zoominfo={"credits_left": 5})
    assert zoominfo.statuses(*_hits(3)) == ["FULL_MATCH"] * 3


def test_exhaustion_by_rows_only(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """As rows, known records stay free when no credit is left."""
    box.configure(zoominfo={"credits_left": 1, "exhaustion": "rows"})
    zoominfo.enrich(*_hits(1))
    assert zoominfo.statuses(*_hits(2)) == ["FULL_MATCH", "LIMIT_EXCEEDED"]


def test_exhaustion_by_error_only(box: Box, zoominfo: ZoomInfoCaller) -> None:
    """As an error, a call that would need more credits than are left is refused, unbilled."""
    box.configure(zoominfo={"credits_left": 2, "exhaustion": "error"})
    assert _code(zoominfo.enrich(*_hits(3))) == "PFAPI0011"
    assert box.world.zoominfo.credits_used == 0
    assert zoominfo.statuses(*_hits(2)) == ["FULL_MATCH"] * 2
