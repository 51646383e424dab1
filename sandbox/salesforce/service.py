"""The Salesforce API: who may call it and how often, and where each call goes."""

import re
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from sandbox.clock import Clock
from sandbox.exchange import Reply, Request, json_reply
from sandbox.faults import FaultScript
from sandbox.people import Population
from sandbox.salesforce.bulk import BulkJobs
from sandbox.salesforce.creations import ContactCreations
from sandbox.salesforce.errors import RecordError, SalesforceError, expired, malformed, over_limit, unknown_path
from sandbox.salesforce.event_bus import EventBus
from sandbox.salesforce.event_feed import EventFeed
from sandbox.salesforce.fields import RECORD_TYPE, contact_fields, definition
from sandbox.salesforce.reads import ContactReads
from sandbox.salesforce.sessions import Sessions
from sandbox.salesforce.store import OrgStore, Record
from sandbox.salesforce.writes import ContactWrites, RecordRule, Write
from sandbox.service import Service
from sandbox.settings import SalesforceSettings

_DATA = re.compile(r"(?P<root>/services/data/v\d{2,3}\.0/)(?P<tail>.*)")
_DESCRIBE = "sobjects/Contact/describe"
_PICKLIST_VALUES = "ui-api/object-info/Contact/picklist-values/"
_TOKEN = "/services/oauth2/token"


