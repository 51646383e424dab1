"""The command that shows on one screen where the pipeline stands."""

from dataclasses import asdict

import typer
from rich.markup import escape

from commands.terminal import ExitCode, Json, err, pairs_table, reported_errors, say


def status(as_json: Json = False) -> None:
    """Show queue, locks, runs and credits of today, failures, workers and listener; exit with 4 if something is off."""
    with reported_errors():
        from enrichment.status import attention, status_lines  # noqa: PLC0415
        from tasks.status import read_status  # noqa: PLC0415 - Prefect takes seconds to import

        found = read_status()
        troubles = attention(found)
        say(
            {**asdict(found), "attention": troubles},
            as_json,
            lambda: pairs_table("Status", status_lines(found)),
            "`enrich queue`, `enrich failures`, `enrich unmatched`",
        )
        for trouble in troubles:
            err.print(f"[yellow]attention:[/yellow] {escape(trouble)}")
        if troubles:
            raise typer.Exit(ExitCode.ATTENTION)
