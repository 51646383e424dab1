"""
The one definition of the match rate: of the contacts that were looked up, the share that a provider knew.

A contact counts once its result says which: written or unchanged (known), or unmatched. One that was skipped,
that opted out, that is invalid or that failed says nothing of a provider's knowledge, so it counts on neither
side. Of a single provider it is the share that this provider knew of the contacts that it was asked about. The
views `contact_results` and `provider_results` say the same in their column `matched`.
"""

from collections.abc import Iterable, Mapping

from enrichment.records import Disposition

#: Whether a provider knew the contact that ended so; no other result counts.
MATCHED: Mapping[Disposition, bool] = {
    Disposition.WRITTEN: True,
    Disposition.UNCHANGED: True,
    Disposition.UNMATCHED: False,
}


def match_rate(matched: float, unmatched: float) -> float | None:
    """Return the share of looked-up contacts that were known, from 0 to 1; None if no contact was looked up."""
    return matched / (matched + unmatched) if matched + unmatched else None


def match_rate_of(ended: Mapping[Disposition, int]) -> float | None:
    """Return the match rate of contacts by their results."""
    matched = sum(count for result, count in ended.items() if MATCHED.get(result) is True)
    return match_rate(matched, sum(count for result, count in ended.items() if MATCHED.get(result) is False))


def rate_in_words(rate: float | None, contacts: float) -> str:
    """Return a match rate and beside it of how many looked-up contacts it is: of ten, 70% says little."""
    return "no lookups" if rate is None else f"{rate:.1%} of {contacts:,.0f} looked up"


def lookups_of(*, matched: Iterable[str], unmatched: Iterable[str]) -> str:
    """
    Return what the providers that were asked about a contact said, as `record_ledger.lookups` keeps it.

    Args:
        matched: names of the providers that knew the contact.
        unmatched: names of those that didn't, or whose answer is about another person.
    """
    said = dict.fromkeys(unmatched, "unmatched") | dict.fromkeys(matched, "matched")
    return ",".join(f"{provider} {what}" for provider, what in said.items())
