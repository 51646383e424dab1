"""Events to staging: their contacts go into the queue together with the position in the topic."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from blocks.crms.base import Crm, NewContact
from blocks.warehouses.base import NewRecord, Warehouse
from enrichment.records import Origin
from tasks.intake import FIRST_WINDOW, OVERLAP, stage_created
from triggers.salesforce.events import Meaning
from triggers.salesforce.topic import Position, read_position

logger = logging.getLogger(__name__)

CRM = "salesforce"
_SOURCE, _LANE = "platform_event", "live"


class EventIntake:
    """
    Stages what events and queries find; every method may be repeated without harm.

    All raise TransientError if the warehouse or the org can't be reached now.

    Args:
        warehouse: has the queue.
        crm: is queried for what events don't say.
        staged: called after something new was committed; returns at once.
    """

    def __init__(self, warehouse: Warehouse, crm: Crm, staged: Callable[[], None]) -> None:
        self._warehouse = warehouse
        self._crm = crm
        self._staged = staged

    def position(self, name: str) -> Position | None:
        """Return the position of this name, None if there is none yet."""
        cursor = self._warehouse.read_cursor(name)
        return read_position(cursor) if cursor else None

    def take(self, name: str, meanings: Sequence[Meaning], position: Position | None, opened_at: datetime) -> None:
        """
        Commit what events mean together with the position after them.

        Args:
            name: of the position.
            meanings: of the events, in their order.
            position: None leaves it where it is.
            opened_at: when the stream was opened; creations before that may come a second time.
        """
        doubtful = [meaning for meaning in meanings if meaning.created and not _is_after(meaning, opened_at)]
        repeated = [contact.crm_id for meaning in doubtful for contact in meaning.contacts]
        ended = self._warehouse.ended_of(Origin(CRM), repeated) if repeated else set()
        records = [_record(contact) for contact in _latest(meanings, ended)]
        changed = [(Origin(CRM), crm_id) for meaning in meanings for crm_id in meaning.changed]
        cursor = (name, position.text()) if position else None
        staged = self._warehouse.stage(records, changed=changed, cursor=cursor) if records or changed or cursor else 0
        if meanings:
            logger.info("salesforce_events_taken events=%s staged=%s", len(meanings), staged)
        self._notify(staged)

    def query(self, since: datetime | None) -> None:
        """Stage what was created at or after a moment, or in the recent past for None, unless an event brought it."""
        start = since - OVERLAP if since else datetime.now(UTC) - FIRST_WINDOW
        staged = stage_created(self._crm, self._warehouse, CRM, start)
        logger.info("salesforce_contacts_queried since=%s staged=%s", start.isoformat(), staged)
        self._notify(staged)

    def reconnect(self) -> None:
        """Give the warehouse's connection back, which may be broken; the next verb opens another one."""
        self._warehouse.close()

    def _notify(self, staged: int) -> None:
        if staged:
            self._staged()


def _latest(meanings: Sequence[Meaning], ended: Collection[str]) -> Iterable[NewContact]:
    """Return the contacts to stage, each as the last event says; those that have ended aren't new once more."""
    found: dict[str, NewContact] = {}
    for meaning in meanings:
        found |= {crm_id: replace(found[crm_id], email=None) for crm_id in meaning.changed if crm_id in found}
        new = [contact for contact in meaning.contacts if not meaning.created or contact.crm_id not in ended]
        found |= {contact.crm_id: contact for contact in new}
    return found.values()


def _is_after(meaning: Meaning, moment: datetime) -> bool:
    return meaning.committed_at is not None and meaning.committed_at > moment


def _record(contact: NewContact) -> NewRecord:
    return NewRecord(CRM, contact.crm_id, contact.email, _SOURCE, _LANE, contact.created_at)
