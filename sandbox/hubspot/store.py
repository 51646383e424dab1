"""The contacts of a HubSpot account, with their history and merges."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from sandbox.clock import Clock, iso_of
from sandbox.hubspot.happenings import Happening, Listener

FIRST_ID = 101_000_000_000
ID_STEP = 37
SEED_SPAN_MS = 90 * 24 * 3600 * 1000
_SEED_SOURCES = ("CRM_UI", "IMPORT", "FORM")


class Version(NamedTuple):
    """A value that a property had, and since when."""

    name: str
    value: str
    at_ms: int
    source: str


@dataclass(slots=True, eq=False)
class Record:
    """A contact; properties without a value are absent from `values`."""

    id: str
    number: int
    values: dict[str, str]
    created_ms: int
    modified_ms: int
    source: str
    archived: bool = False
    original: dict[str, str] | None = None
    changes: list[Version] = field(default_factory=list)

    def history(self, name: str) -> list[Version]:
        """Return the versions of a property, oldest first."""
        original = self.values if self.original is None else self.original
        changes = [version for version in self.changes if version.name == name]
        if name not in original:
            return changes
        return [Version(name, original[name], self.created_ms, self.source), *changes]

    def set(self, version: Version) -> None:
        """Give a property another value; an empty one clears it."""
        if self.original is None:
            # Most contacts never change, and need no second copy of their values.
            self.original = self.values.copy()
        self.changes.append(version)
        self.values[version.name] = version.value
        if not version.value:
            del self.values[version.name]


class ContactStore:
    """
    Keeps contacts in the order of their ids, which is that of their creation.

    Args:
        clock: of the world.
        seeds: the properties of the contacts that exist from the beginning.
        listener: is called with what happens to contacts.
    """

    def __init__(self, clock: Clock, seeds: Sequence[Mapping[str, str]], listener: Listener) -> None:
        self._clock = clock
        self._listener = listener
        self._records: dict[str, Record] = {}
        self._ordered: list[Record] = []
        self._next = FIRST_ID
        self._by_email: dict[str, str] = {}
        self._merged: dict[str, str] = {}
        now = clock.milliseconds()
        for number, values in enumerate(seeds):
            created_ms = now - SEED_SPAN_MS + (number + 1) * SEED_SPAN_MS // (len(seeds) + 1)
            self._insert(values, created_ms, _SEED_SOURCES[number % 3])

    def __len__(self) -> int:
        """Return the number of contacts, archived ones included."""
        return len(self._records)

    def get(self, record_id: str) -> Record | None:
        """Return the contact with this very id."""
        return self._records.get(record_id)

    def surviving(self, record_id: str) -> Record | None:
        """Return the contact that has this id, or into which it was merged."""
        return self._records.get(self._merged.get(record_id, record_id))

    def is_merged_away(self, record_id: str) -> bool:
        """Return whether the contact is now part of another one."""
        return record_id in self._merged

    def with_email(self, email: str) -> Record | None:
        """Return the contact with this e-mail; the first, if there are several spellings."""
        return self._records.get(self._by_email.get(_email_key(email), ""))

    def records(self, *, above: int = 0, since_ms: int = 0) -> Iterator[Record]:
        """Yield all contacts with an id above this one, created at this moment or later."""
        by_id = bisect_right(self._ordered, above, key=lambda record: record.number)
        by_creation = bisect_left(self._ordered, since_ms, key=lambda record: record.created_ms)
        places = range(max(by_id, by_creation), len(self._ordered))
        return (self._ordered[place] for place in places)

    def present(self) -> list[Record]:
        """Return all contacts that aren't archived."""
        return [record for record in self._ordered.copy() if not record.archived]

    def page(self, after: int, limit: int, *, archived: bool) -> tuple[list[Record], str | None]:
        """Return contacts from this id on, and the id at which the next page begins."""
        wanted = (record for record in self.records(above=after - 1) if record.archived is archived)
        found = list(islice(wanted, limit + 1))
        return found[:limit], found[limit].id if len(found) > limit else None

    def create(self, values: Mapping[str, str], source: str) -> Record:
        """Add a contact."""
        record = self._insert({k: v for k, v in values.items() if v != ""}, self._clock.milliseconds(), source)
        self._tell("creation", record, source)
        return record

    def change(self, record: Record, values: Mapping[str, str], source: str) -> None:
        """Change properties; an empty text clears one."""
        now = self._clock.milliseconds()
        if "email" in values:
            self._forget_email(record)
            self._learn_email(values, record.id)
        for name, value in values.items():
            if value != record.values.get(name, ""):
                record.set(Version(name, value, now, source))
                self._tell("propertyChange", record, source, propertyName=name, propertyValue=value)
        record.modified_ms = now
        record.values["lastmodifieddate"] = iso_of(now)

    def archive(self, record: Record, source: str) -> None:
        """Put a contact into the recycling bin."""
        if not record.archived:
            self._hide(record)
            self._tell("deletion", record, source)

    def restore(self, record: Record, source: str) -> None:
        """Take a contact out of the recycling bin."""
        if record.archived:
            record.archived = False
            self._learn_email(record.values, record.id)
            self._tell("restore", record, source)

    def erase(self, record: Record, source: str) -> None:
        """Delete a contact for good."""
        self._remove(record)
        self._tell("privacyDeletion", record, source)
        self._tell("deletion", record, source)

    def merge(self, survivor_id: str, merged_id: str) -> None:
        """Make one contact part of another."""
        survivor, gone = self._records[survivor_id], self._records[merged_id]
        self._remove(gone)
        earlier = {old: survivor_id for old, new in self._merged.items() if new == merged_id}
        self._merged |= {merged_id: survivor_id, **earlier}
        missing = {name: value for name, value in gone.values.items() if name not in survivor.values}
        known = [part for part in survivor.values.get("hs_merged_object_ids", "").split(";") if part]
        missing["hs_merged_object_ids"] = ";".join(dict.fromkeys((*known, merged_id, *earlier)))
        self.change(survivor, missing, "MERGE_OBJECTS")
        self._tell(
            "merge",
            survivor,
            "CRM_UI",
            primaryObjectId=survivor.number,
            mergedObjectIds=[gone.number],
            newObjectId=survivor.number,
            numberOfPropertiesMoved=len(missing),
        )

    def _tell(self, kind: str, record: Record, source: str, **details: Any) -> None:
        self._listener(Happening(kind, record.id, self._clock.milliseconds(), source, details))

    def _hide(self, record: Record) -> None:
        record.archived = True
        self._forget_email(record)

    def _remove(self, record: Record) -> None:
        self._hide(record)
        del self._records[record.id]
        self._ordered.remove(record)

    def _insert(self, values: Mapping[str, str], created_ms: int, source: str) -> Record:
        record_id, moment = str(self._next), iso_of(created_ms)
        own = {"hs_object_id": record_id, "createdate": moment, "lastmodifieddate": moment}
        everything = {"lifecyclestage": "lead", **values, **own}
        record = Record(record_id, self._next, everything, created_ms, created_ms, source)
        self._records[record_id] = record
        self._ordered.append(record)
        self._next += ID_STEP
        self._learn_email(values, record_id)
        return record

    def _learn_email(self, values: Mapping[str, str], record_id: str) -> None:
        if values.get("email"):
            self._by_email.setdefault(_email_key(values["email"]), record_id)

    def _forget_email(self, record: Record) -> None:
        email = _email_key(record.values.get("email", ""))
        if self._by_email.get(email) == record.id:
            del self._by_email[email]


def _email_key(email: str) -> str:
    return email.strip().lower()
