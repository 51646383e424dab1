"""What every CRM's way to a selection of contacts shares: which conditions it knows, and which fields are meant."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice

from blocks.crms.base import ContactPage, NewContact, Sample
from enrichment.errors import ConfigurationError
from enrichment.fields import nearest
from enrichment.intake import Selection
from enrichment.moments import read_moment
from enrichment.wire import FieldDescription
from enrichment.write_policy import FieldRule

Pages = Iterable[ContactPage]


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


#: Parts of the time since the first contact of which a sample is made, each by its number of contacts.
_PARTS = 12


def sample_by_age(size: int, count: Callable[[Selection], int], select: Callable[[Selection], Pages]) -> Sample:
    """
    Return some contacts of all ages: of each part of the time, as many as it has of all.

    Args:
        size: how many, about; all if there are no more.
        count: returns how many contacts a selection has.
        select: yields its contacts page by page, in about the order of their creation.
    """
    everything = Selection(everything=True)
    total = count(everything)
    if total <= size:
        return Sample(total, tuple(_first(select(everything), total)))
    found: list[NewContact] = []
    for part in _parts(_first(select(everything), 1)):
        wanted = math.ceil(size * count(part) / total)
        found += _first(select(part), wanted)
    return Sample(total, tuple(found))


def _parts(oldest: Sequence[NewContact]) -> Iterator[Selection]:
    """Yield parts of the time, of which the first and the last have no outer end."""
    until = datetime.now(UTC)
    since = min((read_moment(one.created_at) for one in oldest if one.created_at), default=until)
    edges = [since + (until - since) * part / _PARTS for part in range(1, _PARTS)]
    for begin, end in zip([None, *edges], [*edges, None], strict=True):
        yield Selection(created_from=begin, created_until=end)


def _first(pages: Pages, number: int) -> list[NewContact]:
    return list(islice((one for page in pages for one in page.contacts), number))


def is_created_within(selection: Selection, moment: datetime | None) -> bool:
    """Return whether a contact was created when the selection wants it to be; one of unknown age wasn't."""
    if moment is None:
        return not (selection.created_from or selection.created_until)
    return (selection.created_from is None or moment >= selection.created_from) and (
        selection.created_until is None or moment < selection.created_until
    )
