"""Transactions of a warehouse, in which named statements run."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

from blocks.warehouses._rows import Row


class Session(ABC):
    """One open transaction."""

    @abstractmethod
    def run(self, query: str, /, **values: Any) -> int:
        """Run a named statement and return the number of rows it changed."""

    @abstractmethod
    def read(self, query: str, /, **values: Any) -> list[Row]:
        """Return a named query's rows."""


class Transactions(ABC):
    """What opens them."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Session]:
        """Open a transaction that commits at the end, or rolls back."""

    def reading(self) -> AbstractContextManager[Session]:
        """Open a transaction that only reads."""
        return self.transaction()

    def claiming(self) -> AbstractContextManager[Session]:
        """Open what a claim is made in: a transaction, or single statements where the engine is surer of those."""
        return self.transaction()
