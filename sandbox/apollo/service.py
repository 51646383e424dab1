"""Apollo's bulk match: places instead of names, null for a miss, and three windows that may be endless."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sandbox.clearbit.records import tech_of
from sandbox.clearbit.seller import RefusalError, Seller, input_key
from sandbox.exchange import Reply, Request, json_reply, text_reply
from sandbox.limits import Rejection, retry_after
from sandbox.people import Person, chance
from sandbox.settings import ApolloSettings
from sandbox.zoominfo.directory import CONTACT_ONLY, FULL_MATCH, NO_MATCH, Finding, fault_status, person_id

BASE = "/api/v1"
MOST_DETAILS = 10
PLACEHOLDER = "email_not_unlocked@domain.com"
_ENDLESS = 1_000_000_000
_SENIORITIES = ("c_suite", "vp", "director", "manager", "entry")
_NAMES = {"minute": "minute", "hour": "hourly", "day": "24-hour"}


class Apollo(Seller[ApolloSettings]):
    """An account of a team; its limits hold for each endpoint."""

    name = "apollo"
    windows: ClassVar[Mapping[str, float]] = {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}

    def limits(self) -> dict[str, int]:
        """Return the requests that each window allows."""
        settings = self.settings
        hour, day = settings.per_hour, settings.per_day
        return {"minute": settings.per_minute, "hour": hour or _ENDLESS, "day": day or _ENDLESS}

    def route(self, request: Request) -> Reply:
        """Answer a request; refused keys see no limits."""
        if request.headers.get("x-api-key") != self.settings.api_key:
            raise RefusalError(text_reply("Invalid access credentials.", 401))
        if (request.method, request.path) == ("GET", f"{BASE}/users/api_profile"):
            return json_reply({"id": "u-1", "credits_visible": False}, headers=self._rate_headers())
        if (request.method, request.path) != ("POST", f"{BASE}/people/bulk_match"):
            raise RefusalError(text_reply("404 Not Found", 404))
        if not self.settings.may_match:
            raise _refusal(403, "API_INACCESSIBLE", "people/bulk_match is not accessible with this api_key")
        rejection = self.admit()
        if rejection:
            raise self._throttled(rejection)
        return self._match(_details(request)).with_headers(self._rate_headers())

    def _throttled(self, rejection: Rejection) -> RefusalError:
        headers = {**self._rate_headers(), **retry_after(self.settings.retry_after, rejection.wait_seconds)}
        text = f"The maximum number of api calls allowed per {rejection.window} has been reached"
        return RefusalError(json_reply({"message": text}, 429, headers=headers))

    def _match(self, details: Sequence[Mapping[str, Any]]) -> Reply:
        keys = [_key(each) for each in details]
        broken = next((fault_status(key) for key in keys if fault_status(key)), None)
        if broken:
            raise _refusal(broken, "INVALID_PARAMETERS", "One of the details can't be used")
        findings = [self.directory.find(key) if key else Finding("") for key in keys]
        cost = sum(_is_match(finding) or _is_stub(key, finding) for key, finding in zip(keys, findings, strict=True))
        if cost > self.credits_left:
            raise _refusal(422, "", "You have insufficient credits to complete this request")
        matches = [self._person(*each) for each in zip(keys, findings, strict=True)]
        dropped = len(details) > 1 and any(key.startswith("dropped+") for key in keys)
        shown = [each for each in matches if each] if dropped else matches
        return json_reply(
            {
                "status": "success",
                "total_requested_enrichments": len(details),
                "unique_enriched_records": cost,
                "missing_records": len(details) - cost,
                "credits_consumed": float(cost),
                "request_id": -int(chance("".join(keys)) * 2**62),
                "matches": shown,
            },
            inputs=len(details),
        )

    def _person(self, key: str, finding: Finding) -> dict[str, Any] | None:
        self.note_lookup(key)
        if _is_stub(key, finding):
            self.bill(key)
            return self._stub(key)
        if finding.person is None or not _is_match(finding):
            return None
        self.bill(key)
        person = finding.person
        return {
            "id": f"a-{person_id(person.email)}",
            "first_name": person.first_name,
            "last_name": person.last_name,
            "title": person.job_title,
            "seniority": _SENIORITIES[person.level],
            "functions": [person.department],
            "city": person.company.city,
            "state": person.company.state,
            "country": person.company.country,
            "linkedin_url": person.linkedin_url.replace("https://", "http://"),
            "email": person.email if finding.mistaken or chance(f"unlocked {key}") < 0.7 else PLACEHOLDER,
            "organization": None if finding.status == CONTACT_ONLY else _organization(person),
        }

    def _stub(self, key: str) -> dict[str, Any]:
        """Return a person who was made for the question, at a company of a name like the one asked for."""
        company = self.directory.guess(key)
        first, last = [*key.split("|"), ""][:2]
        return {
            "id": f"a-{person_id(key)}",
            "first_name": first.title() or None,
            "last_name": last.title() or None,
            "title": None,
            "linkedin_url": None,
            "email": PLACEHOLDER,
            "organization": {"id": f"o-{company.id}", "name": company.name, "primary_domain": company.domain},
        }

    def _rate_headers(self) -> dict[str, str]:
        left, limits = self.remaining(), self.limits()
        headers = {}
        for window, name in _NAMES.items():
            endless = limits[window] == _ENDLESS
            headers[f"x-rate-limit-{name}"] = "" if endless else str(limits[window])
            headers[f"x-{name}-requests-left"] = "" if endless else str(left[window])
            headers[f"x-{name}-usage"] = str(limits[window] - left[window])
        return headers


def _is_match(finding: Finding) -> bool:
    return finding.person is not None and finding.status in (FULL_MATCH, CONTACT_ONLY)


def _is_stub(key: str, finding: Finding) -> bool:
    """Return whether nothing is known of the person, and one is made up: for names only, or where a test says so."""
    return finding.status == NO_MATCH and (key.startswith("stub+") or ("|" in key and chance(f"stub {key}") < 0.5))


def _organization(person: Person) -> dict[str, Any]:
    company = person.company
    return {
        "id": f"o-{company.id}",
        "name": company.name,
        "primary_domain": company.domain,
        "linkedin_url": f"http://www.linkedin.com/{company.linkedin_handle}",
        "estimated_num_employees": company.employee_count,
        "annual_revenue": float(company.revenue),
        "founded_year": company.founded_year,
        "city": company.city,
        "state": company.state,
        "country": company.country,
        "industry": company.industry,
        "technology_names": tech_of(company),
        "keywords": ["b2b"],
    }


def _details(request: Request) -> list[Mapping[str, Any]]:
    try:
        details = request.json()["details"]
    except (ValueError, KeyError, TypeError):
        details = None
    if not isinstance(details, list) or not all(isinstance(each, dict) for each in details) or not details:
        raise _refusal(422, "INVALID_PARAMETERS", "details must be a list of objects")
    if len(details) > MOST_DETAILS:
        raise _refusal(400, "RECORD_LIMIT_EXCEEDED", f"details takes at most {MOST_DETAILS}")
    return details


def _key(details: Mapping[str, Any]) -> str:
    names = details.get("first_name"), details.get("last_name"), details.get("organization_name")
    return input_key(details.get("email"), *names)


def _refusal(status: int, code: str, message: str) -> RefusalError:
    return RefusalError(json_reply({"status": status, "error_code": code, "error_message": message}, status))
