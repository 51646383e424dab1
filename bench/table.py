"""The figures as a table."""

from collections.abc import Mapping, Sequence

from rich.table import Column, Table

from bench.figures import Figure, Runs, figures
from bench.scenarios import TITLES, Scenario

Columns = Mapping[str, tuple[str, int]]

#: What is shown, by the figure's name: title and decimals.
COLUMNS: Columns = {
    "contacts_per_second": ("contacts/s", 0),
    "share": ("% of the limit", 1),
    "rejected": ("429s", 0),
    "net_cpu": ("CPU s/1,000", 2),
    "net_server_cpu": ("servers", 2),
    "all_cpu": ("all", 2),
    "peak_mb": ("peak MB", 0),
    "statements": ("SQL/1,000", 0),
}
START: Columns = {"start_seconds": ("start s", 1), "start_cpu": ("start CPU s", 1)}
_COMMANDS: Columns = {"seconds": ("seconds", 1), "cpu": ("CPU s", 1), "peak_mb": ("peak MB", 0)}


def columns_of(scenario: Scenario) -> Columns:
    """Return what is shown of a scenario."""
    return _COMMANDS if scenario.is_start else COLUMNS


def cells(found: Sequence[Runs], columns: Columns) -> list[list[str]]:
    """Return the titles, then a line for each program, with those columns that at least one of them has."""
    known = [(runs, figures(runs)) for runs in found]
    shown = {name: column for name, column in columns.items() if any(name in values for _, values in known)}
    return [["program", *(title for title, _ in shown.values())]] + [
        [TITLES[runs.program], *(in_words(values.get(name), decimals) for name, (_, decimals) in shown.items())]
        for runs, values in known
    ]


def table(scenario: Scenario, found: Sequence[Runs]) -> Table:
    """Return what was found out, for the terminal."""
    (program, *titles), *lines = cells(found, {**columns_of(scenario), **({} if scenario.is_start else START)})
    shown = Table(Column(program, no_wrap=True), title=f"{scenario.title}: {found[0].full[0].contacts:,} contacts")
    for title in titles:
        shown.add_column(title, justify="right")
    for line in lines:
        shown.add_row(*line)
    return shown


def in_words(figure: Figure | None, decimals: int) -> str:
    """Return a figure as people read it: the median, and the range if there is one."""
    if figure is None:
        return "-"
    median, least, most = (f"{value:,.{decimals}f}" for value in (figure.median, figure.least, figure.most))
    return median if least == most else f"{median} ({least}..{most})"
