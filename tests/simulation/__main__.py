"""`python -m tests.simulation`: play histories, and say what was found."""

import os
import time
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.simulation.campaign import Findings, play, play_in_processes
from tests.simulation.results import save

out = Console()


def main(
    seeds: Annotated[int, typer.Option(min=1, help="How many histories.")] = 1000,
    first: Annotated[int, typer.Option(min=0, help="The first one's seed.")] = 0,
    processes: Annotated[int, typer.Option(min=1, help="That play them.")] = os.cpu_count() or 1,
    keep: Annotated[bool, typer.Option("--save", help="Keep the figures for docs/reliability.md.")] = False,
    until_failed: Annotated[bool, typer.Option("--until-failed", help="End with the first that fails.")] = False,
    seed: Annotated[int | None, typer.Option(help="Play this one history only.")] = None,
) -> None:
    """Play histories of crashes, lost answers, expired locks, erasures and edits; exit with 1 if a promise broke."""
    begun, findings = time.monotonic(), Findings()
    if seed is not None or until_failed:
        findings = play(range(first, first + seeds) if seed is None else [seed], until_failed=until_failed)
    else:
        for part in play_in_processes(first, seeds, processes):
            findings.add(part)
    _report(findings, time.monotonic() - begun)
    if keep:
        happened: Counter[str] = Counter()
        for (kind, _, _, what), count in findings.happenings.items():
            happened[f"{kind}: {what}"] += count
        save("histories", played=findings.histories, broken=len(findings.failed), happened=dict(happened))
    raise typer.Exit(bool(findings.failed))


def _report(findings: Findings, seconds: float) -> None:
    table = Table("seam", "verb", "phase", "what happened", "times", title="What happened where")
    for (kind, verb, phase, what), count in sorted(findings.happenings.items()):
        table.add_row(kind, verb, phase, what, f"{count:,}")
    out.print(table)
    for outcome in findings.failed:
        out.print(f"[red]seed {outcome.seed}[/red]", *outcome.violations, sep="\n  ")
        for event in outcome.events:
            out.print(f"    {event.what} at {event.run}, {event.seam.phase} {event.seam.kind} {event.seam.verb}")
        out.print(f"    again: python -m tests.simulation --seed {outcome.seed}")
    rate = findings.histories / seconds
    total = findings.happenings.total()
    places = len(findings.happenings)
    out.print(
        f"{findings.histories:,} histories, {rate:.1f} a second; {total:,} events of {places:,} kinds; "
        f"{len(findings.failed):,} broke a promise"
    )


if __name__ == "__main__":
    typer.run(main)
