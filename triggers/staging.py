"""Commits what requests hand in, and keeps the connection that this needs."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from blocks.warehouses.base import NewRecord, Warehouse
from enrichment.errors import ConfigurationError, TransientError, sealed, where
from enrichment.records import Origin

Key = tuple[Origin, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """
    What is to be committed together.

    Args:
        records: contacts for the queue.
        changed: origin and id of contacts that changed; see `Warehouse.stage`.
        merges: origin, id, and the id of the contact into which it was merged.
    """

    records: tuple[NewRecord, ...] = ()
    changed: frozenset[Key] = frozenset()
    merges: frozenset[tuple[Origin, str, str]] = frozenset()

    def __bool__(self) -> bool:
        """Return whether there is anything to commit."""
        return bool(self.records or self.changed or self.merges)


def merged(batches: Sequence[Batch]) -> Batch:
    """
    Return several batches as one that has each contact once.

    A later record of a contact adds what the earlier one lacked. Of a contact that changed, no address is kept: the CRM
    has the present one.
    """
    records: dict[Key, NewRecord] = {}
    changed: set[Key] = set()
    for batch in batches:
        changed |= batch.changed
        for record in batch.records:
            key = (record.origin, record.crm_id)
            records[key] = _joined(records[key], record) if key in records else record
    for key in changed & records.keys():
        records[key] = replace(records[key], email_address=None)
    merges = frozenset[tuple[Origin, str, str]]().union(*(batch.merges for batch in batches))
    return Batch(tuple(records.values()), frozenset(changed), merges)


def _joined(first: NewRecord, second: NewRecord) -> NewRecord:
    return replace(
        first,
        email_address=first.email_address or second.email_address,
        contact_created_at=first.contact_created_at or second.contact_created_at,
        refresh=first.refresh or second.refresh,
    )


logger = logging.getLogger(__name__)

#: Records of one transaction; a burst of more is committed in several.
_MOST_RECORDS = 5000

_Waiting = tuple[Batch, "asyncio.Future[None]"]


class StagingWriter:
    """
    Commits batches, all that wait in one transaction.

    While a transaction is under way the next batches gather. So a burst costs few commits, and a single batch doesn't
    wait for others.

    Args:
        open_warehouse: gives a new connection.
        staged: is called after each commit, and returns at once.
    """

    def __init__(self, open_warehouse: Callable[[], Warehouse], staged: Callable[[], None]) -> None:
        self._open_warehouse = open_warehouse
        self._staged = staged
        self._warehouse: Warehouse | None = None
        self._waiting: list[_Waiting] = []
        self._unanswered: set[asyncio.Future[None]] = set()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="staging")
        self._work: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to commit."""
        self._work = asyncio.create_task(self._commit_for_ever())

    async def stop(self) -> None:
        """Commit what a request waits for, and give the connection back."""
        while self._unanswered:
            await asyncio.wait(self._unanswered)
        if self._work:
            self._work.cancel()
        # Behind whatever the thread is still busy with.
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()

    async def commit(self, batch: Batch) -> None:
        """
        Return once the batch is committed; a caller that stops waiting before its turn has it dropped.

        Raises:
            EnrichmentError: it isn't committed.
        """
        if not batch:
            return
        done = asyncio.get_running_loop().create_future()
        self._unanswered.add(done)
        done.add_done_callback(self._unanswered.discard)
        self._waiting.append((batch, done))
        self._arrived.set()
        await done

    async def _commit_for_ever(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while group := self._next_group():
                await self._commit_group(group)

    def _next_group(self) -> list[_Waiting]:
        """Take what waits, up to the size of one transaction."""
        group: list[_Waiting] = []
        size = 0
        while self._waiting and (not group or size + len(self._waiting[0][0].records) <= _MOST_RECORDS):
            batch, done = self._waiting.pop(0)
            if not done.done():  # no request waits for it any more, and the sender retries
                group.append((batch, done))
                size += len(batch.records)
        return group

    async def _commit_group(self, group: Sequence[_Waiting]) -> None:
        error = await self._try_to_commit([batch for batch, _ in group])
        if error and len(group) > 1 and not isinstance(error, TransientError | ConfigurationError):
            # Perhaps one of them can never be committed; it mustn't hold the others.
            for single in group:
                await self._commit_group([single])
            return
        for _, done in group:
            if not done.done():
                done.set_exception(error) if error else done.set_result(None)
        if not error:
            self._notify()

    async def _try_to_commit(self, batches: list[Batch]) -> Exception | None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, sealed(self._write_all), batches)
        except Exception as error:  # noqa: BLE001 - whatever it is, the senders have to retry
            logger.error("records_not_staged batches=%s because=%s", len(batches), _said(error))  # noqa: TRY400
            return error
        return None

    def _write_all(self, batches: list[Batch]) -> None:
        batch = merged(batches)
        new = self._write(batch)
        logger.info(
            "records_staged batches=%s records=%s new=%s changed=%s",
            len(batches),
            len(batch.records),
            new,
            len(batch.changed),
        )

    def _write(self, batch: Batch) -> int:
        known = self._warehouse
        try:
            return self._stage(known or self._connect(), batch)
        except TransientError:
            self._disconnect()
            if known is None:
                raise
        except BaseException:
            self._disconnect()  # of unknown state; and the setting that is wrong may be another one next time
            raise
        # A connection that was open for long may have been dropped by the other side meanwhile.
        return self._write(batch)

    def _stage(self, warehouse: Warehouse, batch: Batch) -> int:
        return warehouse.stage(batch.records, changed=batch.changed, merges=batch.merges)

    def _connect(self) -> Warehouse:
        self._warehouse = self._open_warehouse()
        return self._warehouse

    def _disconnect(self) -> None:
        warehouse, self._warehouse = self._warehouse, None
        if warehouse:
            warehouse.close()

    def _notify(self) -> None:
        try:
            self._staged()
        except Exception as error:  # noqa: BLE001 - the rows are committed, and the schedule takes them anyway
            logger.error("run_not_requested because=%s", where(error))  # noqa: TRY400


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
