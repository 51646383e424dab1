"""Tech stack and intent as they are looked up: the journal first, then money, once for each company."""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from blocks.providers.spec import model as spec_module
from blocks.providers.spec.model import load_spec
from blocks.warehouses._rows import Row
from blocks.warehouses.base import NewRecord, Warehouse
from enrichment.plan import RunPlan
from enrichment.records import Chunk, Claim, Origin, Returned
from sandbox.people import topics
from sandbox.server import Box
from tasks.chunk import look_up
from tasks.steps import Parcel

SPECS = Path(spec_module.__file__).parents[1] / "specs"
TOPICS = topics()
#: Each provider's path of technologies.
TECH = {"zoominfo": "technologies/enrich", "zoominfo_legacy": "enrich/company"}
PROVIDERS = list(TECH)
#: Each provider's credentials; the first one distinguishes its accounts.
CREDENTIALS = {
    "zoominfo": ("client_id", "client_secret"),
    "zoominfo_legacy": ("username", "password"),
    "apollo": ("api_key",),
}
SetEnv = Callable[[str, str], None]


def open_account(box: Box, setenv: SetEnv, provider: str, **settings: Any) -> Any:
    """Give a provider a new account, which no pause of an old one holds up, and return its stand-in."""
    first, *others = CREDENTIALS[provider]
    fast = {"per_second": 2000} if provider in TECH else {}
    box.configure(**{provider: {first: f"new-{uuid.uuid4().hex}", **fast, **settings}})
    seller = box.world.services[provider]
    setenv(f"ENRICHMENT_{provider.upper()}_BASE_URL", str(getattr(box, f"{provider}_url")))
    for name in (first, *others):
        setenv(f"ENRICHMENT_{provider.upper()}_{name.upper()}", getattr(seller.options(), name))
    return seller


@dataclass
class Desk:
    """Looks contacts of a few companies up, as runs do one after the other, or at once."""

    box: Box
    warehouse: Warehouse
    setenv: SetEnv
    vendor: str
    providers: list[str] = field(default_factory=list)

    def open(self, provider: str, **settings: Any) -> Any:
        """Ask this provider too, with a new account, and return its stand-in."""
        self.providers.append(provider)
        return open_account(self.box, self.setenv, provider, **settings)

    def switch_on(self, provider: str, *, tech: bool = True, intent: str = "") -> None:
        """Set a provider's switches."""
        self.setenv(f"ENRICHMENT_{provider.upper()}_TECH_STACK", str(tech).lower())
        self.setenv(f"ENRICHMENT_{provider.upper()}_INTENT_TOPICS", intent)

    def fault(self, path: str, **options: Any) -> None:
        """Let calls of a path fail."""
        self.box.world.faults.add(path_contains=path, **options)

    def stage(self, contacts: int, companies: int, prefix: str = "hit") -> None:
        """Put so many contacts of so many companies into the queue."""
        emails = [f"{prefix}+p{number}@firm{number % companies}.example" for number in range(contacts)]
        records = [NewRecord("hubspot", email, email, "schedule", "live") for email in emails]
        self.warehouse.stage(records)

    def plan(self, **options: Any) -> RunPlan:
        """Return the plan of a new run."""
        return RunPlan(uuid.uuid4().hex, ", ".join(self.providers), "hubspot", self.vendor, **options)

    def claim(self, plan: RunPlan, limit: int = 10_000) -> Claim:
        """Claim what waits for a run."""
        return self.warehouse.claim(
            plan.run_id,
            origin=plan.origin,
            lane="",
            limit=limit,
            lease_seconds=600,
            make_token=lambda: uuid.uuid4().hex,
        )

    def look_up(self, plan: RunPlan | None = None, **options: Any) -> "Found":
        """Look up what waits, put everything back, and return what was found."""
        plan = plan or self.plan(**options)
        return self.finish(plan, look_up.fn(plan, Parcel(self.claim(plan))).contents)

    def finish(self, plan: RunPlan, chunk: Chunk) -> "Found":
        """Put a chunk's records back as they were."""
        back = [Returned(record.record_id, "again", costs_attempt=False) for record in chunk.claim.records]
        self.warehouse.settle(chunk.claim, Origin("hubspot"), back, [])
        replies = self.warehouse.count_usage(plan.run_id)
        return Found(chunk, sum(use.credits for use in replies))


