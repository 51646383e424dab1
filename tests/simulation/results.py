"""The figures of the last campaigns, from which docs/reliability.md is made."""

import json
import subprocess
from pathlib import Path
from typing import Any

from sandbox.environments import ROOT

FILE = Path(__file__).with_name("results.json")


def load() -> dict[str, Any]:
    """Return the figures, by campaign: `histories`, `mutants` and `processes`."""
    return dict(json.loads(FILE.read_text())) if FILE.exists() else {}


def save(campaign: str, **figures: Any) -> None:
    """Keep the figures of a campaign, with the commit that it was about."""
    git = ["git", "rev-parse", "--short=10", "HEAD"]
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    kept = load() | {campaign: {"commit": commit, **figures}}
    FILE.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")
