"""A connection to Redshift, and the temporary tables in which lists wait for the statement that reads them."""

import base64
import json
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from blocks.extras import not_installed
from blocks.warehouses._sql import PARAMETER

try:
    import redshift_connector
    from redshift_connector.error import Error
except ImportError as error:
    raise not_installed("Redshift", "redshift-connector", "redshift") from error

__all__ = ["BATCHES", "Connection", "Error", "unpack"]

#: List parameters, and the temporary table that each becomes.
BATCHES = {"rows": "batch_rows", "ids": "batch_ids", "keys": "batch_ids"}
#: Columns of a batch that hold JSON, whatever the value's type.
_JSON = frozenset({"reply", "tech_stack", "intent_keywords", "attributes"})
_MOST_BINDS = 32_767  # of one statement
_LONGEST_TEXT = 65_535  # bytes of a VARCHAR; longer JSON, such as a reply that was paid for, is stored packed
_PACKED = "zlib_base64"


class Connection:
    """A connection with its temporary tables, in which lists wait for the statement that reads them."""

    def __init__(
        self, settings: dict[str, Any], statements: dict[str, str], *, schema: str, timeout_seconds: int
    ) -> None:
        self._statements = statements
        self._batches: dict[str, list[Any]] = {}
        self._used: set[str] = set()
        self._driver = redshift_connector.connect(
            **settings,
            timeout=timeout_seconds + 10,  # of the socket; the server gives up first
            application_name="contact-enrichment",
            max_prepared_statements=0,
        )
        self._driver.autocommit = True  # transactions are opened by name
        values = {"search_path": schema, "TimeZone": "UTC", "statement_timeout": str(timeout_seconds * 1000)}
        for name, value in values.items():
            self.execute("SELECT set_config(%s, %s, false)", [name, value])
        for name in ("rows", "ids"):
            self.execute(self._statements[f"make {name}"])

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Run one statement and return its cursor."""
        cursor = self._driver.cursor()
        cursor.execute(statement, tuple(values))
        return cursor

    def close(self) -> None:
        """Close the connection, whatever is left of it."""
        with suppress(Error, OSError):
            self._driver.close()

    def forget_batches(self) -> None:
        """Empty the temporary tables, outside of any transaction: TRUNCATE would commit it."""
        for name in self._used:
            self.execute(self._statements[f"empty {name}"])
        self._used.clear()
        self._batches.clear()

    def fill(self, table: str, rows: list[Any]) -> None:
        """Put a list into its temporary table, unless it is there from the statement before."""
        name = table.removeprefix("batch_")
        if self._batches.get(name) == rows:
            return
        if name in self._batches:
            self.execute(self._statements[f"clear {name}"])
        self._used.add(name)
        head, group = self._statements[f"fill {name}"].split("\n", 1)
        columns = PARAMETER.findall(group)
        group, step = PARAMETER.sub("%s", group), _MOST_BINDS // len(columns)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            values = [_text(column, row) for row in part for column in columns]
            self.execute(f"{head}\n{', '.join([group] * len(part))}", values)
        self._batches[name] = rows


def _text(column: str, row: Any) -> str | None:
    """Return one value of a row as the text that its temporary table holds; a bare value is a row of one."""
    value = row.get(column) if isinstance(row, dict) else row
    if value is None or (isinstance(value, str) and column not in _JSON):
        return value
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) <= _LONGEST_TEXT:
        return text
    return json.dumps({_PACKED: base64.b64encode(zlib.compress(text.encode())).decode()})


def unpack(value: Any) -> Any:
    """Return a JSON value as it was given."""
    if isinstance(value, dict) and value.keys() == {_PACKED}:
        return json.loads(zlib.decompress(base64.b64decode(value[_PACKED])))
    return value
