"""The place in a topic up to which everything is staged, as `event_cursors` keeps it. Pure."""

import json
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Position:
    """
    A place in a topic.

    Args:
        replay_id: Salesforce's name for it: opaque bytes, empty if what was stored can't be read.
        reached_at: what was committed before this moment is staged; None if that isn't known.
    """

    replay_id: bytes
    reached_at: datetime | None

    def text(self) -> str:
        """Return it as it is stored."""
        return json.dumps(
            {"replay_id": self.replay_id.hex(), "reached_at": self.reached_at.isoformat() if self.reached_at else None}
        )


def read_position(text: str) -> Position:
    """Return what was stored."""
    try:
        stored = json.loads(text)
        reached_at = stored["reached_at"]
        return Position(bytes.fromhex(stored["replay_id"]), datetime.fromisoformat(reached_at) if reached_at else None)
    except (ValueError, KeyError, TypeError):
        return Position(b"", None)
