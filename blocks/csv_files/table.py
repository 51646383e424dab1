"""
A CSV file as a table, the same at every door that takes one.

The whole file is read and checked when it is opened, and read again row by row when it is used: it may be larger than
the memory, and nothing is queued or paid for of a file that is wrong further down.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

from blocks.csv_files.layout import DELIMITERS, Layout, find_layout
from blocks.csv_files.rows import Record, check_length, check_quotes, is_footer, records_of
from blocks.settings import load_settings
from enrichment.cells import restored
from enrichment.errors import ConfigurationError
from enrichment.headers import CRM_ID, fold, recognised, same_column
from enrichment.identifiers import normalise_email
from enrichment.text import storable_text

#: Rows of which is counted what each column holds.
_SAMPLE = 1000

#: How many lines below the rows may be notes.
_MOST_BELOW = 100

_LABELS = {
    "crm_id": "id",
    "email": "e-mail address",
    "first_name": "first name",
    "last_name": "last name",
    "company_name": "company",
}


@dataclass(frozen=True, slots=True)
class Row:
    """
    What one row says.

    Args:
        line: where it begins in the file, from 1.
        values: by identifier, trimmed; None if the cell is blank.
    """

    line: int
    values: Mapping[str, str | None]


@dataclass(frozen=True)
class Table:
    """
    A file that has been checked.

    Args:
        path: of the file.
        layout: how it is written.
        columns: the column of each identifier that the file has.
        count: how many rows there are.
        end: line at which the notes below the rows begin; 0 if there are none.
        notes: what people should know of how the file was read, a sentence each, without any cell.
    """

    path: Path
    layout: Layout
    columns: Mapping[str, str]
    count: int = 0
    end: int = 0
    notes: tuple[str, ...] = ()
    places: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Look up where the columns stand."""
        header = self.layout.header
        object.__setattr__(self, "places", {name: header.index(column) for name, column in self.columns.items()})

    def rows(self) -> Iterator[Row]:
        """
        Yield the rows, one after the other.

        Raises:
            ConfigurationError: the file was changed since it was opened.
        """
        for record, is_row in self.records():
            if is_row:
                check_length(self.path, self.layout, record)
                yield Row(record.line, self.values_of(record))

    def values_of(self, record: Record) -> dict[str, str | None]:
        """Return what a row says."""
        return {name: restored(storable_text(record.cells[at]).strip()) or None for name, at in self.places.items()}

    def records(self) -> Iterator[tuple[Record, bool]]:
        """Yield everything below the names of the columns, and whether it is a row."""
        records = records_of(self.path, self.layout)
        next(records, None)
        for record in records:
            is_row = not record.is_blank and not 0 < self.end <= record.line
            yield record, is_row


def open_table(
    path: Path,
    identifiers: Collection[str],
    *,
    required: Collection[str] = (),
    chosen: Mapping[str, str] | None = None,
    by_own_name: Collection[str] = (),
) -> Table:
    """
    Return a file's table, once all of it has been checked.

    Encoding and delimiter are found, unless the settings `csv_encoding` and `csv_delimiter` name them.

    Args:
        path: of the file.
        identifiers: what to look for: `crm_id`, `email`, `first_name`, `last_name`, `company_name`.
        required: those that the file must have a column of, and every row a value.
        chosen: column by identifier, where the user names it; the others are recognised by their names.
        by_own_name: identifiers that no other name stands for.

    Raises:
        ConfigurationError: the file is wrong; the message names line and column, and says what to do.
    """
    settings = load_settings()
    named = tuple(sorted((name, column) for name, column in (chosen or {}).items() if column))
    try:
        state = path.stat()
        seen = (state.st_ino, state.st_size, state.st_mtime_ns)
        found = (settings.csv_encoding, settings.csv_delimiter)
        return _open(path, seen, *found, tuple(identifiers), tuple(required), named, tuple(by_own_name))
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from None


@lru_cache(maxsize=4)  # every task of a run opens the same file
def _open(
    path: Path,
    _seen: tuple[int, ...],
    encoding: str,
    delimiter: str,
    identifiers: tuple[str, ...],
    required: tuple[str, ...],
    named: tuple[tuple[str, str], ...],
    by_own_name: tuple[str, ...],
) -> Table:
    chosen = dict(named)
    layout = find_layout(path, encoding=encoding, delimiter=delimiter, chosen=frozenset(chosen.values()))
    own = {name: column for name in by_own_name if (column := same_column(layout.header, name))}
    columns = _choose(path, layout, [name for name in identifiers if name not in by_own_name], own | chosen)
    return _Check(Table(path, layout, columns), required).run()


def _choose(path: Path, layout: Layout, identifiers: Collection[str], chosen: Mapping[str, str]) -> dict[str, str]:
    header = layout.header
    place = f"{path}, line {layout.header_line}"
    for name, column in chosen.items():
        if column not in header:
            raise ConfigurationError(f"{place}: no column '{column}' for {name}: the columns are {', '.join(header)}")
    columns = {**chosen, **{name: recognised(header, name) for name in identifiers if name not in chosen}}
    for name, column in columns.items():
        refuse_twins(place, header, column, exactly=name in chosen)
    return {name: column for name, column in columns.items() if column}


