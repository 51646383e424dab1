"""
A CSV file as the CRM, for those who have none.

The output is a copy of the input with columns appended. It is rewritten whole under a lock with every batch of updates,
so that runs on one machine may share it and a killed one leaves it whole. A result of `write` has the reason
`NOT_FOUND` if the file doesn't have the row, and names the values that their column doesn't take.
"""

import fcntl
import hashlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from pydantic import Field, HttpUrl

from blocks.crms.base import ContactPage, CrmBlock, CrmContact, NewContact, Update, UpdateResult
from blocks.crms.file.columns import (
    DEFAULT_RULES,
    Columns,
    Table,
    clear_leftovers,
    contact_of,
    describe,
    find_columns,
    index_rows,
    read_table,
    read_unchanged,
    refuse_twins,
    settle_rules,
    write_table,
)
from blocks.crms.ids import wrong_id
from blocks.crms.mapping import read_rules
from blocks.crms.selection import lacks_one, named_fields, refuse_conditions
from enrichment.errors import ConfigurationError, TransientError
from enrichment.intake import Selection
from enrichment.moments import read_moment
from enrichment.wire import NOT_A_NUMBER, FieldDescription, read_number
from enrichment.write_policy import NO_SUCH_FIELD, FieldRule, Refusal

NOT_FOUND = "not_found"

logger = logging.getLogger(__name__)

_PAGE = 1000
_ENRICHED_AT = "enriched_at"


class File(CrmBlock):
    """
    A CSV file that is enriched into another one.

    Example:
        Enrich a list that lies where the worker runs::

            File(path="/data/contacts.csv", output="/data/enriched.csv").save("list")
    """

    _block_type_name = "CSV File CRM"
    _block_type_slug = "enrichment-file"
    _description = "A CSV file of contacts that is enriched into another one."
    _documentation_url = HttpUrl("https://docs.python.org/3/library/csv.html")
    vendor: ClassVar[str] = "file"

    path: Path | None = Field(default=None, description="CSV file in UTF-8 whose first line names the columns.")
    output: Path | None = Field(
        default=None, description="CSV file to write; it may be the input only if in_place is set."
    )
    in_place: bool = Field(default=False, description="Whether the output may be the input.")
    overwrite: bool = Field(default=False, description="Whether values that the input has may be replaced.")
    id_column: str = Field(default="", description="Column of the id; empty: `crm_id`, else the row's number.")
    email_column: str = Field(default="", description="Column of the e-mail address; empty: by its name.")
    first_name_column: str = Field(default="", description="Column of the first name; empty: by its name.")
    last_name_column: str = Field(default="", description="Column of the last name; empty: by its name.")
    company_column: str = Field(default="", description="Column of the company's name; empty: by its name.")
    mapping_file: Path | None = Field(
        default=None, description="YAML list of {field, source, rule, stamp}, laid over the default columns."
    )

    @classmethod
    def contact_id(cls, text: str) -> str:
        """Return a row's id, which is as the file has it."""
        if not text.strip():
            raise wrong_id("", "a row's id", "name the row")
        return text.strip()

    def get_crm(self) -> "FileCrm":
        """
        Return the adapter.

        Raises:
            ConfigurationError: a file isn't named, the input can't be read, or a column is missing.
        """
        if self.path is None or self.output is None:
            missing = "PATH" if self.path is None else "OUTPUT"
            raise ConfigurationError(f"ENRICHMENT_FILE_{missing} is not set: name the file")
        path, output = self.path.resolve(), self.output.resolve()
        if path == output and not self.in_place:
            raise ConfigurationError(f"{output} is the input: choose another output, or use `--in-place`")
        wanted = {
            "crm_id": self.id_column,
            "email": self.email_column,
            "first_name": self.first_name_column,
            "last_name": self.last_name_column,
            "company_name": self.company_column,
        }
        rules = read_rules(self.mapping_file, DEFAULT_RULES)
        return FileCrm(path, output, wanted=wanted, rules=rules, overwrite=self.overwrite)


