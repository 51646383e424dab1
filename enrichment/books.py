"""The books of a run: what was claimed must equal what ended plus what went back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from enrichment.errors import BooksUnbalancedError
from enrichment.records import Disposition


@dataclass(frozen=True, slots=True)
class Books:
    """
    Counts of staged records in one run.

    Args:
        claimed: how often a record was claimed.
        returned: how often one went back to the queue, or was lost to another run.
        dispositions: how many ended in which way.
    """

    claimed: int = 0
    returned: int = 0
    dispositions: Mapping[Disposition, int] = field(default_factory=dict)

    @property
    def finished(self) -> int:
        """Return how many records ended."""
        return sum(self.dispositions.values())

    @property
    def balanced(self) -> bool:
        """Return whether every claim is accounted for."""
        return self.claimed == self.finished + self.returned

    @property
    def failure_rate(self) -> float:
        """Return the share of claimed records that became dead letters, from 0 to 1."""
        return self.count(Disposition.FAILED) / self.claimed if self.claimed else 0.0

    def count(self, disposition: Disposition) -> int:
        """Return how many records ended in this way."""
        return self.dispositions.get(disposition, 0)


def check_books(books: Books) -> None:
    """Raise BooksUnbalancedError unless every claim is accounted for."""
    if not books.balanced:
        raise BooksUnbalancedError(
            f"the totals don't match: {books.claimed} contacts were taken from the queue, but {books.finished} have "
            f"a result and {books.returned} went back; "
            "no contact is lost: each is in enrichment_staging or in record_ledger; please report this as a bug"
        )
