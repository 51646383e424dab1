"""ZoomInfo's older Enterprise API: names in lower case, records in lists, and errors that only their text explains."""

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

from sandbox.clearbit.seller import RefusalError, Seller
from sandbox.clock import Clock
from sandbox.exchange import Reply, Request, json_reply
from sandbox.faults import FaultScript
from sandbox.people import Population
from sandbox.settings import ZoomInfoLegacySettings
from sandbox.zoominfo.companies import technologies_of
from sandbox.zoominfo.directory import Finding, fault_status, normalise
from sandbox.zoominfo.records import OUTPUT_FIELDS, contact_row
from sandbox.zoominfo_legacy.companies import COMPANY_FIELDS, company_fields, intent_signals, number_of, page_of
from sandbox.zoominfo_legacy.logins import Logins

MOST_INPUTS = 25
MOST_TOPICS = 50
_LIMIT_EXCEEDED = "LIMIT_EXCEEDED"


class ZoomInfoLegacy(Seller[ZoomInfoLegacySettings]):
    """An account of the older kind; an e-mail that begins with `serviceerror+` has a special fault."""

    name = "zoominfo_legacy"
    source = ""  # ZoomInfo's
    windows: ClassVar[Mapping[str, float]] = {"second": 1.0, "minute": 60.0}

    def __init__(
        self, population: Population, settings: ZoomInfoLegacySettings, clock: Clock, faults: FaultScript
    ) -> None:
        super().__init__(population, settings, clock, faults)
        self.logins = Logins(clock)
        self._redeemed: set[str] = set()
        self._company_lookups: Counter[str] = Counter()
        self._answered = 0
        self._calls: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("POST", "/enrich/contact"): self._enrich,
            ("POST", "/enrich/company"): self._companies,
            ("POST", "/enrich/tech"): self._technologies,
            ("POST", "/enrich/intent"): self._intent,
            ("GET", "/lookup/usage"): self._usage,
        }

    @property
    def company_lookups(self) -> Counter[str]:
        """How often each page about a company was asked for, as `company:<id>` or `intent:<id>:<page>`."""
        return self._company_lookups.copy()

    def summary(self) -> dict[str, Any]:
        """Return the totals of the ledger."""
        most = max(self._company_lookups.values(), default=0)
        total = self._company_lookups.total()
        return {**super().summary(), "company_lookups": total, "most_lookups_of_one_company": most}

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
        call = self._calls.get((request.method, request.path))
        if not self.logins.is_valid(request.headers.get("authorization", "")):
            raise _refusal(401, "Authentication failed: the token is invalid or has expired")
        if call is None:
            raise _refusal(404, "Not found")
        if request.method == "POST" and request.path.removeprefix("/enrich/") not in self.settings.calls:
            raise _refusal(403, "You do not have access to this endpoint")
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
        inputs, fields = self._query(request, "matchPersonInput", OUTPUT_FIELDS)
        keys = [normalise(each) for each in inputs]
        broken = next((fault_status(key) for key in keys if fault_status(key)), None)
        if broken:
            raise _refusal(broken, "Insufficient information was given" if broken < 500 else "Something went wrong")
        if self.credits_left < 1:
            raise _refusal(403, "You have reached your Allowed Record Limit")
        return self._envelope([self._row(*each, fields) for each in zip(inputs, keys, strict=True)], fields)

    def _envelope(self, rows: list[dict[str, Any]], fields: tuple[str, ...]) -> Reply:
        if self.settings.shuffle:
            rows.reverse()
        data = {"outputFields": [[name.lower() for name in fields]], "result": rows}
        return json_reply({"success": True, "data": data}, inputs=len(rows))

    def _query(
        self, request: Request, key: str, known: Collection[str]
    ) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
        try:
            body = request.json()
            inputs, fields = body[key], tuple(body["outputFields"])
        except (ValueError, KeyError, TypeError):
            raise _refusal(400, "The request has malformed JSON or is missing outputFields") from None
        if not 1 <= len(inputs) <= MOST_INPUTS:
            raise _refusal(400, f"You have reached the max limit to enrich new contacts: {MOST_INPUTS}")
        unknown = [name for name in fields if name not in known]
        if unknown:
            raise _refusal(400, "The request has invalid fields", invalid=unknown)
        disallowed = [name for name in fields if name in self.settings.disallowed_fields]
        if disallowed:
            raise self._refused(disallowed)
        return inputs, fields

    def _refused(self, fields: list[str]) -> RefusalError:
        text = "You have requested fields that are not allowed"
        if self.settings.refusal == "message":
            return _refusal(403, text, invalid=fields)
        if self.settings.refusal == "nameless":
            return _refusal(403, text)
        names = [name.lower() for name in fields]
        text = "OutputFields invalid or disallowed. See the list of the output fields"
        return RefusalError(
            json_reply({"success": False, "statusCode": 400, "error": text, "invalidOutputFields": names}, 400)
        )

    def _row(self, asked: Mapping[str, Any], key: str, fields: tuple[str, ...]) -> dict[str, Any]:
        echo = {name.lower(): value for name, value in asked.items()}
        if key.startswith("serviceerror+"):
            return {"input": echo, "data": [], "matchStatus": "SERVICE_ERROR"}
        self.note_lookup(key)
        finding = self.directory.find(key) if key else Finding("INVALID_INPUT")
        if finding.person is None:
            return {"input": echo, "data": [], "matchStatus": finding.status}
        if not self._redeem(finding.record_id):
            return {"input": echo, "data": [], "matchStatus": _LIMIT_EXCEEDED}
        shown = contact_row(finding, finding.person, fields, {})["attributes"]
        return {"input": echo, "data": [_typed(shown, finding)], "matchStatus": finding.status}

    def _redeem(self, record_id: str) -> bool:
        """Pay for a record unless it was paid for before, and return whether it may be handed out."""
        if record_id not in self._redeemed and not self.bill(record_id):
            return False
        self._redeemed.add(record_id)
        return True

    def _companies(self, request: Request) -> Reply:
        inputs, fields = self._query(request, "matchCompanyInput", COMPANY_FIELDS)
        if self.credits_left < 1:
            raise _refusal(403, "You have reached your Allowed Record Limit")
        return self._envelope([self._company_row(one, fields) for one in inputs], fields)

    def _company_row(self, asked: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
        echo = {name.lower(): value for name, value in asked.items()}
        company_id = number_of(asked.get("companyId"))
        self._company_lookups[f"company:{company_id}"] += 1
        company = self.directory.company(company_id or 0)
        if company is None:
            status = "NO_MATCH" if company_id is not None else "INVALID_INPUT"
            return {"input": echo, "data": [], "matchStatus": status}
        if not self._redeem(f"company:{company_id}"):
            return {"input": echo, "data": [], "matchStatus": _LIMIT_EXCEEDED}
        return {"input": echo, "data": [company_fields(company, fields)], "matchStatus": "FULL_MATCH"}

    def _technologies(self, request: Request) -> Reply:
        company_id = number_of(_object(request).get("companyId"))
        if company_id is None:
            raise _refusal(400, "Insufficient information: companyId")
        company = self.directory.company(company_id)
        return self._sell("tech", company_id, technologies_of(company) if company else [], _object(request))

    def _intent(self, request: Request) -> Reply:
        body = _object(request)
        company_id, topics = number_of(body.get("companyId")), body.get("topics")
        if company_id is None:
            raise _refusal(400, "Insufficient information: companyId")
        if not isinstance(topics, str) or not 1 <= len(topics.split("|")) <= MOST_TOPICS:
            raise _refusal(400, "The request has invalid fields: topics")
        company = self.directory.company(company_id)
        rows = intent_signals(company, topics.split("|"), self.clock.now()) if company else []
        return self._sell("intent", company_id, rows, body)

    def _sell(self, kind: str, company_id: int, rows: list[dict[str, Any]], body: Mapping[str, Any]) -> Reply:
        """Return one page of what is known of a company; a credit pays for all of them, and for nothing known, none."""
        page = page_of(rows, body)
        if rows and not self._redeem(f"{kind}:{company_id}"):
            raise _refusal(403, "You have reached your Allowed Record Limit")
        self._company_lookups[f"{kind}:{company_id}:{page['currentPage']}"] += 1
        return json_reply(page, inputs=1)

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


def _object(request: Request) -> Mapping[str, Any]:
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise _refusal(400, "The request has malformed JSON")
    return body


def _typed(shown: Mapping[str, Any], finding: Finding) -> dict[str, Any]:
    """Return a record with the older types: numbers for id and score, texts for flags, lists of functions."""
    typed = {"id": int(finding.record_id), **shown}
    if "contactAccuracyScore" in typed:
        typed["contactAccuracyScore"] = int(typed["contactAccuracyScore"])
    if "jobFunction" in typed:
        typed["jobFunction"] = [typed["jobFunction"]]
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in typed.items()}


def _refusal(
    status: int, message: str, headers: Mapping[str, str] | None = None, invalid: Sequence[str] = ()
) -> RefusalError:
    body = {"responseCode": status, "message": message, **({"invalidOutputFields": list(invalid)} if invalid else {})}
    return RefusalError(json_reply(body, status, headers=headers))
