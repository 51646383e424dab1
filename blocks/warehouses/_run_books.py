"""The books of runs: opened, closed, and counted from the ledger."""

from dataclasses import asdict

from blocks.warehouses._replay import replayed
from blocks.warehouses._rows import RunEnd, RunStart
from blocks.warehouses._session import Transactions
from enrichment.books import Books
from enrichment.records import Disposition


class RunBooks(Transactions):
    """The verbs of a warehouse that concern a run as a whole."""

    @replayed
    def open_run(self, start: RunStart, *, lease_seconds: int) -> None:
        """Open a run's books, and mark runs that died as abandoned."""
        with self.transaction() as session:
            session.run("abandon_runs", lease_seconds=lease_seconds)
            session.run("open_run", **asdict(start))

    @replayed
    def close_run(self, run_id: str, end: RunEnd) -> None:
        """Close a run's books."""
        with self.transaction() as session:
            session.run("close_run", run_id=run_id, **asdict(end) | {"api_versions": list(end.api_versions)})

    @replayed
    def read_books(self, run_id: str) -> Books:
        """Return a run's books, counted from the ledger."""
        with self.transaction() as session:
            run = session.read("read_run", run_id=run_id)[0]
            ended = session.read("count_dispositions", run_id=run_id)
        counts = {Disposition(row["disposition"]): row["records"] for row in ended}
        return Books(run["claimed"], run["returned"], counts)
