"""The verbs of the audit: where the tables break a promise, and what was written to the CRM."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from blocks.warehouses._rows import row_of
from blocks.warehouses._session import Session, Statements, Transactions
from enrichment.promises import ConfirmedWrite, FieldWrites, Sighting
from enrichment.records import Origin

_BROKEN = "broken_"
_DAY = timedelta(days=1)


class AuditVerbs(Transactions):
    """What the audit needs of the tables; it changes nothing."""

    def read_broken(self, *, days: int, threshold: float, notifiers: str) -> dict[str, Sighting]:
        """
        Return what each check found, by its name.

        Args:
            days: how far to look back; what is in the queue is looked at whole.
            threshold: failure rate above which people are alerted.
            notifiers: by which they are; empty: by none.
        """
        with self._reading() as session:
            return find_broken(session, self.sql, days=days, threshold=threshold, notifiers=notifiers)

    def written_fields(self, origin: Origin, *, days: int) -> list[FieldWrites]:
        """Return how often each field of a CRM was written in the last days."""
        with self._reading() as session:
            rows = session.read("audit_fields", **row_of(origin), since=_times(session, days)["since"])
        return [FieldWrites(**row) for row in rows]

    def confirmed_writes(self, origin: Origin, *, days: int, contacts: int) -> list[ConfirmedWrite]:
        """Return the last confirmed change of each field of the contacts that were written to last."""
        with self._reading() as session:
            since = _times(session, days)["since"]
            rows = session.read("audit_writes", **row_of(origin), since=since, limit=contacts)
        return [ConfirmedWrite(**row) for row in rows]


def find_broken(
    session: Session, sql: Statements, *, days: int, threshold: float, notifiers: str
) -> dict[str, Sighting]:
    """Return by name what each check finds in a transaction."""
    given = {**_times(session, days), "threshold": threshold, "notifiers": notifiers}
    return {
        query.removeprefix(_BROKEN): _look(session, query, {name: given[name] for name in sql.parameters(query)})
        for query in sql.queries
        if query.startswith(_BROKEN)
    }


def _look(session: Session, query: str, given: Mapping[str, Any]) -> Sighting:
    rows = session.read(query, **given)
    return Sighting(rows[0]["total"] if rows else 0, tuple((row["id"], row["about"] or "") for row in rows))


def _times(session: Session, days: int) -> dict[str, str]:
    """Return the moments that a check may name, by the warehouse's clock."""
    now = datetime.fromisoformat(session.read("read_clock")[0]["read_at"])
    times = {"since": now - days * _DAY, "yesterday": now - _DAY, "tomorrow": now + _DAY}
    return {name: at.isoformat(timespec="milliseconds").replace("+00:00", "Z") for name, at in times.items()}
