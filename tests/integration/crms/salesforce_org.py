"""A Salesforce org on the sandbox and adapters on it."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from blocks.crms.base import Update, UpdateResult
from blocks.crms.salesforce.api import SalesforceApi
from blocks.crms.salesforce.block import Salesforce, SalesforceCrm
from blocks.crms.salesforce.bulk import BulkOptions
from blocks.crms.salesforce.contacts import default_rules
from blocks.crms.salesforce.session import Credentials, open_sessions
from blocks.crms.salesforce.transport import Transport
from enrichment.retry import RetryPolicy
from enrichment.write_policy import Change
from sandbox import server

COLLECTIONS = "composite/sobjects"
SECRET = "s3cr3t-of-the-app"
HASTY = RetryPolicy(attempts=3, attempts_after_lost_answer=3, base_seconds=0.01)

_numbers = count()


@dataclass
class Org:
    """The sandbox's org and the adapters that were opened on it."""

    box: server.Box
    key: str
    opened: list[SalesforceCrm] = field(default_factory=list)

    @property
    def salesforce(self) -> Any:
        return self.box.world.salesforce

    @property
    def ids(self) -> list[str]:
        return sorted(self.salesforce.contacts)

    def block(self, **options: Any) -> Salesforce:
        chosen = {"login_url": self.box.salesforce_url, "consumer_key": self.key, "consumer_secret": SECRET}
        return Salesforce(**{**chosen, "requests_per_second": 1000, **options})

    def crm(self, **options: Any) -> SalesforceCrm:
        return self.keep(self.block(**options).get_crm())

    def impatient(
        self,
        *,
        bulk_threshold: int = 2000,
        bulk_wait: float = 30.0,
        login_url: str = "",
        instance_url: str = "",
        read_timeout: float = 5.0,
        read_credentials: Callable[[], Credentials] | None = None,
        concurrency: int = 2,
    ) -> SalesforceCrm:
        """Return an adapter that hardly waits between attempts."""
        read = read_credentials or (lambda: Credentials("client_credentials", self.key, SECRET))
        timeouts = (5.0, read_timeout)
        api = SalesforceApi(
            open_sessions(login_url or self.box.salesforce_url, read, timeouts, HASTY),
            Transport("68.0", timeouts),
            credential=self.key,
            api_version="68.0",
            instance_url=instance_url,
            per_second=1000,
            policy=HASTY,
        )
        bulk = BulkOptions(bulk_threshold, bulk_wait, poll_seconds=0.01)
        rules = default_rules("Enr_")
        return self.keep(
            SalesforceCrm(api, rules, frozenset(), field_prefix="Enr_", concurrency=concurrency, bulk=bulk)
        )

    def keep(self, crm: SalesforceCrm) -> SalesforceCrm:
        self.opened.append(crm)
        return crm

    def fault(self, kind: str, path: str = COLLECTIONS, **options: Any) -> Any:
        return self.box.world.faults.add(service="salesforce", kind=kind, path_contains=path, **options)

    def answer_instead(self, body: str, path: str = COLLECTIONS, *, status: int = 200, **options: Any) -> Any:
        """Let Salesforce answer this, instead of doing what it was asked for."""
        return self.fault("status", path, status=status, body=body, content_type="application/json", **options)

    def calls(self, path: str) -> list[int]:
        """Return the statuses of the calls to a path, descriptions left out."""
        return [record.status for record in self._records(path)]

    def inputs(self, path: str) -> list[int]:
        """Return how many records each update concerned."""
        return [record.inputs for record in self._records(path) if record.method == "PATCH"]

    def _records(self, path: str) -> list[Any]:
        return [record for record in self.salesforce.log.records() if path in record.path]


def new_key() -> str:
    """Return the key of an app of its own, hence with sessions and a rate limiter of its own."""
    return f"consumer-{uuid.uuid4().hex}"


def title(crm_id: str, value: str = "CTO") -> Update:
    return update(crm_id, Title=value)


def update(crm_id: str, **values: str) -> Update:
    changes = tuple(Change(name, None, value) for name, value in values.items())
    return Update(crm_id, f"trace-{crm_id}-{next(_numbers)}", changes)


def reasons(updates: list[Update], results: list[UpdateResult]) -> list[str]:
    """Return the reason of each update in order, and make sure that each has exactly one result."""
    assert len(results) == len(updates)
    found = {result.trace_id: result.reason for result in results}
    return [found[each.trace_id] for each in updates]
