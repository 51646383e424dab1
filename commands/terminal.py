"""How commands talk to people: results as text or JSON, mistakes in one line and an exit code."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, Self, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from enrichment.errors import ConfigurationError, EnrichmentError, RunCancelledError, UnexpectedError, where
from enrichment.moments import read_moment

if TYPE_CHECKING:
    from prefect.flows import Flow
    from rich.table import Table

P = ParamSpec("P")
R = TypeVar("R")

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)


class ExitCode(IntEnum):
    """What a command's exit code says; docs/command-line.md has the table."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make a code with its meaning."""
        member = int.__new__(cls, code)
        member._value_, member.meaning = code, meaning
        return member

    DONE = 0, "It is done."
    FAILED = 1, "The work failed: contacts, a run, a system (`enrich doctor`), or a promise is broken (`enrich audit`)."
    MISCONFIGURED = 2, "A setting, an option or the input is wrong, and nothing was done."
    UNKNOWN = 3, "It is done, but nothing was known of a contact that was named."
    ATTENTION = 4, "`enrich status`: something needs attention."
    CANCELLED = 130, "It was cancelled, by Ctrl-C or otherwise (as shells say it)."


#: The version of what `--json` prints; it grows when something in it is renamed or goes away.
FORMAT_VERSION = 1

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def allow_slow_start() -> None:
    """Give Prefect's temporary server more than its 20 seconds, unless the user has set a time."""
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")


def moment(text: str) -> datetime:
    """Return the moment of an option; without a time zone it is in UTC."""
    try:
        return read_moment(text)
    except ValueError:
        forms = "2026-11-25, 2026-11-25T14:30 or 2026-11-25T14:30:00+01:00"
        raise typer.BadParameter(f"'{text}' is not a time: write it as {forms}") from None


def only_one(options: Mapping[str, object], *, only: str = "") -> None:
    """Raise a ConfigurationError if several options are given that exclude each other, or one excludes all others."""
    given = [name for name, value in options.items() if value]
    if len(given) > 1 and (not only or only in given):
        raise ConfigurationError(
            f"choose one of {' and '.join(f'`{name}`' for name in given)}: they exclude each other"
        )


def refuse_empty(options: Mapping[str, str | None]) -> None:
    """Raise a ConfigurationError if an option is given an empty value: an empty shell variable doesn't mean all."""
    for name, value in options.items():
        if value is not None and not value.strip(" ,"):
            raise ConfigurationError(f"`{name}` is empty: give it a value, or leave the option out")


@contextmanager
def reported_errors() -> Iterator[None]:
    """Warn of misspelt settings, and turn every error into one sentence and an exit code."""
    try:
        _warn_of_misspelt_settings()
        yield
    except ConfigurationError as error:
        err.print(f"[red]enrich:[/red] {escape(str(error))}")
        raise typer.Exit(ExitCode.MISCONFIGURED) from None
    except RunCancelledError as error:
        err.print(f"enrich: {escape(str(error))}")
        raise typer.Exit(ExitCode.CANCELLED) from None
    except KeyboardInterrupt:
        err.print("enrich: interrupted")
        raise typer.Exit(ExitCode.CANCELLED) from None
    except UnexpectedError as error:
        _report_foreign(error.kind, str(error))
    except EnrichmentError as error:
        err.print(f"[red]enrich:[/red] {escape(str(error))}")
        raise typer.Exit(ExitCode.FAILED) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, people read a sentence and no traceback
        _report_wrong_values(error)
        _report_foreign(f"{type(error).__module__}.{type(error).__name__}", where(error), error)


def _warn_of_misspelt_settings() -> None:
    if Path(".env").exists() or any(name.upper().startswith("ENRI") for name in os.environ):
        from blocks.variables import unknown_variables  # noqa: PLC0415 - Prefect takes seconds to import

        for sentence in unknown_variables():
            err.print(f"[yellow]enrich: warning:[/yellow] {escape(sentence)}")


