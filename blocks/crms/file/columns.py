"""Which column of a CSV file says what, and which columns enrichment fills."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from blocks.crms.file.csv_table import Table
from enrichment.errors import ConfigurationError
from enrichment.fields import SOURCES
from enrichment.records import Contact
from enrichment.write_policy import FieldDescription, FieldRule, Rule

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
        wanted: column by identifier and `crm_id`, where somebody chose one; empty to recognise it.
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
