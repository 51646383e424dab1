"""ZoomInfo's older Enterprise API: names in lower case, records in lists, and errors that only their text explains."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sandbox.clearbit.seller import RefusalError, Seller
from sandbox.clock import Clock
from sandbox.exchange import Reply, Request, json_reply
from sandbox.faults import FaultScript
from sandbox.people import Population
from sandbox.settings import ZoomInfoLegacySettings
from sandbox.zoominfo.directory import Finding, fault_status, normalise
from sandbox.zoominfo.records import OUTPUT_FIELDS, contact_row
from sandbox.zoominfo_legacy.logins import Logins

MOST_INPUTS = 25
_LIMIT_EXCEEDED = "LIMIT_EXCEEDED"


class ZoomInfoLegacy(Seller[ZoomInfoLegacySettings]):
    """An account of the older kind; an e-mail that begins with `serviceerror+` has a fault of its own."""

    name = "zoominfo_legacy"
    source = ""  # ZoomInfo's
    windows: ClassVar[Mapping[str, float]] = {"second": 1.0, "minute": 60.0}

    def __init__(
        self, population: Population, settings: ZoomInfoLegacySettings, clock: Clock, faults: FaultScript
    ) -> None:
        super().__init__(population, settings, clock, faults)
        self.logins = Logins(clock)
        self._redeemed: set[str] = set()
        self._answered = 0

    def limits(self) -> dict[str, int]:
        """Return the requests that each window allows."""
        return {"second": self.settings.per_second, "minute": self.settings.per_minute}

    def handle(self, request: Request) -> Reply:
        """Answer a request; every answer has an id."""
        self._answered += 1
        return super().handle(request).with_headers({"X-Request-Id": f"legacy-{self._answered:08d}"})

    def route(self, request: Request) -> Reply:
        """Answer a request."""
        if (request.method, request.path) == ("POST", "/authenticate"):
            return self._log_in(request)
        calls = {("POST", "/enrich/contact"): self._enrich, ("GET", "/lookup/usage"): self._usage}
        call = calls.get((request.method, request.path))
        if not self.logins.is_valid(request.headers.get("authorization", "")):
            raise _refusal(401, "Authentication failed: the token is invalid or has expired")
        if call is None:
            raise _refusal(404, "Not found")
        rejection = self.admit()
        if rejection:
            headers = {"X-RateLimit-Reset": str(math.ceil(time.time() + rejection.wait_seconds))}
            raise _refusal(429, "You have exceeded the Rate Limit", headers)
        return call(request).with_headers(self._rate_headers())

    def _log_in(self, request: Request) -> Reply:
        if self.logins.limiter.admit({"second": self.settings.logins_per_second}):
            raise _refusal(429, "You have exceeded the rate limit of authenticate")
        token = self.logins.token_for(request, self.settings)
        if token is None:
            raise _refusal(401, "Authentication failed")
        return json_reply({"jwt": token})

    def _enrich(self, request: Request) -> Reply:
        inputs, fields = self._query(request)
        keys = [normalise(each) for each in inputs]
        broken = next((fault_status(key) for key in keys if fault_status(key)), None)
        if broken:
            raise _refusal(broken, "Insufficient information was given" if broken < 500 else "Something went wrong")
        if self.credits_left < 1:
            raise _refusal(403, "You have reached your Allowed Record Limit")
        rows = [self._row(*each, fields) for each in zip(inputs, keys, strict=True)]
        if self.settings.shuffle:
            rows.reverse()
        data = {"outputFields": [[name.lower() for name in fields]], "result": rows}
        return json_reply({"success": True, "data": data}, inputs=len(rows))

    def _query(self, request: Request) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
        try:
            body = request.json()
            inputs, fields = body["matchPersonInput"], tuple(body["outputFields"])
        except (ValueError, KeyError, TypeError):
            raise _refusal(400, "The request has malformed JSON or is missing outputFields") from None
        if not 1 <= len(inputs) <= MOST_INPUTS:
            raise _refusal(400, f"You have reached the max limit to enrich new contacts: {MOST_INPUTS}")
        unknown = [name for name in fields if name not in OUTPUT_FIELDS]
        if unknown:
            raise _refusal(400, "The request has invalid fields", invalid=unknown)
        disallowed = [name for name in fields if name in self.settings.disallowed_fields]
        if disallowed:
            raise _refusal(403, "You have requested fields that are not allowed", invalid=disallowed)
        return inputs, fields

    def _row(self, asked: Mapping[str, Any], key: str, fields: tuple[str, ...]) -> dict[str, Any]:
        echo = {name.lower(): value for name, value in asked.items()}
        if key.startswith("serviceerror+"):
            return {"input": echo, "data": [], "matchStatus": "SERVICE_ERROR"}
        self.note_lookup(key)
        finding = self.directory.find(key) if key else Finding("INVALID_INPUT")
        if finding.person is None:
            return {"input": echo, "data": [], "matchStatus": finding.status}
        if finding.record_id not in self._redeemed and not self.bill(finding.record_id):
            return {"input": echo, "data": [], "matchStatus": _LIMIT_EXCEEDED}
        self._redeemed.add(finding.record_id)
        shown = contact_row(finding, finding.person, fields, {})["attributes"]
        return {"input": echo, "data": [_typed(shown, finding)], "matchStatus": finding.status}

    def _usage(self, _: Request) -> Reply:
        used = self.credits_used
        row = {
            "limitType": "uniqueIdLimit",
            "description": "Unique ids",
            "limit": used + self.credits_left,
            "currentUsage": used,
            "usageRemaining": self.credits_left,
        }
        return json_reply({"usage": [row]})

    def _rate_headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.settings.per_minute),
            "X-RateLimit-Remaining": str(self.remaining()["minute"]),
            "X-RateLimit-Reset": str(math.ceil(time.time() + 60)),
            "X-Usage-Unique-Id-Limit-Remaining": str(self.credits_left),
        }


def _typed(shown: Mapping[str, Any], finding: Finding) -> dict[str, Any]:
    """Return a record with the types of the older API: the id and the score are numbers."""
    typed = {"id": int(finding.record_id), **shown}
    if "contactAccuracyScore" in typed:
        typed["contactAccuracyScore"] = int(typed["contactAccuracyScore"])
    return typed


def _refusal(
    status: int, message: str, headers: Mapping[str, str] | None = None, invalid: Sequence[str] = ()
) -> RefusalError:
    body = {"responseCode": status, "message": message, **({"invalidOutputFields": list(invalid)} if invalid else {})}
    return RefusalError(json_reply(body, status, headers=headers))
