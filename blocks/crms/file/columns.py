"""Which columns enrichment fills in a CSV file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from enrichment.fields import SOURCES
from enrichment.headers import same_column
from enrichment.wire import FieldDescription
from enrichment.write_policy import FieldRule, Rule

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


def settle_rules(rules: Sequence[FieldRule], given: Sequence[str], *, overwrite: bool) -> tuple[FieldRule, ...]:
    """
    Return the rules as they hold for a file.

    A column that the file has under almost the same name, such as `Industry`, is filled instead of a second one.
    Columns of our own are always written, those that the file had if asked.
    """
    named = [replace(rule, field=same_column(given, rule.field) or rule.field) for rule in rules]
    return tuple(
        replace(rule, rule=Rule.ALWAYS)
        if rule.rule is Rule.FILL_BLANK and (overwrite or rule.field not in given)
        else rule
        for rule in named
    )


def lacking_columns(rules: Sequence[FieldRule], header: Sequence[str]) -> list[str]:
    """Return the columns of the rules that a file lacks."""
    return [rule.field for rule in rules if rule.field not in header]


def describe(rules: Sequence[FieldRule]) -> dict[str, FieldDescription]:
    """Return what the columns of the rules take; everything is text, but for the numbers and the moment."""
    return {rule.field: FieldDescription(_TYPES.get(SOURCES[rule.source].type, "string")) for rule in rules}
