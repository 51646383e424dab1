"""`enrich report`: the weeks behind us on one page."""

from pathlib import Path
from typing import Annotated

import typer

from commands.terminal import Json, reported_errors, say
from enrichment.errors import ConfigurationError
from enrichment.names import names_in


def report(
    target: Annotated[Path, typer.Option("--out", help="File to write, an HTML page.")] = Path("report.html"),
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days to look back, by whole weeks.")] = 90,
    send: Annotated[str, typer.Option(help="Also send it: `slack`, `email` (with the page), or several.")] = "",
    as_json: Json = False,
) -> None:
    """Write results, match rate, cost and impact of the last weeks as one HTML page that loads nothing."""
    with reported_errors():
        from blocks.notifiers.base import load_notifier  # noqa: PLC0415 - Prefect takes seconds to import
        from blocks.settings import load_settings  # noqa: PLC0415
        from tasks.report import read_report, render_report, save_report, send_report  # noqa: PLC0415

        if target.is_dir():
            raise ConfigurationError(f"{target} is a folder: name a file, such as `--out {target / 'report.html'}`")
        notifiers = names_in(send)
        for one in notifiers:
            load_notifier(one)  # a wrong name is refused before anything is read
        found = read_report(load_settings().warehouse, days)
        page = render_report(found)
        save_report(page, target)
        if notifiers:
            send_report(found, page, target, notifiers)
        shown = {"path": str(target), "bytes": len(page.encode()), **dict(found.figures)}
        say(shown, as_json, lambda: f"{found.title}: {target} ({shown['bytes']:,} bytes); open it in a browser")
