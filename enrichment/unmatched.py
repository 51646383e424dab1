"""
Unmatched contacts: what is most likely wrong with each, and how many of them for which cause.

The provider says only that it doesn't know a contact. The address says more, and so do the domains at which others were
found. What is found here is a cause of `enrichment.causes`, finer than the provider's own.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

from enrichment.addresses import AddressKind, kinds_of
from enrichment.causes import Explained, not_found
from enrichment.identifiers import normalise_email

#: Causes that the address shows, beside the kinds of addresses.
EMAIL_MALFORMED, MISTYPED_DOMAIN, UNKNOWN_COMPANY = "email_malformed", "mistyped_domain", "unknown_company"

#: Hosts at which so many people have their address that a domain next to them is a slip of the fingers.
_COMMON_HOSTS = """
    gmail.com yahoo.com hotmail.com outlook.com icloud.com aol.com live.com msn.com googlemail.com comcast.net
    verizon.net att.net sbcglobal.net protonmail.com proton.me hotmail.co.uk yahoo.co.uk btinternet.com hotmail.fr
    yahoo.fr orange.fr wanadoo.fr free.fr laposte.net gmx.de gmx.net web.de t-online.de freenet.de libero.it
    yahoo.it hotmail.it yahoo.es hotmail.es yahoo.com.br hotmail.com.br uol.com.br yahoo.co.in yahoo.co.jp qq.com
"""
COMMON_HOSTS = tuple(_COMMON_HOSTS.split())

#: At a domain of so many found contacts, one letter beside it is more likely a slip than another company; and with how
#: many of the most frequent ones a domain is compared.
_OFTEN, _MOST_COMPARED = 5, 2000
#: In a shorter name one letter makes another name: `abc` and `abd`.
_LONG_NAME = 5

#: Reasons beside which the address says nothing more: a person was found, the CRM lacks the contact, or it opted out.
_ENOUGH_SAID = """
    below_min_confidence doubtful_name doubtful_company non_match_by_last_updated_date contact_gone suppression_list
    opt_out contact_opted_out barred
"""
_SAY_ENOUGH = frozenset(_ENOUGH_SAID.split())

#: How many contacts a command names; more of them are listed in a file.
_NAMED = 10


@dataclass(frozen=True, slots=True)
class UnmatchedItem:
    """An unmatched contact that isn't reviewed yet; the lookup identifier is what the provider was asked with."""

    crm: str
    object_type: str
    crm_id: str
    reason: str
    provider: str
    run_id: str
    lookup_identifier: str | None
    last_at: str
    first_at: str | None


@dataclass(frozen=True, slots=True)
class Suggestion:
    """
    What is most likely wrong.

    Args:
        cause: a code of `enrichment.causes`; empty: no more than the provider's reason says.
        domain: that is likely meant, where the domain is mistyped.
    """

    cause: str = ""
    domain: str = ""


NOTHING = Suggestion()


class KnownDomains:
    """
    The domains at which contacts were found.

    Args:
        contacts: how many, by domain.
    """

    def __init__(self, contacts: Mapping[str, int]) -> None:
        often = (domain for domain, count in Counter(contacts).most_common(_MOST_COMPARED) if count >= _OFTEN)
        self._known = contacts.keys()
        self._compared = tuple(dict.fromkeys((*COMMON_HOSTS, *often)))
        self.meant = functools.cache(self._meant)

    @classmethod
    def frequent(cls, domains: Iterable[str]) -> "KnownDomains":
        """Return those of some domains that are frequent; a rare one may be a slip."""
        return cls({domain: count for domain, count in Counter(domains).items() if count >= _OFTEN})

    def __contains__(self, domain: str) -> bool:
        """Return whether a contact was found at a domain."""
        return domain in self._known

    def _meant(self, domain: str) -> str:
        """Return the frequent domain of which this one is a slip of the fingers; empty if it may be right."""
        if domain in self or domain in self._compared:
            return ""
        near = process.extract(domain, self._compared, scorer=OSA.distance, score_cutoff=1, limit=3)
        return next((other for other, _, _ in near if _may_be_slip(domain, other)), "")


