"""Commands that repair: failed contacts, and fields that were not written, are tried again."""

from typing import Annotated

import typer
from rich.markup import escape

from commands.terminal import ExitCode, Json, checked_lane, err, only_one, refuse_empty, reported_errors, run_flow, say
from enrichment.errors import ConfigurationError

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Contacts, by their ids in the CRM.")]


def retry(
    ids: Ids = None,
    cause: Annotated[
        str | None, typer.Option(help="Only those with this cause, as `enrich failures` shows it.")
    ] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Only those of this run, by its id.")] = None,
    field: Annotated[str | None, typer.Option(help="Contacts in which this field of the CRM was not written.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every failed contact.")] = False,
    lane: Annotated[str, typer.Option(help="Queue for fields that were not written: `live` or `backfill`.")] = "live",
    as_json: Json = False,
) -> None:
    """
    Put failed contacts, or contacts with a field that was not written, back into the queue.

    A saved reply is not paid for again.
    """
    with reported_errors():
        only_one({"--all": everything, "ID": ids, "--cause": cause, "--run": run_id, "--field": field}, only="--all")
        refuse_empty({"--cause": cause, "--run": run_id, "--field": field})
        if not (ids or cause or run_id or field or everything):
            raise ConfigurationError("choose failed contacts: by id, `--cause`, `--run`, `--field`, or `--all`")
        from blocks.settings import load_settings  # noqa: PLC0415 - Prefect takes seconds to import
        from enrichment.intake import FailedContacts  # noqa: PLC0415
        from tasks.intake import without_trouble  # noqa: PLC0415
        from tasks.setup import check_ready  # noqa: PLC0415

        settings = load_settings()
        queue = checked_lane(lane)
        chosen = FailedContacts(run_id=run_id or "", reason=cause or "", field=field or "", crm_ids=ids or [])
        well = without_trouble(settings.crm, settings.warehouse, chosen)
        check_ready()
        from flows.ingest_contacts import ingest_contacts  # noqa: PLC0415

        staged = run_flow(ingest_contacts, intake=chosen, lane=queue)
        say({"staged": staged, "unknown": well}, as_json, lambda: _done(staged))
        if well:
            err.print(f"neither failed nor lacking a field, so not queued: {escape(', '.join(well))}")
            raise typer.Exit(ExitCode.UNKNOWN)


def _done(staged: int) -> str:
    following = "next: `enrich run`" if staged else "`enrich failures` lists the failed contacts"
    return f"{staged:,} contacts put back into the queue; {following}"
