"""A selection of the CRM's contacts into the queue, page by page, so that a crash resumes behind the last page."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice
from pathlib import Path

from blocks.crms.base import ContactPage, Crm, NewContact, open_crm
from blocks.log import event
from blocks.warehouses.base import NewRecord, Warehouse, open_warehouse
from enrichment.intake import Selection
from enrichment.plan import Reference
from tasks.intake import open_list, read_contacts
from tasks.steps import step

#: Within this time, the same selection again continues the old staging; later it stages all contacts again.
RESUME_WITHIN = timedelta(days=1)

_BATCH = 1000
#: How often to look after another run that stages, and after how long without a move to take over (seconds).
_GLANCE_SECONDS, _PATIENCE_SECONDS = 1.0, 20.0


@step(name="stage-selection", task_run_name="queue selected contacts of {crm}")
def stage_selection(crm: str, warehouse: str, lane: str, selection: Selection, *, refresh: bool = False) -> int:
    """
    Stage the contacts of a selection; return how many were new in the queue.

    Several runs may ask for it at once: one stages, the others wait for it, and take over if it dies. Repeated after a
    crash it goes on behind the last page; repeated while records of the lane still wait, it does nothing. Both hold for
    a day.
    """
    name = Reference.parse(crm).name
    if selection.csv_path:
        open_list(Path(selection.csv_path), crm)  # a file that can't be used is reported before anything is staged
    with open_crm(crm) as source, open_warehouse(warehouse) as target:
        staged = _Staging(source, target, name, lane, selection, refresh=refresh).run()
    event("selection_staged", crm=name, lane=lane, selection=selection.fingerprint, staged=staged)
    return staged


def pages(crm: Crm, name: str, selection: Selection, after: str) -> Iterator[ContactPage]:
    """
    Yield the contacts of a selection, page by page.

    Args:
        crm: judges the conditions.
        name: of the CRM.
        selection: the conditions.
        after: the position of an earlier page; empty for the beginning.

    Raises:
        ConfigurationError: the CRM can't judge a condition, or the file can't be used.
    """
    if not selection.csv_path:
        yield from crm.select(selection, after=after)
        return
    start = int(after or 0)
    listed = islice(read_contacts(Path(selection.csv_path), name), start, None)
    while batch := list(islice(listed, _BATCH)):
        start += len(batch)
        kept = _fulfilling(crm, selection, batch) if selection.conditions else batch
        yield ContactPage(tuple(kept), str(start))


def _fulfilling(crm: Crm, selection: Selection, listed: Sequence[NewContact]) -> list[NewContact]:
    ids = [contact.crm_id for contact in listed]
    return [contact for page in crm.select(selection, among=ids) for contact in page.contacts]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a selection is staged: `text` is what the warehouse keeps."""

    text: str
    at: datetime
    position: str
    done: bool

    @classmethod
    def now(cls, position: str = "", *, done: bool = False) -> "_Place":
        at = datetime.now(UTC)
        text = json.dumps({"at": at.isoformat(), "position": position, "done": done})
        return cls(text, at, position, done)

    @classmethod
    def read(cls, text: str) -> "_Place":
        kept = json.loads(text)
        return cls(text, datetime.fromisoformat(kept["at"]), kept["position"], kept["done"])

    @property
    def is_old(self) -> bool:
        return datetime.now(UTC) - self.at > RESUME_WITHIN


@dataclass
class _Staging:
    """One run's part in staging a selection."""

    crm: Crm
    warehouse: Warehouse
    name: str
    lane: str
    selection: Selection
    refresh: bool

    def run(self) -> int:
        place, staged = self._begin(), 0
        while not place.done:
            staged += self._stage_from(place)
            place = self._watch()
        return staged

    def _watch(self) -> _Place:
        """Return the end once another run has reached it, or where it has stopped moving."""
        place, since = self._look(), time.monotonic()
        while not place.done and time.monotonic() - since < _PATIENCE_SECONDS:
            time.sleep(_GLANCE_SECONDS)
            seen = self._look()
            if seen.text != place.text:
                place, since = seen, time.monotonic()
        return place

    def _begin(self) -> _Place:
        """Return where to go on; from the beginning, if the last time is over."""
        place = _Place.read(self.warehouse.begin_cursor(self._cursor_name, _Place.now().text))
        if place.is_old or (place.done and not self._lane_holds_any()):
            self._move([], place, _Place.now())
            place = self._look()
        if place.done or place.position:
            event(
                "selection_resumed", selection=self.selection.fingerprint, since=place.at.isoformat(), done=place.done
            )
        return place

    def _stage_from(self, place: _Place) -> int:
        """Stage page by page until the end, or until another run is found to be ahead."""
        staged = 0
        for page in pages(self.crm, self.name, self.selection, place.position):
            after = _Place.now(page.position)
            new = self._move(page.contacts, place, after)
            if new is None:
                return staged
            staged, place = staged + new, after
        self._move([], place, _Place.now(place.position, done=True))
        return staged

    def _move(self, contacts: Sequence[NewContact], before: _Place, after: _Place) -> int | None:
        records = [
            NewRecord(
                self.name,
                contact.crm_id,
                contact.email,
                self.selection.source,
                self.lane,
                contact.created_at,
                refresh=self.refresh,
            )
            for contact in contacts
        ]
        return self.warehouse.stage_page(records, name=self._cursor_name, before=before.text, after=after.text)

    def _look(self) -> _Place:
        return _Place.read(self.warehouse.read_cursor(self._cursor_name) or "")

    def _lane_holds_any(self) -> bool:
        return any(count.records for count in self.warehouse.count_queue() if count.lane == self.lane)

    @cached_property
    def _cursor_name(self) -> str:
        # A file that was changed is another one: a position in it would say nothing.
        content = _digest(Path(self.selection.csv_path))[:8] if self.selection.csv_path else "all"
        again = ":refresh" if self.refresh else ""
        return f"backfill:{self.name}:{self.lane}:{self.selection.fingerprint}:{content}{again}"
