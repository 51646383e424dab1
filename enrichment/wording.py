"""
The words that users read for what the code names otherwise; summary, review, story, alerts and commands use them.

In messages a staged record is a queued contact, a chunk a batch, a dead letter a failed contact, a disposition a
result, the books are totals, a claim is a lock, the journal holds saved replies, and a lane is a queue.
"""

from collections.abc import Mapping

from enrichment.records import Disposition

#: The result of a queued contact, as a label.
RESULTS: Mapping[Disposition, str] = {
    Disposition.WRITTEN: "written",
    Disposition.UNCHANGED: "unchanged",
    Disposition.UNMATCHED: "unmatched",
    Disposition.SUPPRESSED: "suppressed",
    Disposition.INVALID: "invalid",
    Disposition.SKIPPED_FRESH: "skipped, enriched recently",
    Disposition.FAILED: "failed",
}


def totals(*, match: bool) -> str:
    """Return whether everything that was taken from the queue is accounted for."""
    return "match" if match else "DON'T MATCH"


def contacts(count: int) -> str:
    """Return how many contacts, in words."""
    return "1 contact" if count == 1 else f"{count:,} contacts"


def amount(credit: float) -> str:
    """Return a number of credits, of which some providers sell parts."""
    return f"{credit:,.2f}".rstrip("0").rstrip(".")


def in_credits(credit: float) -> str:
    """Return how many credits, in words."""
    return f"{amount(credit)} credit{'' if credit == 1 else 's'}"


#: Where a time begins that is measured until a contact is written.
BEGINNINGS: Mapping[str, str] = {"created": "created", "staged": "queued"}
