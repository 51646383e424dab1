"""The file of all measured runs, from which docs/performance.md is written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.figures import Run, Runs
from bench.machine import machine


def save(path: Path, measured: Sequence[Runs]) -> None:
    """Keep these runs, and those of other scenarios and programs that the same machine measured with the same code."""
    here = machine()
    known: list[Runs] = []
    if path.exists():
        where, known = load(path)
        known = known if where == here else []
    fresh = {(runs.scenario, runs.program) for runs in measured}
    kept = [runs for runs in known if (runs.scenario, runs.program) not in fresh]
    lines = ",\n".join(json.dumps(_rounded(asdict(runs))) for runs in (*kept, *measured))
    path.write_text(f'{{"machine": {json.dumps(here)}, "runs": [\n{lines}\n]}}\n', encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


def load(path: Path) -> tuple[Mapping[str, Any], list[Runs]]:
    """Return the machine, and the runs."""
    found = json.loads(path.read_text("utf-8"))
    return found["machine"], [
        Runs(each["scenario"], each["program"], *([Run(**run) for run in each[kind]] for kind in ("empty", "full")))
        for each in found["runs"]
    ]
