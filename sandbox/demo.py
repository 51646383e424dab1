"""The demo: the whole pipeline as a user runs it, against the stand-ins, in a few processes of their own."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from blocks.warehouses.base import Warehouse
from blocks.warehouses.sqlite import SqliteWarehouse
from enrichment.summary import RunReport, report_of, summary_markdown
from sandbox.place import Place, started

_SHOWN_CONTACTS = 3

#: Shows a run's report as the command line does.
RunTable = Callable[[RunReport], Table]


def run_demo(contacts: int, folder: Path, console: Console, run_table: RunTable) -> int:
    """
    Enrich made-up contacts and show what happened.

    Returns:
        0 if the books balance and the CRM holds what the warehouse says, else 1.
    """
    folder = folder.resolve()
    with ExitStack() as stack:
        with console.status("starting the stand-ins and a Prefect server ..."):
            place = stack.enter_context(started(contacts, folder))
        with console.status("setting up the warehouse, the CRM's fields and Prefect ..."):
            place.result("setup")
        with console.status(f"staging {contacts:,} contacts ..."):
            place.result("stage", "--all")
        warehouse = SqliteWarehouse(folder / "warehouse.db", 60)
        stack.callback(warehouse.close)
        report, seconds = _run(place, warehouse, contacts, console)
        wrong = _differences(place, warehouse, report, contacts)
        (folder / "report.md").write_text(summary_markdown(report))
        console.print(run_table(report))
        _show(console, place, warehouse, report, seconds)
    return _verdict(console, wrong)


def _run(place: Place, warehouse: Warehouse, contacts: int, console: Console) -> tuple[RunReport, float]:
    """Start the run, show its progress from the ledger, and return its report and how long it took."""
    columns = TextColumn("enriching"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    started = time.monotonic()
    run = place.enrich("run")
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("enriching", total=contacts)
        while run.poll() is None:
            progress.update(bar, completed=contacts - _queued(warehouse))
            time.sleep(0.5)
        progress.update(bar, completed=contacts - _queued(warehouse))
    return report_of(place.finish(run, "run")), time.monotonic() - started


def _queued(warehouse: Warehouse) -> int:
    return sum(row["records"] for row in warehouse.query("count_queue"))


def _differences(place: Place, warehouse: Warehouse, report: RunReport, contacts: int) -> list[str]:
    """Compare record by record what the warehouse says was written with what the CRM holds."""
    held = place.crm_contacts()
    written = warehouse.query("read_written", run_id=report.run_id, crm="hubspot")
    wrong = [
        f"contact {row['crm_id']}, {row['field']}: the warehouse says {row['after']!r}, the CRM doesn't"
        for row in written
        if held.get(row["crm_id"], {}).get(row["field"]) != row["after"]
    ]
    if not report.books.balanced:
        wrong.append(f"the books don't balance: {report.books}")
    if report.books.finished != contacts:
        wrong.append(
            f"{report.books.finished} of {contacts} contacts ended; {_queued(warehouse)} are still in the queue"
        )
    return wrong


def _show(console: Console, place: Place, warehouse: Warehouse, report: RunReport, seconds: float) -> None:
    claimed = report.books.claimed
    console.print(f"{claimed:,} contacts in {seconds:.1f} s, Prefect's start included\n")
    table = Table("contact", "field", "before", "after", title="Three contacts, before and after")
    written = warehouse.query("read_written", run_id=report.run_id, crm="hubspot")
    for crm_id in list(dict.fromkeys(row["crm_id"] for row in written))[:_SHOWN_CONTACTS]:
        for row in (row for row in written if row["crm_id"] == crm_id):
            table.add_row(crm_id, row["field"], escape(row["before"] or ""), escape(row["after"]))
        table.add_section()
    console.print(table)
    console.print("Where to look next:")
    console.print("  make ui   the runs in Prefect's UI, on http://127.0.0.1:4200")
    console.print(f"  {_near(place.folder / 'report.md')}   this report")
    console.print(f"  {_near(place.folder / 'warehouse.db')}   the tables, for any SQLite client")
    if written:
        setting = f"ENRICHMENT_SQLITE_PATH={_near(place.folder / 'warehouse.db')}"
        console.print(f"  {setting} .venv/bin/enrich why {written[0]['crm_id']}   one contact's story")


def _near(path: Path) -> Path:
    """Return the path from here, if that is shorter."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _verdict(console: Console, wrong: list[str]) -> int:
    for line in wrong[:20]:
        console.print(f"[red]wrong:[/red] {escape(line)}")
    if not wrong:
        console.print("\n[green]The books balance, and the CRM holds what the warehouse says.[/green]")
    return 1 if wrong else 0
