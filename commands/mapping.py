"""Commands about the mapping: what has changed around it, and results derived again after a correction."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape

from commands.terminal import ExitCode, Json, check_failures, reported_errors, run_flow, say, say_run


def drift(
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days to look back.")] = 90,
    as_json: Json = False,
) -> None:
    """Show what has changed in providers' replies and CRM fields against the mapping; costs and changes nothing."""
    with reported_errors():
        from rich.markdown import Markdown  # noqa: PLC0415

        from tasks.drift import find_drift  # noqa: PLC0415 - Prefect takes seconds to import

        done = find_drift(days)
        following = "write the proposed lines into the provider's file or the mapping file, then `enrich remap`"
        plain = asdict(done) | {"findings": [{**asdict(one), "serious": one.serious} for one in done.findings]}
        say(plain, as_json, lambda: Markdown(done.markdown()), following if done.serious else "")
        if done.serious:
            raise typer.Exit(ExitCode.FAILED)


def remap(
    provider: Annotated[str, typer.Option(help="Only contacts about which this provider has answered.")] = "",
    days: Annotated[int, typer.Option(min=1, max=3660, help="Only answers of so many days.")] = 180,
    contact: Annotated[str, typer.Option(help="Only this contact, by its id in the CRM.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="The most contacts to look at; 0: all.")] = 0,
    yes: Annotated[
        bool, typer.Option("--yes", help="Store and write what differs; without this option it is only shown.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Derive results again from saved replies after a change of a provider's file or the mapping; pays for nothing."""
    with reported_errors():
        from tasks.setup import check_ready  # noqa: PLC0415

        check_ready()
        from flows.remap_contacts import remap_contacts  # noqa: PLC0415

        found: Any = run_flow(remap_contacts, provider=provider, days=days, contact=contact, limit=limit, write=yes)
        following = "the same command with `--yes` stores and writes this; nothing was changed yet"
        say(found, as_json, lambda: _shown(found), following if found.contacts and not yes else "")
        if found.report and as_json:
            check_failures(found.report)
        elif found.report:
            say_run(found.report, as_json=False)


def _shown(found: Any) -> Any:
    from rich.console import Group  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table("where", "field", "filled", "changed", "emptied", title="Remap")
    for where, counts in (("result", found.results), ("CRM", found.crm)):
        for name, count in sorted(counts.items()):
            table.add_row(
                where, escape(name), *(f"{count.get(what, 0):,}" for what in ("filled", "changed", "emptied"))
            )
    lines = [f"{len(found.contacts):,} of {found.looked_at:,} contacts differ"]
    lines += [f"{count:,}: {why}" for why, count in sorted(found.left.items())]
    lines += [f"{found.edited:,} values stay as a person has changed them in the CRM"] if found.edited else []
    return Group(table, *map(escape, lines))
