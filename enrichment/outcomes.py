"""What a provider's reply means."""

from enum import StrEnum


class Outcome(StrEnum):
    """
    The meaning of one reply for one contact.

    The mapping from a provider's answer to an outcome is data: the ordered rules of its spec.
    """

    MATCHED = "matched"
    PARTIAL = "partial"
    UNMATCHED = "unmatched"
    SUPPRESSED = "suppressed"
    INVALID_INPUT = "invalid_input"
    PENDING = "pending"
    RETRYABLE = "retryable"
    QUOTA_EXHAUSTED = "quota_exhausted"
    REJECTED = "rejected"


#: The provider has the contact: something can be stored and written back.
ENRICHED = frozenset({Outcome.MATCHED, Outcome.PARTIAL})

#: The provider has spoken; asking again would be paid for or useless. Only these count when read from the journal.
CONCLUSIVE = ENRICHED | {Outcome.UNMATCHED, Outcome.SUPPRESSED, Outcome.INVALID_INPUT}

#: Every further call would end the same way.
STOPS_RUN = frozenset({Outcome.QUOTA_EXHAUSTED, Outcome.REJECTED})
