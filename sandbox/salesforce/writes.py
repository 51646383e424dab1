"""Updates of contacts, as collections and bulk jobs make them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from sandbox.clock import Clock
from sandbox.exchange import Reply, json_reply
from sandbox.salesforce.errors import RecordError, malformed
from sandbox.salesforce.fields import RECORD_TYPE, bad_value, check, fits_json, no_such_column, stored
from sandbox.salesforce.store import OrgStore, Record

MOST_RECORDS = 200


class Write(NamedTuple):
    """An update that was accepted; the time is in seconds since the epoch."""

    contact_id: str
    fields: dict[str, Any]
    at: float


class RecordRule(NamedTuple):
    """A rule that people made: a contact isn't saved with this value of a field, and this is what is said then."""

    field: str
    value: str
    error: RecordError


class ContactWrites:
    """
    Updates contacts, and keeps what was written.

    Args:
        store: of the contacts.
        fields: by name.
        clock: of the world.
        latency: gives the seconds that an answer takes; so long does an update lock the accounts of its contacts.
    """

    def __init__(
        self,
        store: OrgStore,
        fields: Mapping[str, Mapping[str, Any]],
        clock: Clock,
        latency: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._store = store
        self._fields = fields
        self._clock = clock
        self._latency = latency
        self._busy_until: dict[str, float] = {}
        self.writes: list[Write] = []
        self.updates_by_contact: Counter[str] = Counter()
        self._locks: Counter[str] = Counter()
        self.rules: list[RecordRule] = []
        self._alike: dict[str, bool] = {}
        self.record_types: dict[str, dict[str, list[str]]] = {}

    def lock(self, contact_id: str, times: int) -> None:
        """Let this many updates of a contact meet the lock of another process."""
        self._locks[contact_id[:15]] += times

    def resemble(self, contact_id: str, *, blocks: bool) -> None:
        """Let a rule for duplicates find that a contact is like another one; it blocks updates, or warns of them."""
        self._alike[contact_id[:15]] = blocks

    def update_many(self, body: Any, *, passes_warnings: bool = False) -> Reply:
        """Update up to 200 contacts; the answer has one entry for each, in the same order."""
        records = body.get("records") if isinstance(body, dict) else None
        if not isinstance(records, list) or not all(isinstance(each, dict) for each in records):
            raise malformed("JSON_PARSER_ERROR", "records must be a list of objects")
        if len(records) > MOST_RECORDS:
            raise malformed("INVALID_INPUT", f"The maximum number of records is {MOST_RECORDS}")
        self._check_json(records)
        seen: set[str] = set()
        began = self._clock.monotonic()
        entries = [self._entry(each, seen, passes_warnings=passes_warnings) for each in records]
        ends = began + self._latency()
        self._busy_until |= {self._account(str(entry["id"])): ends for entry in entries if entry.get("success")}
        return json_reply(entries, inputs=len(records))

    def unknown_columns(self, names: Iterable[str]) -> list[str]:
        """Return which of the names aren't those of fields."""
        return [name for name in names if name not in self._fields]

    def update(self, contact_id: str, values: Mapping[str, Any], *, passes_warnings: bool = False) -> Record:
        """
        Update one contact.

        Raises:
            RecordError: it isn't taken.
        """
        record = self._writable(contact_id)
        for name, value in values.items():
            check(name, value, self._fields.get(name))
        self._obey_rules(record, values, passes_warnings=passes_warnings)
        self._meet_lock(record)
        self._store.change(record, {name: stored(value, self._fields[name]) for name, value in values.items()})
        self.writes.append(Write(record.id, dict(values), self._clock.seconds()))
        self.updates_by_contact[record.id] += 1
        return record

    def _obey_rules(self, record: Record, values: Mapping[str, Any], *, passes_warnings: bool) -> None:
        permitted = self.record_types.get(str(record.get(RECORD_TYPE)), {})
        for name in values.keys() & permitted.keys():
            if not set(str(values[name]).split(";")) <= {*permitted[name]}:
                raise bad_value(name, values[name])
        for rule in self.rules:
            if str(values.get(rule.field)) == rule.value:
                raise rule.error
        blocks = self._alike.get(record.id[:15])
        if blocks is not None and (blocks or not passes_warnings):
            raise RecordError("DUPLICATES_DETECTED", "Use one of these records?")

    def _entry(self, each: Mapping[str, Any], seen: set[str], *, passes_warnings: bool) -> dict[str, Any]:
        contact_id = str(each.get("id") or each.get("Id") or "")
        values = {name: value for name, value in each.items() if name not in ("attributes", "id", "Id")}
        try:
            if contact_id[:15] in seen:
                raise RecordError("DUPLICATE_VALUE", "Duplicate id in list")  # noqa: TRY301 - an entry like the others
            seen.add(contact_id[:15])
            record = self.update(contact_id, values, passes_warnings=passes_warnings)
        except RecordError as error:
            return error.render()
        return {"id": record.id, "success": True, "errors": []}

    def _check_json(self, records: list[dict[str, Any]]) -> None:
        for each in records:
            unknown = self.unknown_columns(each.keys() - {"attributes", "id", "Id"})
            if unknown:
                raise malformed("INVALID_FIELD", no_such_column(unknown[0]))
            for name, value in each.items():
                if not fits_json(value, self._fields.get(name)):
                    message = f"Cannot deserialize instance of double from VALUE_STRING value {value}"
                    raise malformed("JSON_PARSER_ERROR", message)

    def _writable(self, contact_id: str) -> Record:
        if len(contact_id) not in (15, 18) or not contact_id.isalnum():
            raise RecordError("MALFORMED_ID", f"Contact ID: id value of incorrect type: {contact_id}", ["Id"])
        record = self._store.get(contact_id)
        if record is None:
            raise RecordError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        if record.deleted:
            raise RecordError("ENTITY_IS_DELETED", "entity is deleted")
        return record

    def _account(self, contact_id: str) -> str:
        record = self._store.get(contact_id)
        return str(record.values.get("AccountId") or "") if record else ""

    def _meet_lock(self, record: Record) -> None:
        account = self._account(record.id)
        busy = bool(account) and self._busy_until.get(account, 0.0) > self._clock.monotonic()
        if self._locks[record.id[:15]] > 0:
            self._locks[record.id[:15]] -= 1
            busy = True
        if busy:
            raise RecordError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record or 1 records")