def refuse_twins(place: str, header: Collection[str], column: str, *, exactly: bool = False) -> None:
    """Raise ConfigurationError if a column that is used stands there twice, or almost the same name does."""
    twins = [one for one in header if one == column or (not exactly and fold(one) == fold(column))]
    if column and len(twins) > 1:
        raise ConfigurationError(
            f"{place}: the column '{column}' is there twice ({', '.join(twins)}): delete or rename one of them"
        )


@dataclass
class _Check:
    """The first reading of a file: everything that could be wrong is found, and what is no row."""

    table: Table
    required: tuple[str, ...] = ()
    count: int = 0
    blank: int = 0
    below: list[Record] = field(default_factory=list)
    addresses: dict[int, int] = field(default_factory=dict)

    def run(self) -> Table:
        table = self.table
        for name in self.required:
            if name not in table.columns:
                raise ConfigurationError(self._lacking(name))
        after_blank = False
        for record, _ in table.records():
            after_blank = self._sort(record, after_blank=after_blank)
        if not self.count:
            raise ConfigurationError(f"{table.path} has no row below line {table.layout.header_line}: nothing to do")
        return replace(table, count=self.count, end=self.below[0].line if self.below else 0, notes=tuple(self._notes()))

    def _sort(self, record: Record, *, after_blank: bool) -> bool:
        """Take a record for what it is; return whether a blank line came last."""
        if record.is_blank:
            self.blank += 1
            return True
        if is_footer(record, len(self.table.layout.header), after_blank=after_blank) and len(self.below) < _MOST_BELOW:
            self.below.append(record)
            return after_blank
        for above in (*self.below, record):  # what looked like a note has a row below it
            self._take(above)
        self.below.clear()
        return False

    def _take(self, record: Record) -> None:
        table = self.table
        check_length(table.path, table.layout, record)
        if "\n" in record.raw.rstrip("\r\n"):
            check_quotes(table.path, table.layout, record, table.places)
        for name in self.required:
            if not record.cells[table.places[name]].strip():
                raise ConfigurationError(
                    f"{table.path}, line {record.line}, column '{table.columns[name]}': the cell is empty: fill it, or "
                    "delete the line; nothing of the file was used"
                )
        self.count += 1
        if self.count <= _SAMPLE:
            self._count_addresses(record)

    def _count_addresses(self, record: Record) -> None:
        for at, cell in enumerate(record.cells):
            if "@" in cell and normalise_email(cell):
                self.addresses[at] = self.addresses.get(at, 0) + 1

    def _lacking(self, name: str) -> str:
        """Say that a column is missing, and which one may be meant."""
        layout = self.table.layout
        for record, _ in islice(self.table.records(), _SAMPLE):
            self._count_addresses(record)
        hints = "".join(f"; {hint}" for hint in self._hints())
        names = f"'{name}'" + ("" if name == CRM_ID else f" or another name for the {_LABELS[name]}")
        return (
            f"{self.table.path}, line {layout.header_line}: no column {names} (found: {', '.join(layout.header)}): "
            f"rename the column that has it{hints}"
        )

    def _notes(self) -> Iterator[str]:
        layout, name = self.table.layout, self.table.path.name
        encoding = f"{layout.encoding.label}{' (guessed)' if layout.encoding.guessed else ''}"
        separated = DELIMITERS.get(layout.delimiter, f"'{layout.delimiter}'")
        guessed = " (guessed)" if layout.guessed else ""
        yield f"{name}: {encoding}, cells separated by {separated}{guessed}, columns named in line {layout.header_line}"
        used = ", ".join(f"{_LABELS[key]} from '{column}'" for key, column in self.table.columns.items())
        yield f"columns used: {used or 'none'}"
        below = f"; the first below the rows is line {self.below[0].line}" if self.below else ""
        left_out = {
            "above the names of the columns": layout.header_line - 1,
            "blank": self.blank,
            "below the rows": len(self.below),
        }
        if any(left_out.values()):
            counts = ", ".join(f"{count:,} {what}" for what, count in left_out.items() if count)
            yield f"lines left out: {counts}{below}"
        yield from self._hints()

    def _hints(self) -> Iterator[str]:
        taken = self.table.places.get("email")
        seen = min(self.count, _SAMPLE)
        for at, addresses in self.addresses.items():
            if at != taken and addresses * 2 > seen:
                column = self.table.layout.header[at]
                yield f"the column '{column}' holds e-mail addresses and isn't used: rename it `email` to use it"
        if taken is not None and not self.addresses.get(taken):
            yield f"the column '{self.table.columns['email']}' holds no e-mail address in the first {seen:,} rows"
