"""
A profile of the CRM's contacts, which costs no credit: how complete they are, how old, and what stands in them.

Counts only, and words that many people share; nothing here says something of a person.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from enrichment.causes import not_found
from enrichment.estimate import Estimate, Range, estimate_lines, in_one_sentence
from enrichment.fields import FIELDS
from enrichment.identifiers import normalise_email, same_text
from enrichment.markdown import table
from enrichment.records import Contact
from enrichment.unmatched import EMAIL_MALFORMED, UNKNOWN_COMPANY, KnownDomains, suggest
from enrichment.values import canonical
from enrichment.wire import FieldDescription, is_blank
from enrichment.write_policy import FieldRule

#: What the names of counts of filled fields begin with.
FIELD = "field "

#: Kinds of addresses beside those of `enrichment.causes`.
BUSINESS, NO_ADDRESS = "business_address", "no_address"
_KIND_LABELS = {BUSINESS: "a business address", NO_ADDRESS: "no address"}

#: Ages in days, and how people call them.
_AGES = {30: "at most 30 days ago", 90: "at most 90 days ago", 365: "at most a year ago", 1095: "at most 3 years ago"}
_OLDER, _NO_TIME = "longer ago", "unknown"

DUPLICATES = {"address": "the same address", "name": "the same name at the same domain"}

#: How many values of a field are shown.
_MOST_VALUES = 5


@dataclass(frozen=True, slots=True)
class SeenContact:
    """
    A contact as the CRM has it.

    Args:
        contact: its identifiers.
        values: of its fields; blank is None.
        created_at, changed_at: as far as the CRM says it.
    """

    contact: Contact
    values: Mapping[str, str | None]
    created_at: datetime | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FieldProfile:
    """
    One field of the CRM that the mapping fills.

    Args:
        field: the CRM's name of it.
        source: the canonical field that fills it.
        filled: how many contacts have a value.
        values: the most frequent ones with their counts, of fields whose words many people share.
        strange: those that are none of the CRM's options, or not in the canonical form, with their counts.
    """

    field: str
    source: str
    filled: int
    values: tuple[tuple[str, int], ...] = ()
    strange: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """
    What the CRM holds.

    Args:
        crm: its name.
        profiled_at: by the warehouse's clock (ISO-8601 UTC).
        contacts: that it has; `read` of them were looked at.
        addresses: contacts by kind of address.
        fields: that the mapping fills, in its order.
        created, changed: contacts by age.
        duplicates: contacts that share an address, or a name and a domain, with another one that was read.
        estimate: what it would cost to enrich all contacts, by those that were read; None: no provider can be used.
        note: why there is no estimate.
    """

    crm: str
    profiled_at: str
    contacts: int
    read: int
    addresses: Mapping[str, int]
    fields: Sequence[FieldProfile]
    created: Mapping[str, int]
    changed: Mapping[str, int]
    duplicates: Mapping[str, int]
    estimate: Estimate | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class KeptProfile:
    """What the warehouse keeps of a profile: counts by name, such as `field industry`."""

    crm: str
    profiled_at: str
    contacts: int
    read: int
    counts: Mapping[str, int]


def profile_of(
    seen: Sequence[SeenContact],
    rules: Iterable[FieldRule],
    descriptions: Mapping[str, FieldDescription],
    *,
    crm: str,
    contacts: int,
    at: str,
) -> Profile:
    """
    Return a profile without an estimate.

    Args:
        seen: contacts that were read.
        rules: the mapping.
        descriptions: the CRM's own, by field.
        crm: its name.
        contacts: that it has.
        at: the present moment (ISO-8601 UTC).
    """
    domains = KnownDomains.frequent(domain for one in seen if (domain := _domain(one.contact)))
    now = datetime.fromisoformat(at)
    return Profile(
        crm,
        at,
        contacts,
        len(seen),
        addresses=dict(Counter(_kind(one.contact, domains) for one in seen)),
        fields=[_field(rule, seen, descriptions.get(rule.field)) for rule in rules if not rule.stamp],
        created=_ages((one.created_at for one in seen), now),
        changed=_ages((one.changed_at for one in seen), now),
        duplicates={
            "address": _sharing(normalise_email(one.contact.email) for one in seen),
            "name": _sharing(_named(one.contact) for one in seen),
        },
    )


def _domain(contact: Contact) -> str:
    return (normalise_email(contact.email) or "").rpartition("@")[2]


def _kind(contact: Contact, domains: KnownDomains) -> str:
    if is_blank(contact.email):
        return NO_ADDRESS
    if not _domain(contact):
        return EMAIL_MALFORMED
    cause = suggest("", contact.email, domains).cause
    return BUSINESS if cause in {"", UNKNOWN_COMPANY} else cause


def _named(contact: Contact) -> str | None:
    name = " ".join(part for part in (contact.first_name, contact.last_name) if part)
    place = _domain(contact) or contact.company_name
    return f"{same_text(name)} at {same_text(place)}" if name and place else None


def _sharing(keys: Iterable[str | None]) -> int:
    return sum(count for key, count in Counter(keys).items() if key and count > 1)


def _field(rule: FieldRule, seen: Sequence[SeenContact], description: FieldDescription | None) -> FieldProfile:
    values = Counter(value for one in seen if (value := one.values.get(rule.field)) and not is_blank(value))
    shown = FieldProfile(rule.field, rule.source, values.total())
    options = description.options if description else {}
    known = FIELDS.get(rule.source)
    if not (options or (known and known.vocabulary)):
        return shown
    fits = (lambda value: value in options) if options else lambda value: canonical(FIELDS[rule.source], value) == value
    strange = Counter({value: count for value, count in values.items() if not fits(value)})
    return replace(shown, values=_most(values), strange=_most(strange))


def _most(values: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(values.items(), key=lambda item: (-item[1], item[0]))[:_MOST_VALUES])


def _ages(moments: Iterable[datetime | None], now: datetime) -> dict[str, int]:
    counts = Counter(_age(moment, now) for moment in moments)
    return {label: counts[label] for label in (*_AGES.values(), _OLDER, _NO_TIME) if counts[label]}


def _age(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return _NO_TIME
    return next((label for days, label in _AGES.items() if moment > now - timedelta(days=days)), _OLDER)


def for_all(estimate: Estimate, share: float) -> Estimate:
    """
    Return what it would cost to enrich all contacts.

    Args:
        estimate: of some of them.
        share: of all that these are, from 0 to 1.
    """

    def grown(figure: Range) -> Range:
        return figure.times(1 / share)

    def whole(count: int) -> int:
        return round(count / share)

    providers = [
        replace(
            one,
            in_journal=whole(one.in_journal),
            requests=grown(one.requests),
            calls=grown(one.calls),
            credits=grown(one.credits),
            hours=grown(one.hours),
            money=grown(one.money) if one.money else None,
        )
        for one in estimate.providers
    ]
    counts = {name: whole(getattr(estimate, name)) for name in _COUNTS}
    return replace(estimate, **counts, providers=providers)


_COUNTS = ("selected", "waiting", "suppressed", "fresh", "unusable")


def counts_of(profile: Profile) -> dict[str, int]:
    """Return what the warehouse keeps of a profile, by name."""
    sections: Mapping[str, Mapping[str, int]] = {
        "address": profile.addresses,
        "field": {one.field: one.filled for one in profile.fields},
        "created": profile.created,
        "changed": profile.changed,
        "duplicate": profile.duplicates,
    }
    return {f"{section} {name}": count for section, each in sections.items() for name, count in each.items()}


def label_of(name: str) -> str:
    """Return a count's name as people read it."""
    section, _, rest = name.partition(" ")
    labels: Mapping[str, Callable[[str], str]] = {
        "address": lambda kind: _KIND_LABELS.get(kind) or not_found(kind).words,
        "field": lambda field: f"{field} is filled",
        "duplicate": lambda what: f"{DUPLICATES[what]} as another contact",
    }
    return labels[section](rest) if section in labels else f"{section} {rest}"


