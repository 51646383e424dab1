"""
The contacts of a CSV file.

The output is the input with columns appended. While a run is at work, what it finds stands in a working copy beside the
output (draft.py), under a lock, so that runs on one machine may share it; `finish` writes the output. A result of
`write` has the reason `NOT_FOUND` if the file doesn't have the row, and names the values that a column doesn't take.
"""

import fcntl
import hashlib
import json
import logging
import math
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice, zip_longest
from pathlib import Path

from blocks.crms.base import ApiVersion, ContactPage, CrmContact, NewContact, Sample, Update, UpdateResult
from blocks.crms.file.columns import describe, lacking_columns, settle_rules
from blocks.crms.file.draft import Draft, DraftRow
from blocks.crms.file.output import clear_leftovers, write_output
from blocks.crms.selection import lacks_one, named_fields, refuse_conditions
from blocks.csv_files import open_table
from blocks.csv_files.layout import Layout, find_layout
from blocks.csv_files.rows import Record, preamble_of, records_of
from blocks.csv_files.table import refuse_twins
from enrichment.cells import neutralised, restored
from enrichment.errors import ConfigurationError, TransientError
from enrichment.headers import CRM_ID
from enrichment.intake import Selection
from enrichment.moments import read_moment
from enrichment.records import Contact
from enrichment.wire import NOT_A_NUMBER, FieldDescription, read_number
from enrichment.write_policy import NO_SUCH_FIELD, FieldRule, Refusal

NOT_FOUND = "not_found"

logger = logging.getLogger(__name__)

_PAGE = 1000
_IDENTIFIERS = (CRM_ID, "email", "first_name", "last_name", "company_name")


