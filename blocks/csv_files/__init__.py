"""The one strict reader of CSV files."""

from blocks.csv_files.table import Row, Table, open_table

__all__ = ["Row", "Table", "open_table"]
