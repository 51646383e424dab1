"""Hunter's combined lookup: 403 for too fast, 429 for nothing left, 451 for people who must not be looked up."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sandbox.clearbit.records import company_json, employees_range, person_json
from sandbox.clearbit.seller import RefusalError, Seller
from sandbox.exchange import Reply, Request, json_reply, text_reply
from sandbox.people import Company, Person
from sandbox.settings import HunterSettings
from sandbox.zoominfo.directory import COMPANY_ONLY, CONTACT_ONLY, INVALID_INPUT, OPT_OUT, fault_status, normalise

FIND = "/v2/combined/find"
PRICE = 2


class Hunter(Seller[HunterSettings]):
    """An account whose limits no header shows."""

    name = "hunter"
    windows: ClassVar[Mapping[str, float]] = {"second": 1.0, "minute": 60.0}

    def limits(self) -> dict[str, int]:
        """Return the requests that each window allows."""
        return {"second": self.settings.per_second, "minute": self.settings.per_minute}

    def route(self, request: Request) -> Reply:
        """Answer a request."""
        if (request.method, request.path) != ("GET", FIND):
            raise RefusalError(text_reply("<html>Page not found</html>", 404, "text/html"))
        if request.headers.get("x-api-key") != self.settings.api_key:
            raise _refusal(401, "authentication_failed", "No user found for the API key supplied")
        if self.admit():
            raise _refusal(403, "too_many_requests", "You have reached the rate limit")
        return self._find(request.query().get("email", [""])[0])

    def _find(self, email: str) -> Reply:
        key = normalise({"emailAddress": email})
        broken = fault_status(key)
        if broken:
            raise _refusal(broken, "server_error", "Something went wrong")
        finding = self.directory.find(key)
        if finding.status == INVALID_INPUT:
            raise _refusal(400, "invalid_email", "The email address is invalid")
        self.note_lookup(key)
        if finding.status == OPT_OUT:
            raise _refusal(451, "claimed_email", "The person asked us not to process their data")
        if finding.person is None:
            raise _refusal(404, "not_found", "No person or company was found")
        if not self.bill(key, PRICE):
            raise _refusal(429, "usage_exceeded", "You have reached your usage limit")
        company = finding.person.company
        data = {
            "person": None if finding.status == COMPANY_ONLY else _person(finding.person),
            "company": None if finding.status == CONTACT_ONLY else _company(company),
        }
        return json_reply({"data": data, "meta": {"email": email}}, inputs=1)


def _person(person: Person) -> dict[str, Any]:
    shown = person_json(person)
    handle = shown["linkedin"]["handle"].removeprefix("in/")
    return {**shown, "phone": person.phone(), "linkedin": {"handle": handle}}


def _company(company: Company) -> dict[str, Any]:
    return {
        **company_json(company),
        "metrics": {"employees": employees_range(company), "annualRevenue": company.revenue},
    }


def _refusal(status: int, kind: str, details: str) -> RefusalError:
    return RefusalError(json_reply({"errors": [{"id": kind, "code": status, "details": details}]}, status))
