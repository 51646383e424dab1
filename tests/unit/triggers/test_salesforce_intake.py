"""What events do to the queue."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from blocks.crms.base import NewContact
from blocks.warehouses.base import Warehouse
from enrichment.records import Origin
from triggers.salesforce.events import Meaning
from triggers.salesforce.intake import EventIntake

FIRST, SECOND = "0035e0000000001AAA", "0035e0000000002AAA"
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
NOTHING: Any = None


@pytest.fixture
def warehouse(make_warehouse: Callable[[str], Warehouse]) -> Warehouse:
    return make_warehouse("sqlite")


def take(warehouse: Warehouse, *meanings: Meaning) -> None:
    EventIntake(warehouse, NOTHING, lambda: None).take("events", meanings, None, NOW)


def made(crm_id: str, email: str | None) -> Meaning:
    return Meaning((NewContact(crm_id, email, None),), NOW, created=True)


def corrected(crm_id: str, email: str | None) -> Meaning:
    contacts = (NewContact(crm_id, email, None),) if email else ()
    return Meaning(contacts, NOW, changed=(crm_id,))


def queued(warehouse: Warehouse) -> dict[str, str | None]:
    """Return by contact the address that is queued with it; without one, the run reads it from the CRM."""
    records = warehouse.peek(origin=Origin("salesforce"), lane="live", limit=10)
    return {record.crm_id: record.email_address for record in records}


def test_an_address_that_is_corrected_later_is_not_looked_up(warehouse: Warehouse) -> None:
    """A contact that waits is read again, whether the address was corrected, cleared or went with the contact."""
    take(warehouse, made(FIRST, "ada@typo.example"), made(SECOND, "ben@firm.example"))
    assert queued(warehouse) == {FIRST: "ada@typo.example", SECOND: "ben@firm.example"}
    take(warehouse, corrected(FIRST, "ada@firm.example"))
    take(warehouse, corrected(SECOND, None))
    assert queued(warehouse) == {FIRST: None, SECOND: None}


def test_of_several_events_at_once_the_last_one_counts(warehouse: Warehouse) -> None:
    """As when a listener comes back after a pause."""
    take(
        warehouse,
        *(made(FIRST, "ada@typo.example"), corrected(FIRST, "ada@firm.example")),
        *(made(SECOND, "ben@firm.example"), corrected(SECOND, None)),
    )
    assert queued(warehouse) == {FIRST: "ada@firm.example", SECOND: None}
