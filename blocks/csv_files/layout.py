"""How a CSV file is laid out: what separates its cells, and which line names the columns."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from blocks.csv_files.encoding import Encoding, find_encoding
from enrichment.errors import ConfigurationError
from enrichment.headers import count_known
from enrichment.identifiers import normalise_email

SETTING = "ENRICHMENT_CSV_DELIMITER"
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

#: Longer than any cell of a spreadsheet, and short enough that an open quotation mark doesn't fill the memory.
LONGEST_CELL = 10_000_000

#: How many lines may stand before the names of the columns, and how many rows are looked at behind them.
_HEADER_WITHIN, _SAMPLE = 40, 60
_SEP = re.compile(r"\ufeff?\"?sep=(.)\"?\s*", re.IGNORECASE)
_NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "bar": "|"}


@dataclass(frozen=True, slots=True)
class Layout:
    """
    How a file is written.

    Args:
        encoding: of the text.
        delimiter: between cells.
        newline: between lines.
        header: names of the columns.
        header_line: number of the line where they begin, from 1.
        guessed: whether neither the file nor the user says the delimiter.
    """

    encoding: Encoding
    delimiter: str
    newline: str
    header: tuple[str, ...]
    header_line: int
    guessed: bool


@dataclass(frozen=True, slots=True)
class _Header:
    line: int
    cells: list[str]
    known: int
    alike: float
    """Share of the rows behind it that are as long."""

    @property
    def fitness(self) -> tuple[int, bool, float, int]:
        alike = self.alike if len(self.cells) > 1 else 0.0  # of one column, every delimiter makes one cell
        return (self.known, alike > 0.5, alike, len(self.cells))


def find_layout(path: Path, *, encoding: str = "", delimiter: str = "", chosen: frozenset[str] = frozenset()) -> Layout:
    """
    Return how a file is laid out.

    Args:
        path: of the file.
        encoding: as the user says; empty to find it.
        delimiter: as the user says; empty to find it.
        chosen: names of columns that the user expects.

    Raises:
        ConfigurationError: it isn't text, or no line names columns; the message says where and what to do.
    """
    found = find_encoding(path, encoding)
    with lines_of(path, found) as file:
        sample = list(islice(file, _HEADER_WITHIN + _SAMPLE))
    said = _NAMED.get(delimiter.lower(), delimiter) or _separator(sample)
    if len(said) > 1:
        raise ConfigurationError(f"{SETTING}: '{delimiter}' is not one character: write it as `;` or `tab`")
    headers = [(each, header) for each in said or DELIMITERS if (header := _header(sample, each, chosen))]
    if not headers:
        raise ConfigurationError(f"{path} is empty: a line must name the columns")
    best, header = max(headers, key=lambda each: each[1].fitness)
    _refuse_data(path, header)
    ending = sample[0][len(sample[0].rstrip("\r\n")) :]
    return Layout(found, best, ending or "\n", tuple(header.cells), header.line, not said and len(header.cells) > 1)


def lines_of(path: Path, encoding: Encoding) -> io.TextIOWrapper:
    """Open a file for its lines, each with its ending as it is."""
    file = path.open("rb")
    file.seek(len(encoding.mark))
    return io.TextIOWrapper(file, encoding=encoding.codec, newline="")


def parse(lines: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    """Yield what lines seem to say, whatever their quotation marks."""
    csv.field_size_limit(LONGEST_CELL)
    return csv.reader(lines, delimiter=delimiter)


def _separator(sample: Sequence[str]) -> str:
    """Return what a first line such as `sep=;` says, which spreadsheets read and write."""
    said = _SEP.fullmatch(sample[0]) if sample else None
    return said.group(1) if said else ""


def _header(sample: Sequence[str], delimiter: str, chosen: frozenset[str]) -> _Header | None:
    """Return the line that names the columns: most of their names are known, or it is the first of many as long."""
    begun = 1 if _separator(sample) else 0
    candidates = [
        _candidate(sample, start, delimiter, chosen)
        for start in range(begun, min(len(sample), _HEADER_WITHIN))
        if sample[start].strip()
    ]
    known = max((each for each in candidates if each.known), key=lambda each: each.known, default=None)
    return known or max(candidates, key=lambda each: len(each.cells) > 1 and each.alike > 0.5, default=None)


def _candidate(sample: Sequence[str], start: int, delimiter: str, chosen: frozenset[str]) -> _Header:
    rows = parse(sample[start:], delimiter)
    try:
        cells = next(rows)
        following = [len(row) for row in islice(rows, _SAMPLE) if any(map(str.strip, row))]
    except csv.Error:
        return _Header(start + 1, [], 0, 0)
    alike = following.count(len(cells)) / len(following) if following else 1.0
    known = 0 if _holds_address(cells) else count_known(cells) + len(chosen.intersection(cells))
    return _Header(start + 1, cells, known, alike)


def _holds_address(cells: Sequence[str]) -> bool:
    return any("@" in cell and normalise_email(cell) for cell in cells)


def _refuse_data(path: Path, header: _Header) -> None:
    if _holds_address(header.cells):
        raise ConfigurationError(
            f"{path}, line {header.line}: this line has an e-mail address and no names of columns: put a line above "
            "it that names them, such as `email,first_name,last_name,company`"
        )
