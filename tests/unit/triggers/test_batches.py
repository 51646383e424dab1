"""Several batches as one."""

from blocks.warehouses.base import NewRecord
from enrichment.records import Origin
from triggers.staging import Batch, merged

HUBSPOT = Origin("hubspot")


def record(crm_id: str, email: str | None = None, created_at: str | None = None, crm: str = "hubspot") -> NewRecord:
    return NewRecord(crm, crm_id, email, "webhook", "live", created_at)


def test_each_contact_comes_once_with_all_that_is_known() -> None:
    """A later record adds what the earlier one lacked; the same id in another CRM is another contact."""
    batch = merged(
        [
            Batch((record("1"), record("2", "b@x.example"))),
            Batch((record("1", "a@x.example", "2026-01-01T00:00:00Z"), record("1", crm="salesforce"))),
        ]
    )
    assert batch.records == (
        record("1", "a@x.example", "2026-01-01T00:00:00Z"),
        record("2", "b@x.example"),
        record("1", crm="salesforce"),
    )


def test_the_address_of_a_contact_that_changed_is_not_kept() -> None:
    """The CRM is asked, whichever came first."""
    change, handed_in = (
        Batch((record("1"),), frozenset({(HUBSPOT, "1")})),
        Batch((record("1", "a@x.example"),)),
    )
    for order in ([change, handed_in], [handed_in, change]):
        assert merged(order) == Batch((record("1"),), frozenset({(HUBSPOT, "1")}))


def test_nothing_is_nothing() -> None:
    """An empty batch needs no transaction."""
    assert not merged([Batch(), Batch()])
    assert Batch(changed=frozenset({(HUBSPOT, "1")}))
