"""Rules for the workflows of CI."""

import re
from pathlib import Path

WORKFLOWS = Path(__file__).parents[2] / ".github" / "workflows"


def test_actions_are_pinned_by_commit() -> None:
    """A tag can be moved to other code, a commit can't; the comment says which release it is."""
    uses = [line for path in sorted(WORKFLOWS.glob("*.yml")) for line in re.findall(r"uses:(.*)", path.read_text())]
    assert uses
    assert [line for line in uses if not re.fullmatch(r" [\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line)] == []
