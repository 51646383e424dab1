"""The command that takes back what was written."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from commands.terminal import Json, moment, reported_errors, say
from enrichment.errors import ConfigurationError
from enrichment.moments import utc_text

#: How many lines a terminal gets; `--json` has all.
_MOST_LINES = 200


def undo(
    *,
    run_id: Annotated[str, typer.Option("--run", help="What this run wrote.")] = "",
    contact: Annotated[str, typer.Option(help="What was written to this contact, by its id in the CRM.")] = "",
    field: Annotated[str, typer.Option(help="What was written into this field of the CRM.")] = "",
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=moment,
            metavar="TIME",
            help="What was written at or after this moment (UTC unless it names a time zone).",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Restore it; without this option it is only shown.")] = False,
    crm: Annotated[str, typer.Option(help="The CRM that was written to; default: the run's, or the setting.")] = "",
    csv: Annotated[Path | None, typer.Option(help="The CSV file that `enrich file` enriched.")] = None,
    target: Annotated[
        Path | None, typer.Option("--out", help="With --csv: the file that was written; default: the input itself.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show which values before our writes would be restored, and restore them with --yes; conditions combine."""
    with reported_errors():
        if target and not csv:
            raise ConfigurationError("`--out` needs `--csv`: name the file that was enriched into it")
        if csv and crm:
            raise ConfigurationError("choose one of `--csv` and `--crm`: they exclude each other")
        from enrichment.undo import UndoSelection  # noqa: PLC0415
        from tasks.undo import undo as undo_writes  # noqa: PLC0415 - Prefect takes seconds to import

        selection = UndoSelection(run_id.strip(), contact.strip(), field.strip(), utc_text(since) if since else "")
        if csv:
            from tasks.csv_file import FileJob, open_enriched  # noqa: PLC0415

            crm = open_enriched(FileJob(csv, target))
        report = undo_writes(selection, crm, write=yes)
        again = "the same command with `--yes` restores these values; nothing was changed yet"
        back = f"`enrich undo --run {report.run_id}` takes this undo back"
        say(report, as_json, lambda: _table(report, done=yes), (back if yes else again) if report.values else "")


def _table(report: Any, *, done: bool) -> Any:
    from rich.table import Table  # noqa: PLC0415

    table = Table("contact", "field", "now" if not done else "was", "would be" if not done else "is now")
    rows = [(crm_id, change) for crm_id, changes in report.changes.items() for change in changes]
    for crm_id, change in rows[:_MOST_LINES]:
        table.add_row(crm_id, change.field, escape(change.before or "(blank)"), escape(change.after or "(blank)"))
    for one in report.not_undone[:_MOST_LINES]:
        table.add_row(one.crm_id, one.field, "", escape(f"stays as it is: {one.says}"))
    restored = "were restored" if done else "would be restored"
    hidden = max(0, len(rows) - _MOST_LINES) + max(0, len(report.not_undone) - _MOST_LINES)
    table.caption = (
        f"{len(rows):,} values of {len(report.changes):,} contacts {restored}, {report.restored_before:,} were back "
        f"already, {len(report.not_undone):,} stay as they are"
        + (f"; {hidden:,} lines more with `--json`" if hidden else "")
    )
    return table
