"""How commands talk to people: results as text or JSON, mistakes in one line and an exit code."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from enrichment.errors import ConfigurationError, EnrichmentError

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

#: Exit codes: the work failed; the settings or the input are wrong (as for wrong usage); it is done, though nothing was
#: known of what it was about.
FAILED, MISCONFIGURED, UNKNOWN = 1, 2, 3

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def allow_slow_start() -> None:
    """Give Prefect's temporary server more than its 20 seconds, unless the user has set a time."""
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")


def only_one(options: Mapping[str, object]) -> None:
    """Raise a ConfigurationError if several of some options are given that exclude each other."""
    given = [name for name, value in options.items() if value]
    if len(given) > 1:
        raise ConfigurationError(
            f"choose one of {' and '.join(f'`{name}`' for name in given)}: they exclude each other"
        )


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn our errors into one line and an exit code."""
    try:
        yield
    except ConfigurationError as error:
        err.print(f"[red]enrich:[/red] {escape(str(error))}")
        raise typer.Exit(MISCONFIGURED) from None
    except EnrichmentError as error:
        err.print(f"[red]enrich:[/red] {escape(str(error))}")
        raise typer.Exit(FAILED) from None


def say(value: Any, as_json: bool, text: Callable[[], Any]) -> None:
    """Print a result as JSON or as text."""
    if as_json:
        plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        sys.stdout.write(json.dumps(plain, default=str) + "\n")
    else:
        out.print(text())


def say_notes(notes: Iterable[str]) -> None:
    """Print what people should know of how their input was read, beside the result."""
    for note in notes:
        err.print(escape(note), style="dim")


def pairs_table(title: str, pairs: Mapping[str, Any]) -> Table:
    """Return labels and values as a table."""
    table = Table(title=title, show_header=False)
    for label, value in pairs.items():
        table.add_row(label, ", ".join(value) or "nothing was missing" if isinstance(value, list) else str(value))
    return table


def run_table(report: Any) -> Table:
    """Return a run's report as a table."""
    from enrichment.summary import summary_lines  # noqa: PLC0415

    return pairs_table("Run", dict(summary_lines(report)))


def say_run(report: Any, as_json: bool) -> None:
    """Print a run's report; exit with a code if more contacts failed than the threshold permits."""
    from blocks.settings import load_settings  # noqa: PLC0415
    from enrichment.records import Disposition  # noqa: PLC0415

    say(report, as_json, lambda: run_table(report))
    if report.books.failure_rate > load_settings().alert_threshold:
        raise EnrichmentError(
            f"{report.books.count(Disposition.FAILED):,} of {report.books.claimed:,} contacts failed: fix the causes "
            "(`enrich review` shows them), then put the contacts back into the queue with `enrich stage --failed`"
        )


def checked_lane(lane: str) -> Any:
    """Return the lane, if there is one of that name."""
    if lane not in {"live", "backfill"}:
        raise ConfigurationError(f"'{lane}' is not a valid queue: choose live or backfill")
    return lane
