"""
Reads a dialect's SQL file: `-- migration: 0001 words` and `-- query: name` begin a section each.

An engine that needs statements of its own around these, such as a temporary table, has them as `-- session: name`.

Values are always bound, as `:name`; a list or dict is bound as one JSON text. Nothing is ever pasted into a statement.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

_SECTION = re.compile(r"^-- (migration|query|session): (.+)$", re.MULTILINE)
# A cast (::jsonb) is no parameter.
PARAMETER = re.compile(r"(?<!:):([a-z][a-z_]*)\b")


@dataclass(frozen=True)
class SqlFile:
    """Ordered migrations (name to script), named queries, and the engine's own statements (name to statement)."""

    migrations: dict[str, str]
    queries: dict[str, str]
    session: dict[str, str] = field(default_factory=dict)

    def parameters(self, query: str) -> frozenset[str]:
        """Return the names of a query's parameters."""
        return frozenset(PARAMETER.findall(self.queries[query]))


def read_sql(path: Path) -> SqlFile:
    """Return the sections of a dialect's file."""
    parts = _SECTION.split(path.read_text(encoding="utf-8"))[1:]
    sections: dict[str, dict[str, str]] = {"migration": {}, "query": {}, "session": {}}
    for kind, name, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        sections[kind][name.strip()] = body.strip()
    return SqlFile(dict(sorted(sections["migration"].items())), sections["query"], sections["session"])
