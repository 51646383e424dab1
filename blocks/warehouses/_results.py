"""The verbs about results: what providers know of contacts, and what of it the CRM is sent."""

from collections.abc import Collection, Sequence
from dataclasses import asdict

from blocks.warehouses._rows import contact_row, enrichment_of
from blocks.warehouses._session import Transactions, replayed
from blocks.warehouses._values import PlannedWrite
from enrichment.records import Claim, Enrichment, Found, OpenWrite, Origin, Unmatched


class ResultVerbs(Transactions):
    """What the pipeline asks of the tables of results."""

    @replayed
    def store(
        self, claim: Claim, origin: Origin, found: Sequence[Found], unmatched: Sequence[Unmatched], *, provider: str
    ) -> frozenset[str]:
        """
        Keep results, and mark their staged records enriched.

        Returns:
            the ids of the records that the claim still holds; nothing is kept of the others.
        """
        ids = [item.record.record_id for item in found] + [row.record_id for row in unmatched]
        with self._transaction() as session:
            session.run("lock_claim", token=claim.token)
            held = frozenset(row["record_id"] for row in session.read("read_held", token=claim.token, ids=ids))
            rows = [contact_row(item) for item in found if item.record.record_id in held]
            misses = [asdict(row) for row in unmatched if row.record_id in held]
            session.run("upsert_contacts", **asdict(origin), run_id=claim.run_id, rows=rows)
            session.run("append_history", **asdict(origin), run_id=claim.run_id, rows=rows)
            session.run("upsert_unmatched", **asdict(origin), run_id=claim.run_id, provider=provider, rows=misses)
            session.run("mark_enriched", token=claim.token, rows=rows)
        return held

    def read_enriched(self, origin: Origin, crm_ids: Collection[str]) -> dict[str, Enrichment]:
        """Return what is stored of these contacts, by CRM id."""
        rows = self._query("read_enriched", **asdict(origin), ids=list(crm_ids))
        return {row["crm_id"]: enrichment_of(row) for row in rows}

    @replayed
    def plan_writes(self, claim: Claim, origin: Origin, planned: Sequence[PlannedWrite]) -> frozenset[str]:
        """
        Record what will be sent to the CRM before it is sent, so that a crash in between loses no `before`.

        Returns:
            the ids of the records that the claim still holds; only those may be sent.
        """
        with self._transaction() as session:
            session.run("lock_claim", token=claim.token)
            rows_held = session.read("read_held", token=claim.token, ids=[item.record_id for item in planned])
            held = frozenset(row["record_id"] for row in rows_held)
            rows = [
                {"crm_id": item.crm_id, **asdict(change)}
                for item in planned
                if item.record_id in held
                for change in item.changes
            ]
            session.run("plan_writes", **asdict(origin), run_id=claim.run_id, rows=rows)
        return held

    def open_writes(self, origin: Origin, crm_ids: Collection[str]) -> list[OpenWrite]:
        """Return the writes to these contacts that were planned and never confirmed."""
        return [OpenWrite(**row) for row in self._query("read_open_writes", **asdict(origin), ids=list(crm_ids))]
