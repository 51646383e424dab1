"""The figures as a table, for the terminal."""

from collections.abc import Sequence

from rich.table import Column, Table

from bench.figures import Figure, Runs, figures
from bench.scenarios import PROGRAMS, Scenario

#: What is shown, by the figure's name: title and decimals.
COLUMNS = {
    "contacts_per_second": ("contacts/s", 0),
    "net_cpu": ("CPU s/1,000", 2),
    "net_server_cpu": ("+ server", 2),
    "all_cpu": ("all", 2),
    "start_seconds": ("start s", 1),
    "start_cpu": ("start CPU s", 1),
    "peak_mb": ("peak MB", 0),
    "statements": ("SQL/1,000", 0),
    "share": ("% of limit", 0),
    "rejected": ("429s", 0),
    "written": ("written", 0),
}


def table(scenario: Scenario, all_runs: Sequence[Runs]) -> Table:
    """Return one line for each program."""
    shown = Table(Column("program", no_wrap=True), title=f"{scenario.title}: {all_runs[0].full[0].contacts:,} contacts")
    for title, _ in COLUMNS.values():
        shown.add_column(title, justify="right")
    for runs in all_runs:
        found = figures(runs)
        cells = [in_words(found.get(name), decimals) for name, (_, decimals) in COLUMNS.items()]
        shown.add_row(PROGRAMS[runs.program].title, *cells)
    return shown


def in_words(figure: Figure | None, decimals: int) -> str:
    """Return a figure as people read it: the median, and the range if there is one."""
    if figure is None:
        return "-"
    median, least, most = (f"{value:,.{decimals}f}" for value in (figure.median, figure.least, figure.most))
    return median if least == most else f"{median} ({least}..{most})"
