"""Providers, a CRM and a queue in one process: the outside world as a lookup sees it, without a socket."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from blocks.crms.base import Crm, CrmContact
from blocks.providers.base import Reading, Reply, Request, unhindered
from blocks.warehouses.base import NewRecord, Warehouse
from enrichment.estimate import Terms
from enrichment.identifiers import choose_input, follow_up_key, request_key
from enrichment.plan import RunPlan
from enrichment.records import (
    CONCLUSIVE,
    Claim,
    Contact,
    Disposition,
    Finished,
    Origin,
    Outcome,
    Returned,
    StagedRecord,
)
from enrichment.values import UNREADABLE
from lookup.buying import Buyer
from lookup.cases import Asker
from lookup.permit import Permit
from lookup.walk import LookUp

CRM = Origin("hubspot")


@dataclass(frozen=True)
class Answer:
    """What a provider answers; `company` and `pages` are of a match, `today` is another outcome that it is read as."""

    outcome: Outcome = Outcome.MATCHED
    fields: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    credits: float = 1.0
    company: str = ""
    pages: int = 1
    wait_seconds: float | None = None
    stop: str = ""
    doubt: float = 0.0
    final: bool = False
    today: Outcome | None = None
    addresses: tuple[str, ...] = ()

    def reply(self, key: str) -> Reply:
        """Return it as the reply to a request; only what is conclusive has a body."""
        body = {
            "outcome": self.today or self.outcome,
            "reason": self.reason,
            "fields": dict(self.fields),
            "company": self.company,
            "pages": self.pages,
            "addresses": list(self.addresses),
        }
        return Reply(
            key,
            self.outcome,
            body if self.outcome in CONCLUSIVE else None,
            self.reason,
            self.credits,
            wait_seconds=self.wait_seconds,
            stop=self.stop,
            doubt=self.doubt,
            final=self.final,
        )


def match(company: str = "", pages: int = 1, **fields: Any) -> Answer:
    """Return a match with these canonical fields."""
    return Answer(fields=fields, company=company, pages=pages)


def miss(outcome: Outcome = Outcome.UNMATCHED, reason: str = "unknown") -> Answer:
    """Return an answer that ends the matter at no cost."""
    return Answer(outcome, reason=reason, credits=0.0)


REFUSED = Answer(Outcome.REJECTED, reason="no_entitlement", credits=0.0, stop="request_refused")
BAD_KEY = Answer(Outcome.REJECTED, reason="credentials_rejected", credits=0.0, stop="credentials_rejected")
USED_UP = Answer(Outcome.QUOTA_EXHAUSTED, reason="no_credits", credits=0.0, stop="quota_exhausted")
DOWN = Answer(Outcome.RETRYABLE, reason="unavailable", credits=0.0)


@dataclass
class Calls:
    """
    What providers and follow-ups share.

    Args:
        name: of the provider.
        answers: by what a request asks with; others are answered with `otherwise`.
        step: of the follow-up.
        terms: what a request costs.
        between: is called with what is asked for, before it is answered.
        asked: what was asked with, in order.
        shares: of the rate, as they were set.
    """

    name: str
    answers: dict[str, Answer] = field(default_factory=dict)
    otherwise: Answer = field(default_factory=miss)
    step: str = ""
    terms: Terms = field(default_factory=lambda: Terms(1.0, 25, 10.0))
    cache_days: int | None = None
    miss_days: int | None = None
    between: Callable[[Sequence[str]], object] = lambda _: None
    asked: list[str] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def ask(
        self,
        requests: Sequence[Request],
        keep: Callable[[Sequence[Reply]], None],
        refusal: Callable[[], str] = unhindered,
    ) -> list[Reply]:
        """Answer each request by itself, until no more are to be made."""
        replies = []
        for request in requests:
            if why := refusal():
                replies.append(Reply(request.key, Outcome.RETRYABLE, reason=why, wait_seconds=0.0))
                continue
            subject = "#".join(request.lookup_input.values())
            self.asked.append(subject)
            self.between([subject])
            reply = self.answers.get(subject, self.otherwise).reply(request.key)
            keep([reply] if reply.body is not None or reply.credits > 0 or reply.doubt > 0 else [])
            replies.append(reply)
        return replies

    def read(self, body: Any) -> Reading:
        """Return what the reply says of itself; one that says that it is broken can't be read."""
        if body["reason"] == "broken":
            raise KeyError(body["fields"])
        fields = {name: value for name, value in body["fields"].items() if value != UNREADABLE}
        left_out = dict.fromkeys(body["fields"].keys() - fields, UNREADABLE)
        addresses = frozenset(body["addresses"])
        return Reading(Outcome(body["outcome"]), body["reason"], None, None, fields, addresses, left_out)

    def share(self, fraction: float) -> None:
        """Note the part of the rate."""
        self.shares.append(fraction)


@dataclass
class FollowUpSeller(Calls):
    """A follow-up that asks by company, and again by company and number for each further page."""

    fills: frozenset[str] = frozenset({"tech_stack"})

    def choose_input(self, contact_reply: Any) -> dict[str, str] | None:
        """Return the company that a contact's reply names."""
        return {"company": contact_reply["company"]} if contact_reply["company"] else None

    def request_key(self, lookup_input: Mapping[str, str]) -> str:
        """Return one key for everybody of a company."""
        return follow_up_key(self.name, self.step, lookup_input, [])

    def further_pages(self, lookup_input: Mapping[str, str], body: Any) -> list[dict[str, str]]:
        """Return the pages from the second on."""
        return [{**lookup_input, "page": str(number)} for number in range(2, body["pages"] + 1)]