class FileCrm:
    """
    The contacts of a CSV file; safe to share between threads and processes of one machine.

    Args:
        path: of the input.
        output: of what is written.
        chosen: column by identifier, where the user chose one.
        rules: how columns are filled, before the input's own columns are known.
        overwrite: whether the input's own values may be replaced.
        neutralise: whether values that a spreadsheet would run are written so that it doesn't.
    """

    name = "file"

    def __init__(
        self,
        path: Path,
        output: Path,
        *,
        chosen: Mapping[str, str],
        rules: Sequence[FieldRule],
        overwrite: bool,
        neutralise: bool = True,
    ) -> None:
        self._path, self._output, self._neutralise = path, output, neutralise
        self._given = open_table(path, _IDENTIFIERS, chosen=chosen, by_own_name=(CRM_ID,))
        header = self._given.layout.header
        if self._given.columns.keys().isdisjoint(("email", "last_name")):  # a company alone is no person
            raise ConfigurationError(self._without_columns())
        self.rules: Sequence[FieldRule] = settle_rules(rules, header, overwrite=overwrite)
        for rule in self.rules:
            refuse_twins(f"{path}, line {self._given.layout.header_line}", header, rule.field)
        self._header = [*header, *lacking_columns(self.rules, header)]  # an output may have more
        self.protected = frozenset(self._given.columns.values()) - {rule.field for rule in self.rules}
        self.about: Mapping[str, str] = {}
        self._draft = Draft(output.with_name(f".{output.name}.enriching"))

    @property
    def count(self) -> int:
        """Return how many contacts the input has."""
        return self._given.count

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what people should know of how the input was read."""
        return self._given.notes

    def begin(self, *, force: bool = False) -> None:
        """
        Make the working copy, or go on with what an earlier run of this input made.

        Raises:
            ConfigurationError: the output holds something else, and it isn't to be replaced by force.
        """
        with self._locked():
            clear_leftovers(self._output)
            if force or self._draft.fingerprint != self._fingerprint:
                self._make(force=force)

    def api_version(self) -> ApiVersion:
        """Return none: a file has no API."""
        return ApiVersion()

    def contact_page(self) -> str:
        """Return nothing: a row has no page."""
        return ""

    def finish(self) -> None:
        """Write what the working copy has into the output, and delete the copy."""
        with self._locked():
            if self._draft.fingerprint != self._fingerprint:
                return  # another run has finished it
            self._header = self._draft.header
            if self._draft.is_changed:
                layout = self._given.layout
                write_output(self._output, layout, preamble_of(self._path, layout), self._output_rows())
                logger.info("file_written rows=%s", self.count)
            self._draft.remove()

    def list_contacts(self) -> Iterator[list[NewContact]]:
        """Yield every contact, page by page."""
        for rows in self._pages(0):
            yield [NewContact(row.crm_id, row.identifiers.get("email"), None) for row in rows]

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
        known = {**dict.fromkeys(self._header, FieldDescription("string")), **self.describe_fields()}
        missing = named_fields("the file", selection.missing, self.rules, known)
        if among is not None:
            with self._opened() as draft:
                found = draft.read(among)
            yield ContactPage(tuple(self._lacking([found[one] for one in among if one in found], missing)), "")
            return
        for rows in self._pages(int(after or 0)):
            yield ContactPage(tuple(self._lacking(rows, missing)), str(rows[-1].number))

    def sample(self, size: int) -> Sample:
        """Return about so many contacts, or all if there are no more: rows at equal distances."""
        step = max(1, math.ceil(self.count / size))
        every = (one for page in self.list_contacts() for one in page)
        return Sample(self.count, tuple(islice(every, 0, None, step)))

    def read(
        self, crm_ids: Sequence[str], fields: Sequence[str], *, history: Sequence[str] = ()
    ) -> dict[str, CrmContact]:
        """Return the contacts that the file has, as the output will say."""
        if not crm_ids:
            return {}
        with self._opened() as draft:
            rows = draft.read(crm_ids)
        return {
            crm_id: CrmContact(
                Contact(crm_id, **{name: value for name, value in row.identifiers.items() if name != CRM_ID}),
                self._values(row, fields),
                self._changed(history, row) if history else {},
            )
            for crm_id, row in rows.items()
        }

    def write(self, updates: Sequence[Update]) -> list[UpdateResult]:
        """Put the updates into the working copy, all at once; the answer has one result for every update."""
        if not updates:
            return []
        known = self.describe_fields()
        with self._opened() as draft:
            rows = draft.read([update.crm_id for update in updates])
            results = [self._apply(update, rows.get(update.crm_id), known) for update in updates]
            draft.write(rows.values())
        failed = sum(1 for result in results if result.reason)
        logger.info("file_contacts_updated updates=%s failed=%s", len(results), failed)
        return results

    def describe_fields(self) -> Mapping[str, FieldDescription]:
        """Return what the columns of the rules take."""
        return describe(self.rules)

    def ensure_fields(self) -> list[str]:
        """Append those columns that the output lacks, and return their names."""
        present: Collection[str] = ()
        if self._output != self._path and self._output.exists():
            present = find_layout(self._output).header
        lacking = [column for column in lacking_columns(self.rules, self._given.layout.header) if column not in present]
        if lacking:
            self.begin()
            self.finish()
        return lacking

    def check(self) -> str:
        """Return a line that says what the input holds."""
        return f"the file {self._path.name} has {self.count:,} contacts in {len(self._given.layout.header)} columns"

    def share(self, fraction: float) -> None:
        """Do nothing: a file has no rate."""

    def close(self) -> None:
        """Do nothing: no file is held open."""

    def _without_columns(self) -> str:
        layout, notes = self._given.layout, self._given.notes
        hints = "".join(f"; {note}" for note in notes if "holds e-mail addresses" in note)
        return (
            f"{self._path}, line {layout.header_line}: no column that a lookup can use (found: "
            f"{', '.join(layout.header)}): name one `email`, or others `first_name`, `last_name` and `company`, or "
            f"choose them with `--column email=NAME`{hints}"
        )

    def _pages(self, after: int) -> Iterator[list[DraftRow]]:
        while True:
            with self._opened() as draft:
                rows = draft.page(after, _PAGE)
            if not rows:
                return
            yield rows
            after = rows[-1].number

    def _lacking(self, rows: Sequence[DraftRow], missing: Sequence[str]) -> list[NewContact]:
        return [
            NewContact(row.crm_id, row.identifiers.get("email"), None)
            for row in rows
            if lacks_one(self._values(row, missing), missing)
        ]

    def _values(self, row: DraftRow, fields: Sequence[str]) -> dict[str, str | None]:
        cells = {field: row.cells[self._header.index(field)] for field in fields if field in self._header}
        return {field: self._meant(cells.get(field, "")) or None for field in fields}

    def _meant(self, cell: str) -> str:
        return restored(cell) if self._neutralise else cell

    def _changed(self, fields: Sequence[str], row: DraftRow) -> dict[str, datetime]:
        """Return when columns were changed: ours with the row, the others with the input as a whole."""
        ours = given = datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        stamps = [rule.field for rule in self.rules if rule.source == "received_at"]
        for stamp in self._values(row, stamps).values():
            with suppress(ValueError):
                ours = read_moment(stamp or "")
        return {field: given if field in self._given.layout.header else ours for field in fields}

    def _apply(self, update: Update, row: DraftRow | None, known: Mapping[str, FieldDescription]) -> UpdateResult:
        """Put one update's values into its row, but for those that don't fit their column."""
        if row is None:
            return UpdateResult(update.trace_id, NOT_FOUND, "the file doesn't have this row", permanent=True, gone=True)
        refused = []
        for change in update.changes:
            reason = _why_unfit(change.after, known.get(change.field))
            if reason:
                refused.append(Refusal(change.field, reason))
            else:
                cell = neutralised(change.after) if self._neutralise else change.after
                row.cells[self._header.index(change.field)] = cell
        return UpdateResult(update.trace_id, refused=tuple(refused))

    @property
    def _fingerprint(self) -> str:
        """Return a text that is another one if the input, or what is made of it, changes."""
        state = self._path.stat()
        fields = [rule.field for rule in self.rules]
        layout = self._given.layout
        read_as = [layout.encoding.codec, layout.delimiter, layout.header_line, dict(self._given.columns)]
        made_from = [state.st_ino, state.st_size, state.st_mtime_ns, fields, read_as]
        return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()

    def _make(self, *, force: bool = False) -> None:
        if self._output.is_dir():
            raise ConfigurationError(f"{self._output} is a folder: name a file")
        if not self._output.parent.is_dir():
            raise ConfigurationError(f"{self._output.parent} is not a folder: create it, or name another output")
        fresh = force or self._output == self._path or not self._output.exists()
        made = None if fresh else self._layout_of_output()
        base = made.header if made else self._given.layout.header
        lacking = lacking_columns(self.rules, base)
        self._header = [*base, *lacking]
        place = f"{self._path}, column '{self._given.columns.get(CRM_ID, '')}'"
        changed = bool(lacking) or (fresh and self._output != self._path)
        self._draft.make(self._fingerprint, self._header, self._rows(made), place, changed=changed)

    def _layout_of_output(self) -> Layout:
        given = self._given.layout
        with suppress(ConfigurationError):  # whatever it is
            made = find_layout(self._output, delimiter=given.delimiter, chosen=frozenset(given.header))
            if made.header[: len(given.header)] == given.header:
                return made
        raise self._stranger()

    def _stranger(self) -> ConfigurationError:
        return ConfigurationError(
            f"{self._output} exists and isn't the enriched version of this input: choose another output, or use "
            "`--force`"
        )

    def _rows(self, made: Layout | None) -> Iterator[DraftRow]:
        """Yield the rows of the input, with the cells of an output that was made of it."""
        number = 0
        for record, is_row, cells in self._paired(made):
            if is_row:
                number += 1
                added = [""] * (len(self._header) - len(cells))
                values = self._given.values_of(record)
                yield DraftRow(number, self._id_of(record, values, number), record.line, values, cells + added)

    def _id_of(self, record: Record, values: Mapping[str, str | None], number: int) -> str:
        crm_id = (values[CRM_ID] or "") if CRM_ID in values else str(number)
        if not crm_id:
            raise ConfigurationError(
                f"{self._path}, line {record.line}, column '{self._given.columns[CRM_ID]}': the cell is empty: fill "
                "it, or rename the column, and rows are known by their number"
            )
        return crm_id

    def _paired(self, made: Layout | None) -> Iterator[tuple[Record, bool, list[str]]]:
        """Yield the input's records with the cells that they have by now."""
        if made is None:
            yield from ((record, is_row, record.cells) for record, is_row in self._given.records())
            return
        ours = {rule.field for rule in self.rules}
        kept = [at for at, column in enumerate(self._given.layout.header) if column not in ours]
        theirs = records_of(self._output, made)
        next(theirs)
        for given, other in zip_longest(self._given.records(), theirs):
            if given is None or other is None or not _continues(given[0], given[1], other, kept, len(made.header)):
                raise self._stranger()
            yield (*given, other.cells)

    def _output_rows(self) -> Iterator[list[str]]:
        yield self._header
        cells = self._draft.cells()
        for record, is_row in self._given.records():
            yield next(cells) if is_row else record.cells

    @contextmanager
    def _opened(self) -> Iterator[Draft]:
        """Give the working copy, under the lock; it is made if there is none."""
        with self._locked():
            kept = self._draft.fingerprint
            if kept and kept != self._fingerprint and self._draft.is_changed:
                raise ConfigurationError(
                    f"{self._path} was changed while it was enriched: run `enrich file` again, which costs nothing"
                )
            if kept != self._fingerprint:
                self._make()
            self._header = self._draft.header
            yield self._draft

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


def _continues(given: Record, is_row: bool, made: Record, kept: Sequence[int], columns: int) -> bool:
    """Return whether a record of the output is the input's; the values in our columns don't matter."""
    if not is_row:
        return [cell for cell in given.cells if cell.strip()] == [cell for cell in made.cells if cell.strip()]
    return len(made.cells) == columns and all(given.cells[at] == made.cells[at] for at in kept)


def _why_unfit(value: str, description: FieldDescription | None) -> str:
    if description is None:
        return NO_SUCH_FIELD
    return NOT_A_NUMBER if value and description.type == "number" and read_number(value) is None else ""
