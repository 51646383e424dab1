"""Hunter's stand-in: its statuses, and what it doesn't say."""

import httpx

from sandbox.server import Box


def find(box: Box, http: httpx.Client, email: str, key: str = "sandbox-key") -> httpx.Response:
    return http.get(f"{box.hunter_url}/combined/find", params={"email": email}, headers={"X-API-KEY": key})


def test_statuses_are_the_reverse_of_others(box: Box, http: httpx.Client) -> None:
    """Too fast is 403, nothing left is 429; neither says for how long."""
    box.configure(hunter={"credits_left": 0})
    spent = find(box, http, "hit+a@b.example")
    box.configure(hunter={"per_second": 0})
    fast = find(box, http, "hit+a@b.example")
    assert (spent.status_code, fast.status_code) == (429, 403)
    shown = {name for answer in (spent, fast) for name in answer.headers}
    assert not {name for name in shown if "ratelimit" in name or "retry" in name}


def test_the_shape_is_its_own(box: Box, http: httpx.Client) -> None:
    """The size is a range, and a person's LinkedIn handle a slug."""
    data = find(box, http, "hit+ada@b.example").json()["data"]
    assert isinstance(data["company"]["metrics"]["employees"], str)
    assert "/" not in data["person"]["linkedin"]["handle"]
    assert find(box, http, "optout+a@b.example").status_code == 451
    assert find(box, http, "hit+a@b.example", key="no").status_code == 401
