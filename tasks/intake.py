"""CRM or list to staging."""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from blocks.crms.base import Crm, NewContact, contact_id, open_crm
from blocks.log import event
from blocks.warehouses.base import NewRecord, Warehouse, open_warehouse
from enrichment.errors import ConfigurationError
from enrichment.plan import Reference
from tasks.steps import step

#: The CRM's index lags behind, so each intake reads this much again.
OVERLAP = timedelta(minutes=15)

#: How far the first incremental intake looks back; everything older is a backfill, which a user has to start.
FIRST_WINDOW = timedelta(days=1)

_BATCH = 1000
_ID_COLUMN = "crm_id"
_EMAIL_COLUMN = "email"


@step(name="stage-new")
def stage_new(crm: str, warehouse: str, lane: str, since: datetime | None) -> int:
    """
    Stage the contacts created since a moment, or since the last intake; return how many were new in the queue.

    The position is committed with the rows, page by page.
    """
    name = Reference.parse(crm).name
    with open_crm(crm) as source, open_warehouse(warehouse) as target:
        start = since or _position(target, name)
        cursor = "" if since else _cursor_name(name)
        staged = stage_created(source, target, name, start, lane=lane, cursor=cursor)
    event("contacts_staged", crm=name, staged=staged, since=start.isoformat())
    return staged


def stage_created(
    source: Crm, target: Warehouse, name: str, since: datetime, *, lane: str = "live", cursor: str = ""
) -> int:
    """
    Stage what a query finds that was created at or after a moment, but for contacts that have ended before.

    Args:
        source: the CRM to read from.
        target: has the queue.
        name: of the CRM.
        since: the moment.
        lane: `live` or `backfill`.
        cursor: name of a position that is moved to the newest contact, page by page; empty for none.

    Returns:
        how many were new in the queue.
    """
    staged, newest = 0, since.isoformat()
    for page in source.created_since(since):
        newest = max([newest, *(contact.created_at for contact in page if contact.created_at)])
        records = [_record(name, contact, "schedule", lane) for contact in page]
        staged += target.stage(records, cursor=(cursor, newest) if cursor else None)
    return staged


@step(name="stage-missed")
def stage_missed(crm: str, warehouse: str, lane: str, days: int) -> int:
    """
    Stage the contacts of the last days that neither wait nor have ended, and return how many were missed.

    The intake's position stays where it is: what lies behind it may have been missed too.
    """
    name, since = Reference.parse(crm).name, datetime.now(UTC) - timedelta(days=days)
    with open_crm(crm) as source, open_warehouse(warehouse) as target:
        missed = stage_created(source, target, name, since, lane=lane)
    event("contacts_reconciled", crm=name, days=days, missed=missed)
    return missed


@step(name="stage-everything")
def stage_everything(crm: str, warehouse: str, lane: str, *, refresh: bool = False) -> int:
    """Stage every contact of the CRM; return how many were new in the queue."""
    name = Reference.parse(crm).name
    staged = 0
    with open_crm(crm) as source, open_warehouse(warehouse) as target:
        for page in source.list_contacts():
            staged += target.stage([_record(name, contact, "backfill", lane, refresh=refresh) for contact in page])
    event("contacts_staged", crm=name, staged=staged)
    return staged


@step(name="stage-listed")
def stage_listed(
    crm: str, warehouse: str, lane: str, crm_ids: list[str], csv_path: str, *, refresh: bool = False
) -> int:
    """Stage contacts by their ids, from a list or from a CSV file with the column `crm_id` and, optionally, `email`."""
    name = Reference.parse(crm).name
    listed = [NewContact(contact_id(crm, crm_id), None, None) for crm_id in crm_ids]
    if csv_path:
        listed += read_contacts(Path(csv_path), crm)
    staged = 0
    with open_warehouse(warehouse) as target:
        for batch in _batches(listed):
            staged += target.stage([_record(name, contact, "manual", lane, refresh=refresh) for contact in batch])
    event("contacts_staged", crm=name, staged=staged, listed=len(listed))
    return staged


@step(name="stage-failed")
def stage_failed(warehouse: str, run_id: str) -> int:
    """Put dead letters back into the queue, all or one run's; return how many."""
    with open_warehouse(warehouse) as target:
        staged = target.restage_failed(run_id)
    event("failed_contacts_staged", staged=staged)
    return staged


def read_contacts(path: Path, crm: str) -> list[NewContact]:
    """
    Return the contacts of a CRM that a CSV file lists; the whole file is checked before any of it is used.

    Raises:
        ConfigurationError: the file can't be read, has no column `crm_id`, or a row has no valid id.
    """
    try:
        # utf-8-sig: spreadsheets put a mark before the first column's name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if _ID_COLUMN not in (rows.fieldnames or []):
                found = ", ".join(rows.fieldnames or []) or "none"
                raise ConfigurationError(
                    f"{path} has no column '{_ID_COLUMN}' (found: {found}): "
                    f"the first line must name the columns, '{_ID_COLUMN}' and, optionally, '{_EMAIL_COLUMN}'"
                )
            return [_listed(path, crm, rows.line_num, row) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} can't be read as a CSV file in UTF-8 ({type(error).__name__})") from None


def _listed(path: Path, crm: str, line: int, row: dict[str, str | None]) -> NewContact:
    given = (row[_ID_COLUMN] or "").strip()
    if not given:
        raise ConfigurationError(f"{path}, line {line}: the column '{_ID_COLUMN}' is empty; no contact was queued")
    try:
        crm_id = contact_id(crm, given)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{path}, line {line}, column '{_ID_COLUMN}': {error}; no contact was queued"
        ) from None
    return NewContact(crm_id, (row.get(_EMAIL_COLUMN) or "").strip() or None, None)


def _position(warehouse: Warehouse, crm: str) -> datetime:
    cursor = warehouse.read_cursor(_cursor_name(crm))
    return (datetime.fromisoformat(cursor) - OVERLAP) if cursor else datetime.now(UTC) - FIRST_WINDOW


def _cursor_name(crm: str) -> str:
    return f"intake:{crm}"


def _record(crm: str, contact: NewContact, source: str, lane: str, *, refresh: bool = False) -> NewRecord:
    return NewRecord(crm, contact.crm_id, contact.email, source, lane, contact.created_at, refresh=refresh)


def _batches(contacts: Iterable[NewContact]) -> Iterator[list[NewContact]]:
    remaining = iter(contacts)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
