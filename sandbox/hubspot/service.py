"""The HubSpot API: who may call it and how often, and where each call goes."""

import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Reply, Request, json_reply
from sandbox.faults import FaultScript
from sandbox.hubspot.catalog import PropertyCatalog
from sandbox.hubspot.errors import (
    HubSpotError,
    missing_scope,
    not_found,
    unauthenticated,
    unknown_path,
)
from sandbox.hubspot.limits import AccountLimits
from sandbox.hubspot.lists import ContactLists
from sandbox.hubspot.property_calls import PropertyCalls
from sandbox.hubspot.reads import ContactReads
from sandbox.hubspot.store import ContactStore, Record
from sandbox.hubspot.webhooks import WebhookSender
from sandbox.hubspot.writes import ContactWrites, Write
from sandbox.people import Population
from sandbox.service import Service
from sandbox.settings import HubSpotSettings

_VERSION = r"(?:v3|\d{4}-\d{2})"
_CONTACTS = re.compile(rf"/crm/(?:v3/objects|objects/{_VERSION})/contacts(?P<tail>/.*)?")
_PROPERTIES = re.compile(rf"/crm/(?:v3/properties|properties/{_VERSION})/contacts(?P<tail>/.*)?")
_LISTS = re.compile(rf"/crm/(?:v3/lists|lists/{_VERSION})(?P<tail>/.*)")
_ACCOUNT = re.compile(rf"/account-info/{_VERSION}/details")
_SEARCH = "/search"
#: Who changes contacts in the user interface.
_PEOPLE = "CRM_UI"
_READING_POSTS = ("/batch/read", _SEARCH)


