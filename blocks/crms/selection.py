"""What every CRM's way to a selection of contacts shares: which conditions it knows, and which fields are meant."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from enrichment.errors import ConfigurationError
from enrichment.fields import nearest
from enrichment.intake import Selection
from enrichment.wire import FieldDescription
from enrichment.write_policy import FieldRule


def refuse_conditions(crm: str, selection: Selection, unknown: Iterable[str], advice: str) -> None:
    """
    Refuse a selection with a condition that this CRM can't judge.

    Args:
        crm: its name, for people.
        selection: what is asked for.
        unknown: names of conditions.
        advice: what to do instead.

    Raises:
        ConfigurationError: the selection has one of them.
    """
    refused = sorted(selection.conditions.intersection(unknown))
    if refused:
        raise ConfigurationError(f"{crm} can't select by `{'`, `'.join(refused)}`: {advice}")


def named_fields(
    crm: str, names: Sequence[str], rules: Sequence[FieldRule], known: Mapping[str, FieldDescription]
) -> tuple[str, ...]:
    """
    Return the CRM's fields that some names stand for.

    A name is that of a field, or of what the mapping fills fields from; then it stands for each of these.

    Raises:
        ConfigurationError: a name is neither.
    """
    found: list[str] = []
    for name in names:
        fields = [name] if name in known else [rule.field for rule in rules if rule.source == name]
        if not fields:
            sources = sorted({rule.source for rule in rules})
            likely = nearest(name, [*sources, *known])
            raise ConfigurationError(
                f"{crm} has no contact field '{name}', and the mapping fills no field from it: name a field of "
                "the CRM, "
                f"or one of {', '.join(sources)}" + (f"; did you mean '{likely}'?" if likely else "")
            )
        found += fields
    return tuple(dict.fromkeys(found))


def lacks_one(values: Mapping[str, str | None], fields: Sequence[str]) -> bool:
    """Return whether one of the fields is blank, or whether there are no fields."""
    return not fields or any(not (values.get(field) or "").strip() for field in fields)


def is_created_within(selection: Selection, moment: datetime | None) -> bool:
    """Return whether a contact was created when the selection wants it to be; one of unknown age wasn't."""
    if moment is None:
        return not (selection.created_from or selection.created_until)
    return (selection.created_from is None or moment >= selection.created_from) and (
        selection.created_until is None or moment < selection.created_until
    )