class FileCrm:
    """
    The contacts of a CSV file; safe to share between threads and processes of one machine.

    Args:
        path: of the input.
        output: of what is written.
        wanted: column by identifier, where the user chose one.
        rules: how columns are filled, before the input's own columns are known.
        overwrite: whether the input's own values may be replaced.
    """

    name = "file"

    def __init__(
        self, path: Path, output: Path, *, wanted: Mapping[str, str], rules: Sequence[FieldRule], overwrite: bool
    ) -> None:
        self._path = path
        self._output = output
        self._given = read_unchanged(path)
        self._columns: Columns = find_columns(self._given.header, wanted, str(path))
        refuse_twins(self._given.header, frozenset(rule.field for rule in rules), str(path))
        index_rows(self._given, self._columns.crm_id, str(path))
        self.rules: Sequence[FieldRule] = settle_rules(rules, self._given.header, overwrite=overwrite)
        identifying = self._columns.names()
        self.protected = identifying - {rule.field for rule in rules}

    def begin(self, *, force: bool = False) -> None:
        """
        Make the output, or go on with the one that an earlier run of this input made.

        Raises:
            ConfigurationError: the output holds something else, and it isn't to be replaced by force.
        """
        with self._locked():
            clear_leftovers(self._output)
            if self._output == self._path:
                self._complete(self._given)
            elif force or not self._output.exists():
                self._complete(self._given, again=True)
            elif not self._continues(read_table(self._output)):
                raise ConfigurationError(
                    f"{self._output} exists and isn't the enriched version of this input: choose another output, or "
                    "use `--force`"
                )

    def list_contacts(self) -> Iterator[list[NewContact]]:
        """Yield every contact, page by page."""
        rows = index_rows(self._given, self._columns.crm_id, str(self._path))
        contacts = [contact_of(crm_id, row, self._given, self._columns) for crm_id, row in rows.items()]
        for start in range(0, len(contacts), _PAGE):
            yield [NewContact(contact.crm_id, contact.email, None) for contact in contacts[start : start + _PAGE]]

    def created_since(self, since: datetime) -> Iterator[list[NewContact]]:  # noqa: ARG002 - a file doesn't say when
        """Yield every contact, since a file doesn't say when one was created."""
        return self.list_contacts()

    def select(
        self, selection: Selection, *, after: str = "", among: Sequence[str] | None = None
    ) -> Iterator[ContactPage]:
        """Yield the contacts of a selection, page by page; see the protocol. The output says what is missing."""
        others = selection.conditions - {"missing"}
        refuse_conditions(
            "a file", selection, others, "a file has no such condition; make a file of just those contacts"
        )
        known = {**dict.fromkeys(self._given.header, FieldDescription("string")), **self.describe_fields()}
        missing = named_fields("the file", selection.missing, self.rules, known)
        if among is not None:
            yield ContactPage(tuple(self._lacking(list(among), missing)), "")
            return
        ids = list(index_rows(self._given, self._columns.crm_id, str(self._path)))
        for start in range(int(after or 0), len(ids), _PAGE):
            page = ids[start : start + _PAGE]
            yield ContactPage(tuple(self._lacking(page, missing)), str(start + len(page)))

    def read(
        self, crm_ids: Sequence[str], fields: Sequence[str], *, history: Sequence[str] = ()
    ) -> dict[str, CrmContact]:
        """Return the contacts that the file has, as the output says now."""
        if not crm_ids:
            return {}
        table = self._present()
        rows = index_rows(table, self._columns.crm_id, str(self._output))
        # Identifiers come from the input: a column that was filled since would make another lookup of it, and a bill.
        given = index_rows(self._given, self._columns.crm_id, str(self._path))
        at = {field: table.position(field) for field in {*fields, _ENRICHED_AT} if field in table.header}
        found = {}
        for crm_id in crm_ids:
            if crm_id in rows and crm_id in given:
                cells = {field: rows[crm_id][place] or None for field, place in at.items()}
                values = {field: cells.get(field) for field in fields}
                changed = self._changed(history, cells.get(_ENRICHED_AT)) if history else {}
                contact = contact_of(crm_id, given[crm_id], self._given, self._columns)
                found[crm_id] = CrmContact(contact, values, changed)
        return found

    def write(self, updates: Sequence[Update]) -> list[UpdateResult]:
        """Put the updates into the output, all at once; the answer has one result for every update."""
        if not updates:
            return []
        with self._locked():
            table = self._present()
            rows = index_rows(table, self._columns.crm_id, str(self._output))
            known = self.describe_fields()
            results = [_apply(update, table, rows, known) for update in updates]
            write_table(self._output, table)
        failed = sum(1 for result in results if result.reason)
        logger.info("file_contacts_updated updates=%s failed=%s", len(results), failed)
        return results

    def describe_fields(self) -> Mapping[str, FieldDescription]:
        """Return what the columns of the rules take."""
        return describe(self.rules)

    def ensure_fields(self) -> list[str]:
        """Append those columns that the output lacks, and return their names."""
        with self._locked():
            table = read_table(self._output) if self._output.exists() else self._given
            return self._complete(table, again=not self._output.exists())

    def check(self) -> str:
        """Return a line that says what the input holds."""
        rows = sum(1 for row in self._given.rows if row)
        return f"the file {self._path.name} has {rows:,} contacts in {len(self._given.header)} columns"

    def share(self, fraction: float) -> None:
        """Do nothing: a file has no rate."""

    def close(self) -> None:
        """Do nothing: no file is held open."""

    def _lacking(self, crm_ids: Sequence[str], missing: Sequence[str]) -> list[NewContact]:
        found = self.read(crm_ids, missing)
        return [
            NewContact(crm_id, found[crm_id].contact.email, None)
            for crm_id in crm_ids
            if crm_id in found and lacks_one(found[crm_id].values, missing)
        ]

    def _present(self) -> Table:
        if not self._output.exists():
            raise ConfigurationError(f"{self._output} was deleted: run `enrich file` again, which costs nothing")
        return read_table(self._output)

    def _complete(self, table: Table, *, again: bool = False) -> list[str]:
        lacking = [rule.field for rule in self.rules if rule.field not in table.header]
        whole = Table(
            list(table.header), [list(row) for row in table.rows], table.delimiter, table.newline, table.marked
        )
        whole.widen(lacking)
        if lacking or again:
            write_table(self._output, whole)
        return lacking

    def _continues(self, made: Table) -> bool:
        """Return whether a table is the input with our columns behind it; the values in our columns don't matter."""
        given = self._given
        ours = {rule.field for rule in self.rules}
        if made.header[: len(given.header)] != given.header or not ours <= set(made.header):
            return False
        kept = [place for place, column in enumerate(given.header) if column not in ours]
        if len(made.rows) != len(given.rows):
            return False
        pairs = zip(made.rows, given.rows, strict=True)
        return all(bool(one) == bool(other) and all(one[p] == other[p] for p in kept if other) for one, other in pairs)

    def _changed(self, fields: Sequence[str], enriched_at: str | None) -> dict[str, datetime]:
        """Return when columns were changed: ours with the row, the others with the input as a whole."""
        given = _modified_at(self._path)
        ours = _modified_at(self._output)
        with suppress(ValueError):
            ours = read_moment(enriched_at or "")
        return {field: given if field in self._given.header else ours for field in fields}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        digest = hashlib.sha256(str(self._output).encode()).hexdigest()[:16]
        try:
            lock = (Path(tempfile.gettempdir()) / f"enrich-{digest}.lock").open("w")
        except OSError as error:
            raise TransientError(f"{self._output} can't be locked: {error.strerror}") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # ends with the process, however that ends
            yield


def _modified_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _apply(
    update: Update, table: Table, rows: Mapping[str, list[str]], known: Mapping[str, FieldDescription]
) -> UpdateResult:
    """Put one update's values into its row, but for those that don't fit their column."""
    row = rows.get(update.crm_id)
    if row is None:
        return UpdateResult(update.trace_id, NOT_FOUND, "the file doesn't have this row", permanent=True, gone=True)
    refused = []
    for change in update.changes:
        reason = _why_unfit(change.after, known.get(change.field), change.field in table.header)
        if reason:
            refused.append(Refusal(change.field, reason))
        else:
            row[table.position(change.field)] = change.after
    return UpdateResult(update.trace_id, refused=tuple(refused))


def _why_unfit(value: str, description: FieldDescription | None, present: bool) -> str:
    if description is None or not present:
        return NO_SUCH_FIELD
    return NOT_A_NUMBER if description.type == "number" and read_number(value) is None else ""
