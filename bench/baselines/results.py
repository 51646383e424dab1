"""The table of results of the baselines: one file, written with each batch, so that people can query it."""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_CREATE = "CREATE TABLE IF NOT EXISTS enriched_contacts (crm_id TEXT PRIMARY KEY, enriched_at TEXT, fields TEXT)"
_KEEP = "INSERT OR REPLACE INTO enriched_contacts VALUES (?, datetime('now'), ?)"


def folder() -> Path:
    """Return where the program may keep files."""
    return Path(os.environ["BENCH_FOLDER"])


def open_results() -> sqlite3.Connection:
    """Return a connection to the table, which is made if it isn't there."""
    connection = sqlite3.connect(folder() / "results.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(_CREATE)
    return connection


def keep(connection: sqlite3.Connection, updates: Iterable[Mapping[str, Any]]) -> None:
    """Keep what is written to the CRM, in one transaction."""
    with connection:
        connection.executemany(_KEEP, [(each["id"], json.dumps(each["properties"])) for each in updates])
