"""One contact's whole story, put in order of time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoryLine:
    """What happened to the contact at a moment (ISO-8601 UTC)."""

    at: str
    what: str


def tell(rows: Mapping[str, Iterable[Row]]) -> list[StoryLine]:
    """
    Return the story.

    Args:
        rows: by table: `suppressions`, `staging`, `ledger`, `replies`, `follow_ups`, `unmatched`, `writes`,
            `failures`.
    """
    lines: list[StoryLine] = []
    for table, line_of in _TELLERS.items():
        for row in rows.get(table, ()):
            lines += line_of(row)
    # What happened in one transaction has one time; the end comes last.
    return sorted(lines, key=lambda line: (line.at, line.what.startswith("ended ")))


def _suppression(row: Row) -> list[StoryLine]:
    if row["reason"] == "erased":
        return [StoryLine(row["suppressed_at"], "erased; it is never looked up again")]
    return [StoryLine(row["suppressed_at"], f"put on the suppression list: {row['reason']}")]


def _staging(row: Row) -> list[StoryLine]:
    lines = [StoryLine(row["staged_at"], f"staged ({row['source']}, {row['lane']} lane)")]
    if row["processed_at"]:
        lines.append(StoryLine(row["processed_at"], "result stored in the warehouse"))
    state = f"is in the queue now: {row['state']}, {row['attempts']} attempts so far"
    wait = f", not before {row['not_before']}" if row["not_before"] else ""
    # Sorted behind everything that has happened.
    return [*lines, StoryLine("9999", state + wait)]


def _ledger(row: Row) -> list[StoryLine]:
    reason = f" ({row['reason']})" if row["reason"] else ""
    ended = f"ended as {row['disposition']}{reason} after {row['attempts']} attempt(s), run {row['run_id']}"
    staged = StoryLine(row["staged_at"], f"staged ({row['source']}, {row['lane']} lane)")
    created = row["contact_created_at"]
    born = [StoryLine(created, f"created in {row['crm']}")] if created else []
    return [*born, staged, StoryLine(row["finished_at"], ended)]


def _reply(row: Row) -> list[StoryLine]:
    version = f", API version {row['api_version']}" if row["api_version"] else ""
    about = f" of the company ({row['step']})" if row.get("step") else ""
    cost = f"{row['credits']:g} credit(s){version}, run {row['run_id']}"
    return [StoryLine(row["received_at"], f"{row['provider']} answered {row['outcome']}{about}, {cost}")]


def _unmatched(row: Row) -> list[StoryLine]:
    reviewed = ", reviewed" if row["reviewed_at"] else ", waits for review"
    return [StoryLine(row["unmatched_at"], f"filed as unmatched at {row['provider']}: {row['reason']}{reviewed}")]


def _write(row: Row) -> list[StoryLine]:
    change = f"{row['field']}: {row['before'] or '(blank)'} -> {row['after']}"
    if not row["written_at"]:
        return [StoryLine(row["planned_at"], f"announced, not confirmed: {change}")]
    lines = [StoryLine(row["written_at"], f"wrote {change}")]
    return [*lines, StoryLine(row["reverted_at"], f"reverted {row['field']}")] if row["reverted_at"] else lines


def _failure(row: Row) -> list[StoryLine]:
    replayed = f"; replayed {row['replayed_at']}" if row["replayed_at"] else "; replay it with `enrich stage --failed`"
    return [
        StoryLine(row["failed_at"], f"became a dead letter at {row['step']}: {row['reason']}: {row['error']}{replayed}")
    ]


_TELLERS = {
    "suppressions": _suppression,
    "staging": _staging,
    "ledger": _ledger,
    "replies": _reply,
    "follow_ups": _reply,
    "unmatched": _unmatched,
    "writes": _write,
    "failures": _failure,
}
