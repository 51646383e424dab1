"""
Runs fakesnow's server with one fix; executed by the Python of its own environment, not by ours.

Its MERGE makes a temporary table, and for every table it notes a comment in a second database. DuckDB writes to one
database in a transaction, so that no MERGE would be possible in an explicit one. That table's comment is left out.
"""

import sys

from fakesnow import cli, info_schema

from sandbox.warehouses import _parsed_once

noted = info_schema.insert_table_comment_sql


def note_comment(catalog: str, schema: str, table: str, comment: str) -> str:
    """Return the statement that notes a table's comment; one without effect for MERGE's own table."""
    return "SELECT 1" if table.lower() == "merge_candidates" else noted(catalog, schema, table, comment)


if __name__ == "__main__":
    _parsed_once.install()
    info_schema.insert_table_comment_sql = note_comment
    sys.exit(cli.main(["--server"]))
