"""`python -m tests.faults`: real processes, to which something happens, and what was found."""

import logging
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import pytest
import typer
from rich.console import Console
from rich.table import Table

from blocks.warehouses.base import load_warehouse
from sandbox.server import Box, running
from sandbox.warehouses.base import load_stand_in
from tests.faults.floods import flood
from tests.faults.servers import server_trouble
from tests.faults.trial import Outcome, Trial
from tests.simulation.results import save

out = Console()
#: Of the histories, every third is on PostgreSQL.
_WAREHOUSES = ("sqlite", "sqlite", "postgres")
_EVENTS = 10_000
#: What is done once: the seconds that it took to recover, and what went wrong.
_Once = Callable[[Path], tuple[list[str], float]]


@dataclass
class _Findings:
    histories: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    paid_again: int = 0
    lost: int = 0
    recovery: list[float] = field(default_factory=list)

    def add(self, name: str, outcome: Outcome) -> None:
        self.histories += 1
        self.struck += outcome.struck
        self.violations += [f"{name}: {one}" for one in outcome.violations]
        self.paid_again += outcome.paid_again
        self.lost += outcome.lost
        if outcome.recovery_seconds > _NOTHING_LEFT_SECONDS:
            self.recovery.append(outcome.recovery_seconds)


#: In less time nothing was left to be done.
_NOTHING_LEFT_SECONDS = 0.1


def main(
    histories: Annotated[int, typer.Option(min=0, help="How many.")] = 120,
    first: Annotated[int, typer.Option(min=0, help="The first one's seed.")] = 0,
    once: Annotated[bool, typer.Option(help="Also what takes long, and is done once.")] = True,
    keep: Annotated[bool, typer.Option("--save", help="Keep the figures for docs/reliability.md.")] = False,
) -> None:
    """Kill, interrupt and rob real processes at their steps; exit with 1 if a promise broke."""
    findings = _Findings()
    begun = time.monotonic()
    logging.disable(logging.CRITICAL)
    for seed, outcome in play(range(first, first + histories)):
        findings.add(f"history {seed}", outcome)
    for name, do in _ONCE.items() if once else ():
        with tempfile.TemporaryDirectory() as folder:
            wrongs, seconds = do(Path(folder))
        findings.add(name, Outcome(0, Counter({name: 1}), wrongs, recovery_seconds=seconds))
        out.print(f"{name}: {'; '.join(wrongs) or 'all is well'}")
    _report(findings, time.monotonic() - begun)
    if keep:
        save("processes", **_figures(findings))
    raise typer.Exit(bool(findings.violations))


def play(seeds: range) -> Iterator[tuple[int, Outcome]]:
    """Yield what came of the history of each seed."""
    with _site() as (box, served):
        for seed in seeds:
            vendor = _WAREHOUSES[seed % len(_WAREHOUSES)]
            with tempfile.TemporaryDirectory() as folder:
                yield seed, Trial(box, served[vendor], Path(folder), vendor, seed).play()


@contextmanager
def _site() -> Iterator[tuple[Box, dict[str, dict[str, str]]]]:
    with ExitStack() as stack:
        box = stack.enter_context(running(contacts=1, seed=7))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="enrichment-faults-")))
        served = {name: stack.enter_context(load_stand_in(name).serve(folder)) for name in dict.fromkeys(_WAREHOUSES)}
        yield box, served


def _flood(folder: Path) -> tuple[list[str], float]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ENRICHMENT_SQLITE_PATH", str(folder / "warehouse.db"))
        with closing(load_warehouse("sqlite")) as warehouse:
            warehouse.migrate()
            return flood(warehouse, folder, _EVENTS)


_ONCE: dict[str, _Once] = {
    f"receiver killed three times in {_EVENTS:,} events": _flood,
    "Prefect's server hangs for a while": lambda folder: server_trouble(folder, dies=False),
    "Prefect's server is killed and started again": lambda folder: server_trouble(folder, dies=True),
}


def _figures(findings: _Findings) -> dict[str, object]:
    recovery = findings.recovery or [0.0]
    return {
        "histories": findings.histories,
        "struck": dict(findings.struck),
        "violations": len(findings.violations),
        "paid_again": findings.paid_again,
        "lost": findings.lost,
        "recovery_median": round(statistics.median(recovery), 1),
        "recovery_most": round(max(recovery), 1),
    }


def _report(findings: _Findings, seconds: float) -> None:
    table = Table("what happened", "times", title="What happened to processes")
    for kind, count in sorted(findings.struck.items()):
        table.add_row(kind, f"{count:,}")
    out.print(table)
    for line in findings.violations:
        out.print(f"[red]{line}[/red]")
    figures = _figures(findings)
    out.print(
        f"{findings.histories:,} histories in {seconds / 60:.1f} minutes: {len(findings.violations)} violations, "
        f"{findings.paid_again} replies paid for again though they were saved, {findings.lost} lost with their "
        f"process; recovered within {figures['recovery_median']} seconds (median), {figures['recovery_most']} at most"
    )


if __name__ == "__main__":
    typer.run(main)
