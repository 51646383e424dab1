"""Guards that are taken out one by one, each in a copy of the code: the histories must notice each."""

import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sandbox.environments import ROOT
from tests.simulation.results import load, save

#: How many histories a mutant may survive before it counts as alive.
SEEDS = 500
#: The share of them that must be noticed.
ENOUGH = 0.95
_COPIED = ("blocks", "commands", "enrichment", "flows", "lookup", "sandbox", "tasks", "tests/simulation")
#: Prints the seed of the first history that fails, once nothing can fail any more that belongs to the start.
_PLAY = """
import sys
from tests.simulation.campaign import play
failed = play([int(seed) for seed in sys.argv[1:]], until_failed=True).failed
print(failed[0].seed if failed else "null")
"""


@dataclass(frozen=True, slots=True)
class Cut:
    """What is taken out of a file: its text, and what stands there instead."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    A guard that is taken out; where two guard the same, both are.

    Args:
        name: what goes wrong without it.
        cuts: where it stands.
    """

    name: str
    cuts: tuple[Cut, ...]


def _mutant(name: str, also: tuple[Mapping[str, Any], ...] = (), **cut: Any) -> Mutant:
    return Mutant(name, (Cut(**cut), *(Cut(**one) for one in also)))


MUTANTS = tuple(_mutant(**each) for each in yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text()))


def killer(mutant: Mutant, first: int | None = None) -> int | None:
    """
    Return the seed of a history that notices it, or None if it survives.

    Args:
        mutant: the guard.
        first: the seed to begin with, which noticed it the last time.
    """
    seeds = [str(seed) for seed in ([] if first is None else [first]) + [*range(SEEDS)]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in _COPIED:
            shutil.copytree(ROOT / part, folder / part)
        for file in ("__init__.py", "warehouses.py"):
            shutil.copy(ROOT / "tests" / file, folder / "tests")
        for cut in mutant.cuts:
            changed = folder / cut.file
            changed.write_text(changed.read_text().replace(cut.old, cut.new))
        command = [sys.executable, "-c", _PLAY, *seeds]
        played = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
        found: int | None = json.loads(played.stdout)
        return found


def main() -> None:
    """Try all of them, as many at a time as there are cores; exit with 1 if more than one of twenty survives."""
    for part in _COPIED:  # once, and not in each copy
        compileall.compile_dir(ROOT / part, quiet=1)
    begun, seeds = time.monotonic(), load().get("mutants", {}).get("noticed_by", {})
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        trying = [pool.submit(killer, mutant, seeds.get(mutant.name)) for mutant in MUTANTS]
        noticed: dict[str, int] = {}
        for mutant, tried in zip(MUTANTS, trying, strict=True):
            seed = tried.result()
            verdict = "alive" if seed is None else f"noticed by {seed}"
            print(f"{verdict:14} {mutant.name}", flush=True)  # noqa: T201 - a command
            noticed |= {} if seed is None else {mutant.name: seed}
    minutes = (time.monotonic() - begun) / 60
    print(f"{len(noticed)} of {len(MUTANTS)} were noticed in {minutes:.1f} minutes")  # noqa: T201
    save("mutants", tried=[mutant.name for mutant in MUTANTS], minutes=round(minutes, 1), noticed_by=noticed)
    sys.exit(len(noticed) < ENOUGH * len(MUTANTS))


if __name__ == "__main__":
    main()
