"""Commands that show what a run would write, and write what was approved."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from commands.terminal import (
    FORMAT_VERSION,
    Json,
    checked_lane,
    pairs_table,
    reported_errors,
    run_flow,
    say,
    say_list,
    say_run,
)
from enrichment.errors import ConfigurationError


def plan(
    provider: Annotated[str, typer.Option(help="Provider; default: the setting.")] = "",
    lane: Annotated[str, typer.Option(help="Queue: `live` or `backfill`; default: both, live first.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="The most queued contacts to cover; 0: one batch.")] = 0,
    target: Annotated[Path | None, typer.Option("--out", help="JSON file for all changes, field by field.")] = None,
    as_json: Json = False,
) -> None:
    """Keep what a run would write as a plan, from saved replies; nothing is spent or written until it is applied."""
    with reported_errors():
        from tasks.setup import check_ready  # noqa: PLC0415

        asked: dict[str, Any] = {"provider": provider, "lane": checked_lane(lane) if lane else "", "limit": limit}
        check_ready(provider)
        from flows.preview_contacts import preview_contacts  # noqa: PLC0415

        preview: Any = run_flow(preview_contacts, keep=True, **asked)
        shown = {"format_version": FORMAT_VERSION, "would_ask": preview.would_ask, **asdict(preview.kept)}
        if target:
            target.write_text(json.dumps(shown, indent=1), encoding="utf-8")
        following = f"`enrich apply {target or preview.kept.plan_id}`" if preview.kept.changes else ""
        say(shown, as_json, lambda: _plan_table(preview), following)


def apply(
    named: Annotated[
        str,
        typer.Argument(
            metavar="[PLAN]",
            show_default=False,
            help="The plan's id, or the file of `enrich plan --out`; without, the plans that wait are listed.",
        ),
    ] = "",
    decline: Annotated[
        bool, typer.Option("--decline", help="Write nothing of it: its contacts leave the queue without.")
    ] = False,
    note: Annotated[str, typer.Option(help="Why; it is kept with your name.")] = "",
    as_json: Json = False,
) -> None:
    """Write what a plan says and still holds; pays for nothing, and drops what has changed since."""
    with reported_errors():
        if not named:
            _list_waiting(as_json)
            return
        plan_id, seen = _named(named)
        from tasks.setup import check_ready  # noqa: PLC0415

        check_ready()
        from flows.apply_plan import apply_plan  # noqa: PLC0415

        report = run_flow(apply_plan, plan_id=plan_id, approve=not decline, note=note, seen=seen)
        say_run(report, as_json)


def _list_waiting(as_json: bool) -> None:
    from tasks.change_plans import waiting_plans  # noqa: PLC0415

    rows = [asdict(one) for one in waiting_plans()]
    say_list("Plans that wait for approval", rows, ("plan_id", "crm", "contacts", "cause", "made_by"), as_json, None)


def _named(text: str) -> tuple[str, str]:
    """Return the id of a plan, and the digest of its file if it was named by one."""
    path = Path(text)
    if not path.is_file():
        return text, ""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return str(found["plan_id"]), str(found["digest"])
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{path} is not the file of a plan: `enrich plan --out FILE` makes one") from None


def _plan_table(preview: Any) -> Any:
    kept, summary = preview.kept, preview.kept.summary
    shown = {
        "plan": kept.plan_id,
        "contacts": f"{summary.contacts:,} of {preview.records:,} that were looked at",
        "values": f"{summary.values:,}, {summary.overwritten:,} of them over another value",
        "by rule": _counted(summary.by_rule),
        "by field": _counted(summary.by_field),
        "not written": f"{sum(map(len, preview.refusals.values())):,} values",
        "not in it": f"what needs a reply that isn't saved yet: {preview.would_ask:,} replies to pay for",
    }
    return pairs_table("Plan", shown)


def _counted(counts: Any) -> str:
    return escape(", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))) or "nothing"
