"""The rows of a CSV file, one after the other; what is no clean row is refused with its line."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from blocks.csv_files.layout import LONGEST_CELL, Layout, lines_of
from enrichment.errors import ConfigurationError
from enrichment.identifiers import normalise_email

#: What a line of totals begins with: nothing but numbers stands beside it.
_TOTAL = re.compile(
    r"[\s\W]*((grand |sub)?totals?|sum|summe|gesamt(summe)?|totale|somma|count|anzahl)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Record:
    """
    A record of the file as it stands there.

    Args:
        line: where it begins, from 1.
        cells: none for a blank line.
        raw: its text, with quotation marks.
    """

    line: int
    cells: list[str]
    raw: str

    @property
    def is_blank(self) -> bool:
        """Return whether there is nothing in it but delimiters."""
        return not any(map(str.strip, self.cells))


def preamble_of(path: Path, layout: Layout) -> str:
    """Return the text before the names of the columns."""
    with lines_of(path, layout.encoding) as file:
        return "".join(islice(file, layout.header_line - 1))


def records_of(path: Path, layout: Layout) -> Iterator[Record]:
    """
    Yield the records from the names of the columns on.

    Raises:
        ConfigurationError: a quotation mark isn't closed or stands where none may be, or the file can't be read.
    """
    csv.field_size_limit(LONGEST_CELL)
    try:
        with lines_of(path, layout.encoding) as file:
            yield from _parsed(path, layout, file)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} was changed while it was read: run the command again") from None


def check_length(path: Path, layout: Layout, record: Record) -> None:
    """Raise ConfigurationError unless a row has as many cells as there are columns."""
    cells, columns = len(record.cells), len(layout.header)
    if cells == columns:
        return
    if cells > columns:
        extra = f"the first cell too many is cell {columns + 1}"
        what = f"put a cell that holds a delimiter in quotation marks, or delete what is too much; {extra}"
    else:
        what = (
            f"the column '{layout.header[cells]}' and what follows is missing; was the line cut off, or a cell of it?"
        )
    raise ConfigurationError(f"{path}, line {record.line}: {cells} cells, but {columns} columns: {what}")


def check_quotes(path: Path, layout: Layout, record: Record, places: Mapping[str, int]) -> None:
    """Raise ConfigurationError if a cell of several lines seems to have swallowed rows: its mark was a stray one."""
    keys = [places[name] for name in ("crm_id", "email") if name in places]
    swallowed = any("\n" in record.cells[at].strip() and layout.delimiter in record.cells[at] for at in keys)
    for number, text in enumerate(record.raw.splitlines()[1:], 1):
        cells = text.split(layout.delimiter)
        is_row = len(cells) == len(layout.header) and any(normalise_email(cells[at].strip('"')) for at in keys)
        if swallowed or is_row:
            raise ConfigurationError(
                f"{path}, line {record.line}{_column(layout, record.raw)}: a quotation mark opens a cell that goes on "
                f"in line {record.line + number}, which looks like a row of its own: close or delete the quotation mark"
            )


def is_footer(record: Record, columns: int, *, after_blank: bool) -> bool:
    """Return whether a record at the end of the file is a note below the rows, and no row."""
    is_short = len(record.cells) < columns
    if not is_short and not _TOTAL.match(record.raw):
        return False
    filled = [cell.strip() for cell in record.cells if cell.strip()]
    if any("@" in cell and " " not in cell for cell in filled):
        return False
    if _TOTAL.match(filled[0]) and not any(map(str.isalpha, "".join(filled[1:]))):
        return True
    if is_short and len(filled) == 1 and (" " in filled[0] or ":" in filled[0]):
        return True
    return is_short and after_blank and len(filled) <= 2 and filled[0].replace(" ", "").isalpha()


class _Heard:
    """Lines on their way to the parser, and those of the record that it is at."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.record: list[str] = []

    def __iter__(self) -> "_Heard":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.record.append(line)
        return line


def _parsed(path: Path, layout: Layout, file: Iterator[str]) -> Iterator[Record]:
    lines = _Heard(islice(file, layout.header_line - 1, None))
    reader = csv.reader(lines, delimiter=layout.delimiter, strict=True)
    while True:
        line = layout.header_line + reader.line_num
        lines.record.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _why_unreadable(path, layout, line, "".join(lines.record), error) from None
        yield Record(line, cells, "".join(lines.record))


def _why_unreadable(path: Path, layout: Layout, line: int, raw: str, error: csv.Error) -> ConfigurationError:
    place = f"{path}, line {line}{_column(layout, raw)}"
    if "limit" in str(error) or "end of data" in str(error):
        return ConfigurationError(f"{place}: a quotation mark opens a cell and none closes it: close it or delete it")
    return ConfigurationError(
        f"{place}: a stray quotation mark: close the cell in front of the delimiter, and double a quotation mark that "
        "belongs to the text"
    )


def _column(layout: Layout, raw: str) -> str:
    """Return the column of the first cell that a quotation mark leaves open, or that goes on behind its end."""
    at, position, size = 0, 0, len(raw)
    while position < size:
        if raw[position] != '"':
            stop = raw.find(layout.delimiter, position)
            following = raw.find("\n", position, stop if stop >= 0 else size)
            if stop < 0 or following >= 0:
                break
            at, position = at + 1, stop + 1
            continue
        end = _closing(raw, position + 1)
        if not raw.startswith((layout.delimiter, "\r", "\n"), end) or "\n" in raw[position:end]:
            break
        at, position = at + 1, end + 1
    return f", column '{layout.header[at]}'" if at < len(layout.header) else ""


def _closing(raw: str, position: int) -> int:
    """Return the position behind the quotation mark that closes a cell, or behind the end."""
    while (position := raw.find('"', position)) >= 0:
        if not raw.startswith('""', position):
            return position + 1
        position += 2
    return len(raw)
