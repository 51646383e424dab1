"""The contacts and accounts of a Salesforce org."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.clock import Clock

SEED_SPAN_SECONDS = 90 * 24 * 3600
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
#: HubSpot's name of what the population knows, by Salesforce's.
_SEEDED = {
    "Email": "email",
    "FirstName": "firstname",
    "LastName": "lastname",
    "Title": "jobtitle",
    "Phone": "phone",
    "MailingCity": "city",
}


@dataclass(slots=True, eq=False)
class Record:
    """A contact; fields without a value are absent from `values`. Moments have whole seconds."""

    id: str
    values: dict[str, Any]
    created: int
    modified: int
    deleted: bool = False
    master_id: str | None = None

    def get(self, name: str) -> Any:
        """Return a field's value as JSON has it."""
        if name in _SYSTEM:
            return _SYSTEM[name](self)
        return self.values.get(name)


class OrgStore:
    """
    Keeps contacts in the order of their creation, and the accounts that they belong to.

    Args:
        clock: of the world.
        seeds: the contacts that exist from the beginning, as the population has them.
        born: when they begin to exist, in seconds since the epoch.
        notify: is called with what happens to which contact, and which of its fields change.
    """

    def __init__(
        self,
        clock: Clock,
        seeds: Sequence[Mapping[str, str]],
        born: float,
        notify: Callable[[str, Record, Collection[str]], None],
    ) -> None:
        self._clock = clock
        self._notify = notify
        self._records: dict[str, Record] = {}
        self.accounts: dict[str, str] = {}
        self._account_ids: dict[str, str] = {}
        self.campaigns: dict[str, frozenset[str]] = {}
        for number, seed in enumerate(seeds):
            created = int(born) - SEED_SPAN_SECONDS + (number + 1) * SEED_SPAN_SECONDS // (len(seeds) + 1)
            self._insert(self._seeded(seed), created)

    def __len__(self) -> int:
        """Return the number of contacts, deleted ones included."""
        return len(self._records)

    def get(self, record_id: str) -> Record | None:
        """Return the contact with this id, short or long."""
        return self._records.get(record_id[:15])

    def records(self, *, deleted: bool) -> list[Record]:
        """Return the contacts in the order of their creation, with or without deleted ones."""
        return [record for record in list(self._records.values()) if deleted or not record.deleted]

    def create(self, values: Mapping[str, Any]) -> Record:
        """Add a contact; `Account.Name` puts it into an account."""
        known = {name: value for name, value in values.items() if name != "Account.Name"}
        company = values.get("Account.Name")
        account = {"AccountId": self._account(company)} if company else {}
        record = self._insert({"LastName": "Unknown", **known, **account}, int(self._clock.seconds()))
        self._notify("CREATE", record, record.values)
        return record

    def change(self, record: Record, values: Mapping[str, Any]) -> None:
        """Change fields; None clears one."""
        for name, value in values.items():
            record.values[name] = value
            if value is None:
                del record.values[name]
        record.modified = int(self._clock.seconds())
        self._notify("UPDATE", record, values)

    def delete(self, record: Record, master_id: str | None) -> None:
        """Put a contact into the recycle bin, perhaps because it was merged into another."""
        record.deleted, record.master_id = True, master_id
        self._notify("DELETE", record, ())

    def restore(self, record: Record) -> None:
        """Take a contact out of the recycle bin."""
        record.deleted, record.master_id = False, None
        self._notify("UNDELETE", record, record.values)

    def _seeded(self, seed: Mapping[str, str]) -> dict[str, Any]:
        values = {name: seed[known] for name, known in _SEEDED.items() if seed.get(known)}
        account = {"AccountId": self._account(seed["company"])} if seed.get("company") else {}
        return {"LastName": "Unknown", **values, **account}

    def _account(self, name: str) -> str:
        known = self._account_ids.setdefault(name, record_id("001", len(self._account_ids)))
        self.accounts[known] = name
        return known

    def _insert(self, values: dict[str, Any], created: int) -> Record:
        record = Record(record_id("003", len(self._records)), values, created, created)
        self._records[record.id[:15]] = record
        return record


def record_id(prefix: str, number: int) -> str:
    """Return an id of 18 characters; the last three repeat the case of the others."""
    digits = ""
    for _ in range(9):
        number, digit = divmod(number, 62)
        digits = _ALPHABET[digit] + digits
    short = f"{prefix}5e0{digits}"
    parts = (short[start : start + 5] for start in (0, 5, 10))
    return short + "".join(
        _CHECK_ALPHABET[sum(1 << place for place, c in enumerate(part) if c.isupper())] for part in parts
    )


def moment(seconds: int) -> str:
    """Return a moment the way Salesforce writes it: no colon in the offset."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


_SYSTEM: Mapping[str, Any] = {
    "Id": lambda record: record.id,
    "IsDeleted": lambda record: record.deleted,
    "MasterRecordId": lambda record: record.master_id,
    "CreatedDate": lambda record: moment(record.created),
    "LastModifiedDate": lambda record: moment(record.modified),
    "SystemModstamp": lambda record: moment(record.modified),
}
