"""What runs had of their providers: a part of every warehouse."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager

from blocks.warehouses._replay import replayed
from blocks.warehouses._rows import Row
from blocks.warehouses._session import Session


class UsageBooks(ABC):
    """Costs and API versions by provider, and the requests to further providers of a waterfall."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Session]:
        """Open a transaction that commits at the end, or rolls back."""

    @replayed
    def count_usage(self, run_id: str) -> list[Row]:
        """
        Keep what a run had of its providers, counted from the journal; safe to repeat.

        Returns:
            a row for each provider, outcome and API version, with replies, credits, and the last reply's id and time.
        """
        with self.transaction() as session:
            session.run("forget_usage", run_id=run_id)
            session.run("keep_usage", run_id=run_id)
            return session.read("read_usage", run_id=run_id)
