"""Commands about lanes: fill the backfill lane and work it off, pause a lane, resume it."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.terminal import (
    Json,
    checked_lane,
    moment,
    only_one,
    pairs_table,
    reported_errors,
    run_flow,
    say,
    say_notes,
    say_run,
)
from enrichment.errors import ConfigurationError
from enrichment.names import names_in

if TYPE_CHECKING:
    from enrichment.intake import Selection

Lane = Annotated[str, typer.Argument(help="`live` or `backfill`.")]


def backfill(  # noqa: PLR0913 - one parameter for each option
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every contact of the CRM.")] = False,
    created_from: Annotated[
        datetime | None,
        typer.Option(
            parser=moment,
            metavar="TIME",
            help="Contacts created at or after this moment (UTC unless it names a time zone).",
        ),
    ] = None,
    created_until: Annotated[
        datetime | None,
        typer.Option(
            parser=moment,
            metavar="TIME",
            help="Contacts created before this moment (UTC unless it names a time zone).",
        ),
    ] = None,
    owner: Annotated[str, typer.Option(help="Contacts owned by this user of the CRM, by id.")] = "",
    list_id: Annotated[
        str, typer.Option("--list", help="Contacts in this HubSpot list or Salesforce campaign, by id.")
    ] = "",
    condition: Annotated[str, typer.Option(help="A further condition in Salesforce's SOQL.")] = "",
    missing: Annotated[
        str, typer.Option(help="Contacts in which at least one of these fields is blank, comma-separated.")
    ] = "",
    csv: Annotated[Path | None, typer.Option(help="Contacts listed in this CSV file, by the CRM's ids.")] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only show what the backfill would cost; spend nothing.")
    ] = False,
    max_credits: Annotated[float | None, typer.Option(min=0, help="The most credits that this run may spend.")] = None,
    stage_only: Annotated[bool, typer.Option("--stage-only", help="Only put the contacts into the queue.")] = False,
    refresh: Annotated[
        bool,
        typer.Option("--refresh", help="Also look up contacts that were enriched recently; saved replies are reused."),
    ] = False,
    provider: Annotated[str, typer.Option(help="Provider; default: the setting.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="The most queued contacts to enrich; 0: all that wait.")] = 0,
    as_json: Json = False,
) -> None:
    """Put the contacts that meet all conditions into the backfill queue, and enrich the contacts that wait in it."""
    with reported_errors():
        from enrichment.intake import select_by  # noqa: PLC0415 - pydantic takes a tenth of a second to import

        selection = select_by(
            everything=everything,
            created_from=created_from,
            created_until=created_until,
            owner=owner,
            list_id=list_id,
            condition=condition,
            missing=names_in(missing),
            csv_path=str(csv.resolve()) if csv else "",
        )
        only_one({"--estimate": estimate, "--stage-only": stage_only})
        for mode, given in {"--estimate": estimate, "--stage-only": stage_only}.items():
            only_one({mode: given, "--max-credits": max_credits is not None})
            only_one({mode: given, "--limit": limit})
        only_one({"--estimate": estimate, "--refresh": refresh})
        only_one({"--stage-only": stage_only, "--provider": provider})
        _check(selection, provider, estimate=estimate, stage_only=stage_only)
        if stage_only:
            _stage(selection, refresh=refresh, as_json=as_json)
        elif estimate:
            from flows.estimate_backfill import estimate_backfill  # noqa: PLC0415

            found = run_flow(estimate_backfill, select=selection, provider=provider)
            say(found, as_json, lambda: _estimate_table(found), "the same command without `--estimate`")
        else:
            from flows.enrich_contacts import enrich_contacts  # noqa: PLC0415

            report = run_flow(
                enrich_contacts,
                provider=provider,
                lane="backfill",
                limit=limit,
                select=selection,
                refresh=refresh,
                max_credits=max_credits,
            )
            say_run(report, as_json)


def pause(lane: Lane, as_json: Json = False) -> None:
    """Pause a queue: runs finish the batches in flight and take no more, the rest waits."""
    with reported_errors():
        from tasks.queue import pause_lane  # noqa: PLC0415

        at_work = pause_lane(checked_lane(lane))
        in_flight = f"{at_work:,} contacts in flight will still be finished"
        text = f"the {lane} queue is paused; {in_flight}; next: `enrich resume {lane}`"
        say({"lane": lane, "paused": True, "at_work": at_work}, as_json, lambda: text)


def resume(
    lane: Lane,
    start: Annotated[bool, typer.Option("--start", help="Also start a run of the queue's deployment.")] = False,
    as_json: Json = False,
) -> None:
    """Resume a queue: runs take contacts from it again."""
    with reported_errors():
        from tasks.queue import resume_lane, start_deployment  # noqa: PLC0415

        waiting = resume_lane(checked_lane(lane))
        started = start_deployment(lane) if start else ""
        following = f"the flow run {started} has been started" if started else f"next: `enrich run --lane {lane}`"
        say(
            {"lane": lane, "paused": False, "waiting": waiting, "flow_run": started},
            as_json,
            lambda: f"the {lane} queue is resumed; {waiting:,} contacts wait; {following}",
        )


def _check(selection: "Selection", provider: str, *, estimate: bool, stage_only: bool) -> None:
    """Raise for a mistake before Prefect starts."""
    if (estimate or stage_only) and selection.is_empty:
        raise ConfigurationError("choose contacts by a condition, `--csv` or `--all`")
    from blocks.settings import load_settings, read_price_book  # noqa: PLC0415
    from tasks.intake import open_list  # noqa: PLC0415
    from tasks.setup import check_ready  # noqa: PLC0415

    if selection.csv_path:
        say_notes(open_list(Path(selection.csv_path), load_settings().crm).notes)
    if estimate:
        read_price_book(load_settings().price_book)
    check_ready(provider)


def _stage(selection: "Selection", *, refresh: bool, as_json: bool) -> None:
    from enrichment.intake import SelectedContacts  # noqa: PLC0415
    from flows.ingest_contacts import ingest_contacts  # noqa: PLC0415

    staged = run_flow(ingest_contacts, intake=SelectedContacts(select=selection), lane="backfill", refresh=refresh)
    say({"staged": staged}, as_json, lambda: f"{staged:,} contacts added to the queue; next: `enrich backfill`")


def _estimate_table(estimate: Any) -> Any:
    from enrichment.estimate import estimate_lines, in_one_sentence  # noqa: PLC0415

    table = pairs_table("Estimate", dict(estimate_lines(estimate)))
    table.caption = f"{in_one_sentence(estimate)}; nothing was spent or written"
    return table