class HubSpot(Service):
    """
    A HubSpot account and its API.

    Args:
        population: whose contacts it has.
        settings: of the account.
        clock: of the world.
        faults: that its requests may meet.
        lock: held while the world is read or changed.
    """

    name = "hubspot"

    def __init__(
        self,
        population: Population,
        settings: HubSpotSettings,
        clock: Clock,
        faults: FaultScript,
        lock: threading.RLock,
    ) -> None:
        super().__init__(clock, faults)
        self.settings = settings
        self._lock = lock
        self._webhooks = WebhookSender(lambda: self.settings)
        self._store = ContactStore(clock, population.contacts, self._webhooks.note)
        self._catalog = PropertyCatalog(clock)
        self._limits = AccountLimits(clock)
        self._reads = ContactReads(self._store, self._catalog, clock)
        self._writes = ContactWrites(self._store, self._catalog, clock)
        self._properties = PropertyCalls(self._catalog, clock)
        self._lists = ContactLists()
        self._answered = 0
        self._contact_calls: Mapping[tuple[str, str], Callable[[Request], Reply]] = {
            ("GET", ""): self._reads.page,
            ("POST", ""): self._writes.create_one,
            ("POST", "/batch/read"): self._batch_read,
            ("POST", "/batch/update"): self._update_many,
            ("POST", "/batch/create"): self._writes.create_many,
            ("POST", "/batch/archive"): self._writes.delete_many,
            ("POST", "/gdpr-delete"): self._writes.erase,
            ("POST", _SEARCH): self._search,
        }

    @property
    def writes(self) -> list[Write]:
        """Every update that was accepted through the API, oldest first."""
        return list(self._writes.writes)

    @property
    def updates_by_contact(self) -> Counter[str]:
        """How often each contact was updated through the API."""
        return self._writes.updates_by_contact.copy()

    @property
    def contacts(self) -> dict[str, dict[str, str]]:
        """A copy of every contact's present values, by its id."""
        # Without the lock, so that a test that polls doesn't block the server.
        return {record.id: dict(record.values) for record in self._store.present()}

    @property
    def property_names(self) -> set[str]:
        """The names of all contact properties."""
        return set(self._catalog.definitions)

    @property
    def rejected_429(self) -> int:
        """How many requests were too much."""
        return self._limits.rejected

    def create(self, properties: list[Mapping[str, str]]) -> list[str]:
        """Create contacts as people do in the user interface, unchecked, and return their ids."""
        with self._lock:
            return [self._store.create(values, _PEOPLE).id for values in properties]

    def edit(self, contact_id: str, properties: Mapping[str, str]) -> None:
        """Change a contact as people do in the user interface, unchecked."""
        with self._lock:
            self._store.change(self._known(contact_id), properties, _PEOPLE)

    def merge(self, survivor_id: str, merged_id: str) -> None:
        """Make one contact part of another."""
        with self._lock:
            self._store.merge(survivor_id, merged_id)

    def make_list(self, list_id: str, contact_ids: Sequence[str], *, object_type: str = "0-1") -> None:
        """Make a list, as people do in the user interface."""
        with self._lock:
            self._lists.make(list_id, contact_ids, object_type)

    def define(self, definition: Mapping[str, Any]) -> None:
        """Create a contact property as people do in the user interface."""
        with self._lock:
            self._catalog.create({"groupName": "contactinformation", "label": definition["name"], **definition})

    def archive_property(self, name: str) -> None:
        """Archive a contact property, as people do in the user interface: it is as if it weren't there."""
        with self._lock:
            del self._catalog.definitions[name]

    def archive(self, contact_id: str) -> None:
        """Put a contact into the recycling bin."""
        with self._lock:
            self._writes.delete_one(contact_id, _PEOPLE)

    def restore(self, contact_id: str) -> None:
        """Take a contact out of the recycling bin."""
        with self._lock:
            self._store.restore(self._known(contact_id), _PEOPLE)

    def erase(self, contact_id: str) -> None:
        """Delete a contact for good, as happens to a person who asked to be forgotten."""
        with self._lock:
            self._store.erase(self._known(contact_id), _PEOPLE)

    def close(self) -> None:
        """Send no more webhooks."""
        self._webhooks.close()

    def options(self) -> HubSpotSettings:
        """Return the present settings."""
        return self.settings

    def configure(self, changes: dict[str, Any]) -> None:
        """Change some of the settings."""
        self.settings = replace(self.settings, **changes)

    def summary(self) -> dict[str, Any]:
        """Return the totals of the ledger."""
        updates = self._writes.updates_by_contact
        return {
            "requests": self.log.by_status(),
            "contacts": len(self._store),
            "properties": len(self._catalog.definitions),
            "updates": len(self._writes.writes),
            "contacts_updated": len(updates),
            "most_updates_of_one_contact": max(updates.values(), default=0),
            "max_requests_in_any_second": self._limits.burst.max_in_any_second,
            "rejected_429": self.rejected_429,
            "webhooks": self._webhooks.summary(),
        }

    def handle(self, request: Request) -> Reply:
        """Answer a request as HubSpot would."""
        self._answered += 1
        try:
            reply = self._route(request)
        except HubSpotError as error:
            reply = error.render(f"00000000-5a5a-4000-8000-{self._answered:012d}")
        return reply if request.path.endswith(_SEARCH) else reply.with_headers(self._limits.headers(self.settings))

    def _known(self, contact_id: str) -> Record:
        record = self._store.get(contact_id)
        if record is None:
            raise KeyError(contact_id)
        return record

    def _route(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {self.settings.token}":
            raise unauthenticated()
        self._limits.admit(self.settings, search=request.path.endswith(_SEARCH))
        if found := _CONTACTS.fullmatch(request.path):
            return self._contacts(replace(request, path=(found["tail"] or "").rstrip("/")))
        if found := _PROPERTIES.fullmatch(request.path):
            self._require("crm.schemas.contacts", reading=request.method == "GET")
            return self._properties.answer(replace(request, path=found["tail"] or ""))
        if found := _LISTS.fullmatch(request.path):
            self._require("crm.lists", reading=True)
            return self._lists.answer(replace(request, path=found["tail"]))
        if _ACCOUNT.fullmatch(request.path):
            return self._account()
        raise unknown_path()

    def _contacts(self, request: Request) -> Reply:
        reading = request.method == "GET" or request.path in _READING_POSTS
        self._require("crm.objects.contacts", reading=reading)
        call = self._contact_calls.get((request.method, request.path))
        return call(request) if call else self._one_contact(request, request.path.removeprefix("/"))

    def _one_contact(self, request: Request, wanted: str) -> Reply:
        if "/" in wanted or not wanted:
            raise unknown_path()
        if request.method == "GET":
            return self._reads.one(request, wanted)
        if request.method == "PATCH":
            return self._writes.update_one(request, wanted)
        if request.method == "DELETE":
            return self._writes.delete_one(wanted)
        raise not_found(wanted)

    def _require(self, family: str, *, reading: bool) -> None:
        scope = f"{family}.{'read' if reading else 'write'}"
        if scope not in self.settings.scopes:
            raise missing_scope(scope)

    def _batch_read(self, request: Request) -> Reply:
        return self._reads.batch(request, self.settings.read_lag_seconds)

    def _search(self, request: Request) -> Reply:
        return self._reads.search(request, self.settings.index_lag_seconds)

    def _update_many(self, request: Request) -> Reply:
        covered = self.settings.trace_ids_cover_validation
        return self._writes.update_many(request, trace_ids_cover_validation=covered)

    def _account(self) -> Reply:
        portal_id = self.settings.portal_id
        details = {
            "portalId": portal_id,
            "accountType": "STANDARD",
            "timeZone": "UTC",
            "companyCurrency": "USD",
        }
        domain = "app.hubspot.test"
        return json_reply({**details, "uiDomain": domain, "dataHostingLocation": "na1", "utcOffset": "+00:00"})
