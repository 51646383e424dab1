"""The vocabulary and the tables agree."""

from collections.abc import Callable

from blocks.warehouses.base import Warehouse
from enrichment.fields import FIELDS


def test_a_field_has_a_column_of_its_own_if_it_says_so(make_warehouse: Callable[[str], Warehouse]) -> None:
    """The fields with columns are those that `enriched_contacts` has columns for, and the others are attributes."""
    with make_warehouse("sqlite")._transaction() as session:
        rows = session._connection.execute("SELECT name FROM pragma_table_info('enriched_contacts')").fetchall()
    columns = {row[0] for row in rows}
    assert {name for name, field in FIELDS.items() if field.own_column} == columns & FIELDS.keys()
