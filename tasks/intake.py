"""CRM or list to staging."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

from blocks.crms.base import Crm, NewContact, contact_id, crm_name, open_crm
from blocks.csv_files import Table, open_table
from blocks.log import event
from blocks.warehouses.base import NewRecord, Warehouse, open_warehouse
from enrichment.errors import ConfigurationError, sealed
from enrichment.headers import CRM_ID
from enrichment.intake import FailedContacts
from enrichment.lists import FailedItem, ListFilter, RefusedItem
from enrichment.moments import in_utc, read_moment
from enrichment.plan import Reference
from enrichment.records import Origin
from tasks.lists import check_run
from tasks.looks import recall, remember
from tasks.steps import step

#: The CRM's index lags behind, so each intake reads this much again.
OVERLAP = timedelta(minutes=15)

#: How far the first incremental intake looks back; everything older is a backfill, which a user has to start.
FIRST_WINDOW = timedelta(days=1)

_BATCH = 1000

T = TypeVar("T")


@step(name="stage-new", task_run_name="queue new contacts of {crm}")
def stage_new(crm: str, warehouse: str, lane: str, since: datetime | None, *, only_news: bool = False) -> int:
    """
    Stage the contacts created since a moment, or since the last intake; return how many were new in the queue.

    The position is committed with the rows, page by page.

    Args:
        crm: reference of the CRM.
        warehouse: reference of the warehouse.
        lane: `live` or `backfill`.
        since: the moment; None: the last intake.
        only_news: leave the warehouse alone if the CRM answers what it answered the last time.
    """
    name, seen = Reference.parse(crm).name, set[str]()
    with open_crm(crm) as source:
        if only_news and not since and _same_as_last(source, crm, warehouse, lane):
            event("nothing_new", crm=name)
            return 0
        with open_warehouse(warehouse) as target:
            start = since or _position(target, name)
            cursor = "" if since else _cursor_name(name)
            staged = stage_created(source, target, name, start, lane=lane, cursor=cursor, seen=seen)
    if only_news and not since:
        remember("intake", crm, warehouse, lane, since=start.isoformat(), seen=_digest(seen))
    event("contacts_staged", crm=name, staged=staged, since=start.isoformat())
    return staged


def _same_as_last(source: Crm, crm: str, warehouse: str, lane: str) -> bool:
    """Return whether the CRM has the contacts that the last intake saw since the same moment, and no others."""
    known = recall("intake", crm, warehouse, lane)
    if "since" not in known:
        return False
    pages = source.created_since(read_moment(known["since"]))
    return _digest({contact.crm_id for page in pages for contact in page}) == known.get("seen")


def _digest(crm_ids: Collection[str]) -> str:
    return hashlib.sha256("\n".join(sorted(crm_ids)).encode()).hexdigest()


def stage_created(
    source: Crm,
    target: Warehouse,
    name: str,
    since: datetime,
    *,
    lane: str = "live",
    cursor: str = "",
    seen: set[str] | None = None,
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
        seen: gets the ids of all contacts that the query found.

    Returns:
        how many were new in the queue.
    """
    staged, newest = 0, in_utc(since)
    for page in source.created_since(since):
        newest = max([newest, *(read_moment(contact.created_at) for contact in page if contact.created_at)])
        records = [_record(name, contact, "schedule", lane) for contact in page]
        if seen is not None:
            seen.update(contact.crm_id for contact in page)
        staged += target.stage(records, cursor=(cursor, newest.isoformat()) if cursor else None)
    return staged


@step(name="stage-missed", task_run_name="queue contacts of {crm} missed in {days} days")
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


@step(name="stage-everything", task_run_name="queue all contacts of {crm}")
def stage_everything(crm: str, warehouse: str, lane: str, *, refresh: bool = False) -> int:
    """Stage every contact of the CRM; return how many were new in the queue."""
    name = Reference.parse(crm).name
    staged = 0
    with open_crm(crm) as source, open_warehouse(warehouse) as target:
        for page in source.list_contacts():
            staged += target.stage([_record(name, contact, "backfill", lane, refresh=refresh) for contact in page])
    event("contacts_staged", crm=name, staged=staged)
    return staged


def contact_ids(crm: str, listed: Sequence[str]) -> list[str]:
    """Return listed ids as the CRM has them; raise ConfigurationError, with its place, if one isn't a contact's."""
    ids = []
    for place, text in enumerate(listed, start=1):
        try:
            ids.append(contact_id(crm, text))
        except ConfigurationError as error:
            of_many = f"id {place} of {len(listed):,}: " if len(listed) > 1 else ""
            raise ConfigurationError(f"{of_many}{error}; no contact was queued") from None
    return ids


