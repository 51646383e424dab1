"""A CSV file as a table: read whole and checked, written whole or not at all."""

import csv
import io
import os
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from enrichment.errors import ConfigurationError, TransientError

_MARK = b"\xef\xbb\xbf"
_DELIMITERS = ",;\t|"


@dataclass(slots=True)
class Table:
    """
    The columns and rows of a CSV file, every row as long as the header.

    Args:
        header: names of the columns, as they stand in the file.
        rows: their cells; a blank line is an empty list.
        delimiter: between cells.
        newline: between lines.
        marked: whether the file begins with the mark that spreadsheets put before UTF-8.
    """

    header: list[str]
    rows: list[list[str]]
    delimiter: str = ","
    newline: str = "\n"
    marked: bool = False

    def position(self, column: str) -> int:
        """Return where a column stands."""
        return self.header.index(column)

    def widen(self, columns: list[str]) -> None:
        """Append empty columns."""
        self.header += columns
        for row in self.rows:
            if row:
                row.extend([""] * len(columns))


def read_table(path: Path) -> Table:
    """
    Return a file's table.

    Raises:
        ConfigurationError: the file can't be read, or isn't a table.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
        delimiter = _delimiter(text)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        header = next(lines, [])
        rows = [_padded(cells, len(header), path, lines.line_num) for cells in lines]
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(
            f"{path} can't be read as a CSV file in UTF-8 ({type(error).__name__}): save it as `CSV UTF-8`"
        ) from None
    if not any(name.strip() for name in header):
        raise ConfigurationError(f"{path} is empty: the first line must name the columns")
    first = text.partition("\n")[0]
    return Table(header, rows, delimiter, "\r\n" if first.endswith("\r") else "\n", content.startswith(_MARK))


def read_unchanged(path: Path) -> Table:
    """Return a file's table for reading only, from memory as long as the file stays as it is."""
    try:
        state = path.stat()
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None
    return _read_once(path, (state.st_ino, state.st_size, state.st_mtime_ns))


@lru_cache(maxsize=1)
def _read_once(path: Path, state: tuple[int, ...]) -> Table:  # noqa: ARG001 - a changed file is another one
    return read_table(path)


def write_table(path: Path, table: Table) -> None:
    """
    Put the table in the file's place, so that whoever looks sees the old content or the new one.

    Raises:
        TransientError: the folder or the disk doesn't take it; the old content is still there.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=table.delimiter, lineterminator=table.newline)
    writer.writerow(table.header)
    writer.writerows(table.rows)
    content = (_MARK if table.marked else b"") + text.getvalue().encode()
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        _write_through(beside, content)
        if path.exists():
            beside.chmod(path.stat().st_mode)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise TransientError(f"{path} can't be written: {error.strerror}") from None


def clear_leftovers(path: Path) -> None:
    """Remove what a killed writer left beside the file; only its present writer may ask for that."""
    for left in path.parent.glob(f".{path.name}.*.part"):
        left.unlink(missing_ok=True)


def _write_through(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _delimiter(text: str) -> str:
    for sample in (text.partition("\n")[0], text[:65_536]):
        try:
            return csv.Sniffer().sniff(sample, _DELIMITERS).delimiter
        except csv.Error:
            continue
    return ","


def _padded(cells: list[str], columns: int, path: Path, line: int) -> list[str]:
    if len(cells) > columns:
        raise ConfigurationError(
            f"{path}, line {line}: {len(cells)} cells, but {columns} columns: fix the line or its quotation marks"
        )
    return cells + [""] * (columns - len(cells)) if cells else cells
