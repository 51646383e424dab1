"""The verbs about lanes: which of them are paused, and how a selection of contacts gets into one page by page."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import asdict

from blocks.warehouses._erasure import without_erased_addresses
from blocks.warehouses._replay import replayed
from blocks.warehouses._rows import NewRecord
from blocks.warehouses._session import Transactions


class _OvertakenError(Exception):
    """Another run has staged the page; what this one did is rolled back."""


def _require_moved(changed: int) -> None:
    if not changed:
        raise _OvertakenError


class LaneVerbs(Transactions):
    """What the pipeline asks of lanes."""

    @replayed
    def pause_lane(self, lane: str) -> None:
        """Let no run claim from a lane until it is resumed; what is claimed already is finished."""
        with self.transaction() as session:
            session.run("pause_lane", lane=lane)

    @replayed
    def resume_lane(self, lane: str) -> bool:
        """Let runs claim from a lane again; return whether it was paused."""
        with self.transaction() as session:
            paused = {row["lane"] for row in session.read("read_pauses")}
            session.run("resume_lane", lane=lane)
        return lane in paused

    def paused_lanes(self) -> dict[str, str]:
        """Return the paused lanes, and since when each is (ISO-8601 UTC)."""
        return {row["lane"]: row["paused_at"] for row in self.query("read_pauses")}

    def waiting_of(self, crm: str, crm_ids: Collection[str]) -> set[str]:
        """Return those of the contacts that are in the queue."""
        return {row["crm_id"] for row in self.query("read_waiting", crm=crm, ids=list(crm_ids))}

    @replayed
    def begin_cursor(self, name: str, cursor: str) -> str:
        """Return where a cursor stands; one that doesn't exist yet begins here."""
        with self.transaction() as session:
            session.run("begin_cursor", name=name, cursor=cursor)
            return str(session.read("read_cursor", name=name)[0]["cursor"])

    @replayed
    def stage_page(self, records: Sequence[NewRecord], *, name: str, before: str, after: str) -> int | None:
        """
        Stage a page of a selection and move its cursor, unless another run has done so.

        Args:
            records: of the page.
            name: of the cursor.
            before: where the cursor stood when the page was read.
            after: where it stands behind the page.

        Returns:
            how many were new in the queue; None if the cursor had been moved meanwhile, and nothing was staged.
        """
        rows = [asdict(record) | {"record_id": uuid.uuid4().hex} for record in records]
        try:
            with self.transaction() as session:
                rows = without_erased_addresses(session, rows)
                session.run("promote_staged", rows=rows)
                staged = session.run("stage_records", rows=rows)
                # Last, for an engine without transactions: a page that is staged twice does no harm, a lost one does.
                _require_moved(session.run("advance_cursor", name=name, before=before, cursor=after))
        except _OvertakenError:
            return None
        return staged
