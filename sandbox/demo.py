"""The demo: the whole pipeline as a user runs it, against the stand-ins, in a few separate processes."""

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from blocks.base import block_class
from blocks.warehouses.base import Warehouse, WarehouseBlock, WrittenField
from enrichment.errors import ConfigurationError
from enrichment.records import Origin
from enrichment.summary import RunReport, report_of, summary_markdown
from sandbox.agreement import disagreements
from sandbox.combination import Combination
from sandbox.crm_side import CrmSide, crm_side
from sandbox.environments import install, missing_needs
from sandbox.place import Place, started
from sandbox.warehouses.base import open_stand_in

_SHOWN_CONTACTS = 3

#: Shows a run's report as the command line does.
RunTable = Callable[[RunReport], Table]


def run_demo(
    combination: Combination, contacts: int | None, folder: Path, console: Console, run_table: RunTable
) -> int:
    """
    Enrich made-up contacts and show what happened.

    Args:
        combination: of CRM, providers and warehouse.
        contacts: how many; None for as many as the combination does in about a minute.
        folder: for the demo's files; what an earlier demo left there is removed.
        console: to show it on.
        run_table: shows a run's report.

    Returns:
        0 if the totals match and the CRM holds what the warehouse says, else 1.
    """
    folder, contacts = folder.resolve(), contacts or combination.usual_contacts
    console.print(f"{combination}: {contacts:,} contacts")
    _install(combination, console)
    with ExitStack() as stack:
        with console.status("starting the stand-ins and a Prefect server ..."):
            place = stack.enter_context(started(contacts, folder, combination))
        block = block_class("blocks.warehouses", combination.warehouse, WarehouseBlock)
        warehouse = stack.enter_context(closing(open_stand_in(combination.warehouse, block, place.environment)))
        demo = _Demo(place, crm_side(combination.crm), warehouse, contacts, console)
        with console.status("setting up the warehouse, the CRM's fields and Prefect, and staging the contacts ..."):
            command = demo.side.prepare(place)
        wrong = demo.run(command, run_table)
    for line in wrong[:20]:
        console.print(f"[red]wrong:[/red] {escape(line)}")
    if not wrong:
        console.print("\n[green]The totals match, and the CRM holds what the warehouse says.[/green]")
    return 1 if wrong else 0


def _install(combination: Combination, console: Console) -> None:
    missing = missing_needs([combination.crm, combination.warehouse])
    with console.status(f"installing {', '.join(need.name for need in missing)} from the lock (once) ..."):
        install(missing)


@dataclass
class _Demo:
    """A demo whose servers are running."""

    place: Place
    side: CrmSide
    warehouse: Warehouse
    contacts: int
    console: Console

    def run(self, command: list[str], run_table: RunTable) -> list[str]:
        """Enrich all contacts, show it, and return what is wrong."""
        report, seconds = self._enrich(command)
        written = self._written(report)
        (self.place.folder / "report.md").write_text(summary_markdown(report))
        self.console.print(run_table(report))
        self.console.print(f"{report.books.claimed:,} contacts in {seconds:.1f} s, Prefect's start included\n")
        self.console.print(_before_and_after(written))
        self._show_one_story(written)
        self.place.result("report", "--out", str(self.place.folder / "report.html"), "--days", "7")
        self._lead_on(written)
        return [*disagreements(written, self.side.held(self.place)), *self._unbalanced(report)]

    def _enrich(self, command: list[str]) -> tuple[RunReport, float]:
        """Start the run, show its progress from the queue, and return its report and how long it took."""
        columns = TextColumn("enriching"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        began = time.monotonic()
        run = self.place.enrich(*command)
        with Progress(*columns, console=self.console) as progress:
            bar = progress.add_task("enriching", total=self.contacts)
            staged = False
            while run.poll() is None:
                queued = self._queued()
                staged = staged or queued > 0
                progress.update(bar, completed=self.contacts - queued if staged else 0)
                time.sleep(0.5)
            progress.update(bar, completed=self.contacts - self._queued())
        return report_of(self.place.finish(run, command[0])), time.monotonic() - began

    def _queued(self) -> int:
        try:
            return sum(count.records for count in self.warehouse.count_queue())
        except ConfigurationError:  # the run hasn't made its tables yet
            return 0

    def _written(self, report: RunReport) -> list[WrittenField]:
        """Return the writes that the CRM confirmed, by the name under which the run knows the CRM."""
        run = self.warehouse.read_run(report.run_id)
        return self.warehouse.read_written(report.run_id, Origin(run.crm))

    def _unbalanced(self, report: RunReport) -> list[str]:
        wrong = []
        if not report.books.balanced:
            wrong.append(f"the totals don't match: {report.books}")
        if report.books.finished != self.contacts:
            queued = self._queued()
            wrong.append(f"{report.books.finished} of {self.contacts} contacts ended; {queued} are still queued")
        return wrong

    def _show_one_story(self, written: list[WrittenField]) -> None:
        if not written:
            return
        story = self.place.result("why", written[0].crm_id)["items"]
        self.console.print(f"What happened to contact {written[0].crm_id} (`enrich why`):")
        for line in story:
            self.console.print(f"  {line['at']}  {escape(line['what'])}")
        self.console.print()

    def _lead_on(self, written: list[WrittenField]) -> None:
        folder = self.place.folder
        self.console.print("Where to look next:")
        self.console.print("  make ui   the runs in Prefect's UI, on http://127.0.0.1:4200")
        files = {
            str(folder / "report.html"): "results, cost and impact on one page: open it in a browser (`enrich report`)",
            str(folder / "report.md"): "the run's summary",
            **self.side.files(self.place),
        }
        kept = folder / "warehouse.db"
        if kept.exists():
            files[str(kept)] = "the tables, for any SQLite client"
        for path, what in files.items():
            self.console.print(f"  {_near(Path(path))}   {what}")
        if kept.exists() and written:
            setting = f"ENRICHMENT_SQLITE_PATH={_near(kept)}"
            self.console.print(f"  {setting} .venv/bin/enrich why {written[-1].crm_id}   another contact")


def _before_and_after(written: list[WrittenField]) -> Table:
    table = Table("contact", "field", "before", "after", title="Three contacts, before and after")
    for crm_id in list(dict.fromkeys(row.crm_id for row in written))[:_SHOWN_CONTACTS]:
        for row in (row for row in written if row.crm_id == crm_id):
            table.add_row(crm_id, row.field, escape(row.before or ""), escape(row.after))
        table.add_section()
    return table


def _near(path: Path) -> Path:
    """Return the path from here, if that is shorter."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