@dataclass
class Found:
    """What looking up has found, and what it cost."""

    chunk: Chunk
    credits: float

    def values(self, name: str) -> list[Any]:
        """Return a field of everybody who goes on to be stored."""
        return [found.enrichment.fields.get(name) for found in self.chunk.found]

    @property
    def returned(self) -> list[Returned]:
        """Return those who go back to the queue."""
        return [one for one in self.chunk.settlements if isinstance(one, Returned)]


@pytest.fixture(params=["sqlite"])
def desk(
    request: pytest.FixtureRequest,
    shared_box: Box,
    make_warehouse: Callable[[str], Warehouse],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    """Give an empty queue in a new world."""
    shared_box.reset(contacts=1, seed=7)
    monkeypatch.setenv("ENRICHMENT_HUBSPOT_BASE_URL", shared_box.hubspot_url)
    monkeypatch.setenv("ENRICHMENT_HUBSPOT_ACCESS_TOKEN", "unused")
    return Desk(shared_box, make_warehouse(request.param), monkeypatch.setenv, request.param)


def pages(seller: Any) -> list[int]:
    """Return how often each page about a company was asked for."""
    return list(seller.company_lookups.values())


@pytest.mark.parametrize("desk", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_company_is_asked_about_once_for_a_thousand_contacts(desk: Desk, provider: str) -> None:
    """1,000 contacts of 40 companies cost 40 lookups of companies, and everybody has the tech stack."""
    seller = desk.open(provider, **({"per_minute": 100_000} if provider == "zoominfo_legacy" else {}))
    desk.switch_on(provider)
    desk.stage(1000, 40)
    found = desk.look_up()
    assert pages(seller) == [1] * 40
    assert (found.credits, len(found.chunk.found)) == (1040, 1000)
    assert all(found.values("tech_stack"))
    calls = [request for request in seller.requests if TECH[provider] in request.path]
    assert len(calls) == (40 if provider == "zoominfo" else 2)  # the older API takes 25 companies a call


def test_two_runs_at_once_pay_once(desk: Desk) -> None:
    """The one waits for what the other is asking at this moment, and both have the fields."""
    seller = desk.open("zoominfo", latency_ms=300)
    desk.switch_on("zoominfo", intent=", ".join(TOPICS))
    desk.stage(24, 6)
    plans = [desk.plan(), desk.plan()]
    claims = [desk.claim(plans[0], 12), desk.claim(plans[1], 12)]
    with ThreadPoolExecutor(2) as pool:
        parcels = pool.map(lambda plan, claim: look_up.fn(plan, Parcel(claim)), plans, claims)
        found = [desk.finish(plan, parcel.contents) for plan, parcel in zip(plans, parcels, strict=True)]
    assert pages(seller) == [1] * 12
    assert sum(one.credits for one in found) == seller.credits_used == 24 + 12
    assert [len(one.chunk.found) for one in found] == [12, 12]
    assert all(all(one.values("tech_stack")) and all(one.values("intent_keywords")) for one in found)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_is_asked_that_is_not_switched_on(desk: Desk, provider: str) -> None:
    """Without the switches only contacts are paid for; switched on later, contacts come from the journal."""
    seller = desk.open(provider)
    desk.stage(12, 3)
    found = desk.look_up()
    assert (pages(seller), found.credits, set(found.values("tech_stack"))) == ([], 12, {None})
    desk.switch_on(provider)
    later = desk.look_up()
    assert (pages(seller), later.credits) == ([1, 1, 1], 3)
    assert all(later.values("tech_stack"))
    assert desk.look_up().credits == 0
    assert max(seller.lookups.values()) == 1


def test_other_topics_are_another_question(desk: Desk) -> None:
    """Neither order nor case of the topics pays again; one more topic does."""
    seller = desk.open("zoominfo")
    desk.stage(12, 3)
    asked = []
    for chosen in ("ERP, Payroll", "payroll,erp", "ERP, Payroll, Kubernetes"):
        desk.switch_on("zoominfo", tech=False, intent=chosen)
        desk.look_up()
        asked.append(sum(pages(seller)))
    assert asked == [3, 3, 6]


def test_signals_are_asked_for_again_sooner_than_technologies(desk: Desk) -> None:
    """After 40 days a company's intent is asked for again, while its technologies still come from the journal."""
    seller = desk.open("zoominfo")
    desk.switch_on("zoominfo", intent=", ".join(TOPICS))
    desk.stage(6, 2)
    desk.look_up()
    with desk.warehouse._transaction() as session:
        session._connection.execute("UPDATE provider_replies SET received_at = datetime(received_at, '-40 days')")
    desk.look_up()
    again = {name.partition(":")[0] for name, times in seller.company_lookups.items() if times == 2}
    assert again == {"intent"}
    assert max(seller.lookups.values()) == 1


def test_two_providers_keep_their_knowledge_apart(desk: Desk) -> None:
    """The same companies at the older API are asked about there, once, though the other one's journal has them."""
    new, old = desk.open("zoominfo"), desk.open("zoominfo_legacy")
    desk.stage(12, 3)
    for provider in PROVIDERS:
        desk.switch_on(provider)
        desk.providers = [provider]
        assert desk.look_up().credits == 15
        assert desk.look_up().credits == 0
    assert pages(new) == pages(old) == [1, 1, 1]


def test_what_a_follow_up_fills_spares_the_next_provider(desk: Desk) -> None:
    """Required fields that a follow-up fills count: the next provider isn't asked for them."""
    desk.open("zoominfo")
    second = desk.open("apollo")
    desk.stage(12, 3)
    desk.switch_on("zoominfo")
    assert len(desk.look_up(required_fields=("tech_stack",)).chunk.found) == 12
    assert not second.lookups


def test_what_an_earlier_provider_knows_is_not_bought(desk: Desk) -> None:
    """A follow-up is made only for contacts of whom the providers so far lack what it fills."""
    first, second = desk.open("apollo"), desk.open("zoominfo")
    desk.stage(12, 3)
    desk.switch_on("zoominfo")
    found = desk.look_up(required_fields=("tech_stack", "intent_keywords"))
    assert len(second.lookups) == 12
    sources = {one["tech_stack"] for one in found.values("sources")}
    assert "apollo" in sources
    assert bool(pages(second)) == ("zoominfo" in sources)
    assert first.credits_used + second.credits_used == found.credits


@pytest.mark.parametrize("provider", PROVIDERS)
def test_further_pages_are_read_and_cost_nothing(
    desk: Desk, provider: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A company with more than one page has the values of all of them, each page under a key of its own."""
    text = (SPECS / "zoominfo_legacy.yaml").read_text("utf-8")
    (tmp_path / "zoominfo_legacy.yaml").write_text(text.replace("rpp: 25", "rpp: 2").replace("size: 25", "size: 2"))
    monkeypatch.setenv("ENRICHMENT_PROVIDER_DIR", str(tmp_path))
    seller = desk.open(provider, **({"longest_page": 2} if provider == "zoominfo" else {}))
    desk.switch_on(provider, tech=False, intent=", ".join(TOPICS))
    desk.stage(2, 2)
    found = desk.look_up()
    signals = [len(one) for one in found.values("intent_keywords")]
    assert max(signals) > 2
    assert pages(seller) == [1] * sum(-(-one // 2) for one in signals)
    assert found.credits == seller.credits_used == 4
    assert desk.look_up().credits == 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_step_that_fails_keeps_the_records_waiting_and_their_replies_paid(desk: Desk, provider: str) -> None:
    """A transient failure sends records back; the next run pays for the companies alone."""
    seller = desk.open(provider)
    desk.switch_on(provider)
    desk.fault(TECH[provider], kind="reset_before", times=0)
    desk.stage(12, 3)
    first = desk.look_up()
    # A lost answer may have been billed; where a repetition is free, its saved reply takes the place of the doubt.
    doubt = 3 if load_spec(provider).credits.billing_idempotent else 0
    assert (len(first.returned), first.credits, first.chunk.stop) == (12, 12 + doubt, None)
    assert all(one.costs_attempt for one in first.returned)
    desk.box.world.faults.clear()
    second = desk.look_up()
    assert (len(second.chunk.found), second.credits) == (12, 3)
    assert max(seller.lookups.values()) == 1


def test_at_the_last_attempt_a_record_goes_on_with_what_is_known(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A step that never answers costs the contact its tech stack, not its own paid result; the other step goes on."""
    caplog.set_level("INFO")
    desk.open("zoominfo")
    desk.switch_on("zoominfo", intent=", ".join(TOPICS))
    desk.fault("technologies/enrich", kind="reset_before", times=0)
    desk.stage(12, 3)
    found = desk.look_up(max_attempts=1)
    assert "follow_up_missed provider=zoominfo step=tech_stack records=12" in caplog.text
    assert set(found.values("tech_stack")) == {None}
    assert all(found.values("intent_keywords"))
    assert all(found.values("company_name"))


def test_at_the_last_attempt_the_next_provider_is_asked(desk: Desk) -> None:
    """What a follow-up was to fill is still lacking, so that the waterfall goes on."""
    desk.open("zoominfo")
    second = desk.open("apollo")
    desk.switch_on("zoominfo")
    desk.fault("technologies/enrich", kind="reset_before", times=0)
    desk.stage(3, 1)
    found = desk.look_up(max_attempts=1, required_fields=("tech_stack",))
    assert len(found.chunk.found) == len(second.lookups) == 3


def test_a_pause_asked_for_by_the_server_costs_no_attempt(desk: Desk) -> None:
    """Also at the last attempt the records wait as long as the server says."""
    desk.open("zoominfo")
    desk.switch_on("zoominfo")
    desk.fault("technologies/enrich", kind="status", status=429, retry_after="seconds", seconds=3600, times=0)
    desk.stage(12, 3)
    returned = desk.look_up(max_attempts=1).returned
    assert len(returned) == 12
    assert {one.costs_attempt for one in returned} == {False}
    assert min(one.wait_seconds for one in returned) > 3000


@pytest.mark.parametrize(
    ("provider", "lacks"),
    [
        ("zoominfo", {"scopes": ("api:data:contact", "api:data:intent")}),
        ("zoominfo_legacy", {"calls": ("contact", "intent")}),
        ("zoominfo_legacy", {"disallowed_fields": ("techAttributes",)}),
    ],
)
def test_an_account_without_the_step_goes_on_without_it(
    desk: Desk, provider: str, lacks: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once for all chunks of a run, nothing is paid for it, and the other step is made as ever."""
    caplog.set_level("INFO")
    seller = desk.open(provider, **lacks)
    desk.switch_on(provider, intent=", ".join(TOPICS))
    desk.stage(30, 3)
    plan = desk.plan()
    claims = [desk.claim(plan, 10) for _ in range(3)]
    found = [look_up.fn(plan, Parcel(claim)).contents for claim in claims]
    assert caplog.text.count(f"follow_up_withheld provider={provider} step=tech_stack") == 1
    assert [len(one.found) for one in found] == [10, 10, 10]
    assert all(one.enrichment.fields["intent_keywords"] for chunk in found for one in chunk.found)
    assert {chunk.stop for chunk in found} == {None}
    assert seller.credits_used == 33
    refused = [request for request in seller.requests if TECH[provider] in request.path]
    assert 1 <= len(refused) <= 3  # no call is made after the first chunk


def test_a_step_that_the_account_lacks_is_still_read_from_the_journal(desk: Desk) -> None:
    """What was bought before the entitlement ended still counts."""
    desk.open("zoominfo")
    desk.switch_on("zoominfo")
    desk.stage(6, 2)
    desk.look_up()
    desk.box.configure(zoominfo={"scopes": ("api:data:contact",)})
    desk.stage(12, 3)  # of the third company, nothing is known
    found = desk.look_up()
    known = {one.record.email_address: bool(one.enrichment.fields.get("tech_stack")) for one in found.chunk.found}
    assert len(known) == 16
    assert known == {email: not email.endswith("@firm2.example") for email in known}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_used_up_credits_stop_the_run_and_lose_nothing(desk: Desk, provider: str) -> None:
    """Who has everything goes on, the rest waits without an attempt, and the next run pays for what is missing."""
    desk.open(provider, credits_left=14)
    desk.switch_on(provider)
    desk.stage(12, 3)
    first = desk.look_up()
    assert first.chunk.stop is not None
    assert first.chunk.stop.kind == "quota_exhausted"
    assert (len(first.chunk.found), len(first.returned), first.credits) == (8, 4, 14)
    assert {one.costs_attempt for one in first.returned} == {False}
    desk.box.configure(**{provider: {"credits_left": 100}})
    second = desk.look_up()
    assert (len(second.chunk.found), second.credits) == (12, 1)


def test_a_bad_company_spoils_no_other(desk: Desk) -> None:
    """A company's number that isn't taken is that company's matter, and isn't asked again."""
    desk.open("zoominfo")
    desk.switch_on("zoominfo")
    body = {"errors": [{"code": "PFAPI0006", "source": {"pointer": "/data/attributes/companyId"}}]}
    desk.fault("technologies/enrich", kind="status", status=400, body=json.dumps(body), content_type="application/json")
    desk.stage(12, 3)
    assert [bool(one) for one in desk.look_up().values("tech_stack")].count(False) == 4
    again = desk.look_up()
    assert (again.credits, len(again.chunk.found)) == (0, 12)


def test_a_topic_that_is_not_taken_is_named_and_left_out(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """An unexplained refusal is tried on a company that doesn't exist; that one is refused too."""
    caplog.set_level("INFO")
    desk.open("zoominfo")
    desk.switch_on("zoominfo", intent="no such topic")
    body = {"errors": [{"code": "PFAPI0006", "source": {"pointer": "/data/attributes/topics"}}]}
    options: dict[str, Any] = {"body": json.dumps(body), "content_type": "application/json", "times": 0}
    desk.fault("intent/enrich", kind="status", status=400, **options)
    desk.stage(12, 3)
    found = desk.look_up()
    assert "follow_up_withheld provider=zoominfo step=intent reason=PFAPI0006" in caplog.text
    assert all(found.values("tech_stack"))
    assert set(found.values("intent_keywords")) == {None}


def test_trouble_on_the_way_costs_no_second_credit(desk: Desk) -> None:
    """Dropped connections, throttles and lost answers of the steps end with one credit for each company."""
    seller = desk.open("zoominfo")
    desk.switch_on("zoominfo", intent=", ".join(TOPICS))
    for kind in ("reset_before", "reset_after", "unauthorized"):
        desk.fault("technologies/enrich", kind=kind)
    desk.fault("intent/enrich", kind="truncated")
    desk.fault("intent/enrich", kind="status", status=503, retry_after="seconds", seconds=1)
    desk.stage(12, 3)
    found = desk.look_up()
    assert all(found.values("tech_stack"))
    assert all(found.values("intent_keywords"))
    assert max(seller.billed.values()) == 1
    assert found.credits == seller.credits_used == 18


def test_a_contact_without_a_company_has_nothing_to_follow(desk: Desk) -> None:
    """A match of the person alone goes on as it is."""
    seller = desk.open("zoominfo")
    desk.switch_on("zoominfo")
    desk.stage(3, 1, prefix="contactonly")
    assert len(desk.look_up().chunk.found) == 3
    assert pages(seller) == []


def test_a_lost_claim_pays_for_no_company(desk: Desk) -> None:
    """Who lost the records to another run meanwhile asks for nothing more."""
    seller = desk.open("zoominfo")
    desk.stage(3, 1)
    plan = desk.plan()
    claim = desk.claim(plan)
    look_up.fn(plan, Parcel(claim))
    desk.switch_on("zoominfo")
    with desk.warehouse._transaction() as session:
        session._connection.execute("UPDATE enrichment_staging SET claimed_by = 'somebody else'")
    chunk = look_up.fn(plan, Parcel(claim)).contents
    assert pages(seller) == []
    assert {one.reason for one in chunk.settlements if isinstance(one, Returned)} == {"claim_lost"}


def test_every_reply_is_in_the_journal_with_its_cost(desk: Desk) -> None:
    """Follow-ups are journalled as contacts are: outcome, credits, version and request id, one row for each company."""
    desk.open("zoominfo")
    desk.switch_on("zoominfo")
    desk.stage(6, 2)
    desk.look_up()
    rows: list[Row] = journal(desk.warehouse)
    about_companies = [row for row in rows if "Technology" in row["reply"]]
    assert len(rows) == 8
    assert [(row["outcome"], row["credits"], row["api_version"]) for row in about_companies] == [
        ("matched", 1, "v1")
    ] * 2
    assert all(row["provider"] == "zoominfo" and row["request_id"] for row in about_companies)


def journal(warehouse: Warehouse) -> list[Row]:
    with warehouse._reading() as session:
        return [dict(row) for row in session._connection.execute("SELECT * FROM provider_replies").fetchall()]
