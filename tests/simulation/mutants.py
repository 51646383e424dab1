"""Guards that are taken out one by one, each in a copy of the code: the histories must notice each."""

import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from sandbox.environments import ROOT
from tests.simulation.results import save

#: How many histories a mutant may survive before it counts as alive.
SEEDS = 300
#: The share of them that must be noticed.
ENOUGH = 0.95
_COPIED = ("blocks", "commands", "enrichment", "flows", "lookup", "sandbox", "tasks", "tests/simulation")


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    A guard that is taken out.

    Args:
        name: what goes wrong without it.
        file: where it stands.
        old: its text.
        new: what stands there instead.
    """

    name: str
    file: str
    old: str
    new: str


MUTANTS = tuple(Mutant(**each) for each in yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text()))


def survives(mutant: Mutant) -> bool:
    """Return whether no history notices it."""
    command = [sys.executable, "-m", "tests.simulation", "--seeds", str(SEEDS), "--until-failed"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in _COPIED:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("__init__.py", "warehouses.py"):
            shutil.copy(ROOT / "tests" / file, folder / "tests")
        changed = folder / mutant.file
        changed.write_text(changed.read_text().replace(mutant.old, mutant.new))
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def main() -> None:
    """Try all of them, two at a time; exit with 1 if more than one of twenty survives."""
    begun, alive = time.monotonic(), 0
    with ThreadPoolExecutor(2) as pool:
        for mutant, survived in zip(MUTANTS, pool.map(survives, MUTANTS), strict=True):
            print(f"{'alive ' if survived else 'killed'}  {mutant.name}", flush=True)  # noqa: T201 - a command
            alive += survived
    killed, minutes = len(MUTANTS) - alive, (time.monotonic() - begun) / 60
    print(f"{killed} of {len(MUTANTS)} killed in {minutes:.1f} minutes")  # noqa: T201
    save("mutants", tried=len(MUTANTS), killed=killed)
    sys.exit(killed < ENOUGH * len(MUTANTS))


if __name__ == "__main__":
    main()
