"""From an event to the CRM: HubSpot's stand-in delivers, the receiver stages, a run ends it, nothing is paid twice."""

from collections.abc import Iterator
from typing import Any

import pytest

from blocks.warehouses.base import load_warehouse
from enrichment.records import Disposition, Origin
from enrichment.summary import RunReport
from flows.enrich_contacts import enrich_contacts
from tests.integration.conftest import Pipeline
from tests.integration.triggers.conftest import listening, served, until
from triggers.receiver import HubSpotApp, Limits, make_app

SECRET = "sandbox-client-secret"


class Account:
    """A HubSpot account whose webhooks reach a receiver."""

    def __init__(self, pipeline: Pipeline, url: str) -> None:
        self.pipeline = pipeline
        self.world = pipeline.box.world
        self.hubspot = self.world.hubspot
        pipeline.box.configure(hubspot={"webhook_url": url, "webhook_gather_ms": 5, "webhook_retry_seconds": 0.1})

    def events(self, many: int) -> None:
        """Wait until so many events have been delivered in all."""
        until(lambda: self._settled(many))

    def _settled(self, many: int) -> bool:
        webhooks = self.hubspot.summary()["webhooks"]
        return webhooks["events"] >= many and not webhooks["pending"] and not webhooks["given_up"]

    def again(self, contact_id: str) -> None:
        """Let the contact's creation be delivered once more, as HubSpot may do."""
        many = self.hubspot.summary()["webhooks"]["events"]
        self.hubspot._store._tell("creation", self.hubspot._store.get(contact_id), "CRM_UI")
        self.events(many + 1)

    @property
    def asked(self) -> int:
        """How often the provider was asked."""
        return sum(self.world.zoominfo.lookups.values())

    def ends(self, contact_id: str) -> list[tuple[str, str]]:
        """Return how the contact's requests ended, oldest first."""
        rows = self.pipeline.warehouse.read_story(Origin("hubspot"), contact_id).ledger
        return [(one.disposition, one.reason) for one in rows]


@pytest.fixture
def account(pipeline: Pipeline) -> Iterator[Account]:
    pipeline.new_world(0)
    with listening() as (listener, url):
        target = f"{url}/hubspot/webhook"
        app = make_app(
            lambda: load_warehouse("sqlite"),
            Limits(2_000_000, 30.0, 50),
            staged=lambda: None,
            hubspot=HubSpotApp(target, "54321", "", lambda: (SECRET,)),
        )
        with served(app, listener):
            yield Account(pipeline, target)
            pipeline.box.reset()


def run(**parameters: Any) -> RunReport:
    report = enrich_contacts(**parameters)
    assert isinstance(report, RunReport)
    assert report.books.balanced
    return report


def test_a_new_contact_is_enriched_and_a_late_duplicate_costs_nothing(account: Account) -> None:
    """Created, delivered, staged, enriched, written; the repeated event ends as fresh, or by the journal's reply."""
    hit, miss = account.hubspot.create([{"email": "hit+zoe@acme.example"}, {"email": "miss+nobody@acme.example"}])
    account.events(2)
    run()
    assert [account.ends(contact)[0][0] for contact in (hit, miss)] == ["written", "unmatched"]
    assert account.hubspot.contacts[hit]["enr_company_name"]
    asked, writes = account.asked, len(account.hubspot.writes)
    for contact in (hit, miss):
        account.again(contact)
    report = run()
    assert report.books.count(Disposition.SKIPPED_FRESH) == 1
    assert [len(account.ends(contact)) for contact in (hit, miss)] == [2, 2]
    assert (account.asked, len(account.hubspot.writes)) == (asked, writes)


def test_what_we_write_asks_for_nothing(account: Account) -> None:
    """A subscription to everything brings our own changes back, which are known by the app that made them."""
    account.pipeline.box.configure(hubspot={"webhook_properties": ["email", "enr_company_name", "company", "industry"]})
    account.hubspot.create([{"email": "hit+zoe@acme.example"}])
    account.events(1)
    run()
    account.events(2)
    assert account.pipeline.queue() == 0


def test_a_contact_that_was_deleted_costs_nothing(account: Account) -> None:
    """The run finds it gone, whether or not an address was staged with it; each request has one ledger row."""
    account.pipeline.setenv("ENRICHMENT_ABSENT_MINUTES", "0")
    (gone, back) = account.hubspot.create([{"email": "hit+a@acme.example"}, {"email": "hit+b@acme.example"}])
    account.events(2)
    for contact in (gone, back):
        account.hubspot.archive(contact)
    account.events(4)
    account.hubspot.restore(back)
    account.events(5)
    run()
    assert account.ends(gone) == [("invalid", "contact_gone")]
    assert account.ends(back)[0][0] == "written"
    assert account.asked == 1


def test_an_address_that_comes_later_leads_to_a_lookup(account: Account) -> None:
    """A contact that had nothing to look up with gets its run when it has."""
    (contact,) = account.hubspot.create([{"firstname": "Zoë"}])
    account.events(1)
    run()
    assert account.ends(contact) == [("invalid", "no_usable_identifier")]
    account.hubspot.edit(contact, {"email": "hit+zoe@acme.example"})
    account.events(2)
    run()
    assert [end[0] for end in account.ends(contact)] == ["invalid", "written"]


def test_a_merge_leads_to_the_contact_that_is_left(account: Account) -> None:
    """Both requests end, the provider is asked once for the address that is left, and only that contact is written."""
    winner, loser = account.hubspot.create([{"email": "hit+a@acme.example"}, {"email": "hit+b@acme.example"}])
    account.events(2)
    account.hubspot.merge(winner, loser)
    account.events(3)
    run()
    assert account.ends(winner)[0][0] == "written"
    assert len(account.ends(loser)) == 1
    assert account.pipeline.queue() == 0
    assert set(account.hubspot.updates_by_contact) == {winner}
    assert account.asked == 1


def test_events_in_the_generic_form_duplicated_and_mixed(account: Account) -> None:
    """Three hundred contacts by doubled and shuffled deliveries: each is staged, looked up and ended once."""
    account.pipeline.box.configure(
        hubspot={"webhook_form": "generic", "webhook_duplicate_share": 1.0, "webhook_shuffle": True}
    )
    ids = account.hubspot.create([{"email": f"hit+{number}@acme.example"} for number in range(300)])
    account.events(300)
    assert account.pipeline.queue() == 300
    report = run()
    assert report.books.finished == 300
    assert {len(account.ends(contact)) for contact in ids} == {1}
    assert max(account.world.zoominfo.lookups.values()) == 1