def _report_wrong_values(error: Exception) -> None:
    """End the command if this error lists values that a model refuses."""
    from pydantic import ValidationError  # noqa: PLC0415 - takes a tenth of a second to import

    if isinstance(error, ValidationError):
        flaws = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)]
        err.print(f"[red]enrich:[/red] wrong values: {escape('; '.join(flaws))}")
        raise typer.Exit(ExitCode.MISCONFIGURED) from None


#: Libraries by which we talk to Prefect's server; those of vendors have been translated where they are called.
_PREFECT = ("prefect.", "httpx.", "httpcore.", "anyio.", "websockets.")


def _report_foreign(kind: str, place: str, error: Exception | None = None) -> NoReturn:
    name = kind.rpartition(".")[2]
    if isinstance(error, OSError) and error.strerror:
        said = f"{error.strerror}: {error.filename or name}"
    elif kind.startswith(_PREFECT) or "Failed to reach API" in str(error):
        said = (
            f"Prefect's server can't be reached, or refused what was asked ({name}): check with `enrich doctor` that "
            "PREFECT_API_URL leads to a server that runs, and run the command again"
        )
    else:
        said = f"an unexpected error ({name}): run the command again with ENRICHMENT_TRACE=1, and report what it prints"
    err.print(f"[red]enrich:[/red] {escape(said)}")
    if os.environ.get("ENRICHMENT_TRACE"):
        err.print(escape(place))
    raise typer.Exit(ExitCode.FAILED) from None


def say(value: Any, as_json: bool, text: Callable[[], Any], following: str = "") -> None:
    """Print a result as text, with the command that follows beside it; or as one JSON object, a list as `items`."""
    if as_json:
        plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        members = {"items": plain} if isinstance(plain, list) else plain
        sys.stdout.write(json.dumps({"format_version": FORMAT_VERSION, **members}, default=str) + "\n")
    elif out.is_terminal:
        out.print(text())
    else:
        sys.stdout.write(_plain(text()) + "\n")
    if following and not as_json:
        err.print(f"next: {escape(following)}", style="dim")


def _plain(shown: Any) -> str:
    """Return what is printed where no terminal is: lines without frames, the cells of a table separated by tabs."""
    from rich.console import Group  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if isinstance(shown, str):
        return Text.from_markup(shown).plain
    if isinstance(shown, Group):
        return "\n".join(map(_plain, shown.renderables))
    if not isinstance(shown, Table):
        return str(shown.markup)  # of a Markdown, whose library takes long to import
    head = [[str(column.header) for column in shown.columns]] if shown.show_header else []
    rows = [*head, *zip(*(column.cells for column in shown.columns), strict=True)]
    lines = [str(shown.title), *("\t".join(str(cell) for cell in row) for row in rows), str(shown.caption or "")]
    return Text.from_markup("\n".join(line for line in lines if line)).plain


def say_list(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    as_json: bool,
    csv_path: Path | None,
    notes: Sequence[str] = (),
) -> None:
    """
    Print a list as text, or all its columns as JSON or CSV.

    Args:
        title: of the list.
        rows: each with the same columns.
        columns: those that people read.
        as_json: print JSON.
        csv_path: write this CSV file; `-` for the standard output.
        notes: what people read below the list.
    """
    if as_json and csv_path:
        raise ConfigurationError("choose one of `--json` and `--csv`: they exclude each other")
    if csv_path:
        _write_csv(rows, columns, csv_path)
    else:
        say(list(rows), as_json, lambda: _list_table(title, rows, columns) if rows else f"{title}: none")
        for note in () if as_json else notes:
            say(note, as_json, lambda: escape(note))  # noqa: B023 - called at once


