"""`enrich`: a thin face over flows and tasks."""

import atexit
import gc
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.audit import audit
from commands.backfill import backfill, pause, resume
from commands.changes import apply, plan
from commands.contact import allow, erase, suppress, why
from commands.doctor import doctor
from commands.init import init
from commands.listeners import listen
from commands.lists import failures, queue, unmatched
from commands.mapping import drift, remap
from commands.preview import preview_table
from commands.profile import profile
from commands.repair import retry
from commands.report import report
from commands.review import review
from commands.status import status
from commands.terminal import (
    Json,
    allow_slow_start,
    checked_lane,
    moment,
    only_one,
    out,
    pairs_table,
    refuse_empty,
    reported_errors,
    run_flow,
    run_table,
    say,
    say_notes,
    say_run,
)
from commands.undo import undo
from commands.upkeep import cleanup
from enrichment.errors import ConfigurationError, EnrichmentError
from enrichment.names import names_in

if TYPE_CHECKING:
    from enrichment.intake import Intake

#: The groups of commands in `enrich --help`.
SET_UP, RUN, LOOK, REPAIR, KEEP = "Set up", "Run", "Look", "Fix and retry", "Privacy and upkeep"

app = typer.Typer(
    name="enrich",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals hold contacts and secrets
    rich_markup_mode="markdown",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        out.print(f"enrich {version('contact-enrichment')}", highlight=False)
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Enrich CRM contacts: from the CRM to the warehouse, a provider and back. Start with `enrich demo`."""


app.add_typer(listen, name="listen", rich_help_panel=RUN)


@app.command(
    rich_help_panel=SET_UP, epilog="Example: `enrich demo --crm salesforce --provider clearbit --warehouse postgres`"
)
def demo(
    contacts: Annotated[
        int | None, typer.Option(min=1, help="How many made-up contacts to enrich; default: 1,000.")
    ] = None,
    crm: Annotated[str, typer.Option(help="`hubspot`, `salesforce`, or `file` for a CSV file.")] = "hubspot",
    provider: Annotated[str, typer.Option(help="A provider, or several in order, comma-separated.")] = "zoominfo",
    warehouse: Annotated[str, typer.Option(help="`sqlite`, or the stand-in of another warehouse.")] = "sqlite",
    folder: Annotated[Path, typer.Option(help="Folder of the demo's files; it is emptied first.")] = Path(".demo"),
) -> None:
    """Run the whole pipeline against a local CRM and provider: no account, no cost."""
    with reported_errors():
        try:
            from sandbox.combination import combine  # noqa: PLC0415 - the only way from the product into the sandbox
            from sandbox.demo import run_demo  # noqa: PLC0415
        except ModuleNotFoundError:
            raise ConfigurationError("the demo's stand-ins are not installed: run `make demo` in a checkout") from None
        raise typer.Exit(run_demo(combine(crm, provider, warehouse), contacts, folder, out, run_table))


app.command(
    rich_help_panel=SET_UP,
    epilog="Example: `enrich init enrichment`, or `enrich init enrichment --yes --crm salesforce`",
)(init)


@app.command(rich_help_panel=SET_UP, epilog="Example: `enrich setup --save-blocks`")
def setup(
    save_blocks: Annotated[
        bool, typer.Option(help="Save the current configuration as Prefect's default blocks.")
    ] = False,
    deploy: Annotated[
        bool, typer.Option("--deploy", help="Also create the deployments of prefect.yaml that Prefect lacks.")
    ] = False,
    runs: Annotated[int, typer.Option(min=1, help="How many runs of one queue may work at once.")] = 4,
    as_json: Json = False,
) -> None:
    """Prepare warehouse, CRM fields and Prefect; safe to repeat: only what is missing is created."""
    with reported_errors():
        from tasks.setup import set_up  # noqa: PLC0415 - Prefect takes seconds to import

        report = set_up(save=save_blocks, runs=runs, deploy=deploy)
        say(
            report,
            as_json,
            lambda: pairs_table("Set up", report),
            "`enrich doctor`, then `enrich stage` and `enrich run`",
        )


@app.command(
    rich_help_panel=RUN, epilog="Example: `enrich stage --csv new.csv`, or `enrich stage --all --lane backfill`"
)
def stage(
    csv: Annotated[
        Path | None, typer.Option(help="CSV file with the column `crm_id` and, optionally, `email`.")
    ] = None,
    ids: Annotated[str | None, typer.Option(help="CRM ids, comma-separated.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=moment,
            metavar="TIME",
            help="Contacts created at or after this moment (UTC unless it names a time zone).",
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every contact of the CRM.")] = False,
    refresh: Annotated[
        bool,
        typer.Option("--refresh", help="Also look up contacts that were enriched recently; saved replies are reused."),
    ] = False,
    lane: Annotated[str, typer.Option(help="Queue: `live` or `backfill`.")] = "live",
    as_json: Json = False,
) -> None:
    """Put contacts into the queue: those created since the last time, or those that an option names."""
    with reported_errors():
        only_one({"--csv": csv, "--ids": ids, "--since": since, "--all": everything})
        refuse_empty({"--ids": ids})
        from blocks.settings import load_settings  # noqa: PLC0415
        from tasks.intake import contact_ids, open_list  # noqa: PLC0415
        from tasks.setup import check_ready  # noqa: PLC0415

        intake = _intake(csv, ids or "", since, everything=everything)
        queue = checked_lane(lane)  # a wrong name or file is refused before Prefect starts
        if csv:
            say_notes(open_list(csv, load_settings().crm).notes)
        if intake.what == "listed":
            contact_ids(load_settings().crm, intake.crm_ids)
        check_ready()
        from flows.ingest_contacts import ingest_contacts  # noqa: PLC0415

        staged = run_flow(ingest_contacts, intake=intake, lane=queue, refresh=refresh)
        say({"staged": staged}, as_json, lambda: f"{staged:,} contacts added to the queue; next: `enrich run`")


def _intake(csv: Path | None, ids: str, since: datetime | None, *, everything: bool) -> "Intake":
    from enrichment.intake import EveryContact, ListedContacts, NewContacts  # noqa: PLC0415

    if everything:
        return EveryContact()
    if csv:
        return ListedContacts(csv_path=str(csv.resolve()))
    if ids:
        return ListedContacts(crm_ids=names_in(ids))
    return NewContacts(since=since)


@app.command(rich_help_panel=RUN, epilog="Example: `enrich run --limit 500`, or `enrich run --dry-run`")
def run(
    provider: Annotated[str, typer.Option(help="Provider; default: the setting.")] = "",
    lane: Annotated[str, typer.Option(help="Queue: `live` or `backfill`; default: both, live first.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="The most queued contacts to enrich; 0: all that wait.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written, without spending or writing anything.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Enrich the contacts that wait in the queue, in this process."""
    with reported_errors():
        from tasks.setup import check_ready  # noqa: PLC0415

        asked: dict[str, Any] = {"provider": provider, "lane": checked_lane(lane) if lane else "", "limit": limit}
        check_ready(provider)
        if dry_run:
            from flows.preview_contacts import preview_contacts  # noqa: PLC0415

            preview = run_flow(preview_contacts, **asked)
            say(preview, as_json, lambda: preview_table(preview), "`enrich run`, which pays and writes")
        else:
            from flows.enrich_contacts import enrich_contacts  # noqa: PLC0415

            report = run_flow(enrich_contacts, **asked)
            say_run(report, as_json)


app.command(
    rich_help_panel=RUN, epilog="Example: `enrich backfill --created-from 2026-01-01 --missing industry --estimate`"
)(backfill)
app.command(rich_help_panel=RUN, epilog="Example: `enrich pause backfill`")(pause)
app.command(rich_help_panel=RUN, epilog="Example: `enrich resume backfill`")(resume)


@app.command(rich_help_panel=RUN, epilog="Example: `enrich file contacts.csv --out enriched.csv`")
def file(  # noqa: PLR0913 - one parameter for each option
    path: Annotated[Path, typer.Argument(help="CSV file with a line that names the columns.")],
    *,
    target: Annotated[Path | None, typer.Option("--out", help="CSV file to write.")] = None,
    in_place: Annotated[bool, typer.Option(help="Write the values into the input file.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace values that the input already has.")] = False,
    force: Annotated[bool, typer.Option(help="Replace an existing output file, whatever it contains.")] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Choose the column of an identifier, such as `email=Mail`; default: by its name."),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Encoding, such as `windows-1252`; default: found by itself.")] = "",
    delimiter: Annotated[
        str, typer.Option(help="What separates cells, such as `;` or `tab`; default: found by itself.")
    ] = "",
    neutralise: Annotated[
        bool, typer.Option(help="Put an apostrophe before values that a spreadsheet would run as a formula.")
    ] = True,
    provider: Annotated[str, typer.Option(help="Provider; default: the setting.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="The most contacts to enrich; 0: all.")] = 0,
    as_json: Json = False,
) -> None:
    """Enrich a CSV file without a CRM; running it again costs nothing and finishes what is left."""
    with reported_errors():
        from tasks.csv_file import FileJob, finish_file, prepare_file  # noqa: PLC0415

        if (target is None) is not in_place:
            raise ConfigurationError("choose one of `--out FILE` and `--in-place`")
        columns = dict(_assignment(each) for each in column or ())
        job = FileJob(path, target, overwrite, neutralise, columns, encoding=encoding, delimiter=delimiter)
        prepared = prepare_file(job, provider=provider, force=force)
        say_notes(prepared.notes)
        from enrichment.intake import EveryContact  # noqa: PLC0415
        from flows.enrich_contacts import enrich_contacts  # noqa: PLC0415
        from flows.ingest_contacts import ingest_contacts  # noqa: PLC0415

        try:
            run_flow(ingest_contacts, intake=EveryContact())
            report: Any = run_flow(enrich_contacts, provider=provider, limit=limit)
        finally:
            finish_file()  # also what was found before it was interrupted
        say_run(report, as_json)
        left = prepared.contacts - report.books.finished
        if left and not limit:
            raise EnrichmentError(f"{left:,} contacts wait for a retry: run the same command again later")


app.command(rich_help_panel=LOOK, epilog="Example: `enrich profile --limit 5000`")(profile)
app.command(rich_help_panel=LOOK, epilog="Example: `enrich status --json`")(status)
app.command(rich_help_panel=LOOK, epilog="Example: `enrich why 501`")(why)


app.command(
    rich_help_panel=LOOK,
    epilog="Example: `enrich review`, `enrich review --csv review.csv`, then `enrich review --mark`",
)(review)
app.command(
    rich_help_panel=LOOK,
    epilog="Example: `enrich failures --cause validation_error`, or `enrich failures --csv failed.csv`",
)(failures)
app.command(rich_help_panel=LOOK, epilog="Example: `enrich unmatched --since 2026-01-01 --csv -`")(unmatched)
app.command(rich_help_panel=LOOK, epilog="Example: `enrich queue --lane live`")(queue)
app.command(rich_help_panel=REPAIR, epilog="Example: `enrich retry 501`, or `enrich retry --cause validation_error`")(
    retry
)
app.command(rich_help_panel=LOOK, epilog="Example: `enrich report --out report.html --days 90 --send email`")(report)
app.command(rich_help_panel=KEEP, epilog="Example: `enrich erase 501`")(erase)
app.command(
    rich_help_panel=KEEP,
    epilog="Example: `enrich suppress --csv do-not-contact.csv`, or `enrich suppress ada@acme.example`",
)(suppress)
app.command(rich_help_panel=KEEP, epilog="Example: `enrich allow 501`")(allow)
app.command(
    rich_help_panel=REPAIR, epilog="Example: `enrich undo --run RUN_ID`, then `enrich undo --run RUN_ID --yes`"
)(undo)
app.command(rich_help_panel=KEEP, epilog="Example: `enrich cleanup`, then `enrich cleanup --yes`")(cleanup)
app.command(rich_help_panel=LOOK, epilog="Example: `enrich audit --days 7`")(audit)
app.command(rich_help_panel=LOOK, epilog="Example: `enrich drift --days 90`")(drift)
app.command(
    rich_help_panel=REPAIR,
    epilog="Example: `enrich remap --provider zoominfo`, then `enrich remap --provider zoominfo --yes`",
)(remap)
app.command(rich_help_panel=RUN, epilog="Example: `enrich plan --limit 500 --out plan.json`")(plan)
app.command(rich_help_panel=RUN, epilog="Example: `enrich apply plan.json`, or `enrich apply PLAN_ID --decline`")(apply)


app.command(rich_help_panel=SET_UP, epilog="Example: `enrich doctor --json`")(doctor)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise ConfigurationError(f"'{text}' is not a valid column choice: write it as `email=Mail`")
    return name.strip(), value


def main() -> None:
    """Run the command line."""
    gc.set_threshold(500_000)  # else the collector runs again and again while everything is imported
    atexit.register(gc.freeze)  # else it visits everything once more at the end, a fifth of what a short command takes
    allow_slow_start()
    app()


if __name__ == "__main__":
    main()
