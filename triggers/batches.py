"""What requests ask of the queue, and how several of them become one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from blocks.warehouses.base import NewRecord
from enrichment.records import Origin

Key = tuple[Origin, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """
    What is to be committed together.

    Args:
        records: contacts for the queue.
        changed: origin and id of contacts that changed; see `Warehouse.stage`.
    """

    records: tuple[NewRecord, ...] = ()
    changed: frozenset[Key] = frozenset()

    def __bool__(self) -> bool:
        """Tell whether there is anything to commit."""
        return bool(self.records or self.changed)


def merged(batches: Iterable[Batch]) -> Batch:
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
    return Batch(tuple(records.values()), frozenset(changed))


def _joined(first: NewRecord, second: NewRecord) -> NewRecord:
    return replace(
        first,
        email_address=first.email_address or second.email_address,
        contact_created_at=first.contact_created_at or second.contact_created_at,
        refresh=first.refresh or second.refresh,
    )