def _list_table(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> "Table":
    from rich.table import Column, Table  # noqa: PLC0415

    table = Table(*(Column(_TITLES.get(name, name), no_wrap=name in _WHOLE) for name in columns), title=title)
    for row in rows:
        table.add_row(*(_cell(name, row) for name in columns))
    return table


#: What people read above a column whose name they wouldn't.
_TITLES = {
    "failures": "failed",
    "first_at": "first",
    "last_at": "last",
    "queued_at": "queued",
}
#: What is copied from a list is never cut.
_WHOLE = frozenset({"contact", "cause", "field", "plan_id"})


def _cell(name: str, row: Mapping[str, Any]) -> str:
    text = str(row[name])
    if name.endswith("_at"):
        text = text[:16].replace("T", " ")
    shown = escape(text)
    return f"[link={row['link']}]{shown}[/link]" if name == "contact" and row["link"] and out.is_terminal else shown


def _write_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], path: Path) -> None:
    import csv  # noqa: PLC0415

    from enrichment.cells import neutralised  # noqa: PLC0415

    names = list(rows[0]) if rows else list(columns)
    with nullcontext(sys.stdout) if str(path) == "-" else path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        # Under this name `enrich stage --csv` takes the file.
        lines.writerow("crm_id" if name == "contact" else name for name in names)
        lines.writerows([neutralised(str(row[name])) for name in names] for row in rows)
    if str(path) != "-":
        err.print(f"{len(rows):,} rows written to {escape(str(path))}", style="dim")


def mark(well: bool) -> str:
    """Return the mark of a line about something that is checked."""
    return "[green]ok [/green]" if well else "[red]BAD[/red]"


def say_notes(notes: Iterable[str]) -> None:
    """Print what people should know of how their input was read, beside the result."""
    for note in notes:
        err.print(escape(note), style="dim")


def pairs_table(title: str, pairs: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> "Table":
    """Return labels and values as a table."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title, show_header=False)
    for label, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
        table.add_row(label, ", ".join(value) or "nothing was missing" if isinstance(value, list) else str(value))
    return table


def run_table(report: Any) -> "Table":
    """Return a run's report as a table."""
    from enrichment.summary import summary_lines  # noqa: PLC0415

    return pairs_table("Run", dict(summary_lines(report)))


def say_run(report: Any, as_json: bool) -> None:
    """Print a run's report; exit with a code if more contacts failed than the threshold permits."""
    from enrichment.records import NEEDS_APPROVAL, Disposition  # noqa: PLC0415

    failed = report.books.count(Disposition.FAILED)
    following = f"`enrich failures --run {report.run_id}`" if failed else "`enrich status`, or `enrich review`"
    if report.stop and report.stop.kind == NEEDS_APPROVAL:
        apply = f"enrich apply {report.run_id}"
        following = f"`{apply}` writes the changes that were held, `{apply} --decline` drops them"
    say(report, as_json, lambda: run_table(report), following)
    check_failures(report)


def check_failures(report: Any) -> None:
    """Exit with a code if more contacts of a run failed than the threshold permits."""
    from blocks.settings import load_settings  # noqa: PLC0415
    from enrichment.records import Disposition  # noqa: PLC0415

    failed = report.books.count(Disposition.FAILED)
    if report.books.failure_rate > load_settings().alert_threshold:
        raise EnrichmentError(
            f"{failed:,} of {report.books.claimed:,} contacts failed: fix the causes "
            f"(`enrich failures --run {report.run_id}` lists them), then put them back into the queue with `enrich "
            f"retry --run {report.run_id}`"
        )


def run_flow(flow: "Flow[P, R]", *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a flow, and say so if it runs without Prefect's server."""
    from flows import local  # noqa: PLC0415 - Prefect takes a second to import

    if not local.needs_server():
        err.print("PREFECT_API_URL is not set: this runs without Prefect, and its UI shows nothing of it", style="dim")
    return local.run_flow(flow, *args, **kwargs)


def checked_lane(lane: str) -> Any:
    """Return the lane, if there is one of that name."""
    if lane not in {"live", "backfill"}:
        raise ConfigurationError(f"'{lane}' is not a valid queue: choose live or backfill")
    return lane
