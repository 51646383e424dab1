"""A HubSpot account on the sandbox, a new one for every test."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from blocks.crms.base import Update, UpdateResult
from blocks.crms.hubspot.api import HubSpotApi
from blocks.crms.hubspot.block import HubSpot, HubSpotCrm
from blocks.crms.hubspot.contacts import DEFAULT_RULES
from enrichment.retry import RetryPolicy
from enrichment.write_policy import Change
from sandbox import server
from tests.integration.crms.salesforce_org import SECRET, Org, new_key

UPDATE = "batch/update"
READ = "batch/read"

_numbers = count()


@dataclass
class Account:
    """The sandbox's account and the adapters that were opened on it."""

    box: server.Box
    token: str
    opened: list[HubSpotCrm] = field(default_factory=list)

    @property
    def hubspot(self) -> Any:
        return self.box.world.hubspot

    @property
    def ids(self) -> list[str]:
        return sorted(self.hubspot.contacts, key=int)

    def block(self, **options: Any) -> HubSpot:
        chosen = {"access_token": self.token, "base_url": self.box.hubspot_url, "requests_per_10_seconds": 10_000}
        return HubSpot(**{**chosen, **options})

    def crm(self, **options: Any) -> HubSpotCrm:
        return self.keep(self.block(**options).get_crm())

    def impatient(
        self,
        *,
        base_url: str = "",
        read_token: Callable[[], str] | None = None,
        read_timeout: float = 5.0,
    ) -> HubSpotCrm:
        """Return an adapter that hardly waits between attempts."""
        api = HubSpotApi(
            base_url=base_url or self.box.hubspot_url,
            api_version="v3",
            read_token=read_token or (lambda: self.token),
            per_second=1000,
            timeouts=(5.0, read_timeout),
            policy=RetryPolicy(attempts=3, attempts_after_lost_answer=3, base_seconds=0.01),
        )
        return self.keep(HubSpotCrm(api, DEFAULT_RULES, frozenset(), concurrency=4))

    def keep(self, crm: HubSpotCrm) -> HubSpotCrm:
        self.opened.append(crm)
        return crm

    def fault(self, kind: str, path: str = UPDATE, **options: Any) -> Any:
        return self.box.world.faults.add(service="hubspot", kind=kind, path_contains=path, **options)

    def answer_instead(self, body: str, path: str = UPDATE, *, status: int = 200, **options: Any) -> Any:
        """Let HubSpot answer this once, instead of doing what it was asked for."""
        return self.fault("status", path, status=status, body=body, content_type="application/json", **options)

    def calls(self, path: str) -> list[int]:
        """Return the statuses of the calls to a path."""
        return [record.status for record in self.hubspot.log.records() if path in record.path]


@pytest.fixture(scope="session")
def running_box() -> Iterator[server.Box]:
    with server.running(contacts=1, seed=7) as box:
        yield box


@pytest.fixture
def account(running_box: server.Box) -> Iterator[Account]:
    """Give an account with five contacts, a token of its own, and hence a rate limiter of its own."""
    token = f"token-{uuid.uuid4().hex}"
    running_box.reset(contacts=5, hubspot={"token": token, "per_ten_seconds": 100_000})
    account = Account(running_box, token)
    try:
        yield account
    finally:
        for crm in account.opened:
            crm.close()


def company(crm_id: str, value: str = "Example Ltd") -> Update:
    return update(crm_id, company=value)


def update(crm_id: str, **values: str) -> Update:
    changes = tuple(Change(name, None, value) for name, value in values.items())
    return Update(crm_id, f"trace-{crm_id}-{next(_numbers)}", changes)


def reasons(updates: list[Update], results: list[UpdateResult]) -> list[str]:
    """Return the reason of each update in order, and make sure that each has exactly one result."""
    assert len(results) == len(updates)
    found = {result.trace_id: result.reason for result in results}
    return [found[each.trace_id] for each in updates]


def refusals(updates: list[Update], results: list[UpdateResult]) -> list[dict[str, str]]:
    """Return, of each update in order, the fields that were refused and why."""
    found = {result.trace_id: {each.field: each.reason for each in result.refused} for result in results}
    return [found[each.trace_id] for each in updates]


@pytest.fixture
def org(running_box: server.Box) -> Iterator[Org]:
    """Give a Salesforce org with five contacts that have no title, and an app of its own."""
    key = new_key()
    running_box.reset(contacts=5, salesforce={"consumer_key": key, "consumer_secret": SECRET})
    org = Org(running_box, key)
    for crm_id in org.ids:
        org.salesforce.edit(crm_id, {"Title": ""})
    try:
        yield org
    finally:
        for crm in org.opened:
            crm.close()
