"""Which column of a CSV file says what, and which columns enrichment fills."""

import csv
import io
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from enrichment.errors import ConfigurationError, TransientError
from enrichment.fields import SOURCES
from enrichment.records import Contact
from enrichment.wire import FieldDescription
from enrichment.write_policy import FieldRule, Rule

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
    Put the table in the file's place, so that a reader sees the old content or the new one.

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


ID_COLUMN = "crm_id"

#: Names by which an identifier's column is recognised, in lower case, with blanks and hyphens as underscores.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "email": ("email", "e_mail", "email_address", "e_mail_address", "mail"),
    "first_name": ("first_name", "firstname", "given_name"),
    "last_name": ("last_name", "lastname", "surname", "family_name"),
    "company_name": ("company", "company_name", "organisation", "organization"),
}

DEFAULT_RULES: tuple[FieldRule, ...] = (
    FieldRule("company_name", "company_name", Rule.FILL_BLANK),
    FieldRule("employee_count", "employee_count", Rule.FILL_BLANK),
    FieldRule("industry", "industry", Rule.FILL_BLANK),
    FieldRule("tech_stack", "tech_stack", Rule.FILL_BLANK),
    FieldRule("linkedin_url", "linkedin_url", Rule.FILL_BLANK),
    FieldRule("intent_keywords", "intent_keywords", Rule.FILL_BLANK),
    FieldRule("title", "title", Rule.FILL_BLANK),
    FieldRule("provider", "provider", Rule.FILL_BLANK),
    FieldRule("confidence", "confidence", Rule.FILL_BLANK),
    FieldRule("enriched_at", "received_at", Rule.FILL_BLANK, stamp=True),
)

#: The types that differ from a text for a mapping, by those of canonical fields.
_TYPES: Mapping[str, str] = {"integer": "number", "number": "number", "boolean": "bool", "datetime": "datetime"}


@dataclass(frozen=True, slots=True)
class Columns:
    """
    The columns that identify a contact.

    Args:
        crm_id: empty if rows are known by their number.
        by_field: of each identifier that the file has.
    """

    crm_id: str
    by_field: Mapping[str, str]

    def names(self) -> frozenset[str]:
        """Return their names."""
        return frozenset({self.crm_id, *self.by_field.values()} - {""})


def find_columns(header: Sequence[str], wanted: Mapping[str, str], place: str) -> Columns:
    """
    Return the columns that identify a contact.

    Args:
        header: of the file.
        wanted: column by identifier and `crm_id`, where the user chose one; empty to recognise it.
        place: of the file, for errors.

    Raises:
        ConfigurationError: a chosen column is absent, one stands there twice, or none can be used for a lookup.
    """
    chosen = {field: column for field, column in wanted.items() if column}
    for field, column in chosen.items():
        if column not in header:
            raise ConfigurationError(f"{place} has no column '{column}' for {field}: it has {', '.join(header)}")
    crm_id = chosen.get("crm_id") or (ID_COLUMN if ID_COLUMN in header else "")
    by_field = {field: chosen.get(field) or _recognised(header, names) for field, names in _NAMES.items()}
    columns = Columns(crm_id, {field: column for field, column in by_field.items() if column})
    if not columns.by_field:
        raise ConfigurationError(
            f"{place} has no column that a lookup can use: name one `email`, or choose it with `--column email=NAME`"
        )
    refuse_twins(header, columns.names(), place)
    return columns


def refuse_twins(header: Sequence[str], columns: frozenset[str], place: str) -> None:
    """Raise ConfigurationError if one of the columns stands there twice."""
    twins = sorted(column for column in columns if header.count(column) > 1)
    if twins:
        raise ConfigurationError(f"{place} has the column '{twins[0]}' twice: rename one of them")


def settle_rules(rules: Sequence[FieldRule], given: Sequence[str], *, overwrite: bool) -> tuple[FieldRule, ...]:
    """Return the rules as they hold for a file: columns of our own are always written, those that it had if asked."""
    return tuple(
        replace(rule, rule=Rule.ALWAYS)
        if rule.rule is Rule.FILL_BLANK and (overwrite or rule.field not in given)
        else rule
        for rule in rules
    )


def describe(rules: Sequence[FieldRule]) -> dict[str, FieldDescription]:
    """Return what the columns of the rules take; everything is text, but for the numbers and the moment."""
    return {rule.field: FieldDescription(_TYPES.get(SOURCES[rule.source].type, "string")) for rule in rules}


def index_rows(table: Table, crm_id: str, place: str) -> dict[str, list[str]]:
    """
    Return the rows by their id, in order; blank lines have none.

    Raises:
        ConfigurationError: an id is missing or stands there twice.
    """
    rows: dict[str, list[str]] = {}
    at = table.position(crm_id) if crm_id else None
    for number, row in enumerate(table.rows, 1):
        if not row:
            continue
        name = str(number) if at is None else row[at].strip()
        if not name or name in rows:
            what = f"has '{name}' a second time" if name else "is empty"
            raise ConfigurationError(f"{place}, row {number}: the column '{crm_id}' {what}; nothing was changed")
        rows[name] = row
    return rows


def contact_of(crm_id: str, row: Sequence[str], table: Table, columns: Columns) -> Contact:
    """Return a row's identifiers."""
    found = {field: row[table.position(column)].strip() or None for field, column in columns.by_field.items()}
    return Contact(crm_id, **found)


def _recognised(header: Sequence[str], names: Sequence[str]) -> str:
    folded = {column.strip().lower().replace(" ", "_").replace("-", "_"): column for column in reversed(header)}
    return next((folded[name] for name in names if name in folded), "")
