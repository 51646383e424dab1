"""How commands talk to people: results as text or JSON, mistakes in one line and an exit code."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
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

#: Exit codes: the work failed; the settings or the input are wrong (as for wrong usage).
FAILED, MISCONFIGURED = 1, 2

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@contextmanager
def told() -> Iterator[None]:
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


def pairs_table(title: str, pairs: Mapping[str, Any]) -> Table:
    """Return labels and values as a table."""
    table = Table(title=title, show_header=False)
    for label, value in pairs.items():
        table.add_row(label, ", ".join(value) or "nothing to do" if isinstance(value, list) else str(value))
    return table


def run_table(report: Any) -> Table:
    """Return a run's report as a table."""
    from enrichment.summary import summary_lines  # noqa: PLC0415

    return pairs_table("Run", dict(summary_lines(report)))


def checked_lane(lane: str) -> Any:
    """Return the lane, if there is one of that name."""
    if lane not in {"live", "backfill"}:
        raise ConfigurationError(f"there is no lane '{lane}': choose live or backfill")
    return lane
