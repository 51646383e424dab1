"""People Data Labs' bulk enrichment: a list in, a list out, and every match billed every time."""

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.clearbit.records import employees_range
from sandbox.clearbit.seller import RefusalError, Seller, input_key
from sandbox.exchange import Reply, Request, json_reply
from sandbox.limits import Rejection, retry_after
from sandbox.people import Person, chance
from sandbox.settings import PeopleDataLabsSettings
from sandbox.zoominfo.directory import FULL_MATCH, INVALID_INPUT, Finding, fault_status, person_id

BULK = "/v5/person/bulk"
MOST_REQUESTS = 100
_LEVELS = ("cxo", "vp", "director", "manager", "entry")


class PeopleDataLabs(Seller[PeopleDataLabsSettings]):
    """An account that pays for matches only, but for each of them again and again."""

    name = "peopledatalabs"

    def handle(self, request: Request) -> Reply:
        """Answer a request; every answer says how many are left."""
        reply = super().handle(request)
        return reply.with_headers(self._rate_headers(60))

    def route(self, request: Request) -> Reply:
        """Answer a request."""
        if request.path != BULK:
            raise _refusal(404, "not_found", "No such path")
        if request.method != "POST":
            raise _refusal(405, "invalid_request_error", "Method not allowed")
        if request.headers.get("x-api-key") != self.settings.api_key:
            raise _refusal(401, "authentication_error", "Invalid API key")
        rejection = self.admit()
        if rejection:
            raise self._throttled(rejection)
        return self._bulk(_requests(request))

    def _throttled(self, rejection: Rejection) -> RefusalError:
        waiting = retry_after(self.settings.retry_after, rejection.wait_seconds)
        refusal = _refusal(429, "rate_limit_error", "Too many requests")
        refusal.reply = refusal.reply.with_headers({**self._rate_headers(rejection.wait_seconds), **waiting})
        return refusal

    def _bulk(self, requests: Sequence[Mapping[str, Any]]) -> Reply:
        if len(requests) > self.settings.breaks_above:
            raise RefusalError(Reply(502, b"<html>502 Bad Gateway</html>", content_type="text/html"))
        keys = [_key(each.get("params") or {}) for each in requests]
        broken = next((fault_status(key) for key in keys if fault_status(key)), None)
        if broken:
            raise _refusal(broken, "invalid_request_error" if broken < 500 else "api_error", "It didn't work")
        findings = [self.directory.find(key) if key else Finding(INVALID_INPUT) for key in keys]
        cost = sum(
            _is_match(finding) and _likelihood(key, finding) >= _least(asked)
            for asked, key, finding in zip(requests, keys, findings, strict=True)
        )
        if cost > self.credits_left:
            raise _refusal(402, "payment_required", "Your account is over its quota")
        rows = [self._row(*each) for each in zip(requests, keys, findings, strict=True)]
        if self.settings.shuffle:
            rows.reverse()
        spent = {"X-Call-Credits-Spent": str(cost), "X-Call-Credits-Type": "enrich"}
        return json_reply(rows, inputs=len(rows), headers={**spent, "X-TotalLimit-Remaining": str(self.credits_left)})

    def _row(self, asked: Mapping[str, Any], key: str, finding: Finding) -> dict[str, Any]:
        echo = {"metadata": asked["metadata"]} if "metadata" in asked else {}
        if finding.status == INVALID_INPUT:
            return {"status": 400, "error": {"type": ["invalid_request_error"], "message": "Invalid input"}, **echo}
        self.note_lookup(key)
        likelihood = _likelihood(key, finding)
        if finding.person is None or not _is_match(finding) or likelihood < _least(asked):
            error = {"type": "not_found", "message": "No records were found matching your request"}
            return {"status": 404, "error": error, **echo}
        self.bill(key)
        data = self._data(finding.person, titled=bool(asked["params"].get("titlecase")))
        return {"status": 200, "likelihood": likelihood, "data": data, **echo}

    def _data(self, person: Person, *, titled: bool) -> dict[str, Any]:
        company = person.company
        data = {
            "id": f"pdl-{person_id(person.email)}",
            "full_name": f"{person.first_name} {person.last_name}",
            "first_name": person.first_name,
            "last_name": person.last_name,
            "location_locality": company.city,
            "location_region": company.state,
            "location_country": company.country,
            "job_company_location_locality": company.city,
            "job_company_location_region": company.state,
            "job_company_location_country": company.country,
            "job_title": person.job_title,
            "job_company_name": company.name,
            "job_company_industry": company.industry,
            "work_email": person.email,
        }
        shown = {name: value if titled or name == "id" else value.lower() for name, value in data.items()}
        address = person.linkedin_url.removeprefix("https://www.")
        codes = {
            "linkedin_url": address,
            "job_title_role": person.department,
            "job_title_levels": [_LEVELS[person.level]],
            "job_company_website": company.domain,
            "job_company_linkedin_url": f"linkedin.com/{company.linkedin_handle}",
            "job_company_founded": str(company.founded_year),
            "job_company_size": employees_range(company),
        }
        return {**shown, **codes, **dict.fromkeys(self.settings.restricted, True)}

    def _rate_headers(self, seconds: float) -> dict[str, str]:
        left = self.remaining()["minute"]
        reset = datetime.now(UTC) + timedelta(seconds=math.ceil(seconds))  # as the Date header, by the real time
        headers = {"X-RateLimit-Reset": reset.isoformat(timespec="seconds").replace("+00:00", "Z")}
        for name, value in (("Limit", self.settings.per_minute), ("Remaining", left)):
            headers[f"X-RateLimit-{name}"] = json.dumps({"minute": value, "day": None, "month": None})
            headers[f"X-RateLimit-{name}.minute"] = str(value)
        return headers


def _is_match(finding: Finding) -> bool:
    return finding.person is not None and finding.status == FULL_MATCH


def _likelihood(key: str, finding: Finding) -> int:
    """Return how sure the match is, from 2 to 10."""
    return 2 + int(chance(f"likely {key}") * 3) if finding.mistaken else 6 + int(chance(f"likely {key}") * 5)


def _least(asked: Mapping[str, Any]) -> int:
    least = asked["params"].get("min_likelihood", 2)
    return least if isinstance(least, int) else 2


def _requests(request: Request) -> list[Mapping[str, Any]]:
    try:
        requests = request.json()["requests"]
    except (ValueError, KeyError, TypeError):
        requests = None
    whole = isinstance(requests, list) and all(isinstance(each, dict) and "params" in each for each in requests)
    if not whole or not 1 <= len(requests) <= MOST_REQUESTS:
        raise _refusal(400, "invalid_request_error", f"requests takes 1 to {MOST_REQUESTS} objects with params")
    return list(requests)


def _key(params: Mapping[str, Any]) -> str:
    return input_key(params.get("email"), params.get("first_name"), params.get("last_name"), params.get("company"))


def _refusal(status: int, kind: str, message: str) -> RefusalError:
    reply = json_reply({"status": status, "error": {"type": kind, "message": message}}, status)
    return RefusalError(reply)
