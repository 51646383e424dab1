"""Scripted faults: what goes wrong, where, and how often."""

import re
import threading
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sandbox.exchange import Cut, Reply, Request
from sandbox.limits import RetryAfterForm, retry_after

Kind = Literal[
    "status",
    "reset_before",
    "reset_after",
    "truncated",
    "slow",
    "held",
    "empty_200",
    "empty_results",
    "unauthorized",
    "rewritten",
    "halved",
    "compressed",
]
#: These lose or spoil the answer of a request that has taken effect; after all others nothing has happened.
_TAKES_EFFECT = {"reset_after", "truncated", "slow", "held", "rewritten", "halved", "compressed"}

_BAD_GATEWAY = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_EMPTY_RESULTS = b'{"status":"COMPLETE","results":[],"errors":[]}'
_UNAUTHORIZED: Mapping[str, bytes] = {
    "zoominfo": b'{"error":{"code":"ZI0001","message":"Expired","status":401,"retryable":true}}',
    "hubspot": b'{"status":"error","message":"Authentication credentials not found.",'
    b'"category":"INVALID_AUTHENTICATION"}',
}


@dataclass(slots=True)
class Fault:
    """
    One line of the script.

    Args:
        kind: what goes wrong.
        service: whose requests it hits.
        path_contains: which of them.
        body_contains: what stands in their body.
        times: how many, or 0 for all.
        after: how many are let through first.
        status: of kind `status`.
        body: of kind `status`; an HTML page if None.
        content_type: of the body.
        headers: of kind `status`.
        retry_after: form of a Retry-After header of kind `status`.
        seconds: how long kind `slow` takes, and what a Retry-After asks for.
        rewrites: of kind `rewritten`; what stands in the place of each pattern in the answer's text.
        charset: of kind `rewritten`; in which the text is sent.
        let_go: whether the answers of kind `held` are sent; they are at the latest when the script is cleared.
    """

    kind: Kind
    service: str = ""
    path_contains: str = ""
    body_contains: str = ""
    times: int = 1
    after: int = 0
    status: int = 500
    body: str | None = None
    content_type: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: RetryAfterForm = "absent"
    seconds: float = 1.0
    rewrites: Mapping[str, str] = field(default_factory=dict)
    charset: str = "utf-8"
    let_go: bool = False
    hits: int = 0

    def concerns(self, service: str, path: str, body: bytes = b"") -> bool:
        """Return whether such a request is one of those."""
        return self.service in ("", service) and self.path_contains in path and self.body_contains.encode() in body

    def is_due(self) -> bool:
        """Count a request that it concerns, and return whether it hits this one."""
        self.after -= 1
        self.hits += self.after < 0
        return self.after < 0

    @property
    def spent(self) -> bool:
        """Return whether it has happened as often as it should."""
        return 0 < self.times <= self.hits

    def apply(self, request: Request, answer: Callable[[Request], Reply]) -> Reply:
        """Return what is answered to the request instead."""
        reply = answer(request) if self.kind in _TAKES_EFFECT else Reply()
        return _DISTORTIONS[self.kind](self, reply)


class FaultScript:
    """The faults to come; each request meets at most one, the first that fits."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._holding: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, **options: Any) -> Fault:
        """
        Add a line to the script, and return it.

        Raises:
            TypeError: there is no such option.
            ValueError: there is no such kind.
        """
        fault = Fault(**options)
        if fault.kind not in _DISTORTIONS:
            raise ValueError(f"no fault is called '{fault.kind}'; there are {', '.join(_DISTORTIONS)}")
        with self._lock:
            self._faults.append(fault)
            self._holding += [fault] if fault.kind == "held" else []
        return fault

    def clear(self) -> None:
        """Forget what was still to come, and send what was held."""
        with self._lock:
            self._faults.clear()
            for fault in self._holding:
                fault.let_go = True
            self._holding.clear()

    def pending(self) -> list[Fault]:
        """Return what is still to come."""
        with self._lock:
            return list(self._faults)

    def take(self, service: str, path: str, body: bytes = b"") -> Fault | None:
        """Return the fault that this request meets."""
        with self._lock:
            due = next((f for f in self._faults if f.concerns(service, path, body) and f.is_due()), None)
            if due and due.spent:
                self._faults.remove(due)
        return due


def _status(fault: Fault, _: Reply) -> Reply:
    waiting = retry_after(fault.retry_after, fault.seconds)
    body = _BAD_GATEWAY if fault.body is None else fault.body
    return Reply(fault.status, body.encode(), {**waiting, **fault.headers}, content_type=fault.content_type)


def _unauthorized(fault: Fault, _: Reply) -> Reply:
    return Reply(401, _UNAUTHORIZED.get(fault.service, b""))


def _rewritten(fault: Fault, reply: Reply) -> Reply:
    """Return the answer with other text in it, as JSON may have it that no library writes."""
    text = reply.body.decode()
    for pattern, other in fault.rewrites.items():
        text = re.sub(pattern, other, text, flags=re.DOTALL)
    return replace(reply, body=text.encode(fault.charset, "replace"))


def _compressed(_: Fault, reply: Reply) -> Reply:
    """Return the answer in an encoding that the caller can't read, and didn't ask for."""
    return replace(reply, body=zlib.compress(reply.body), headers={**reply.headers, "Content-Encoding": "br"})


_DISTORTIONS: Mapping[str, Callable[[Fault, Reply], Reply]] = {
    "status": _status,
    "unauthorized": _unauthorized,
    "reset_before": lambda _, reply: replace(reply, cut=Cut.EVERYTHING),
    "reset_after": lambda _, reply: replace(reply, cut=Cut.EVERYTHING),
    "truncated": lambda _, reply: replace(reply, cut=Cut.HALF),
    "slow": lambda fault, reply: replace(reply, delay_seconds=fault.seconds),
    "held": lambda fault, reply: replace(reply, is_held=lambda: not fault.let_go),
    "rewritten": _rewritten,
    "halved": lambda _, reply: replace(reply, body=reply.body[: len(reply.body) // 2]),
    "compressed": _compressed,
    "empty_200": lambda _, reply: reply,
    "empty_results": lambda _, reply: replace(reply, body=_EMPTY_RESULTS),
}