class Salesforce(Service):
    """
    A Salesforce org and its API.

    Args:
        population: whose contacts it has.
        settings: of the org.
        clock: of the world.
        faults: that its requests may meet.
        lock: held while the world is read or changed.
    """

    name = "salesforce"

    def __init__(
        self,
        population: Population,
        settings: SalesforceSettings,
        clock: Clock,
        faults: FaultScript,
        lock: threading.RLock,
    ) -> None:
        super().__init__(clock, faults)
        self.settings = settings
        self.sessions = Sessions(clock)
        self._seeds = population.contacts
        self._born = clock.seconds()
        self._lock = lock
        self.bus = EventBus(clock, self.options)
        self.feed = EventFeed(self.bus, clock)
        self._origin = ""
        self._busy = 0
        self._used = 0
        self.rejected = 0

    @property
    def writes(self) -> list[Write]:
        """Every update that was accepted through the API, oldest first."""
        return list(self._writes.writes)

    @property
    def updates_by_contact(self) -> Counter[str]:
        """How often each contact was updated through the API."""
        return self._writes.updates_by_contact.copy()

    @property
    def contacts(self) -> dict[str, dict[str, Any]]:
        """A copy of every contact's present values, by its id."""
        return {record.id: dict(record.values) for record in self._store.records(deleted=False)}

    @property
    def jobs(self) -> list[str]:
        """The state of each bulk job, oldest first."""
        return self._bulk.states

    def create(self, contacts: list[Mapping[str, Any]]) -> list[str]:
        """Create contacts as people do, unchecked, and return their ids; `Account.Name` puts one into an account."""
        with self._lock:
            return [self._store.create(values).id for values in contacts]

    def edit(self, contact_id: str, values: Mapping[str, Any]) -> None:
        """Change a contact as people do, unchecked."""
        with self._lock:
            self._store.change(self._known(contact_id), values)

    def delete(self, contact_id: str, *, into: str | None = None) -> None:
        """Put a contact into the recycle bin, perhaps because it was merged into another."""
        with self._lock:
            self._store.delete(self._known(contact_id), into)

    def restore(self, contact_id: str) -> None:
        """Take a contact out of the recycle bin."""
        with self._lock:
            self._store.restore(self._known(contact_id))

    def make_campaign(self, campaign_id: str, contact_ids: Iterable[str]) -> None:
        """Make a campaign with these members."""
        with self._lock:
            self._store.campaigns[campaign_id[:15]] = frozenset(contact_ids)

    def define(self, field: Mapping[str, Any]) -> None:
        """Add a field to Contact, or change it, as an administrator does; see `sandbox.salesforce.fields`."""
        self._fields[field["name"]] = dict(field)

    def remove(self, name: str) -> None:
        """Delete a field of Contact, or hide it from the user, which looks the same."""
        del self._fields[name]

    def make_record_types(self, record_types: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        """Give Contact record types, by id, each with what it leaves of some picklists."""
        self.define(definition(RECORD_TYPE, "reference", 18))
        self._writes.record_types |= {
            each: {n: list(v) for n, v in left.items()} for each, left in record_types.items()
        }

    def forbid(self, field: str, value: str, code: str, message: str, fields: Sequence[str] = ()) -> None:
        """Let a rule of the org refuse a value, with this error."""
        self._writes.rules.append(RecordRule(field, value, RecordError(code, message, fields)))

    def resemble(self, contact_id: str, *, blocks: bool = False) -> None:
        """Let a rule for duplicates warn of updates of a contact, or block them."""
        self._writes.resemble(contact_id, blocks=blocks)

    def hold(self, contact_id: str, times: int) -> None:
        """Let this many updates of a contact meet the lock of another process."""
        self._writes.lock(contact_id, times)

    def be_busy(self, times: int) -> None:
        """Refuse this many requests because too many long ones are under way."""
        self._busy = times

    def options(self) -> SalesforceSettings:
        """Return the present settings."""
        return self.settings

    def configure(self, changes: dict[str, Any]) -> None:
        """Change some of the settings."""
        self.settings = replace(self.settings, **changes)

    def summary(self) -> dict[str, Any]:
        """Return the totals of the ledger."""
        if "_store" not in self.__dict__:
            return {"requests": self.log.by_status(), "sessions": self.sessions.issued}
        updates = self._writes.updates_by_contact
        return {
            "requests": self.log.by_status(),
            "sessions": self.sessions.issued,
            "contacts": len(self._store),
            "updates": len(self._writes.writes),
            "contacts_updated": len(updates),
            "most_updates_of_one_contact": max(updates.values(), default=0),
            "rejected": self.rejected,
            "events": dict(self.bus.totals),
        }

    def handle(self, request: Request) -> Reply:
        """Answer a request as Salesforce would."""
        if request.path == _TOKEN:
            return self.sessions.issue(request, self.settings)
        self._origin = _origin(request)
        try:
            reply = self._route(request)
        except SalesforceError as error:
            reply = error.render()
        finally:
            self._origin = ""
        usage = f"api-usage={self._used}/{self.settings.daily_calls}"
        return reply.with_headers({"Sforce-Limit-Info": usage})

    @cached_property
    def _store(self) -> OrgStore:
        # Made at the first use: most worlds are about another CRM.
        return OrgStore(self.clock, self._seeds, self._born, self._notify)

    @cached_property
    def _fields(self) -> dict[str, dict[str, Any]]:
        return contact_fields(custom=self.settings.custom_fields)

    @cached_property
    def _reads(self) -> ContactReads:
        return ContactReads(self._store, self._fields)

    @cached_property
    def _writes(self) -> ContactWrites:
        return ContactWrites(self._store, self._fields, self.clock, lambda: self.settings.latency_ms / 1000)

    @cached_property
    def _creations(self) -> ContactCreations:
        return ContactCreations(self._store, self._fields, self.feed)

    @cached_property
    def _bulk(self) -> BulkJobs:
        return BulkJobs(self._writes)

    def _route(self, request: Request) -> Reply:
        self._admit(request)
        found = _DATA.fullmatch(request.path)
        if found is None:
            raise unknown_path()
        root, tail = found["root"], found["tail"]
        if tail.startswith("query"):
            return self._query(request, root, tail)
        if tail.startswith("composite/sobjects"):
            return self._collection(request, tail.removeprefix("composite/sobjects").strip("/"))
        if tail.startswith("jobs/ingest"):
            return self._bulk.answer(request, tail.removeprefix("jobs/ingest").strip("/"), self.settings)
        if tail == _DESCRIBE or tail.startswith(_PICKLIST_VALUES):
            return self._metadata(tail)
        if tail.startswith("sobjects/"):
            return self._creations.answer(request, tail.removeprefix("sobjects/").strip("/"))
        if tail.rstrip("/") == "limits":
            return self._limits()
        raise unknown_path()

    def _admit(self, request: Request) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not self.sessions.holds(token) or not self.settings.sessions_hold:
            raise expired()
        if self._busy > 0:
            self._busy -= 1
            self.rejected += 1
            raise over_limit("ConcurrentRequests (Concurrent API Requests) Limit exceeded.")
        if self._used >= self.settings.daily_calls:
            self.rejected += 1
            raise over_limit("TotalRequests Limit exceeded.")
        self._used += 1

    def _query(self, request: Request, root: str, tail: str) -> Reply:
        page_size = self.settings.query_page
        if "-" in tail:
            return self._reads.more(tail.partition("/")[2], root, page_size)
        return self._reads.query(request, root, page_size, deleted=tail.startswith("queryAll"))

    def _collection(self, request: Request, kind: str) -> Reply:
        try:
            body = request.json()
        except ValueError:
            raise malformed("JSON_PARSER_ERROR", "Unexpected character") from None
        if request.method == "PATCH" and not kind:
            wish = request.headers.get("sforce-duplicate-rule-header", "")
            return self._writes.update_many(body, passes_warnings="allowsave=true" in wish.lower().replace(" ", ""))
        if request.method == "POST" and kind in ("Contact", "Account"):
            return self._reads.retrieve(kind, body)
        raise unknown_path()

    def _metadata(self, tail: str) -> Reply:
        if tail != _DESCRIBE:
            return self._picklist_values(tail.removeprefix(_PICKLIST_VALUES))
        types = [{"recordTypeId": "012000000000000AAA", "active": True, "master": True}]
        types += [{"recordTypeId": each, "active": True, "master": False} for each in self._writes.record_types]
        fields = list(self._fields.values())
        return json_reply({"name": "Contact", "keyPrefix": "003", "fields": fields, "recordTypeInfos": types})

    def _picklist_values(self, record_type: str) -> Reply:
        left = self._writes.record_types.get(record_type)
        if left is None:
            raise unknown_path()
        names = [name for name, each in self._fields.items() if each["picklistValues"]]
        listed = {
            name: left.get(name, [each["value"] for each in self._fields[name]["picklistValues"]]) for name in names
        }
        values = {name: {"values": [{"value": each, "label": each} for each in listed[name]]} for name in names}
        return json_reply({"picklistFieldValues": values})

    def _limits(self) -> Reply:
        if not self.settings.limits_visible:
            raise SalesforceError(403, "INSUFFICIENT_ACCESS", "You do not have the permission to view limits")
        allowed = self.settings.daily_calls
        return json_reply({"DailyApiRequests": {"Max": allowed, "Remaining": max(allowed - self._used, 0)}})

    def _notify(self, kind: str, record: Record, changed: Collection[str]) -> None:
        self.feed.publish(kind, record, changed, self.settings, self._origin)

    def _known(self, contact_id: str) -> Record:
        record = self._store.get(contact_id)
        if record is None:
            raise KeyError(contact_id)
        return record


def _origin(request: Request) -> str:
    """Return what change events say of who made a change through the API."""
    return f"com/salesforce/api/rest/68.0;{request.headers.get('sforce-call-options', '')}"
