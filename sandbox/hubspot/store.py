"""The contacts of a HubSpot account, with their history and merges."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from sandbox.clock import Clock, iso_of

FIRST_ID = 101_000_000_000
ID_STEP = 37
SEED_SPAN_MS = 90 * 24 * 3600 * 1000
_SEED_SOURCES = ("CRM_UI", "IMPORT", "FORM")


class Version(NamedTuple):
    """A value that a property had, and since when."""

    value: str
    at_ms: int
    source: str


@dataclass(slots=True)
class Record:
    """A contact; properties without a value are absent from `values`."""

    id: str
    values: dict[str, str]
    created_ms: int
    modified_ms: int
    source: str
    archived: bool = False
    changes: dict[str, list[Version]] = field(default_factory=dict)

    def history(self, name: str) -> list[Version]:
        """Return the versions of a property, oldest first."""
        if name in self.changes:
            return self.changes[name]
        # What has never changed since the creation needs no list of its own.
        return (
            [Version(self.values[name], self.created_ms, self.source)]
            if name in self.values
            else []
        )


class ContactStore:
    """
    Keeps contacts in the order of their ids, which is that of their creation.

    Args:
        clock: of the world.
        seeds: the properties of the contacts that exist from the beginning.
    """

    def __init__(self, clock: Clock, seeds: Sequence[Mapping[str, str]]) -> None:
        self._clock = clock
        self._records: dict[str, Record] = {}
        self._ids: list[int] = []
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
        """Tell whether the contact is now part of another one."""
        return record_id in self._merged

    def with_email(self, email: str) -> Record | None:
        """Return the contact with this e-mail; the first, if imports have left several spellings."""
        return self._records.get(self._by_email.get(_email_key(email), ""))

    def records(self, *, above: int = 0) -> Iterator[Record]:
        """Yield all contacts whose id is above this one."""
        start = bisect_left(self._ids, above + 1)
        return (self._records[str(number)] for number in islice(self._ids, start, None))

    def page(self, after: int, limit: int, *, archived: bool) -> tuple[list[Record], str | None]:
        """Return a page of contacts, the first of which has at least this id, and where the next one begins."""
        wanted = (record for record in self.records(above=after - 1) if record.archived is archived)
        found = list(islice(wanted, limit + 1))
        return found[:limit], found[limit].id if len(found) > limit else None

    def create(self, values: Mapping[str, str], source: str) -> Record:
        """Add a contact."""
        return self._insert(
            {k: v for k, v in values.items() if v != ""}, self._clock.milliseconds(), source
        )

    def change(self, record: Record, values: Mapping[str, str], source: str) -> None:
        """Change properties; an empty text clears one."""
        now = self._clock.milliseconds()
        for name, value in values.items():
            if value != record.values.get(name, ""):
                self._set(record, name, Version(value, now, source))
        record.modified_ms = now
        record.values["lastmodifieddate"] = iso_of(now)

    def archive(self, record: Record) -> None:
        """Put a contact into the recycling bin."""
        record.archived = True
        self._by_email.pop(_email_key(record.values.get("email", "")), None)

    def erase(self, record: Record) -> None:
        """Delete a contact for good."""
        self.archive(record)
        del self._records[record.id]
        self._ids.remove(int(record.id))

    def merge(self, survivor_id: str, merged_id: str) -> None:
        """Make one contact part of another."""
        survivor, gone = self._records[survivor_id], self._records[merged_id]
        self.erase(gone)
        earlier = {old: survivor_id for old, new in self._merged.items() if new == merged_id}
        self._merged |= {merged_id: survivor_id, **earlier}
        missing = {
            name: value for name, value in gone.values.items() if name not in survivor.values
        }
        known = [
            part for part in survivor.values.get("hs_merged_object_ids", "").split(";") if part
        ]
        missing["hs_merged_object_ids"] = ";".join(dict.fromkeys((*known, merged_id, *earlier)))
        self.change(survivor, missing, "MERGE_OBJECTS")

    def _insert(self, values: Mapping[str, str], created_ms: int, source: str) -> Record:
        number = self._ids[-1] + ID_STEP if self._ids else FIRST_ID
        record_id, moment = str(number), iso_of(created_ms)
        own = {"hs_object_id": record_id, "createdate": moment, "lastmodifieddate": moment}
        record = Record(
            record_id, {"lifecyclestage": "lead", **values, **own}, created_ms, created_ms, source
        )
        self._records[record_id] = record
        self._ids.append(number)
        if "email" in values:
            self._by_email.setdefault(_email_key(values["email"]), record_id)
        return record

    def _set(self, record: Record, name: str, version: Version) -> None:
        record.changes[name] = [*record.history(name), version]
        if name == "email":
            self._by_email.pop(_email_key(record.values.get("email", "")), None)
            self._by_email.setdefault(_email_key(version.value), record.id)
        record.values.pop(name, None)
        if version.value:
            record.values[name] = version.value


def _email_key(email: str) -> str:
    return email.strip().lower()