def _may_be_slip(domain: str, other: str) -> bool:
    name, _, _ = domain.partition(".")
    return len(name) >= _LONG_NAME or name == other.partition(".")[0]


def suggest(reason: str, identifier: str | None, domains: KnownDomains) -> Suggestion:
    """
    Return what is most likely wrong with an unmatched contact.

    Args:
        reason: the provider's.
        identifier: what it was asked with: an address, or names, separated by commas.
        domains: at which others were found.
    """
    if not identifier or "@" not in identifier or reason.lower() in _SAY_ENOUGH:
        return NOTHING
    address = normalise_email(identifier)
    if address is None:
        return Suggestion(EMAIL_MALFORMED)
    domain = address.rpartition("@")[2]
    kinds = kinds_of(address)
    # A host of free mail may be next to another one, and the lists of throw-away hosts hold such slips.
    if AddressKind.FREE_MAIL not in kinds and (meant := domains.meant(domain)):
        return Suggestion(MISTYPED_DOMAIN, meant)
    if kinds:
        return Suggestion(kinds[0])
    return NOTHING if domain in domains else Suggestion(UNKNOWN_COMPANY)


@dataclass(frozen=True, slots=True)
class UnmatchedGroup:
    """
    Unmatched contacts that aren't reviewed yet, of one cause.

    Args:
        cause: what is most likely wrong; the provider's reason where no more is known.
        provider: that was asked last.
        records: how many contacts; `recent` ones of them are of these days.
        ids: the first ones.
        oldest_at: when the oldest was filed.
    """

    cause: str
    provider: str
    records: int
    recent: int
    ids: tuple[str, ...]
    oldest_at: str

    @property
    def explained(self) -> Explained:
        """Return what people read of it, with the command that queues just these contacts again."""
        if self.records <= len(self.ids):
            return not_found(self.cause, ",".join(self.ids))
        cause = not_found(self.cause)
        file = "unmatched.csv"
        listed = f"{cause.fix} (`enrich unmatched --cause {self.cause} --csv {file}` lists them)"
        return Explained(cause.words, listed, f"enrich stage --csv {file}") if cause.fix else cause


@dataclass(frozen=True, slots=True)
class MistypedDomain:
    """A domain that looks mistyped, the one that is likely meant, how many contacts have it, and one of them."""

    domain: str
    meant: str
    contacts: int
    example: str


def suggestions_of(items: Iterable[UnmatchedItem], domains: KnownDomains) -> list[tuple[UnmatchedItem, Suggestion]]:
    """Return unmatched contacts, each with what is most likely wrong."""
    return [(one, suggest(one.reason, one.lookup_identifier, domains)) for one in items]


def group_unmatched(found: Sequence[tuple[UnmatchedItem, Suggestion]], since: str) -> list[UnmatchedGroup]:
    """
    Return how many contacts have which cause, the most frequent first.

    Args:
        found: contacts, with what is most likely wrong.
        since: the moment from which on they are recent, as ISO-8601 UTC text.
    """
    groups: dict[tuple[str, str], list[UnmatchedItem]] = {}
    for one, suggestion in found:
        groups.setdefault((suggestion.cause or one.reason, one.provider), []).append(one)
    made = [
        UnmatchedGroup(
            *key,
            records=len(items),
            recent=sum(one.last_at > since for one in items),
            ids=tuple(sorted(one.crm_id for one in items)[:_NAMED]),
            oldest_at=min(one.last_at for one in items),
        )
        for key, items in groups.items()
    ]
    return sorted(made, key=lambda group: (-group.records, group.cause, group.provider))


def mistyped_domains(found: Iterable[tuple[UnmatchedItem, Suggestion]]) -> list[MistypedDomain]:
    """Return the domains that look mistyped, the most frequent first."""
    ids: dict[tuple[str, str], list[str]] = {}
    for one, suggestion in found:
        if suggestion.domain:
            domain = (normalise_email(one.lookup_identifier) or "").rpartition("@")[2]
            ids.setdefault((domain, suggestion.domain), []).append(one.crm_id)
    made = [MistypedDomain(*pair, len(each), min(each)) for pair, each in ids.items()]
    return sorted(made, key=lambda one: (-one.contacts, one.domain))
