"""`enrich`: a thin face over flows and tasks."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from enrichment.errors import ConfigurationError, EnrichmentError

app = typer.Typer(
    name="enrich",
    help="Enrich CRM contacts: CRM to warehouse to provider and back. Start with `enrich demo`.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals hold contacts and secrets
    rich_markup_mode="markdown",
)
listen = typer.Typer(help="Wait for new contacts, and put them into the queue as they appear.", no_args_is_help=True)
app.add_typer(listen, name="listen")
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


@app.command(epilog="Example: `enrich demo --contacts 5000`")
def demo(
    contacts: Annotated[int, typer.Option(min=1, help="How many made-up contacts to enrich.")] = 1000,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its files; emptied first.")] = Path(".demo"),
) -> None:
    """Run the whole pipeline against a loopback CRM and provider: no account, no spend."""
    from sandbox.demo import run_demo  # noqa: PLC0415 - the only way from the product into the sandbox

    with told():
        raise typer.Exit(run_demo(contacts, folder, out, run_table))


@app.command(epilog="Example: `enrich setup --save-blocks`")
def setup(
    save_blocks: Annotated[
        bool, typer.Option(help="Save the present configuration as Prefect's default blocks.")
    ] = False,
    runs: Annotated[int, typer.Option(min=1, help="Runs of a lane that may be at work at once.")] = 4,
    as_json: Json = False,
) -> None:
    """Prepare warehouse, CRM fields and Prefect; safe to repeat."""
    with told():
        from tasks.setup import set_up  # noqa: PLC0415 - Prefect takes seconds to import

        report = set_up(save=save_blocks, runs=runs)
        say(report, as_json, lambda: _pairs("Set up", report))


@app.command(epilog="Example: `enrich stage --csv new.csv`, or `enrich stage --all --lane backfill`")
def stage(
    csv: Annotated[Path | None, typer.Option(help="CSV file with the column `crm_id` and perhaps `email`.")] = None,
    ids: Annotated[str, typer.Option(help="CRM ids, comma-separated.")] = "",
    since: Annotated[datetime | None, typer.Option(help="Contacts created at or after this moment (UTC).")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every contact of the CRM.")] = False,
    failed: Annotated[bool, typer.Option(help="The dead letters, once more.")] = False,
    run_id: Annotated[str, typer.Option(help="With --failed: only those of this run.")] = "",
    lane: Annotated[str, typer.Option(help="`live` or `backfill`.")] = "live",
    as_json: Json = False,
) -> None:
    """Put contacts into the queue: those new since the last time, or as the options say."""
    with told():
        from tasks.intake import read_contacts  # noqa: PLC0415
        from tasks.setup import check_ready  # noqa: PLC0415

        if csv:
            read_contacts(csv)  # a wrong file is told before Prefect starts
        check_ready()
        from flows.ingest_contacts import ingest_contacts  # noqa: PLC0415

        staged = ingest_contacts(
            lane=_lane(lane),
            since=since,
            everything=everything,
            crm_ids=[part.strip() for part in ids.split(",") if part.strip()],
            csv_path=str(csv.resolve()) if csv else "",
            failed=failed,
            failed_run_id=run_id,
        )
        say({"staged": staged}, as_json, lambda: f"{staged:,} contacts new in the queue; next: `enrich run`")


@app.command(epilog="Example: `enrich run --limit 500`, or `enrich run --dry-run`")
def run(
    provider: Annotated[str, typer.Option(help="Provider; default: the setting.")] = "",
    lane: Annotated[str, typer.Option(help="`live` or `backfill`; default: both, live first.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="The most records to claim; 0: all that wait.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written; spend and write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Enrich what waits in the queue, here and now."""
    with told():
        from tasks.setup import check_ready  # noqa: PLC0415

        check_ready(provider)
        from flows.enrich_contacts import enrich_contacts  # noqa: PLC0415
        from tasks.preview import Preview  # noqa: PLC0415

        report = enrich_contacts(provider=provider, lane=_lane(lane) if lane else "", limit=limit, dry_run=dry_run)
        if isinstance(report, Preview):
            say(report, as_json, lambda: _preview(report))
        else:
            say(report, as_json, lambda: run_table(report))


