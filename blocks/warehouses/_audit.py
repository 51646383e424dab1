"""The verbs of the audit: where the tables break a promise, and what was written to the CRM."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from blocks.warehouses._rows import row_of
from blocks.warehouses._session import Session, Statements, Transactions
from enrichment.comparisons import Booked, FieldWrites, LastWrite
from enrichment.promises import Sighting
from enrichment.records import Origin

_BROKEN = "broken_"


class AuditVerbs(Transactions):
    """What the audit needs of the tables; it changes nothing."""

    def read_broken(self, *, days: int, reply_days: int, threshold: float, notifiers: str) -> dict[str, Sighting]:
        """
        Return what each check found, by its name.

        Args:
            days: how far to look back; what is in the queue is looked at whole.
            reply_days: for how long a saved reply is used again.
            threshold: failure rate above which people are alerted.
            notifiers: by which they are; empty: by none.
        """
        with self._reading() as session:
            return find_broken(
                session, self.sql, days=days, reply_days=reply_days, threshold=threshold, notifiers=notifiers
            )

    def written_fields(self, origin: Origin, *, days: int) -> list[FieldWrites]:
        """Return how often each field of a CRM was written in the last days."""
        with self._reading() as session:
            rows = session.read("audit_fields", **row_of(origin), **_times(session, since=-days))
        return [FieldWrites(**row) for row in rows]

    def confirmed_writes(self, origin: Origin, *, days: int, contacts: int) -> list[LastWrite]:
        """Return the last confirmed change of each field of the contacts that were written to last."""
        with self._reading() as session:
            rows = session.read("audit_writes", **row_of(origin), **_times(session, since=-days), limit=contacts)
        return [LastWrite(**row) for row in rows]

    def credits_booked(self, *, days: int) -> dict[str, Booked]:
        """Return by provider what its replies of the last days have cost, and what lost ones may have."""
        with self._reading() as session:
            rows = session.read("audit_credits", **_times(session, since=-days))
        return {row["provider"]: Booked(float(row["booked"]), float(row["doubtful"])) for row in rows}


def find_broken(session: Session, sql: Statements, *, days: int, reply_days: int, **given: Any) -> dict[str, Sighting]:
    """Return by name what each check finds in a transaction."""
    given |= _times(session, since=-days, usable=-reply_days, yesterday=-1, tomorrow=1) | {"reply_days": reply_days}
    return {
        query.removeprefix(_BROKEN): _look(session, query, {name: given[name] for name in sql.parameters(query)})
        for query in sql.queries
        if query.startswith(_BROKEN)
    }


def _look(session: Session, query: str, given: Mapping[str, Any]) -> Sighting:
    rows = session.read(query, **given)
    return Sighting(rows[0]["total"] if rows else 0, tuple((row["id"], row["about"] or "") for row in rows))


def _times(session: Session, **days: int) -> dict[str, str]:
    """Return moments so many days from now by their names, by the warehouse's clock."""
    now = datetime.fromisoformat(session.read("read_clock")[0]["read_at"])
    moments = {name: now + timedelta(days=count) for name, count in days.items()}
    return {name: at.isoformat(timespec="milliseconds").replace("+00:00", "Z") for name, at in moments.items()}