@dataclass
class Seller(Calls):
    """A provider that knows people by their address."""

    follow_ups: Sequence[FollowUpSeller] = ()
    by_name: bool = False

    def choose_input(self, contact: Contact) -> dict[str, str] | None:
        """Return the address to ask with, or the name."""
        named = [["first_name", "last_name", "company_name"]] if self.by_name else []
        return choose_input(contact, [["email"], *named])

    def request_key(self, lookup_input: Mapping[str, str]) -> str:
        """Return the key of an address."""
        return request_key(self.name, lookup_input, [])

    def key(self, email: str) -> str:
        """Return the key under which the journal keeps what is known of an address."""
        return self.request_key({"email": email})

    def check(self) -> str:
        """Return that it answers."""
        return self.name


@dataclass
class Directory(Crm):
    """A CRM that knows contacts, or just their addresses; it notes who was read, and its shares of the rate."""

    addresses: dict[str, str | None] = field(default_factory=dict)
    people: dict[str, Contact] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def read(self, crm_ids: Sequence[str], *_: Sequence[str], **__: Sequence[str]) -> dict[str, CrmContact]:
        """Return those that it knows."""
        self.asked += crm_ids
        known = {one: Contact(one, self.addresses[one]) for one in crm_ids if one in self.addresses} | self.people
        return {one: CrmContact(known[one], {}) for one in crm_ids if one in known}

    def share(self, fraction: float) -> None:
        """Note the part of the rate."""
        self.shares.append(fraction)


@dataclass
class World:
    """A queue, providers and a CRM; each run has a plan and a claim of its own."""

    warehouse: Warehouse
    crm: Directory = field(default_factory=Directory)
    providers: dict[str, Seller] = field(default_factory=dict)

    def sell(self, name: str = "first", *follow_ups: FollowUpSeller, **answers: Answer) -> Seller:
        """Add a provider; `ada` stands for the address ada@firm.example."""
        self.providers[name] = Seller(
            name, {address(who): answer for who, answer in answers.items()}, follow_ups=follow_ups
        )
        return self.providers[name]

    def plan(self, **options: Any) -> RunPlan:
        """Return the plan of a new run."""
        return RunPlan(uuid.uuid4().hex, ",".join(self.providers), "hubspot", "sqlite", **options)

    def stage(self, *names: str, refresh: bool = False, source: str = "webhook", **addresses: str | None) -> None:
        """Queue contacts with addresses by their names, which are their ids, too; or with other addresses, or none."""
        emails = {name: address(name) for name in names} | addresses
        self.warehouse.stage(
            [NewRecord("hubspot", name, email, source, "live", refresh=refresh) for name, email in emails.items()]
        )

    def claim(self, plan: RunPlan) -> Claim:
        """Claim what waits."""
        return self.warehouse.claim(
            plan.run_id, origin=CRM, lane="", limit=10_000, lease_seconds=600, make_token=lambda: uuid.uuid4().hex
        )

    def buyer(self, plan: RunPlan | None = None, claim: Claim | None = None, **options: Any) -> Buyer:
        """Return who pays for what waits; nothing waits for real."""
        plan = plan or self.plan()
        pause = options.pop("pause", lambda _: None)
        permit = options.pop("permit", Permit(plan.lease_seconds))
        permit.pause = pause
        return Buyer(plan, claim or self.claim(plan), self.warehouse, self.crm, permit, pause, **options)

    def buy(self, **options: Any) -> LookUp:
        """Look up what waits as a run with such a plan."""
        return self.look_up(self.buyer(self.plan(**options)))

    def look_up(self, buyer: Buyer) -> LookUp:
        """Look a buyer's claim up."""
        return self.walk(buyer.plan, buyer, buyer.claim.records)

    def walk(self, plan: RunPlan, asker: Asker, records: Sequence[StagedRecord]) -> LookUp:
        """Look records up with any asker."""
        return LookUp(plan, self.warehouse, self.crm, asker, self.providers).run(records)

    def write(self, buyer: Buyer) -> None:
        """Look a buyer's claim up, and end what was found as written, as a whole run does."""
        done = self.look_up(buyer)
        self.warehouse.store(buyer.claim, CRM, done.found, done.unmatched, provider="first")
        written = [Finished(one.record.record_id, Disposition.WRITTEN, step="write_back") for one in done.found]
        self.warehouse.settle(buyer.claim, CRM, [*written, *done.settlements], [])

    def put_back(self, buyer: Buyer) -> None:
        """Put a buyer's records back at no attempt, as if its run was killed."""
        back = [Returned(one.record_id, "killed", costs_attempt=False) for one in buyer.claim.records]
        self.warehouse.settle(buyer.claim, CRM, back, [])


def address(name: str) -> str:
    """Return a person's address."""
    return f"{name}@firm.example"


def again(record: StagedRecord, **changes: Any) -> StagedRecord:
    """Return a record with something changed."""
    return replace(record, **changes)


def ends(done: LookUp, claim: Claim | Sequence[StagedRecord]) -> dict[str, str]:
    """Return by name how each record came out: `found`, `<disposition>: <reason>` or `back: <reason>`."""
    records = claim.records if isinstance(claim, Claim) else claim
    names = {record.record_id: record.crm_id for record in records}
    return {one.record.crm_id: "found" for one in done.found} | {
        names[one.record_id]: f"{one.disposition if isinstance(one, Finished) else 'back'}: {one.reason}"
        for one in done.settlements
    }
