"""Transactions of named statements: what every group of a warehouse's verbs is built on."""

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
    """Something that opens transactions."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Session]:
        """Open a transaction that commits at the end, or rolls back."""

    def reading(self) -> AbstractContextManager[Session]:
        """Open a transaction that only reads."""
        return self.transaction()

    def query(self, name: str, /, **values: Any) -> list[Row]:
        """Return the rows of a named read."""
        with self.reading() as session:
            return session.read(name, **values)
