"""The verbs about what grows: counting and deleting what is older than people want to keep it."""

from blocks.warehouses._session import Transactions, replayed


class UpkeepVerbs(Transactions):
    """What the cleanup needs of the tables."""

    @property
    def growing(self) -> list[str]:
        """Return the tables whose old rows may be deleted, by name."""
        return sorted(name.removeprefix(_DELETE) for name in self.sql.queries if name.startswith(_DELETE))

    def count_old(self, table: str, days: int) -> int:
        """Return how many rows of a table are older than this many days and needed for nothing."""
        return int(self._query(f"count_old_{table}", days=days)[0]["records"])

    def delete_old(self, table: str, days: int) -> int:
        """Delete these rows, in as many transactions as the engine needs, and return how many there were."""
        deleted = 0
        while part := self._delete_part(table, days):
            deleted += part
        return deleted

    @replayed
    def _delete_part(self, table: str, days: int) -> int:
        with self._transaction() as session:
            return session.run(f"{_DELETE}{table}", days=days)


_DELETE = "delete_old_"
