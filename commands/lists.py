"""Commands that list single contacts: failed, unmatched and queued ones, and fields that were not written."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.terminal import (
    Json,
    checked_lane,
    err,
    moment,
    refuse_empty,
    reported_errors,
    say_list,
)

if TYPE_CHECKING:
    from enrichment.lists import ListFilter

#: How many rows people read at most, unless they say how many.
_MOST_READ = 50
#: What people read of each unmatched contact.
UNMATCHED_SHOWN = ("contact", "cause", "likely_domain", "provider", "first_at", "last_at")

Cause = Annotated[str | None, typer.Option(help="Only those with this cause, by its code.")]
RunId = Annotated[str | None, typer.Option("--run", help="Only those of this run, by its id.")]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=moment, metavar="TIME", help="Only those from this moment on (UTC unless it names a time zone)."
    ),
]
Limit = Annotated[
    int | None, typer.Option(min=1, help=f"The most rows; default: {_MOST_READ} as text, all of them as CSV or JSON.")
]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write a CSV file instead; `-` for the standard output.")]


def failures(
    run_id: RunId = None,
    cause: Cause = None,
    since: Since = None,
    field: Annotated[
        str | None,
        typer.Option(help="Contacts in which this field of the CRM was not written, instead of failed ones."),
    ] = None,
    limit: Limit = None,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """List the failed contacts that wait for a retry, with cause, history and what to do."""
    with reported_errors():
        refuse_empty({"--run": run_id, "--cause": cause, "--field": field})
        from enrichment.lists import causes_of  # noqa: PLC0415
        from tasks.lists import read_failed, read_refused  # noqa: PLC0415 - Prefect takes seconds to import

        wanted = _filter(limit, csv, as_json=as_json, run_id=run_id, reason=cause, since=since, field=field)
        if field:
            refused = read_refused(wanted)
            shown = ("contact", "field", "cause", "value", "first_at", "last_at")
            notes = causes_of(refused, "enrich retry --field {field}")
            say_list("Fields that were not written", refused, shown, as_json, csv, notes)
            return
        rows = read_failed(wanted)
        columns = ("contact", "cause", "step", "failures", "first_at", "last_at")
        say_list("Failed contacts", rows, columns, as_json, csv, causes_of(rows, "enrich retry --cause {cause}"))
        if not (as_json or csv):
            _say_next(rows, wanted, "enrich retry --all")
            _say_refused(read_refused(wanted))


def unmatched(
    run_id: RunId = None,
    cause: Cause = None,
    since: Since = None,
    limit: Limit = None,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """List the unmatched contacts that you haven't reviewed yet, with what is most likely wrong and what to do."""
    with reported_errors():
        refuse_empty({"--run": run_id, "--cause": cause})
        from enrichment.lists import causes_of  # noqa: PLC0415
        from tasks.lists import read_unmatched  # noqa: PLC0415 - Prefect takes seconds to import

        wanted = _filter(limit, csv, as_json=as_json, run_id=run_id, reason=cause, since=since)
        rows = read_unmatched(wanted)
        say_list("Unmatched contacts", rows, UNMATCHED_SHOWN, as_json, csv, causes_of(rows, ""))
        if not (as_json or csv):
            _say_next(rows, wanted, "enrich review --mark")


def queue(
    lane: Annotated[str | None, typer.Option(help="Queue: `live` or `backfill`; default: both, live first.")] = None,
    run_id: Annotated[str | None, typer.Option("--run", help="Only those that this run has locked, by its id.")] = None,
    since: Since = None,
    limit: Limit = None,
    csv: Csv = None,
    as_json: Json = False,
) -> None:
    """List the queued contacts in the order in which runs take them, and what each waits for."""
    with reported_errors():
        refuse_empty({"--run": run_id})
        from tasks.lists import read_queue  # noqa: PLC0415 - Prefect takes seconds to import

        checked = checked_lane(lane) if lane is not None else None
        wanted = _filter(limit, csv, as_json=as_json, run_id=run_id, since=since, lane=checked)
        rows = read_queue(wanted)
        say_list("Queued contacts", rows, ("contact", "queue", "state", "attempts", "queued_at"), as_json, csv)
        if not (as_json or csv):
            _say_next(rows, wanted, "enrich run")


def _filter(
    limit: int | None, csv: Path | None, *, as_json: bool, since: datetime | None, **texts: str | None
) -> "ListFilter":
    from enrichment.lists import ALL, EVER, ListFilter  # noqa: PLC0415
    from enrichment.moments import utc_text  # noqa: PLC0415

    given: dict[str, Any] = {name: text for name, text in texts.items() if text}
    most = limit or (ALL if as_json or csv else _MOST_READ)
    return ListFilter(**given, since=utc_text(since) if since else EVER, limit=most)


def _say_next(rows: list[dict[str, Any]], wanted: "ListFilter", following: str) -> None:
    if not rows:
        return
    more = " (there may be more: `--limit`, or `--csv FILE` for all)" if len(rows) == wanted.limit else ""
    err.print(f"{len(rows):,} listed{more}; next: `{following}`", style="dim")


def _say_refused(rows: list[dict[str, Any]]) -> None:
    from enrichment.wording import contacts  # noqa: PLC0415

    fields = Counter(row["field"] for row in rows)
    for name, count in fields.most_common():
        err.print(f"{name} was not written in {contacts(count)}: `enrich failures --field {name}`", style="dim")