def profile_lines(profile: Profile) -> list[tuple[str, str]]:
    """Return a profile as label and value, the vocabulary aside."""
    lines = [("contacts", f"{profile.contacts:,}"), ("looked at", _read(profile.read, profile.contacts))]
    lines += [(label_of(name), share_of(count, profile.read)) for name, count in counts_of(profile).items()]
    if profile.estimate is None:
        return [*lines, ("cost", profile.note)]
    # Beside how many there are, "selected" would be said twice.
    return [*lines, *estimate_lines(profile.estimate)[1:]]


def _read(read: int, contacts: int) -> str:
    return "all of them" if read >= contacts else f"{read:,}, of all ages; the figures are theirs"


def share_of(count: int, read: int) -> str:
    """Return a count and the share of the contacts read that it is."""
    return f"{count:,} ({count / read:.0%})" if read else f"{count:,}"


def vocabulary_rows(profile: Profile) -> list[tuple[str, str, str]]:
    """Return the fields with a vocabulary: the most frequent values, and those that are strange to it."""
    return [(one.field, _listed(one.values), _listed(one.strange) or "none") for one in profile.fields if one.values]


def _listed(values: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{value} ({count:,})" for value, count in values)


def profile_markdown(profile: Profile) -> str:
    """Return a profile as Markdown."""
    figures = table(("figure", "value"), profile_lines(profile), numbers=[1])
    words = table(("field", "most frequent", "not in the vocabulary"), vocabulary_rows(profile))
    return "\n\n".join([profile_sentence(profile), figures, words])


def profile_sentence(profile: Profile) -> str:
    """Return in a sentence what enriching all contacts would cost at most."""
    return in_one_sentence(profile.estimate) if profile.estimate else profile.note
