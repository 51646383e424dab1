"""Clearbit's combined lookup, and its streaming host, which waits instead of answering 202."""

import math
import re
import time
from collections import Counter
from typing import Any

from sandbox.clearbit.records import company_json, error_json, person_json
from sandbox.clearbit.seller import RefusalError, Seller, key_of
from sandbox.clock import Clock
from sandbox.exchange import Reply, Request, json_reply
from sandbox.faults import FaultScript
from sandbox.limits import Rejection, retry_after
from sandbox.people import ROLES, Population, chance
from sandbox.settings import ClearbitSettings
from sandbox.zoominfo.directory import COMPANY_ONLY, CONTACT_ONLY, HITS, INVALID_INPUT, fault_status, normalise

PERIOD_SECONDS = 30 * 86_400
#: Stands for the second host.
STREAM = "/stream"
FIND = "/v2/combined/find"
_PENDING = re.compile(r"pending(\d+)\+")


class Clearbit(Seller[ClearbitSettings]):
    """An account of a customer who bought it in time; an e-mail that begins with `pending2+` is answered 202 twice."""

    name = "clearbit"

    def __init__(self, population: Population, settings: ClearbitSettings, clock: Clock, faults: FaultScript) -> None:
        super().__init__(population, settings, clock, faults)
        self._bought: set[tuple[int, str]] = set()
        self._queued: Counter[str] = Counter()

    def handle(self, request: Request) -> Reply:
        """Answer a request; only the streaming host doesn't say how many are left."""
        streaming = request.path.startswith(f"{STREAM}/")
        reply = super().handle(request)
        version = request.headers.get("api-version") or self.settings.api_version
        headers = {} if streaming else self._rate_headers()
        return reply.with_headers({**headers, "X-API-Version": version})

    def route(self, request: Request) -> Reply:
        """Answer a request."""
        path = request.path.removeprefix(STREAM)
        streaming = path != request.path
        if (request.method, path) != ("GET", FIND):  # answered before the key is checked
            raise _refusal(404, "unknown_route", "Unknown route")
        if not streaming:
            self._limit()  # also what is refused uses the budget up
        self._authorise(request)
        return self._find(request.query().get("email", [""])[0], streaming=streaming)

    def _limit(self) -> None:
        rejection = self.admit()
        if rejection:
            raise RefusalError(self._throttled(rejection))

    def _throttled(self, rejection: Rejection) -> Reply:
        headers = {
            "X-RateLimit-Reset": _reset(rejection.wait_seconds),
            **retry_after(self.settings.retry_after, rejection.wait_seconds),
        }
        return json_reply(error_json("rate_limit", "Too many requests"), 429, headers=headers)

    def _authorise(self, request: Request) -> None:
        if not request.headers.get("authorization"):
            raise _refusal(401, "auth_required", "An API key is required")
        if key_of(request) != self.settings.api_key:
            raise _refusal(401, "invalid_api_key", "Invalid API key")

    def _find(self, email: str, *, streaming: bool) -> Reply:
        key = normalise({"emailAddress": email})
        if fault_status(key):
            raise _refusal(fault_status(key) or 500, "internal", "Something went wrong")
        queue = _PENDING.match(key)
        finding = self.directory.find(_PENDING.sub("hit+", key).replace("fuzzy+", "hit+", 1))
        if finding.status == INVALID_INPUT or key.partition("@")[0] in ROLES:
            raise _refusal(422, "email_invalid", "Invalid email")
        self.note_lookup(key)
        self._pay(key)
        if self._is_queued(key, int(queue[1]) if queue else None) and not streaming:
            waiting = retry_after(self.settings.pending_retry_after, self.settings.pending_seconds)
            return Reply(202, self.settings.pending_body.encode(), waiting, inputs=1)
        if finding.status not in HITS or finding.person is None:
            raise _refusal(404, "unknown_record", "Unknown person")
        person, company = finding.person, finding.person.company
        found: dict[str, Any] = {
            "person": None if finding.status == COMPANY_ONLY else person_json(person, fuzzy=key.startswith("fuzzy+")),
            "company": None if finding.status == CONTACT_ONLY else company_json(company),
        }
        return json_reply(found, inputs=1)

    def _pay(self, key: str) -> None:
        """Bill each question once in a period, for any answer."""
        once = (int(self.clock.seconds() // PERIOD_SECONDS), key)
        if once in self._bought:
            return
        if not self.bill(key):
            raise _refusal(402, "over_quota", "Your account is over its quota")
        self._bought.add(once)

    def _is_queued(self, key: str, times: int | None) -> bool:
        if times is None:
            times = int(chance(f"pending {key}") < self.settings.pending_share)
        self._queued[key] += 1
        return self._queued[key] <= times

    def _rate_headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.settings.per_minute),
            "X-RateLimit-Remaining": str(self.remaining()["minute"]),
            "X-RateLimit-Reset": _reset(60),
        }


def _reset(seconds: float) -> str:
    # By the real time, as the Date header is.
    return str(math.ceil(time.time() + seconds))


def _refusal(status: int, kind: str, message: str) -> RefusalError:
    return RefusalError(json_reply(error_json(kind, message), status))
