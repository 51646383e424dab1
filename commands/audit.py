"""The command that checks whether everything was kept that is promised."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from commands.terminal import ExitCode, Json, mark, reported_errors, say

if TYPE_CHECKING:
    from enrichment.promises import Breach, Verdict
    from tasks.audit import Audit


def audit(
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days to look back.")] = 30,
    sample: Annotated[
        int,
        typer.Option(min=0, max=1000, help="Compare so many contacts with the CRM, those written to last; 0: none."),
    ] = 20,
    as_json: Json = False,
) -> None:
    """Check on your own tables that nothing was lost, paid for twice or written against the rules; changes nothing."""
    with reported_errors():
        from tasks.audit import audit as check  # noqa: PLC0415 - Prefect takes seconds to import

        done = check(days=days, sample=sample)
        say(_plain(done), as_json, lambda: _shown(done))
        if done.broken:
            raise typer.Exit(ExitCode.FAILED)


def _plain(done: "Audit") -> dict[str, object]:
    return {"kept": not done.broken, **asdict(done)}


def _shown(done: "Audit") -> str:
    lines = [line for one in done.verdicts for line in _lines(one)]
    return "\n".join([*lines, *map(escape, done.notes), f"checked over the last {done.days} days"])


def _lines(verdict: "Verdict") -> list[str]:
    said = [f"    {_found(one)}" for one in verdict.breaches]
    said += [f"    {verdict.advice}"] if verdict.advice else []
    return [f"{mark(verdict.kept)} {escape(verdict.text)}", *map(escape, said)]


def _found(breach: "Breach") -> str:
    more = ", ..." if breach.count > len(breach.examples) else ""
    return f"{breach.count:,} times not so: {breach.rule} {', '.join(breach.examples)}{more}"
