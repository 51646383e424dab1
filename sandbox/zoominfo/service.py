"""The ZoomInfo GTM API: its gateway, and the calls behind it."""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Reply, Request, json_reply
from sandbox.faults import FaultScript
from sandbox.limits import RateLimiter, Rejection, retry_after
from sandbox.people import Population
from sandbox.service import Service
from sandbox.settings import ZoomInfoSettings
from sandbox.zoominfo import errors
from sandbox.zoominfo.account import Account
from sandbox.zoominfo.companies import intent_rows, paged, technology_rows
from sandbox.zoominfo.contacts import ContactCall
from sandbox.zoominfo.directory import Directory
from sandbox.zoominfo.envelope import (
    check_media_type,
    company_id_of,
    open_envelope,
    read_contact_query,
    topics_of,
)
from sandbox.zoominfo.errors import GatewayError, PlatformError, RefusalError
from sandbox.zoominfo.tokens import TokenIssuer

WINDOWS = {"second": 1.0, "hour": 3600.0, "day": 86_400.0}
TOKEN_PATH = "/gtm/oauth/v1/token"


class ZoomInfo(Service):
    """
    A ZoomInfo account and its API.

    Args:
        population: whom it knows.
        settings: of the account.
        clock: of the world.
        faults: that its requests may meet.
    """

    name = "zoominfo"

    def __init__(self, population: Population, settings: ZoomInfoSettings, clock: Clock, faults: FaultScript) -> None:
        super().__init__(clock, faults)
        self.settings = settings
        self.tokens = TokenIssuer(clock)
        self._directory = Directory(population)
        self._account = Account(clock, settings.credits_left)
        self._limiter = RateLimiter(clock, WINDOWS)
        self._lookups: Counter[str] = Counter()
        self._company_lookups: Counter[str] = Counter()
        self._answered = 0
        #: Each call with the scope that it needs.
        self._calls: dict[tuple[str, str], tuple[str, Callable[[Request], Reply]]] = {
            ("POST", "/gtm/data/v1/contacts/enrich"): ("api:data:contact", self._enrich_contacts),
            ("POST", "/gtm/data/v1/companies/technologies/enrich"): (
                "api:data:company",
                self._technologies,
            ),
            ("POST", "/gtm/data/v1/intent/enrich"): ("api:data:intent", self._intent),
            ("GET", "/gtm/data/v1/users/usage"): ("api:data:contact", self._usage),
        }

    @property
    def lookups(self) -> Counter[str]:
        """How often each normalised input was looked up."""
        return self._lookups.copy()

    @property
    def company_lookups(self) -> Counter[str]:
        """How often each page about a company was asked for, as `technologies:<id>:<page>` or `intent:<id>:<page>`."""
        return self._company_lookups.copy()

    @property
    def billed(self) -> Counter[str]:
        """The credits that each record cost, by its id."""
        return self._account.billed.copy()

    @property
    def credits_used(self) -> int:
        """All credits spent."""
        return self.billed.total()

    @property
    def credits_left(self) -> int:
        """The credits that may still be spent."""
        return self._account.credits_left

    @property
    def tokens_issued(self) -> int:
        """How many tokens were asked for and given."""
        return self.tokens.issued

    @property
    def max_requests_in_any_second(self) -> int:
        """The busiest second, rejected requests included, requests for tokens not."""
        return self._limiter.max_in_any_second

    @property
    def rejected_429(self) -> int:
        """How many requests were too much."""
        return self._limiter.rejected

    def options(self) -> ZoomInfoSettings:
        """Return the present settings."""
        return self.settings

    def configure(self, changes: dict[str, Any]) -> None:
        """Change some of the settings."""
        self.settings = replace(self.settings, **changes)
        self._account.credits_left = changes.get("credits_left", self._account.credits_left)

    def summary(self) -> dict[str, Any]:
        """Return the totals of the ledger."""
        return {
            "requests": self.log.by_status(),
            "lookups": self._lookups.total(),
            "distinct_lookups": len(self._lookups),
            "most_lookups_of_one_input": max(self._lookups.values(), default=0),
            "company_lookups": self._company_lookups.total(),
            "most_lookups_of_one_company": max(self._company_lookups.values(), default=0),
            "credits_used": self.credits_used,
            "credits_left": self.credits_left,
            "records_billed": len(self._account.billed),
            "records_returned": self._account.records,
            "tokens_issued": self.tokens_issued,
            "max_requests_in_any_second": self.max_requests_in_any_second,
            "rejected_429": self.rejected_429,
        }

    def handle(self, request: Request) -> Reply:
        """Answer a request as ZoomInfo would."""
        self._answered += 1
        request_id = f"sandbox-{self._answered:08d}"
        try:
            reply = self._route(request)
        except RefusalError as refusal:
            reply = refusal.render(request_id)
        if request.path != TOKEN_PATH:
            reply = reply.with_headers(self._rate_headers())
        return reply.with_headers({"X-Request-Id": request_id})

    def _route(self, request: Request) -> Reply:
        if (request.method, request.path) == ("POST", TOKEN_PATH):
            return self.tokens.answer(request, self.settings)
        scope, call = self._calls.get((request.method, request.path), ("", None))
        if call is None:
            raise GatewayError(404, errors.NOT_FOUND, "No such path or method")
        self._authorise(request, scope)
        self._limit()
        check_media_type(request)
        self._account.requests += 1
        return call(request)

    def _authorise(self, request: Request, scope: str) -> None:
        if not self.tokens.is_valid(request.headers.get("authorization", "")):
            raise GatewayError(401, errors.UNAUTHORIZED, "The access token is missing, invalid or expired")
        if scope not in self.settings.scopes:
            raise GatewayError(403, errors.NO_SCOPE, f"The scope {scope} is required")

    def _limit(self) -> None:
        rejection = self._limiter.admit(self._limits())
        if rejection:
            headers = self._rejection_headers(rejection)
            raise GatewayError(429, errors.RATE_LIMITED, "Rate limit exceeded", retryable=True, headers=headers)

    def _limits(self) -> dict[str, int]:
        settings = self.settings
        return {"second": settings.per_second, "hour": settings.per_hour, "day": settings.per_day}

    def _rejection_headers(self, rejection: Rejection) -> dict[str, str]:
        return {
            # By the real time, as the Date header is.
            "X-RateLimit-Reset": str(math.ceil(time.time() + rejection.wait_seconds)),
            "X-RateLimit-Rejected-Bucket": rejection.window,
            **retry_after(self.settings.retry_after, rejection.wait_seconds),
        }

    def _rate_headers(self) -> dict[str, str]:
        limits = self._limits()
        left = self._limiter.remaining(limits)
        if self.settings.remaining_unknown:
            left = dict.fromkeys(left, -1)
        headers = {f"X-RateLimit-Limit-{window.title()}": str(limit) for window, limit in limits.items()}
        headers |= {f"X-RateLimit-Remaining-{window.title()}": str(count) for window, count in left.items()}
        if self.settings.deprecated_headers:
            headers["X-RateLimit-Limit"] = str(limits["second"])
            headers["X-RateLimit-Remaining"] = str(left["second"])
        return headers

    def _enrich_contacts(self, request: Request) -> Reply:
        try:
            query = read_contact_query(request, self.settings.disallowed_fields)
        except PlatformError as refusal:
            if refusal.code != errors.DISALLOWED_FIELD or self.settings.names_fields:
                raise
            raise PlatformError(errors.MISSING_FIELDS, "Invalid field requested") from None
        call = ContactCall(self._directory, self._account, self.settings, self._lookups)
        return json_reply(call.answer(query), inputs=len(query.inputs))

    def _technologies(self, request: Request) -> Reply:
        company_id = company_id_of(open_envelope(request, "TechnologyEnrich"))
        company = self._directory.company(company_id)
        return self._sell("technologies", company_id, technology_rows(company) if company else [], request)

    def _intent(self, request: Request) -> Reply:
        attributes = open_envelope(request, "IntentEnrich")
        topics = topics_of(attributes)
        company_id = company_id_of(attributes)
        company = self._directory.company(company_id)
        return self._sell(
            "intent", company_id, intent_rows(company, topics, self.clock.now()) if company else [], request
        )

    def _sell(self, kind: str, company_id: int, rows: list[dict[str, Any]], request: Request) -> Reply:
        """Return one page of what is known of a company; a credit pays for all of them, and for nothing known, none."""
        page = paged(rows, request.query(), self.settings.longest_page)
        if rows and not self._account.buy(f"{kind}:{company_id}"):
            raise errors.PlatformError(errors.NO_CREDITS, "The credit limit of this account has been reached")
        self._account.records += len(page["data"]) if kind == "intent" else bool(rows)
        self._company_lookups[f"{kind}:{company_id}:{page['meta']['page']['number']}"] += 1
        return json_reply(page, inputs=1)

    def _usage(self, _: Request) -> Reply:
        usage = self._account.usage(self.settings)
        return json_reply({"data": [{"id": "1", "type": "Usage", "attributes": {"usage": usage}}]})