@app.command(epilog="Example: `enrich file contacts.csv --out enriched.csv`")
def file(
    path: Annotated[Path, typer.Argument(help="CSV file in UTF-8 whose first line names the columns.")],
    target: Annotated[Path | None, typer.Option("--out", help="CSV file to write.")] = None,
    in_place: Annotated[bool, typer.Option(help="Write into the input itself.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace values that the input has.")] = False,
    force: Annotated[bool, typer.Option(help="Replace an existing output, whatever it holds.")] = False,
    column: Annotated[
        list[str] | None, typer.Option(help="Choose a column, such as `email=Mail`; by default by its name.")
    ] = None,
    provider: Annotated[str, typer.Option(help="Provider; default: the setting.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="The most contacts to enrich; 0: all.")] = 0,
    as_json: Json = False,
) -> None:
    """Enrich a CSV file, without a CRM; to repeat it costs nothing, and finishes what was left."""
    with told():
        from tasks.csv_file import FileJob, prepare_file  # noqa: PLC0415

        if (target is None) is not in_place:
            raise ConfigurationError("choose one of `--out FILE` and `--in-place`")
        job = FileJob(path, target, overwrite, dict(_assignment(each) for each in column or ()))
        contacts = prepare_file(job, provider=provider, force=force)
        from flows.enrich_contacts import enrich_contacts  # noqa: PLC0415
        from flows.ingest_contacts import ingest_contacts  # noqa: PLC0415

        ingest_contacts(everything=True)
        report: Any = enrich_contacts(provider=provider, limit=limit)
        say(report, as_json, lambda: run_table(report))
        left = contacts - report.books.finished
        if left and not limit:
            raise EnrichmentError(f"{left:,} contacts wait for another attempt: run the same command again later")


@app.command(epilog="Example: `enrich why 501`")
def why(
    crm_id: Annotated[str, typer.Argument(help="The contact's id in the CRM.")],
    crm: Annotated[str, typer.Option(help="The CRM, if the id is known in several.")] = "",
    as_json: Json = False,
) -> None:
    """Tell one contact's whole story."""
    with told():
        from tasks.story import read_story  # noqa: PLC0415

        lines = read_story(crm_id, crm)
        if not lines:
            raise ConfigurationError(f"the warehouse knows no contact {crm_id}: is the id right, and was it staged?")
        rows = [asdict(line) for line in lines]
        text = "\n".join(f"{'now' if row['at'] == '9999' else row['at']}  {row['what']}" for row in rows)
        say(rows, as_json, lambda: escape(text))


@app.command(epilog="Example: `enrich review --days 7`, then `enrich review --mark`")
def review(
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days to look back.")] = 7,
    mark: Annotated[bool, typer.Option("--mark", help="Mark the unmatched contacts shown as reviewed.")] = False,
    as_json: Json = False,
) -> None:
    """Show how enrichment did, and which unmatched contacts nobody has reviewed yet."""
    with told():
        from blocks.settings import load_settings  # noqa: PLC0415
        from enrichment.review import review_markdown  # noqa: PLC0415
        from tasks.review import mark_reviewed, read_review  # noqa: PLC0415

        warehouse = load_settings().warehouse
        found = read_review(warehouse, days)
        say(found, as_json, lambda: Markdown(review_markdown(found)))
        if mark:
            err.print(f"{mark_reviewed(warehouse, found):,} unmatched contacts marked as reviewed")


@app.command(epilog="Example: `enrich erase 501`")
def erase(
    crm_id: Annotated[str, typer.Argument(help="The contact's id in the CRM.")],
    crm: Annotated[str, typer.Option(help="The CRM; default: the setting.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask first.")] = False,
    as_json: Json = False,
) -> None:
    """Erase one contact from the warehouse for good, and never look it up again; the CRM isn't touched."""
    with told():
        from blocks.settings import load_settings  # noqa: PLC0415
        from tasks.erasure import erase_contact  # noqa: PLC0415

        settings = load_settings()
        crm = crm or settings.crm
        if not yes:
            typer.confirm(f"Erase contact {crm_id} of {crm} for good?", abort=True, err=True)
        erased = erase_contact(settings.warehouse, crm, crm_id)
        say(erased.rows, as_json, lambda: _pairs(f"Rows erased of contact {crm_id} of {crm}", dict(erased.rows)))


@app.command(epilog="Example: `enrich doctor --json`")
def doctor(as_json: Json = False) -> None:
    """Ask every configured system for a sign of life, with free calls only."""
    with told():
        from tasks.doctor import examine  # noqa: PLC0415

        findings = examine()
        rows = [asdict(finding) for finding in findings]
        say(
            rows,
            as_json,
            lambda: "\n".join(f"{_mark(row['well'])} {escape(row['system'])}: {escape(row['says'])}" for row in rows),
        )
        if not all(finding.well for finding in findings):
            raise typer.Exit(FAILED)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise ConfigurationError(f"'{text}' chooses no column: write it as `email=Mail`")
    return name.strip(), value


def _lane(lane: str) -> Any:
    if lane not in {"live", "backfill"}:
        raise ConfigurationError(f"there is no lane '{lane}': choose live or backfill")
    return lane


def _mark(well: bool) -> str:
    return "[green]ok [/green]" if well else "[red]BAD[/red]"


def _pairs(title: str, pairs: dict[str, Any]) -> Table:
    table = Table(title=title, show_header=False)
    for label, value in pairs.items():
        table.add_row(label, ", ".join(value) or "nothing to do" if isinstance(value, list) else str(value))
    return table


def run_table(report: Any) -> Table:
    """Return a run's report as a table."""
    from enrichment.summary import summary_lines  # noqa: PLC0415

    return _pairs("Run", dict(summary_lines(report)))


def _preview(preview: Any) -> Table:
    table = Table("contact", "field", "now", "would be", title=f"Dry run over {preview.records:,} records")
    for crm_id, changes in preview.changes.items():
        for change in changes:
            table.add_row(crm_id, change.field, escape(change.before or ""), escape(change.after))
    table.caption = f"{preview.would_ask:,} contacts would have to be asked for first"
    return table


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