@step(name="stage-listed", task_run_name="queue listed contacts of {crm}")
def stage_listed(
    crm: str, warehouse: str, lane: str, crm_ids: list[str], csv_path: str, *, refresh: bool = False
) -> int:
    """Stage contacts by their ids, from a list or a CSV file; it has a column of ids and, optionally, of addresses."""
    name = Reference.parse(crm).name
    given = [NewContact(crm_id, None, None) for crm_id in contact_ids(crm, crm_ids)]
    listed = chain(given, read_contacts(Path(csv_path), crm)) if csv_path else given
    staged = asked = 0
    with open_warehouse(warehouse) as target:
        for batch in _batches(listed):
            staged += target.stage([_record(name, contact, "manual", lane, refresh=refresh) for contact in batch])
            asked += len(batch)
    event("contacts_staged", crm=name, staged=staged, listed=asked)
    return staged


@step(name="stage-failed", task_run_name="queue failed contacts of {crm}")
def stage_failed(crm: str, warehouse: str, lane: str, chosen: FailedContacts) -> int:
    """
    Put failed contacts back into the queue, or contacts with a field that was not written; return how many.

    Args:
        crm: reference of the CRM, whose contacts `chosen.crm_ids` are.
        warehouse: reference of the warehouse.
        lane: for contacts with a field that was not written; failed ones go where they were.
        chosen: which.
    """
    check_run(warehouse, chosen.run_id)
    origin, ids = Origin(Reference.parse(crm).name), set(contact_ids(crm, chosen.crm_ids))
    wanted = ListFilter(chosen.run_id, chosen.reason, chosen.field)

    def is_meant(one: FailedItem | RefusedItem) -> bool:
        return not ids or (one.crm == origin.crm and one.crm_id in ids)

    with open_warehouse(warehouse) as target:
        failed = {one.crm_id for one in target.list_failed(wanted) if not chosen.field and is_meant(one)}
        if failed:
            target.restage_failed(chosen.run_id, chosen.reason, origin=origin if ids else None, crm_ids=ids)
        listed = target.list_refused(wanted) if chosen.field or ids else []
        refused = {one.crm_id for one in listed if one.crm == origin.crm and is_meant(one)} - failed
        for batch in _batches(refused):
            target.stage([NewRecord(origin.crm, crm_id, None, "manual", lane, refresh=True) for crm_id in batch])
    staged = len(failed) + len(refused)
    event("failed_contacts_staged", staged=staged)
    return staged


@sealed
def without_trouble(crm: str, warehouse: str, chosen: FailedContacts) -> list[str]:
    """
    Return which of the contacts that are chosen by id neither failed nor lack a field that was not written.

    Raises:
        ConfigurationError: there is no such run, or an id can't be one of the CRM's.
    """
    check_run(warehouse, chosen.run_id)
    ids, name = contact_ids(crm, chosen.crm_ids), crm_name(crm)
    wanted = ListFilter(chosen.run_id, chosen.reason, chosen.field)
    if not ids:
        return []
    with open_warehouse(warehouse) as source:
        known = {one.crm_id for one in source.list_refused(wanted) if one.crm == name}
        if not chosen.field:
            known |= {one.crm_id for one in source.list_failed(wanted) if one.crm == name}
    return [crm_id for crm_id in ids if crm_id not in known]


def open_list(path: Path, crm: str, required: Collection[str] = (CRM_ID,)) -> Table:
    """
    Return a CSV file that lists contacts of a CRM; the whole file is checked before any of it is used.

    Args:
        path: of the file.
        crm: of the contacts.
        required: what each contact must have, of id and e-mail address; if nothing, the file must have either column.

    Raises:
        ConfigurationError: the file is wrong, a column is missing, or a row has no valid id.
    """
    table = open_table(path, (CRM_ID, "email"), required=required)
    if not table.columns:
        raise ConfigurationError(
            f"{path}, line {table.layout.header_line}: no column 'crm_id' or 'email' (found: "
            f"{', '.join(table.layout.header)}): rename the column that has ids or addresses"
        )
    for _ in _listed(table, crm):
        pass
    return table


def read_contacts(path: Path, crm: str, required: Collection[str] = (CRM_ID,)) -> Iterator[NewContact]:
    """Yield the contacts that a CSV file lists, an absent id as an empty text; raise as `open_list` does."""
    yield from _listed(open_list(path, crm, required), crm)


def _listed(table: Table, crm: str) -> Iterator[NewContact]:
    for row in table.rows():
        given = row.values.get(CRM_ID) or ""
        try:
            crm_id = contact_id(crm, given) if given else ""
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{table.path}, line {row.line}, column '{table.columns[CRM_ID]}': {error}; no contact was queued"
            ) from None
        yield NewContact(crm_id, row.values.get("email"), None)


def _position(warehouse: Warehouse, crm: str) -> datetime:
    cursor = warehouse.read_cursor(_cursor_name(crm))
    return (read_moment(cursor) - OVERLAP) if cursor else datetime.now(UTC) - FIRST_WINDOW


def _cursor_name(crm: str) -> str:
    return f"intake:{crm}"


def _record(crm: str, contact: NewContact, source: str, lane: str, *, refresh: bool = False) -> NewRecord:
    return NewRecord(crm, contact.crm_id, contact.email, source, lane, contact.created_at, refresh=refresh)


def _batches(contacts: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(contacts)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
