"""One open transaction of a warehouse."""

from abc import ABC, abstractmethod
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
