"""
The tables of each release, with the rows that its code left there; every later version has to go on from them.

`make release-data` keeps those of the present version. It may be repeated until that version is released; what belongs
to a release isn't changed any more.
"""

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from blocks.warehouses._session import Session, Statements, script_of
from blocks.warehouses.base import RunStart, Warehouse
from enrichment.moments import read_moment, utc_text
from tasks.chunk import look_up, store
from tasks.queue import claim_chunks
from tests.cases.chain import Chain
from tests.cases.test_audit import live_through

FOLDER = Path(__file__).parent
RELEASES = sorted(path.name for path in FOLDER.iterdir() if path.name[0].isdigit())
ENGINES = ("sqlite", "postgres")

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
#: The locks of the runs that were killed have ended by then, and nothing else has.
_AGE = timedelta(hours=2)
#: Contacts of runs that were killed: with a reply that is paid for, and with a result that is stored.
KILLED = {"paid": "hit+l@late.example", "stored": "hit+m@late.example"}


@dataclass(frozen=True)
class Kept:
    """What was left: when, the contacts' ids by what happened to them, and the rows of each table."""

    at: str
    ids: dict[str, str]
    rows: dict[str, list[dict[str, Any]]]

    def as_of(self, moment: datetime) -> "Kept":
        """Return the same as if it had been left at another moment."""
        later = moment - read_moment(self.at)
        text = _MOMENT.sub(lambda found: utc_text(read_moment(found[0]) + later), json.dumps(self.rows))
        return Kept(utc_text(moment), self.ids, json.loads(text))


def live_and_die(chain: Chain) -> dict[str, str]:
    """Let everything happen that leaves rows, killed runs included, and return the contacts' ids."""
    killed = kill_runs(chain)
    return {**live_through(chain), **killed}


def kill_runs(chain: Chain) -> dict[str, str]:
    """Leave what a run leaves that is killed after it has paid for a reply, and one that has stored a result."""
    made = chain.world.hubspot.create([{"email": address} for address in KILLED.values()])
    for crm_id, further in zip(made, (False, True), strict=True):
        chain.stage([crm_id])
        plan = chain.plan()
        chain.warehouse.open_run(RunStart(plan.run_id, "killed", "zoominfo", "hubspot", ""), lease_seconds=600)
        [claimed] = claim_chunks.fn(plan, 1, 1000)
        done = look_up.fn(plan, claimed)
        if further:
            store.fn(plan, done)
    return dict(zip(KILLED, made, strict=True))


def schema_of(sql: Statements) -> str:
    """Return the statements that set up an engine's tables."""
    return ";\n".join([sql.queries["create_migrations"], *(sql.migrations[name] for name in sorted(sql.migrations))])


def rows_of(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a SQLite file by table, JSON as what it says, and nothing of this machine."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        tables = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names}
    return {name: [read for row in rows if (read := _read(row))] for name, rows in tables.items()}


def _read(row: sqlite3.Row) -> dict[str, Any]:
    values = {
        name: json.loads(value) if str(value).startswith(("[", "{")) else value for name, value in dict(row).items()
    }
    return {} if str(values.get("name")).startswith("start:") else values


def keep(kept: Kept, schemas: dict[str, str], version: str) -> None:
    """Write down what a version leaves."""
    folder = FOLDER / version
    folder.mkdir(exist_ok=True)
    for engine, schema in schemas.items():
        (folder / f"{engine}.sql").write_text(schema + "\n")
    (folder / "rows.json").write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def restore(version: str, warehouse: Warehouse) -> Kept:
    """Put what a version left into an empty warehouse, as if it had been left some hours ago."""
    kept = Kept(**json.loads((FOLDER / version / "rows.json").read_text())).as_of(datetime.now(UTC) - _AGE)
    with warehouse._migrating() as session:
        for statement in script_of((FOLDER / version / f"{warehouse.name}.sql").read_text()):
            session.execute(statement)
        for table, rows in kept.rows.items():
            session.execute(f"DELETE FROM {table}")
            for row in rows:
                _insert(session, warehouse.name, table, row)
    return kept


def _insert(session: Session, engine: str, table: str, row: dict[str, Any]) -> None:
    if engine == "postgres":
        statement = f"INSERT INTO {table} SELECT * FROM json_populate_record(NULL::{table}, %s)"
        session._connection.execute(statement, [json.dumps(row)])
        return
    values = {name: json.dumps(value) if isinstance(value, list | dict) else value for name, value in row.items()}
    places = ", ".join(f":{name}" for name in values)
    session._connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", values)
