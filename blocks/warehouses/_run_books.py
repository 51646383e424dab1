"""The books of runs: opened, closed, and counted from the ledger."""

from dataclasses import asdict

from blocks.warehouses._replay import replayed
from blocks.warehouses._rows import Row, RunEnd, RunStart
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
    def read_books(self, run_id: str, *, returned: int | None = None) -> Books:
        """Return a run's books; `returned` replaces the kept sum, which counts twice what was settled twice."""
        with self.transaction() as session:
            run = session.read("read_run", run_id=run_id)[0]
            back = run["returned"] if returned is None else returned
            if back != run["returned"]:
                session.run("count_returned", run_id=run_id, returned=back - run["returned"])
            ended = session.read("count_dispositions", run_id=run_id)
        counts = {Disposition(row["disposition"]): row["records"] for row in ended}
        return Books(run["claimed"], back, counts)

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
